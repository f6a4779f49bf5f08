//! `time_weight(method, ts, value)`: how long which value stood, as a struct that `average` and
//! `integral` read.

use std::sync::Arc;

use datafusion::arrow::array::{Array, ArrayRef, AsArray, Float64Array, StructArray};
use datafusion::arrow::buffer::NullBuffer;
use datafusion::arrow::datatypes::{DataType, Field, Fields, Float64Type, TimeUnit};
use datafusion::common::{Result, ScalarValue};
use datafusion::physical_plan::PhysicalExpr;

use super::Measure;
use super::path::{Path, PathFold, Point};
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
    signature: "time_weight('LOCF' | 'LINEAR', ts timestamp, value) -> struct(weighted_sum, \
                seconds, last_value)",
    description: "The area under a value over time, for average and integral.",
    formula: "weighted_sum adds, from each row to the next in time, the seconds between them times \
              the first value (LOCF) or the mean of both (LINEAR); of equal times the last row \
              counts; seconds is the time from the first row to the last; null for no row",
    reference: "TimescaleDB toolkit time_weight",
    example: "SELECT symbol, average(time_weight('LOCF', ts, price)), \
              integral(time_weight('LINEAR', ts, size)) FROM trades GROUP BY symbol",
};

/// The fields of the result. `average` and `integral` recognise it by the first.
pub(crate) const FIELDS: [&str; 3] = ["weighted_sum", "seconds", "last_value"];

/// The aggregate function.
#[derive(Debug, PartialEq, Eq, Hash)]
pub(crate) struct TimeWeight;

fn fields() -> Fields {
    FIELDS
        .iter()
        .map(|name| Arc::new(Field::new(*name, DataType::Float64, true)))
        .collect()
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

    fn return_type(&self, _types: &[DataType]) -> Result<DataType> {
        Ok(DataType::Struct(fields()))
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
        let per_second = match types.get(1) {
            Some(DataType::Timestamp(TimeUnit::Second, _)) => 1.0,
            Some(DataType::Timestamp(TimeUnit::Millisecond, _)) => 1e3,
            Some(DataType::Timestamp(TimeUnit::Nanosecond, _)) => 1e9,
            _ => 1e6,
        };
        Ok(Box::new(Areas {
            paths: PathFold {
                measure: Measure::Twap,
                factor: 1.0,
            },
            is_linear,
            per_second,
        }))
    }
}

/// Collects rows and adds up areas.
#[derive(Debug)]
struct Areas {
    paths: PathFold<1>,
    is_linear: bool,
    per_second: f64,
}

impl Areas {
    /// The area, the seconds and the last value of a group; `None` for no row.
    fn area(&self, path: &Path<1>) -> Option<[f64; 3]> {
        let mut points: Vec<Point<1>> = path.in_order();
        // Of equal times the last one to arrive counts.
        points.reverse();
        points.dedup_by_key(|point| point.time);
        points.reverse();
        let (first, last) = (points.first()?, points.last()?);
        let seconds = |from: i64, to: i64| (to - from) as f64 / self.per_second;
        let mut sum = 0.0;
        for pair in points.windows(2) {
            let [[before], [after]] = [pair[0].values, pair[1].values];
            let height = if self.is_linear {
                f64::midpoint(before, after)
            } else {
                before
            };
            sum += height * seconds(pair[0].time, pair[1].time);
        }
        let [value] = last.values;
        Some([sum, seconds(first.time, last.time), value])
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
        let areas: Vec<Option<[f64; 3]>> = states.iter().map(|path| self.area(path)).collect();
        let nulls = NullBuffer::from_iter(areas.iter().map(Option::is_some));
        let part = |index: usize| -> ArrayRef {
            let values = areas.iter().map(|area| area.map(|area| area[index]));
            Arc::new(values.collect::<Float64Array>())
        };
        let columns = (0..FIELDS.len()).map(part).collect();
        Ok(Arc::new(StructArray::try_new(
            fields(),
            columns,
            Some(nulls).filter(|nulls| nulls.null_count() > 0),
        )?))
    }

    fn heap_bytes(&self, state: &Self::State) -> usize {
        self.paths.heap_bytes(state)
    }
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
