//! Objects to columns. Owns the guess that makes decoding fast: messages of a topic look alike, so
//! what stood between the values of the last message (`,"price":`) is compared as bytes, and only
//! if it differs is the key parsed and looked up.

use std::collections::HashMap;

use arrow::datatypes::Fields;

use crate::format::column::Column;

use super::cursor::Cursor;
use super::fault::{Fault, Parsed};
use super::value::Values;

/// The fields of an object, at the top or nested, and the shape that the last one had.
pub(super) struct Shape {
    names: Vec<Box<str>>,
    /// Field name → index in `names`.
    lookup: HashMap<Box<[u8]>, usize, ahash::RandomState>,
    /// What stood before each value of the last object, in order.
    layout: Vec<Slot>,
    /// For each field, the shape below it.
    pub(super) nested: Vec<Option<Box<Shape>>>,
}

struct Slot {
    /// From behind the value before, or from the opening brace, up to the value: `{"symbol":`.
    prefix: Box<[u8]>,
    /// Its first 16 bytes as two words, and masks of what of them counts.
    words: [u64; 2],
    masks: [u64; 2],
    /// The field, if anybody wants it.
    field: Option<usize>,
}

impl Slot {
    fn new(prefix: &[u8], field: Option<usize>) -> Self {
        let mut head = [[0_u8; 8]; 2];
        let mut mask = [[0_u8; 8]; 2];
        for (index, byte) in prefix.iter().take(16).enumerate() {
            head[index / 8][index % 8] = *byte;
            mask[index / 8][index % 8] = 0xff;
        }
        let words = head.map(u64::from_le_bytes);
        let masks = mask.map(u64::from_le_bytes);
        Self {
            prefix: prefix.into(),
            words,
            masks,
            field,
        }
    }

    /// Steps behind the prefix, which is there, of the slot `absent` places ahead of `slot`.
    #[inline]
    fn follow(&self, cursor: &mut Cursor<'_>, slot: &mut usize, absent: usize) -> Next {
        cursor.at += self.prefix.len();
        // This message may have space where the last one had none.
        cursor.skip_white_space();
        *slot += absent + 1;
        Next::Value(self.field)
    }

    /// Whether `rest` begins with the prefix. Two word comparisons instead of a call: prefixes are
    /// short.
    #[inline]
    fn begins(&self, rest: &[u8]) -> bool {
        let Some(head) = rest.first_chunk::<16>() else {
            return rest.starts_with(&self.prefix);
        };
        let (words, _) = head.as_chunks::<8>();
        let differs = (u64::from_le_bytes(words[0]) ^ self.words[0]) & self.masks[0]
            | (u64::from_le_bytes(words[1]) ^ self.words[1]) & self.masks[1];
        differs == 0 && (self.prefix.len() <= 16 || rest.starts_with(&self.prefix))
    }
}

/// A longer key is looked up every time.
const PREFIX_BYTES_MAX: usize = 128;

/// Fields behind this one are looked up every time.
const SLOTS_MAX: usize = 1_024;

/// How many fields of the last message may be absent in a row before the guess is given up.
const ABSENT_MAX: usize = 4;

/// What comes next in an object.
enum Next {
    /// The value of this field, or of one that nobody wants.
    Value(Option<usize>),
    End,
}

impl Shape {
    /// The shape of an object with these fields, about which nothing is known yet.
    pub(super) fn new(fields: &Fields) -> Self {
        let names: Vec<Box<str>> = fields.iter().map(|f| f.name().as_str().into()).collect();
        let lookup = names
            .iter()
            .enumerate()
            .map(|(i, n)| (n.as_bytes().into(), i))
            .collect();
        let nested = fields
            .iter()
            .map(|field| super::value::nested_shape(field.data_type()));
        Self {
            lookup,
            layout: Vec::new(),
            nested: nested.collect(),
            names,
        }
    }

    /// Reads the object that begins at `cursor` into row `row` of `columns`, one for each field.
    ///
    /// On a fault the columns may be left with parts of the row; the caller cuts them off.
    pub(super) fn read(
        &mut self,
        columns: &mut [Column],
        row: usize,
        cursor: &mut Cursor<'_>,
        values: &mut Values,
        depth: usize,
    ) -> Parsed<()> {
        let (mut filled, mut slot) = (0, 0);
        let mut first = true;
        loop {
            let index = match self.next(cursor, &mut slot, first, depth)? {
                Next::Value(Some(index)) => index,
                Next::Value(None) => {
                    first = false;
                    cursor.skip_value(depth + 1)?;
                    continue;
                }
                Next::End => break,
            };
            first = false;
            let column = &mut columns[index];
            if column.len() == row {
                filled += 1;
            } else {
                // The field came twice: the last one wins.
                column.truncate(row);
            }
            let nested = self.nested[index].as_deref_mut();
            if let Err(fault) = values.read(column, nested, cursor, depth + 1) {
                return Err(fault.in_field(&self.names[index]));
            }
        }
        if filled == columns.len() {
            Ok(())
        } else {
            self.fill(columns, row)
        }
    }

    /// Appends nulls for the fields that did not come.
    fn fill(&self, columns: &mut [Column], row: usize) -> Parsed<()> {
        for (index, column) in columns.iter_mut().enumerate() {
            if column.len() == row {
                if !column.nullable {
                    return Err(Fault::missing().in_field(&self.names[index]));
                }
                column.push_null();
            }
        }
        Ok(())
    }

    /// Steps to the next value, by the guess if it holds.
    #[inline]
    fn next(
        &mut self,
        cursor: &mut Cursor<'_>,
        slot: &mut usize,
        first: bool,
        depth: usize,
    ) -> Parsed<Next> {
        let rest = &cursor.bytes[cursor.at..];
        if !first && rest.first() == Some(&b'}') {
            cursor.at += 1;
            return Ok(Next::End);
        }
        if let Some(guess) = self.layout.get(*slot)
            && guess.begins(rest)
        {
            return Ok(guess.follow(cursor, slot, 0));
        }
        self.next_ahead(cursor, slot, first, depth)
    }

    /// Steps to the next value by a guess that fields are absent; if that fails too, by name.
    #[inline(never)]
    fn next_ahead(
        &mut self,
        cursor: &mut Cursor<'_>,
        slot: &mut usize,
        first: bool,
        depth: usize,
    ) -> Parsed<Next> {
        let rest = &cursor.bytes[cursor.at..];
        for absent in 1..=ABSENT_MAX {
            if let Some(guess) = self.layout.get(*slot + absent)
                && guess.begins(rest)
            {
                return Ok(guess.follow(cursor, slot, absent));
            }
        }
        self.next_by_name(cursor, slot, first, depth)
    }

    /// Steps to the next value by parsing its key, and remembers what it looked like.
    #[cold]
    #[inline(never)]
    fn next_by_name(
        &mut self,
        cursor: &mut Cursor<'_>,
        slot: &mut usize,
        first: bool,
        depth: usize,
    ) -> Parsed<Next> {
        let start = cursor.at;
        if first {
            cursor.enter(depth)?;
            cursor.skip_white_space();
            if cursor.peek() == Some(b'}') {
                cursor.at += 1;
                return Ok(Next::End);
            }
        } else {
            cursor.skip_white_space();
            match cursor.peek() {
                Some(b',') => cursor.at += 1,
                Some(b'}') => {
                    cursor.at += 1;
                    return Ok(Next::End);
                }
                _ => return Err(Fault::syntax(cursor.at, "',' or '}'")),
            }
            cursor.skip_white_space();
        }
        let key = cursor.string()?;
        let field = if key.escaped {
            let mut plain = Vec::with_capacity(key.raw.len());
            super::text::unescape(key.raw, &mut plain).map_err(Fault::other)?;
            self.lookup.get(plain.as_slice()).copied()
        } else {
            self.lookup.get(key.raw).copied()
        };
        cursor.skip_white_space();
        cursor.expect(b':', "':'")?;
        cursor.skip_white_space();
        let prefix = &cursor.bytes[start..cursor.at];
        if prefix.len() <= PREFIX_BYTES_MAX && *slot < SLOTS_MAX {
            let learned = Slot::new(prefix, field);
            if *slot < self.layout.len() {
                self.layout[*slot] = learned;
            } else {
                self.layout.push(learned);
            }
            *slot += 1;
        }
        Ok(Next::Value(field))
    }
}
