//! `time_bucket(width, ts [, origin | offset])`: the start of the bucket that a time falls into.
//!
//! Semantics of TimescaleDB: buckets of days, hours and less are aligned at Monday 2000-01-03,
//! buckets of months and years at 2000-01-01; a third argument moves the alignment. Instants
//! with a time zone are bucketed in UTC. Times before the origin floor like those after it.

pub(crate) mod buckets;
mod calendar;

use std::sync::Arc;

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
    Signature, Volatility,
};

use crate::arguments::Call;
use crate::registry::{self, FunctionKind};
use buckets::{Alignment, Buckets};

/// How `time_bucket` is called.
pub(crate) const CALL: Call = Call {
    function: "time_bucket",
    signature: "time_bucket(width, ts [, origin | offset])",
};

/// Makes the function.
pub(crate) fn function() -> Arc<ScalarUDF> {
    let signature = Signature::user_defined(Volatility::Immutable);
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
    CALL.count(types, 2, 3)?;
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
    match types.get(2) {
        None => {}
        Some(Interval(_) | Duration(_)) => coerced.push(INTERVAL),
        Some(Timestamp(unit, _)) => coerced.push(Timestamp(*unit, Some("+00:00".into()))),
        Some(Date32 | Date64) => coerced.push(Timestamp(TimeUnit::Second, None)),
        Some(Null) => coerced.push(Timestamp(TimeUnit::Microsecond, None)),
        Some(other) => {
            let expected = "a timestamp as origin, such as TIMESTAMP '2000-01-01', or an interval \
                            as offset, such as INTERVAL '15 minutes'";
            return CALL.wrong_type("origin", expected, other);
        }
    }
    Ok(coerced)
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
        if let Some(Some(width)) = args.scalar_arguments.first() {
            let alignment = args.scalar_arguments.get(2).copied().flatten();
            buckets_of(width, alignment, &data_type)?;
        }
        let nullable = args.arg_fields.iter().any(|field| field.is_nullable());
        Ok(Arc::new(Field::new(CALL.function, data_type, nullable)))
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let data_type = args.return_type().clone();
        let constant = |index: usize, name| match args.args.get(index) {
            None => Ok(None),
            Some(ColumnarValue::Scalar(value)) => Ok(Some(value)),
            Some(ColumnarValue::Array(_)) => Err(CALL.not_constant(name)),
        };
        let (width, alignment) = (constant(0, "width")?, constant(2, "origin")?);
        let (Some(width), Some(times)) = (width, args.args.get(1)) else {
            return internal_err!("time_bucket takes two or three arguments");
        };
        let Some(buckets) = buckets_of(width, alignment, &data_type)? else {
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

/// Returns the buckets that constant arguments describe; `None` if one of them is null.
fn buckets_of(
    width: &ScalarValue,
    alignment: Option<&ScalarValue>,
    data_type: &DataType,
) -> Result<Option<Buckets>> {
    let Some(width) = interval(width)? else {
        return Ok(None);
    };
    let alignment = match alignment {
        None => Alignment::Default,
        Some(value) if value.is_null() => return Ok(None),
        Some(value) => match instant_ns(value) {
            Some(origin) => Alignment::Origin(origin),
            None => match interval(value)? {
                Some(offset) => Alignment::Offset(offset),
                None => return Ok(None),
            },
        },
    };
    Ok(Some(Buckets::new(width, alignment, data_type)?))
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
