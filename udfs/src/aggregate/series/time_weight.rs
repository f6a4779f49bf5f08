//! `time_weight(method, ts, value)`: how long which value stood, as a struct that `average` and
//! `integral` read.

pub(crate) mod rollup;

use std::sync::Arc;

use datafusion::arrow::array::{
    Array, ArrayRef, AsArray, BooleanArray, Float64Array, Int64Array, StructArray,
};
use datafusion::arrow::buffer::NullBuffer;
use datafusion::arrow::compute::cast;
use datafusion::arrow::datatypes::{DataType, Field, Fields, Float64Type};
use datafusion::common::{Result, ScalarValue};
use datafusion::physical_plan::PhysicalExpr;

use super::path::{Path, PathFold, Point};
use super::{Measure, per_second};
use crate::aggregate::Aggregate;
use crate::arguments::Call;
use crate::error::FunctionError;
use crate::fold::{AnyFold, Fold, Rows};
use crate::ordering::Key;
use crate::registry::{FunctionDoc, FunctionKind};

const CALL: Call = Call {
    function: "time_weight",
    signature: "time_weight(method, ts, value)",
};

/// What a person wants to know about it.
pub(crate) const DOC: FunctionDoc = FunctionDoc {
    name: "time_weight",
    kind: FunctionKind::Aggregate,
    signature: "time_weight(method 'LOCF' | 'LINEAR', ts timestamp, value) -> struct(\
                weighted_sum, seconds, last_value, first_value, first_time, last_time, is_linear)",
    description: "The area under a value over time, for average, integral, interpolated_average \
                  and rollup.",
    formula: "weighted_sum adds, from each row to the next in time, the seconds between them times \
              the first value (LOCF) or the mean of both (LINEAR); of equal times the last row \
              counts; seconds is the time from the first row to the last, whose times and values \
              stand beside it; null for no row",
    reference: "TimescaleDB toolkit time_weight",
    example: "SELECT symbol, average(time_weight('LOCF', ts, price)), \
              integral(time_weight('LINEAR', ts, size)) FROM trades GROUP BY symbol",
};

/// The fields of the result.
const FIELDS: [&str; 7] = [
    "weighted_sum",
    "seconds",
    "last_value",
    "first_value",
    "first_time",
    "last_time",
    "is_linear",
];

/// The aggregate function.
#[derive(Debug, PartialEq, Eq, Hash)]
pub(crate) struct TimeWeight;

fn fields(time: &DataType) -> Fields {
    let kind = |name: &str| match name {
        "first_time" | "last_time" => time.clone(),
        "is_linear" => DataType::Boolean,
        _ => DataType::Float64,
    };
    FIELDS
        .iter()
        .map(|name| Arc::new(Field::new(*name, kind(name), true)))
        .collect()
}

/// Returns the type of the times of what `time_weight` gives; `None` for any other type.
pub(crate) fn time_of(found: &DataType) -> Option<&DataType> {
    let DataType::Struct(found) = found else {
        return None;
    };
    let time = found.get(4)?.data_type();
    let names = found.iter().map(|field| field.name().as_str());
    names.eq(FIELDS).then_some(time)
}

impl Aggregate for TimeWeight {
    fn call(&self) -> Call {
        CALL
    }

    fn coerce(&self, types: &[DataType]) -> Result<Vec<DataType>> {
        CALL.count(types, 3, 3)?;
        let is_text = matches!(
            types[0],
            DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View
        );
        if !is_text {
            return CALL.wrong_type("method", "'LOCF' or 'LINEAR'", &types[0]);
        }
        CALL.number("value", &types[2])?;
        Ok(vec![
            DataType::Utf8,
            CALL.time("ts", &types[1])?,
            DataType::Float64,
        ])
    }

    fn return_type(&self, types: &[DataType]) -> Result<DataType> {
        Ok(DataType::Struct(fields(&types[1])))
    }

    fn fold(
        &self,
        types: &[DataType],
        constants: Option<&[Arc<dyn PhysicalExpr>]>,
    ) -> Result<Box<dyn AnyFold>> {
        let is_linear = match constants.and_then(<[_]>::first) {
            None => false,
            Some(expr) => match CALL.constant("method", expr)? {
                ScalarValue::Utf8(Some(word)) if word.eq_ignore_ascii_case("linear") => true,
                ScalarValue::Utf8(Some(word)) if word.eq_ignore_ascii_case("locf") => false,
                other => {
                    return Err(FunctionError::OutOfRange {
                        function: CALL.function,
                        argument: "method",
                        value: other.to_string(),
                        range: "'LOCF' or 'LINEAR'".into(),
                    }
                    .into());
                }
            },
        };
        Ok(Box::new(Areas {
            paths: PathFold {
                measure: Measure::Twap,
                factor: 1.0,
            },
            is_linear,
            per_second: per_second(types.get(1)),
            time: types.get(1).cloned().unwrap_or(DataType::Null),
        }))
    }
}

/// Collects rows and adds up areas.
#[derive(Debug)]
struct Areas {
    paths: PathFold<1>,
    is_linear: bool,
    per_second: f64,
    /// The type of the times.
    time: DataType,
}

/// What a group comes to.
#[derive(Clone, Copy, Debug)]
struct Area {
    sum: f64,
    seconds: f64,
    first: Point<1>,
    last: Point<1>,
    is_linear: bool,
}

/// Returns the area between two values that are `seconds` apart.
fn between(before: f64, after: f64, seconds: f64, is_linear: bool) -> f64 {
    let height = if is_linear {
        f64::midpoint(before, after)
    } else {
        before
    };
    height * seconds
}

impl Areas {
    /// Returns the area of a group; `None` for no row.
    fn area(&self, path: &Path<1>) -> Option<Area> {
        let mut points: Vec<Point<1>> = path.in_order();
        // Of equal times the last one to arrive counts.
        points.reverse();
        points.dedup_by_key(|point| point.time);
        points.reverse();
        let (first, last) = (*points.first()?, *points.last()?);
        let seconds = |from: i64, to: i64| (to - from) as f64 / self.per_second;
        let mut sum = 0.0;
        for pair in points.windows(2) {
            let [[before], [after]] = [pair[0].values, pair[1].values];
            let seconds = seconds(pair[0].time, pair[1].time);
            sum += between(before, after, seconds, self.is_linear);
        }
        Some(Area {
            sum,
            seconds: seconds(first.time, last.time),
            first,
            last,
            is_linear: self.is_linear,
        })
    }
}

impl Fold for Areas {
    type State = Path<1>;

    fn state_fields(&self) -> Vec<(&'static str, DataType)> {
        self.paths.state_fields()
    }

    fn update(&self, states: &mut [Self::State], rows: &Rows<'_>) -> Result<()> {
        let times = i64::read(&rows.columns[1])?.values;
        let values = rows.columns[2].as_primitive::<Float64Type>().values();
        rows.each(&[1, 2], |row, group| {
            if values[row].is_finite() {
                states[group].push(Point {
                    time: times[row],
                    values: [values[row]],
                });
            }
            Ok(())
        })
    }

    fn merge(&self, states: &mut [Self::State], rows: &Rows<'_>) -> Result<()> {
        self.paths.merge(states, rows)
    }

    fn state(&self, states: &[Self::State]) -> Result<Vec<ArrayRef>> {
        self.paths.state(states)
    }

    fn evaluate(&self, states: &[Self::State]) -> Result<ArrayRef> {
        let areas: Vec<Option<Area>> = states.iter().map(|path| self.area(path)).collect();
        assemble(&areas, &self.time)
    }

    fn heap_bytes(&self, state: &Self::State) -> usize {
        self.paths.heap_bytes(state)
    }
}

/// Writes areas as structs; `time` is the type of their times.
fn assemble(areas: &[Option<Area>], time: &DataType) -> Result<ArrayRef> {
    let nulls = NullBuffer::from_iter(areas.iter().map(Option::is_some));
    let number = |of: fn(&Area) -> f64| -> ArrayRef {
        let values = areas.iter().map(|area| area.as_ref().map(of));
        Arc::new(values.collect::<Float64Array>())
    };
    let at = |of: fn(&Area) -> i64| {
        let times = areas.iter().map(|area| area.as_ref().map(of));
        cast(&times.collect::<Int64Array>(), time)
    };
    let linear = areas
        .iter()
        .map(|area| area.as_ref().map(|area| area.is_linear));
    let columns = vec![
        number(|area| area.sum),
        number(|area| area.seconds),
        number(|area| area.last.values[0]),
        number(|area| area.first.values[0]),
        at(|area| area.first.time)?,
        at(|area| area.last.time)?,
        Arc::new(linear.collect::<BooleanArray>()),
    ];
    Ok(Arc::new(StructArray::try_new(
        fields(time),
        columns,
        Some(nulls).filter(|nulls| nulls.null_count() > 0),
    )?))
}

/// The mean value over time of what `time_weight` gives: the value itself for a single moment.
pub(crate) fn average(areas: &StructArray) -> Float64Array {
    let part = |index: usize| areas.column(index).as_primitive::<Float64Type>();
    let (sums, seconds, last) = (part(0), part(1), part(2));
    let means = (0..areas.len()).map(|row| {
        let known = areas.is_valid(row) && sums.is_valid(row);
        known.then(|| match seconds.value(row) > 0.0 {
            true => sums.value(row) / seconds.value(row),
            false => last.value(row),
        })
    });
    means.collect()
}
