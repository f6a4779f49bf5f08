//! `time_bucket(width, ts [, timezone] [, origin | offset])`: the start of the bucket that a time
//! falls into.
//!
//! Semantics of TimescaleDB: buckets of days, hours and less are aligned at Monday 2000-01-03,
//! buckets of months and years at 2000-01-01; an origin or an offset moves the alignment. Instants
//! with a time zone are bucketed in UTC, or by the clocks of a place that the third argument
//! names. Times before the origin floor like those after it.

pub(crate) mod buckets;
mod calendar;
mod zone;

use std::sync::Arc;

use chrono_tz::Tz;
use datafusion::arrow::array::{Array, ArrayRef, ArrowPrimitiveType, AsArray, PrimitiveArray};
use datafusion::arrow::datatypes::{
    DataType, Date32Type, Field, FieldRef, IntervalMonthDayNano, IntervalUnit, TimeUnit,
    TimestampMicrosecondType, TimestampMillisecondType, TimestampNanosecondType,
    TimestampSecondType,
};
use datafusion::common::{Result, ScalarValue, internal_err};
use datafusion::logical_expr::sort_properties::{ExprProperties, SortProperties};
use datafusion::logical_expr::{
    ColumnarValue, Documentation, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl,
    Signature,
};

use crate::arguments::{Call, named};
use crate::error::FunctionError;
use crate::registry::{self, FunctionKind};
use buckets::{Alignment, Buckets};

/// How `time_bucket` is called.
pub(crate) const CALL: Call = Call {
    function: "time_bucket",
    signature: "time_bucket(width, ts [, timezone] [, origin | offset])",
};

/// The most arguments of a call.
const ARGUMENTS_MAX: usize = 5;

/// Makes the function.
pub(crate) fn function() -> Arc<ScalarUDF> {
    let signature = named(vec!["width", "ts", "timezone", "origin", "offset"]);
    Arc::new(ScalarUDF::new_from_impl(TimeBucket { signature }))
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct TimeBucket {
    signature: Signature,
}

const INTERVAL: DataType = DataType::Interval(IntervalUnit::MonthDayNano);

fn coerce(types: &[DataType]) -> Result<Vec<DataType>> {
    use DataType::{
        Date32, Date64, Duration, Interval, LargeUtf8, Null, Timestamp, Utf8, Utf8View,
    };
    CALL.count(types, 2, ARGUMENTS_MAX)?;
    let width = match &types[0] {
        Interval(_) | Duration(_) | Utf8 | LargeUtf8 | Utf8View | Null => INTERVAL,
        other => return CALL.wrong_type("width", "an interval", other),
    };
    let time = match &types[1] {
        Timestamp(..) | Date32 => types[1].clone(),
        Date64 => Timestamp(TimeUnit::Millisecond, None),
        Null => Timestamp(TimeUnit::Microsecond, None),
        other => return CALL.wrong_type("ts", "a timestamp or a date", other),
    };
    let mut coerced = vec![width, time];
    let mut alignment = &types[2..];
    if let [zone, rest @ ..] = alignment
        && is_text(zone)
    {
        if !matches!(coerced[1], Timestamp(_, Some(_))) {
            return CALL.wrong_type("ts", "a timestamp with time zone", &types[1]);
        }
        coerced.push(Utf8);
        alignment = rest;
    } else {
        CALL.count(types, 2, 3)?;
    }
    let is_local = coerced.len() > 2;
    for found in alignment {
        coerced.push(match found {
            Interval(_) | Duration(_) => INTERVAL,
            // What is written without a zone is what the clocks there show.
            Timestamp(unit, None) if is_local => Timestamp(*unit, None),
            Timestamp(unit, _) => Timestamp(*unit, Some("+00:00".into())),
            Date32 | Date64 => Timestamp(TimeUnit::Second, None),
            Null => Timestamp(TimeUnit::Microsecond, None),
            other => {
                let expected = "a timestamp as origin, such as TIMESTAMP '2000-01-01', or an \
                                interval as offset, such as INTERVAL '15 minutes'";
                return CALL.wrong_type("origin", expected, other);
            }
        });
    }
    Ok(coerced)
}

fn is_text(found: &DataType) -> bool {
    use DataType::{LargeUtf8, Utf8, Utf8View};
    matches!(found, Utf8 | LargeUtf8 | Utf8View)
}

impl ScalarUDFImpl for TimeBucket {
    fn name(&self) -> &str {
        CALL.function
    }

    fn documentation(&self) -> Option<&Documentation> {
        registry::documentation(self.name(), FunctionKind::Scalar)
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, types: &[DataType]) -> Result<Vec<DataType>> {
        // DataFusion turns an error from here into text; `return_type` repeats it with its type.
        Ok(coerce(types).unwrap_or_else(|_| types.to_vec()))
    }

    fn return_type(&self, types: &[DataType]) -> Result<DataType> {
        match coerce(types)?.get(1) {
            Some(time) => Ok(time.clone()),
            None => internal_err!("time_bucket has no time argument"),
        }
    }

    fn return_field_from_args(&self, args: ReturnFieldArgs<'_>) -> Result<FieldRef> {
        let types: Vec<_> = args
            .arg_fields
            .iter()
            .map(|field| field.data_type().clone())
            .collect();
        let data_type = self.return_type(&types)?;
        // A width written as a literal is checked before any row is read.
        if let [Some(width), _, rest @ ..] = args.scalar_arguments {
            let rest: Option<Vec<&ScalarValue>> = rest.iter().copied().collect();
            buckets_of(width, &rest.unwrap_or_default(), &data_type)?;
        }
        let nullable = args.arg_fields.iter().any(|field| field.is_nullable());
        Ok(Arc::new(Field::new(CALL.function, data_type, nullable)))
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let data_type = args.return_type().clone();
        let [width, times, rest @ ..] = args.args.as_slice() else {
            return internal_err!("time_bucket takes two arguments or more");
        };
        let width = constant(width, "width")?;
        let rest = rest.iter().map(|value| constant(value, "origin"));
        let rest: Vec<&ScalarValue> = rest.collect::<Result<_, _>>()?;
        let Some(buckets) = buckets_of(width, &rest, &data_type)? else {
            return Ok(ColumnarValue::Scalar(ScalarValue::try_from(&data_type)?));
        };
        match times {
            ColumnarValue::Array(times) => Ok(ColumnarValue::Array(floor(times, &buckets)?)),
            ColumnarValue::Scalar(time) => {
                let start = floor(&time.to_array()?, &buckets)?;
                Ok(ColumnarValue::Scalar(ScalarValue::try_from_array(
                    &start, 0,
                )?))
            }
        }
    }

    fn output_ordering(&self, inputs: &[ExprProperties]) -> Result<SortProperties> {
        let [width, time, rest @ ..] = inputs else {
            return Ok(SortProperties::Unordered);
        };
        let is_constant =
            |input: &ExprProperties| input.sort_properties == SortProperties::Singleton;
        if is_constant(width) && rest.iter().all(is_constant) {
            return Ok(time.sort_properties);
        }
        Ok(SortProperties::Unordered)
    }
}

fn constant<'a>(value: &'a ColumnarValue, name: &'static str) -> Result<&'a ScalarValue> {
    match value {
        ColumnarValue::Scalar(value) => Ok(value),
        ColumnarValue::Array(_) => Err(CALL.not_constant(name).into()),
    }
}

/// Returns the buckets that constant arguments describe: the width, and what follows the time;
/// `None` if one of them is null. After a time zone, null stands for no origin or offset.
fn buckets_of(
    width: &ScalarValue,
    rest: &[&ScalarValue],
    data_type: &DataType,
) -> Result<Option<Buckets>> {
    let Some(width) = interval(width)? else {
        return Ok(None);
    };
    let [zone, shifts @ ..] = rest else {
        return Buckets::new(width, Alignment::Default, data_type).map(Some);
    };
    if !is_text(&zone.data_type()) {
        let alignment = alignment(zone, None)?;
        let buckets = alignment.map(|alignment| Buckets::new(width, alignment, data_type));
        return buckets.transpose();
    }
    let Some(Some(name)) = zone.try_as_str() else {
        return Ok(None);
    };
    let zone = zone::named(name)?;
    let mut shift = None;
    for given in shifts.iter().filter(|given| !given.is_null()) {
        if shift.is_some() {
            return Err(FunctionError::OutOfRange {
                function: CALL.function,
                argument: "offset",
                value: "an origin and an offset".to_owned(),
                range: "one of the two".into(),
            }
            .into());
        }
        shift = alignment(given, Some(zone))?;
    }
    let buckets = Buckets::new(width, shift.unwrap_or(Alignment::Default), data_type)?;
    Ok(Some(buckets.in_zone(zone)))
}

/// Returns how buckets are aligned: by an origin, which is what the clocks of `zone` show at an
/// instant, or by an offset; `None` for null.
fn alignment(value: &ScalarValue, zone: Option<Tz>) -> Result<Option<Alignment>> {
    if value.is_null() {
        return Ok(None);
    }
    if let Some(origin) = instant_ns(value) {
        let is_instant = matches!(value.data_type(), DataType::Timestamp(_, Some(_)));
        let shown = match zone.filter(|_| is_instant) {
            Some(zone) => zone::shown_ns(zone, origin)?,
            None => origin,
        };
        return Ok(Some(Alignment::Origin(shown)));
    }
    Ok(interval(value)?.map(Alignment::Offset))
}

fn interval(value: &ScalarValue) -> Result<Option<IntervalMonthDayNano>> {
    match value.cast_to(&INTERVAL)? {
        ScalarValue::IntervalMonthDayNano(interval) => Ok(interval),
        other => internal_err!("expected an interval, found {other:?}"),
    }
}

/// Returns a timestamp or date in nanoseconds since 1970-01-01.
fn instant_ns(value: &ScalarValue) -> Option<i128> {
    let (count, unit_ns) = match value {
        ScalarValue::TimestampSecond(Some(count), _) => (*count, 1_000_000_000),
        ScalarValue::TimestampMillisecond(Some(count), _) => (*count, 1_000_000),
        ScalarValue::TimestampMicrosecond(Some(count), _) => (*count, 1_000),
        ScalarValue::TimestampNanosecond(Some(count), _) => (*count, 1),
        ScalarValue::Date32(Some(days)) => (i64::from(*days), 86_400_000_000_000),
        ScalarValue::Date64(Some(count)) => (*count, 1_000_000),
        _ => return None,
    };
    Some(i128::from(count) * unit_ns)
}

fn floor(times: &ArrayRef, buckets: &Buckets) -> Result<ArrayRef> {
    match times.data_type() {
        DataType::Date32 => floor_as::<Date32Type>(times, buckets),
        DataType::Timestamp(TimeUnit::Second, _) => floor_as::<TimestampSecondType>(times, buckets),
        DataType::Timestamp(TimeUnit::Millisecond, _) => {
            floor_as::<TimestampMillisecondType>(times, buckets)
        }
        DataType::Timestamp(TimeUnit::Microsecond, _) => {
            floor_as::<TimestampMicrosecondType>(times, buckets)
        }
        DataType::Timestamp(TimeUnit::Nanosecond, _) => {
            floor_as::<TimestampNanosecondType>(times, buckets)
        }
        other => internal_err!("time_bucket cannot read times of type {other}"),
    }
}

fn floor_as<T>(times: &ArrayRef, buckets: &Buckets) -> Result<ArrayRef>
where
    T: ArrowPrimitiveType<Native: Default + Into<i64> + TryFrom<i64>>,
{
    let times = times.as_primitive::<T>();
    let mut cursor = buckets.cursor();
    let mut starts = Vec::with_capacity(times.len());
    for (row, &time) in times.values().iter().enumerate() {
        if times.is_null(row) {
            starts.push(T::Native::default());
            continue;
        }
        let start = cursor
            .start_of(time.into())
            .and_then(|start| start.try_into().ok());
        starts.push(start.ok_or_else(|| buckets.out_of_range())?);
    }
    let starts = PrimitiveArray::<T>::new(starts.into(), times.nulls().cloned());
    Ok(Arc::new(starts.with_data_type(times.data_type().clone())))
}

#[cfg(test)]
mod tests;
