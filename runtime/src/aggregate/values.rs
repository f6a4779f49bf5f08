//! How a kernel that keeps single values reads them from columns, owns them, compares them and
//! gives them back.

use std::cmp::Ordering;
use std::marker::PhantomData;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, ArrowPrimitiveType, AsArray, PrimitiveArray};
use arrow::datatypes::{ArrowNativeTypeOp, DataType};
use datafusion::common::{Result, internal_err};

use super::text::{TextColumn, text_array};

/// Values of one type.
pub trait Values: Send + 'static {
    /// An owned value.
    type Item: Clone + Default + Send + 'static;
    /// A column of values.
    type Column<'a>;
    /// A value in a column.
    type View<'a>: Copy;

    /// Returns a reader of `array`.
    ///
    /// # Errors
    /// An internal error if the column has another type.
    fn column<'a>(&self, array: &'a ArrayRef) -> Result<Self::Column<'a>>;

    /// Returns the value of `row`, which is not null.
    fn view<'a>(column: &Self::Column<'a>, row: usize) -> Self::View<'a>
    where
        'a: 'a;

    /// Returns an owned copy.
    fn own(view: Self::View<'_>) -> Self::Item;

    /// Compares; not-a-number is greater than every number, as in PostgreSQL.
    fn compare(view: Self::View<'_>, item: &Self::Item) -> Ordering;

    /// Returns a column of `items`.
    ///
    /// # Errors
    /// If they do not fit one array.
    fn array<'a>(&self, items: impl Iterator<Item = Option<&'a Self::Item>>) -> Result<ArrayRef>;

    /// Bytes that the item owns outside itself.
    fn heap_bytes(_item: &Self::Item) -> usize {
        0
    }
}

/// Values of fixed width.
pub struct Fixed<T> {
    data_type: DataType,
    phantom: PhantomData<fn(T)>,
}

impl<T: ArrowPrimitiveType> Fixed<T> {
    /// Values of `data_type`, which `T` stores.
    pub const fn new(data_type: DataType) -> Self {
        Self {
            data_type,
            phantom: PhantomData,
        }
    }
}

impl<T: ArrowPrimitiveType> Values for Fixed<T> {
    type Item = T::Native;
    type Column<'a> = &'a [T::Native];
    type View<'a> = T::Native;

    fn column<'a>(&self, array: &'a ArrayRef) -> Result<&'a [T::Native]> {
        match array.as_primitive_opt::<T>() {
            Some(array) => Ok(array.values()),
            None => internal_err!(
                "{} was expected, found {}",
                self.data_type,
                array.data_type()
            ),
        }
    }

    #[inline]
    fn view<'a>(column: &&'a [T::Native], row: usize) -> T::Native
    where
        'a: 'a,
    {
        column[row]
    }

    #[inline]
    fn own(view: T::Native) -> T::Native {
        view
    }

    #[inline]
    fn compare(view: T::Native, item: &T::Native) -> Ordering {
        // Only a float can be unlike itself; for integers this is one comparison.
        match view.partial_cmp(item) {
            Some(Ordering::Equal) => view.compare(*item),
            Some(order) => order,
            None => view
                .partial_cmp(&view)
                .is_none()
                .cmp(&item.partial_cmp(item).is_none()),
        }
    }

    fn array<'a>(&self, items: impl Iterator<Item = Option<&'a T::Native>>) -> Result<ArrayRef> {
        let array: PrimitiveArray<T> = items.map(|item| item.copied()).collect();
        Ok(Arc::new(array.with_data_type(self.data_type.clone())))
    }
}

/// Strings.
pub struct Text {
    /// Which of the string types.
    pub data_type: DataType,
}

impl Values for Text {
    type Item = Box<str>;
    type Column<'a> = TextColumn<'a>;
    type View<'a> = &'a str;

    fn column<'a>(&self, array: &'a ArrayRef) -> Result<TextColumn<'a>> {
        TextColumn::of(array)
    }

    #[inline]
    fn view<'a>(column: &TextColumn<'a>, row: usize) -> &'a str
    where
        'a: 'a,
    {
        column.value(row)
    }

    fn own(view: &str) -> Box<str> {
        view.into()
    }

    fn compare(view: &str, item: &Box<str>) -> Ordering {
        view.cmp(item.as_ref())
    }

    fn array<'a>(&self, items: impl Iterator<Item = Option<&'a Box<str>>>) -> Result<ArrayRef> {
        text_array(&self.data_type, items.map(|item| item.map(AsRef::as_ref)))
    }

    fn heap_bytes(item: &Box<str>) -> usize {
        item.len()
    }
}
