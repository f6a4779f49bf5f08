//! Reading the three string layouts of Arrow through one face. Copies nothing.

use arrow::array::{Array, ArrayRef, AsArray, LargeStringArray, StringArray, StringViewArray};
use arrow::buffer::NullBuffer;
use arrow::compute::cast;
use arrow::datatypes::DataType;
use datafusion::common::{Result, internal_err};

use std::sync::Arc;

/// A string column in any of Arrow's layouts.
#[derive(Clone, Copy)]
pub enum TextColumn<'a> {
    /// Offsets of 32 bits.
    Small(&'a StringArray),
    /// Offsets of 64 bits.
    Large(&'a LargeStringArray),
    /// Views.
    View(&'a StringViewArray),
}

impl<'a> TextColumn<'a> {
    /// Whether columns of this type can be read.
    pub const fn reads(data_type: &DataType) -> bool {
        matches!(
            data_type,
            DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View
        )
    }

    /// Returns a reader of `array`.
    ///
    /// # Errors
    /// An internal error if `array` is no string column.
    pub fn of(array: &'a dyn Array) -> Result<Self> {
        match array.data_type() {
            DataType::Utf8 => Ok(Self::Small(array.as_string())),
            DataType::LargeUtf8 => Ok(Self::Large(array.as_string())),
            DataType::Utf8View => Ok(Self::View(array.as_string_view())),
            other => internal_err!("a string column was expected, found {other}"),
        }
    }

    /// Returns the string of `row`; for a null row any string.
    pub fn value(&self, row: usize) -> &'a str {
        match self {
            Self::Small(array) => array.value(row),
            Self::Large(array) => array.value(row),
            Self::View(array) => array.value(row),
        }
    }

    /// Returns which rows are null.
    pub fn nulls(&self) -> Option<&'a NullBuffer> {
        match self {
            Self::Small(array) => Array::nulls(*array),
            Self::Large(array) => Array::nulls(*array),
            Self::View(array) => Array::nulls(*array),
        }
    }
}

/// Returns a column of `data_type` with the given strings.
///
/// # Errors
/// If the strings do not fit the layout, that is exceed two gigabytes in [`DataType::Utf8`].
pub fn text_array<'a>(
    data_type: &DataType,
    texts: impl Iterator<Item = Option<&'a str>>,
) -> Result<ArrayRef> {
    Ok(match data_type {
        DataType::Utf8View => Arc::new(texts.collect::<StringViewArray>()),
        DataType::Utf8 => Arc::new(texts.collect::<StringArray>()),
        _ => {
            let large: ArrayRef = Arc::new(texts.collect::<LargeStringArray>());
            cast(&large, data_type)?
        }
    })
}
