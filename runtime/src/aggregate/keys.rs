//! Group keys to group numbers: dense, in order of first sight, and back.
//!
//! Owns the keys. Never hands out a number twice and never forgets one.

use ahash::RandomState;
use arrow::array::{
    Array, ArrayRef, ArrowPrimitiveType, AsArray, PrimitiveArray, downcast_primitive,
};
use arrow::datatypes::{ArrowNativeTypeOp, DataType, ToByteSlice};
use arrow::row::{RowConverter, SortField};
use datafusion::common::utils::normalize_float_zero;
use datafusion::common::{Result, exec_err, internal_err, not_impl_err};
use hashbrown::HashTable;
use hashbrown::hash_table::Entry;

use std::sync::Arc;

use super::text::{TextColumn, text_array};

/// The distinct keys of one table of groups, numbered from 0 in order of first sight.
pub trait GroupKeys: Send {
    /// Writes the group of each of the `rows` rows of `columns` into `groups`, adding new groups.
    ///
    /// # Errors
    /// If the keys cannot be encoded.
    fn intern(&mut self, columns: &[ArrayRef], rows: usize, groups: &mut Vec<usize>) -> Result<()>;

    /// Number of groups.
    fn len(&self) -> usize;

    /// Whether there is no group.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Returns the keys of `groups`, in that order, one array a key column.
    ///
    /// # Errors
    /// If the keys do not fit one array.
    fn read(&self, groups: &[usize]) -> Result<Vec<ArrayRef>>;

    /// Bytes held.
    fn size(&self) -> usize;
}

/// Returns an empty set of keys for key columns of `types`.
///
/// # Errors
/// If a column is dictionary-encoded (a row format of dictionaries costs microseconds a row) or
/// of a type that has no equality.
pub fn group_keys(types: &[DataType]) -> Result<Box<dyn GroupKeys>> {
    if let Some(found) = types
        .iter()
        .find(|found| matches!(found, DataType::Dictionary(_, _)))
    {
        return not_impl_err!("group keys of type {found}: cast the key to its value type");
    }
    match types {
        [] => Ok(Box::new(NoKeys { seen: false })),
        [one] if TextColumn::reads(one) => Ok(Box::new(TextKeys {
            data_type: one.clone(),
            texts: Interner::default(),
            null_group: None,
        })),
        [one] => {
            macro_rules! primitive {
                ($t:ty) => {
                    Ok(Box::new(PrimitiveKeys::<$t>::new(one.clone())))
                };
            }
            downcast_primitive! {
                one => (primitive),
                _ => row_keys(types)
            }
        }
        _ => row_keys(types),
    }
}

fn row_keys(types: &[DataType]) -> Result<Box<dyn GroupKeys>> {
    let fields = types
        .iter()
        .map(|data_type| SortField::new(data_type.clone()))
        .collect();
    Ok(Box::new(RowKeys {
        converter: RowConverter::new(fields)?,
        rows: Interner::default(),
    }))
}

/// Fixed seeds: group numbers do not depend on hashes, and a run must not depend on chance.
const SEEDS: [u64; 4] = [
    0x243f_6a88_85a3_08d3,
    0x1319_8a2e_0370_7344,
    0xa409_3822_299f_31d0,
    0x082e_fa98_ec4e_6c89,
];

fn hasher() -> RandomState {
    RandomState::with_seeds(SEEDS[0], SEEDS[1], SEEDS[2], SEEDS[3])
}

/// Most groups of one table: numbers are kept in 32 bits.
const GROUPS_MAX: usize = u32::MAX as usize;

fn group_number(count: usize) -> Result<u32> {
    match u32::try_from(count) {
        Ok(number) if count < GROUPS_MAX => Ok(number),
        _ => exec_err!("more than {GROUPS_MAX} groups"),
    }
}

/// Byte strings to numbers. The bytes lie one after another in one buffer.
///
/// A short string is told apart by its slot in the table alone: a look-up touches no other memory.
struct Interner {
    table: HashTable<Slot>,
    /// `ends[n]` is where string *n* ends and string *n* + 1 begins.
    ends: Vec<u32>,
    bytes: Vec<u8>,
    hasher: RandomState,
}

/// Most bytes of a string that its slot holds whole. Ticker symbols have less.
const SHORT_BYTES: usize = 11;

/// What a slot says of a string: its first bytes, padded with zeros, then its length, at most 255.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Digest([u32; 3]);

impl Digest {
    #[inline]
    fn of(key: &[u8]) -> Self {
        let mut bytes = [0; 12];
        let shown = key.len().min(SHORT_BYTES);
        bytes[..shown].copy_from_slice(&key[..shown]);
        bytes[SHORT_BYTES] = key.len().min(255) as u8;
        let [a, b, c, d, e, f, g, h, i, j, k, l] = bytes;
        Self([
            u32::from_le_bytes([a, b, c, d]),
            u32::from_le_bytes([e, f, g, h]),
            u32::from_le_bytes([i, j, k, l]),
        ])
    }

    /// Whether it is of a string that is longer than it holds.
    const fn is_cut(self) -> bool {
        self.0[2] >> 24 > SHORT_BYTES as u32
    }

    /// Its hash: both halves of one product, as wyhash mixes.
    #[inline]
    const fn hash(self) -> u64 {
        let [first, second, third] = self.0;
        let low = (first as u64 | (second as u64) << 32) ^ SEEDS[0];
        let product = low as u128 * (third as u64 ^ SEEDS[1]) as u128;
        product as u64 ^ (product >> 64) as u64
    }
}

#[derive(Clone, Copy)]
struct Slot {
    digest: Digest,
    number: u32,
}

impl Default for Interner {
    fn default() -> Self {
        Self {
            table: HashTable::new(),
            ends: Vec::new(),
            bytes: Vec::new(),
            hasher: hasher(),
        }
    }
}

impl Interner {
    #[inline]
    fn intern(&mut self, key: &[u8]) -> Result<usize> {
        let Self {
            table,
            ends,
            bytes,
            hasher,
        } = self;
        let (digest, short) = (Digest::of(key), key.len() <= SHORT_BYTES);
        let hash = hash(hasher, digest, key);
        let same = |slot: &Slot| {
            slot.digest == digest && (short || string(ends, bytes, slot.number as usize) == key)
        };
        if let Some(slot) = table.find(hash, same) {
            return Ok(slot.number as usize);
        }
        let number = group_number(ends.len())?;
        let rehash = |slot: &Slot| {
            let key = if slot.digest.is_cut() {
                string(ends, bytes, slot.number as usize)
            } else {
                &[]
            };
            self::hash(hasher, slot.digest, key)
        };
        let end = end_of(bytes.len() + key.len())?;
        table.insert_unique(hash, Slot { digest, number }, rehash);
        bytes.extend_from_slice(key);
        ends.push(end);
        Ok(number as usize)
    }

    /// Takes a number that no string has.
    fn reserve_number(&mut self) -> Result<usize> {
        let number = group_number(self.ends.len())?;
        self.ends.push(end_of(self.bytes.len())?);
        Ok(number as usize)
    }

    fn get(&self, number: usize) -> &[u8] {
        string(&self.ends, &self.bytes, number)
    }

    fn size(&self) -> usize {
        self.table.capacity() * (size_of::<Slot>() + 1)
            + self.ends.capacity() * size_of::<u32>()
            + self.bytes.capacity()
    }
}

/// A short string hashes by its digest, a long one by all its bytes.
#[inline]
fn hash(hasher: &RandomState, digest: Digest, key: &[u8]) -> u64 {
    if key.len() > SHORT_BYTES {
        hasher.hash_one(key)
    } else {
        digest.hash()
    }
}

#[inline]
fn string<'a>(ends: &[u32], bytes: &'a [u8], number: usize) -> &'a [u8] {
    let start = if number == 0 { 0 } else { ends[number - 1] };
    &bytes[start as usize..ends[number] as usize]
}

fn end_of(bytes: usize) -> Result<u32> {
    match u32::try_from(bytes) {
        Ok(end) => Ok(end),
        Err(_) => exec_err!("the group keys of one table exceed 4 GiB"),
    }
}

/// One group for all rows.
struct NoKeys {
    seen: bool,
}

impl GroupKeys for NoKeys {
    fn intern(&mut self, _: &[ArrayRef], rows: usize, groups: &mut Vec<usize>) -> Result<()> {
        self.seen |= rows > 0;
        groups.clear();
        groups.resize(rows, 0);
        Ok(())
    }

    fn len(&self) -> usize {
        usize::from(self.seen)
    }

    fn read(&self, _: &[usize]) -> Result<Vec<ArrayRef>> {
        Ok(Vec::new())
    }

    fn size(&self) -> usize {
        size_of::<Self>()
    }
}

/// One string column.
struct TextKeys {
    data_type: DataType,
    texts: Interner,
    null_group: Option<usize>,
}

impl GroupKeys for TextKeys {
    fn intern(&mut self, columns: &[ArrayRef], _: usize, groups: &mut Vec<usize>) -> Result<()> {
        let [column] = columns else {
            return internal_err!("one key column was expected, found {}", columns.len());
        };
        groups.clear();
        groups.reserve(column.len());
        let texts = TextColumn::of(column)?;
        match (texts, texts.nulls()) {
            (TextColumn::Small(texts), None) => {
                for row in 0..texts.len() {
                    groups.push(self.texts.intern(texts.value(row).as_bytes())?);
                }
            }
            (texts, nulls) => {
                for row in 0..column.len() {
                    if nulls.is_some_and(|nulls| nulls.is_null(row)) {
                        let group = match self.null_group {
                            Some(group) => group,
                            None => self.texts.reserve_number()?,
                        };
                        self.null_group = Some(group);
                        groups.push(group);
                    } else {
                        groups.push(self.texts.intern(texts.value(row).as_bytes())?);
                    }
                }
            }
        }
        Ok(())
    }

    fn len(&self) -> usize {
        self.texts.ends.len()
    }

    fn read(&self, groups: &[usize]) -> Result<Vec<ArrayRef>> {
        let mut damaged = false;
        let texts = groups.iter().map(|group| {
            let text = std::str::from_utf8(self.texts.get(*group));
            damaged |= text.is_err();
            if Some(*group) == self.null_group {
                None
            } else {
                text.ok()
            }
        });
        let array = text_array(&self.data_type, texts)?;
        if damaged {
            return internal_err!("a group key is no longer UTF-8");
        }
        Ok(vec![array])
    }

    fn size(&self) -> usize {
        size_of::<Self>() + self.texts.size()
    }
}

/// One column of fixed width.
struct PrimitiveKeys<T: ArrowPrimitiveType> {
    data_type: DataType,
    table: HashTable<u32>,
    values: Vec<T::Native>,
    null_group: Option<usize>,
    hasher: RandomState,
}

impl<T: ArrowPrimitiveType> PrimitiveKeys<T> {
    fn new(data_type: DataType) -> Self {
        let (table, values) = (HashTable::new(), Vec::new());
        Self {
            data_type,
            table,
            values,
            null_group: None,
            hasher: hasher(),
        }
    }

    fn intern_one(&mut self, value: T::Native) -> Result<usize> {
        // Negative zero and zero are one key, as in DataFusion; adding zero makes them so.
        let value = value.add_wrapping(T::Native::ZERO);
        let Self {
            table,
            values,
            hasher,
            ..
        } = self;
        let hash = hasher.hash_one(value.to_byte_slice());
        let entry = table.entry(
            hash,
            |number| values[*number as usize].is_eq(value),
            |number| hasher.hash_one(values[*number as usize].to_byte_slice()),
        );
        match entry {
            Entry::Occupied(entry) => Ok(*entry.get() as usize),
            Entry::Vacant(entry) => {
                let number = group_number(values.len())?;
                entry.insert(number);
                values.push(value);
                Ok(number as usize)
            }
        }
    }
}

impl<T: ArrowPrimitiveType> GroupKeys for PrimitiveKeys<T> {
    fn intern(&mut self, columns: &[ArrayRef], _: usize, groups: &mut Vec<usize>) -> Result<()> {
        let [column] = columns else {
            return internal_err!("one key column was expected, found {}", columns.len());
        };
        let column: &PrimitiveArray<T> = column.as_primitive();
        groups.clear();
        groups.reserve(column.len());
        for (row, value) in column.values().iter().enumerate() {
            if column.is_valid(row) {
                groups.push(self.intern_one(*value)?);
                continue;
            }
            let group = match self.null_group {
                Some(group) => group,
                None => {
                    self.values.push(T::Native::default());
                    group_number(self.values.len() - 1)? as usize
                }
            };
            self.null_group = Some(group);
            groups.push(group);
        }
        Ok(())
    }

    fn len(&self) -> usize {
        self.values.len()
    }

    fn read(&self, groups: &[usize]) -> Result<Vec<ArrayRef>> {
        let values = groups
            .iter()
            .map(|group| (Some(*group) != self.null_group).then(|| self.values[*group]));
        let array: PrimitiveArray<T> = values.collect();
        Ok(vec![Arc::new(array.with_data_type(self.data_type.clone()))])
    }

    fn size(&self) -> usize {
        size_of::<Self>()
            + self.table.capacity() * (size_of::<u32>() + 1)
            + self.values.capacity() * size_of::<T::Native>()
    }
}

/// Any columns, in Arrow's row format.
struct RowKeys {
    converter: RowConverter,
    rows: Interner,
}

impl GroupKeys for RowKeys {
    fn intern(&mut self, columns: &[ArrayRef], _: usize, groups: &mut Vec<usize>) -> Result<()> {
        let columns: Vec<ArrayRef> = columns.iter().map(normalize_float_zero).collect();
        let rows = self.converter.convert_columns(&columns)?;
        groups.clear();
        groups.reserve(rows.num_rows());
        for row in &rows {
            groups.push(self.rows.intern(row.as_ref())?);
        }
        Ok(())
    }

    fn len(&self) -> usize {
        self.rows.ends.len()
    }

    fn read(&self, groups: &[usize]) -> Result<Vec<ArrayRef>> {
        let parser = self.converter.parser();
        let rows = groups
            .iter()
            .map(|group| parser.parse(self.rows.get(*group)));
        Ok(self.converter.convert_rows(rows)?)
    }

    fn size(&self) -> usize {
        size_of::<Self>() + self.rows.size() + self.converter.size()
    }
}
