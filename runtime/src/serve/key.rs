//! The keys of a chunk, looked at where they lie: the columns of its rows, without a copy.
//!
//! Two keys are the same if their columns are equal bit by bit, nulls equal to each other; so
//! negative zero is not zero, as in Arrow's row format, which keys of nested types fall back to.

use std::hash::{BuildHasher, Hasher};

use ahash::RandomState;
use arrow::array::{
    Array, ArrayRef, AsArray, BinaryArray, BinaryViewArray, LargeBinaryArray, LargeStringArray,
    StringArray, StringViewArray,
};
use arrow::buffer::{Buffer, NullBuffer};
use arrow::datatypes::DataType;
use arrow::error::ArrowError;
use arrow::row::{RowConverter, Rows, SortField};

/// The keys of *n* rows.
pub enum Keys {
    /// Columns of fixed width or of byte strings.
    Columns(Vec<Column>),
    /// Anything else, in Arrow's row format.
    Rows(Rows),
}

/// One key column.
pub struct Column {
    values: Values,
    nulls: Option<NullBuffer>,
}

enum Values {
    /// *n* values of `width` bytes.
    Fixed {
        bytes: Buffer,
        width: usize,
    },
    Text(StringArray),
    LargeText(LargeStringArray),
    TextView(StringViewArray),
    Binary(BinaryArray),
    LargeBinary(LargeBinaryArray),
    BinaryView(BinaryViewArray),
}

impl Keys {
    /// The keys that `columns` of *n* rows hold; `converter` is for these columns.
    ///
    /// # Errors
    /// If Arrow's row format cannot hold them.
    pub fn of(columns: &[ArrayRef], converter: &RowConverter) -> Result<Self, ArrowError> {
        let found: Option<Vec<Column>> = columns.iter().map(Column::of).collect();
        match found {
            Some(columns) => Ok(Self::Columns(columns)),
            None => converter.convert_columns(columns).map(Self::Rows),
        }
    }

    /// Returns the hash of the key of `row`.
    #[inline]
    pub fn hash(&self, row: usize, hasher: &RandomState) -> u64 {
        match self {
            Self::Columns(columns) => {
                let mut state = hasher.build_hasher();
                for column in columns {
                    match column.get(row) {
                        Some(bytes) => write(bytes, &mut state),
                        None => state.write_u8(0),
                    }
                }
                state.finish()
            }
            Self::Rows(rows) => hasher.hash_one(rows.row(row).data()),
        }
    }

    /// Whether the key of `row` is that of `other_row` in `other`, which holds keys of the same
    /// columns.
    #[inline]
    pub fn same(&self, row: usize, other: &Self, other_row: usize) -> bool {
        match (self, other) {
            (Self::Columns(ours), Self::Columns(theirs)) => ours
                .iter()
                .zip(theirs)
                .all(|(ours, theirs)| ours.get(row) == theirs.get(other_row)),
            (Self::Rows(ours), Self::Rows(theirs)) => {
                ours.row(row).data() == theirs.row(other_row).data()
            }
            // Which form keys have follows from their types.
            _ => false,
        }
    }

    /// Returns the key of `row` as bytes that differ where keys do.
    pub fn bytes(&self, row: usize) -> Box<[u8]> {
        match self {
            Self::Columns(columns) => {
                let mut key = Vec::new();
                for value in columns.iter().map(|column| column.get(row)) {
                    key.push(u8::from(value.is_some()));
                    if let Some(bytes) = value {
                        key.extend_from_slice(&bytes.len().to_le_bytes());
                        key.extend_from_slice(bytes);
                    }
                }
                key.into()
            }
            Self::Rows(rows) => rows.row(row).data().into(),
        }
    }

    /// Bytes held besides those of the rows.
    pub fn size(&self) -> usize {
        match self {
            Self::Columns(_) => 0,
            Self::Rows(rows) => rows.size(),
        }
    }
}

/// How Arrow's row format tells key columns of `types` apart.
///
/// # Errors
/// If it cannot.
pub fn converter(types: impl Iterator<Item = DataType>) -> Result<RowConverter, ArrowError> {
    RowConverter::new(types.map(SortField::new).collect())
}

#[inline]
fn write(bytes: &[u8], state: &mut impl Hasher) {
    match bytes.first_chunk::<8>() {
        Some(value) if bytes.len() == 8 => state.write_u64(u64::from_le_bytes(*value)),
        _ => {
            state.write(bytes);
            state.write_usize(bytes.len());
        }
    }
}

impl Column {
    fn of(array: &ArrayRef) -> Option<Self> {
        let data_type = array.data_type();
        let values = match data_type {
            DataType::Utf8 => Values::Text(array.as_string().clone()),
            DataType::LargeUtf8 => Values::LargeText(array.as_string().clone()),
            DataType::Utf8View => Values::TextView(array.as_string_view().clone()),
            DataType::Binary => Values::Binary(array.as_binary().clone()),
            DataType::LargeBinary => Values::LargeBinary(array.as_binary().clone()),
            DataType::BinaryView => Values::BinaryView(array.as_binary_view().clone()),
            _ => {
                let width = data_type.primitive_width()?;
                let data = array.to_data();
                let bytes = data.buffers().first()?;
                let bytes = bytes.slice_with_length(data.offset() * width, data.len() * width);
                Values::Fixed { bytes, width }
            }
        };
        let nulls = array.nulls().filter(|nulls| nulls.null_count() > 0);
        Some(Self {
            values,
            nulls: nulls.cloned(),
        })
    }

    /// The bytes of the value of `row`, or `None` if it is null.
    #[inline]
    fn get(&self, row: usize) -> Option<&[u8]> {
        if self.nulls.as_ref().is_some_and(|nulls| nulls.is_null(row)) {
            return None;
        }
        Some(match &self.values {
            Values::Fixed { bytes, width } => &bytes[row * width..(row + 1) * width],
            Values::Text(array) => array.value(row).as_bytes(),
            Values::LargeText(array) => array.value(row).as_bytes(),
            Values::TextView(array) => array.value(row).as_bytes(),
            Values::Binary(array) => array.value(row),
            Values::LargeBinary(array) => array.value(row),
            Values::BinaryView(array) => array.value(row),
        })
    }
}

#[cfg(test)]
mod tests;
