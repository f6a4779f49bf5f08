//! The timestamp column of a window operator: from its unit to nanoseconds and back, and what a
//! watermark promises.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, PrimitiveArray, TimestampMicrosecondArray};
use arrow::array::{TimestampMillisecondArray, TimestampNanosecondArray, TimestampSecondArray};
use arrow::buffer::{NullBuffer, ScalarBuffer};
use arrow::datatypes::{
    ArrowPrimitiveType, DataType, SchemaRef, TimeUnit, TimestampMicrosecondType,
    TimestampMillisecondType, TimestampNanosecondType, TimestampSecondType,
};
use arrow::record_batch::RecordBatch;
use rtsap_plan::operator::WindowColumn;
use rtsap_plan::window::{Window, WindowSpec};
use rtsap_stream::time::{EventTime, nanos_per};

use crate::operator::OperatorError;

/// Which column holds the time and in which type.
#[derive(Clone, Debug)]
pub struct TimeColumn {
    index: usize,
    unit: TimeUnit,
    zone: Option<Arc<str>>,
}

/// The times of a batch in their own unit.
pub struct Times {
    /// One entry a row; arbitrary where null.
    pub values: ScalarBuffer<i64>,
    /// Which rows have no time.
    pub nulls: Option<NullBuffer>,
    /// Nanoseconds in one unit.
    pub unit_nanos: i64,
}

impl Times {
    /// Returns the time of `row` in nanoseconds, or `None` if it is null or so far out (beyond the
    /// years 1677 to 2262) that a window around it could not be written in nanoseconds.
    pub fn nanos(&self, row: usize, window: &WindowSpec) -> Option<i64> {
        if self.nulls.as_ref().is_some_and(|nulls| nulls.is_null(row)) {
            return None;
        }
        let nanos = self.values[row].checked_mul(self.unit_nanos)?;
        let room = room(window);
        (nanos > i64::MIN + room && nanos < i64::MAX - room).then_some(nanos)
    }
}

/// Distance from the ends of time within which window bounds could overflow.
fn room(window: &WindowSpec) -> i64 {
    let offset = window.offset_nanos().saturating_abs();
    let lengths = window.size_nanos().saturating_add(window.slide_nanos());
    lengths
        .saturating_mul(2)
        .saturating_add(offset)
        .min(i64::MAX / 4)
}

impl TimeColumn {
    /// Column `index` of `schema`.
    ///
    /// # Errors
    /// [`OperatorError::Contract`] if it is no timestamp.
    pub fn of(
        operator: &'static str,
        schema: &SchemaRef,
        index: usize,
    ) -> Result<Self, OperatorError> {
        match schema.fields().get(index).map(|field| field.data_type()) {
            Some(DataType::Timestamp(unit, zone)) => Ok(Self {
                index,
                unit: *unit,
                zone: zone.clone(),
            }),
            found => {
                let found = format!("a time column {index} of type {found:?}");
                Err(OperatorError::Contract { operator, found })
            }
        }
    }

    /// Returns the times of `rows`.
    ///
    /// # Errors
    /// [`OperatorError::Contract`] if the column has another type than the schema said.
    pub fn read(&self, operator: &'static str, rows: &RecordBatch) -> Result<Times, OperatorError> {
        let contract = |found: String| OperatorError::Contract { operator, found };
        let Some(column) = rows.columns().get(self.index) else {
            return Err(contract(format!("{} columns", rows.num_columns())));
        };
        fn values<T: ArrowPrimitiveType<Native = i64>>(
            column: &ArrayRef,
        ) -> Option<ScalarBuffer<i64>> {
            column
                .as_primitive_opt::<T>()
                .map(|array: &PrimitiveArray<T>| array.values().clone())
        }
        let values = match self.unit {
            TimeUnit::Second => values::<TimestampSecondType>(column),
            TimeUnit::Millisecond => values::<TimestampMillisecondType>(column),
            TimeUnit::Microsecond => values::<TimestampMicrosecondType>(column),
            TimeUnit::Nanosecond => values::<TimestampNanosecondType>(column),
        };
        let values =
            values.ok_or_else(|| contract(format!("times of type {}", column.data_type())))?;
        let nulls = column
            .nulls()
            .filter(|nulls| nulls.null_count() > 0)
            .cloned();
        Ok(Times {
            values,
            nulls,
            unit_nanos: nanos_per(self.unit),
        })
    }

    /// Returns the value of `column` for `window`, in this column's unit.
    pub fn value(&self, window: Window, column: WindowColumn) -> i64 {
        match column {
            WindowColumn::End => EventTime::from_nanos(window.end).to_unit(self.unit),
            WindowColumn::Time => EventTime::from_nanos(window.end).to_unit(self.unit) - 1,
            _ => EventTime::from_nanos(window.start).to_unit(self.unit),
        }
    }

    /// Returns `time` rounded down to whole units, as the column's values are.
    pub fn floor(&self, time: EventTime) -> EventTime {
        EventTime::from_nanos(saturate(floor(i128::from(time.nanos()), self.unit)))
    }

    /// Returns the unit before `time` rounded down.
    pub fn before(&self, time: EventTime) -> EventTime {
        self.floor(time).minus_nanos(nanos_per(self.unit))
    }

    /// Returns `values` as an array of this column's type.
    pub fn array(&self, values: impl Iterator<Item = i64>) -> ArrayRef {
        let (values, zone) = (values.collect::<Vec<_>>(), self.zone.clone());
        match self.unit {
            TimeUnit::Second => {
                Arc::new(TimestampSecondArray::from(values).with_timezone_opt(zone))
            }
            TimeUnit::Millisecond => {
                Arc::new(TimestampMillisecondArray::from(values).with_timezone_opt(zone))
            }
            TimeUnit::Microsecond => {
                Arc::new(TimestampMicrosecondArray::from(values).with_timezone_opt(zone))
            }
            TimeUnit::Nanosecond => {
                Arc::new(TimestampNanosecondArray::from(values).with_timezone_opt(zone))
            }
        }
    }

    /// Returns the least value that `column` can have in rows of windows that end after `closed`.
    pub fn promise(
        &self,
        window: &WindowSpec,
        closed: EventTime,
        column: WindowColumn,
    ) -> EventTime {
        if closed == EventTime::MIN || closed == EventTime::MAX {
            return closed;
        }
        let end = window.end_after(closed.nanos());
        let start = || i128::from(window.ending_at(saturate(end)).start);
        let nanos = match column {
            WindowColumn::End => floor(end, self.unit),
            WindowColumn::Time => floor(end, self.unit) - i128::from(nanos_per(self.unit)),
            _ => floor(start(), self.unit),
        };
        EventTime::from_nanos(saturate(nanos))
    }

    /// Returns the first window end after `closed`.
    pub fn next_end(&self, window: &WindowSpec, closed: EventTime) -> i64 {
        saturate(window.end_after(closed.nanos()))
    }
}

fn saturate(nanos: i128) -> i64 {
    i64::try_from(nanos).unwrap_or(if nanos < 0 { i64::MIN } else { i64::MAX })
}

/// Rounds down to whole units, as the column's values are.
fn floor(nanos: i128, unit: TimeUnit) -> i128 {
    nanos - nanos.rem_euclid(i128::from(nanos_per(unit)))
}
