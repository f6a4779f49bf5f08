//! Areas of several groups as that of all rows: what `rollup` does with the results of
//! `time_weight`. The value between the last row of one and the first of the next is what the
//! method says; areas must follow each other in time.

use datafusion::arrow::array::{Array, ArrayRef, AsArray};
use datafusion::arrow::compute::cast;
use datafusion::arrow::datatypes::{DataType, Float64Type, Int64Type};
use datafusion::common::Result;

use super::{Area, Measure, Path, PathFold, Point, assemble, between, per_second, time_of};
use crate::arguments::Call;
use crate::error::FunctionError;
use crate::fold::{AnyFold, Fold, Rows};

/// Returns the fold of areas of type `found`; `None` for what `time_weight` does not give.
pub(crate) fn fold(call: Call, found: &DataType) -> Option<Box<dyn AnyFold>> {
    let time = time_of(found)?;
    Some(Box::new(Spans {
        call,
        paths: PathFold {
            measure: Measure::Twap,
            factor: 1.0,
        },
        per_second: per_second(Some(time)),
        time: time.clone(),
    }))
}

/// An area at its first time: its sum, first and last value, the halves of its last time, and
/// whether it is linear.
const VALUES: usize = 6;

/// Puts areas together.
#[derive(Debug)]
struct Spans {
    /// Whom to blame for areas that do not fit.
    call: Call,
    paths: PathFold<VALUES>,
    per_second: f64,
    /// The type of the times.
    time: DataType,
}

/// Writes a time as two numbers, each exact as a double.
fn halves(time: i64) -> [f64; 2] {
    let low = time & i64::from(u32::MAX);
    [((time - low) >> 32) as f64, low as f64]
}

/// Reads what [`halves`] wrote.
fn whole([high, low]: [f64; 2]) -> i64 {
    ((high as i64) << 32) + low as i64
}

impl Spans {
    /// Returns the areas of a group in order of time.
    fn areas(&self, path: &Path<VALUES>) -> Vec<Area> {
        let areas = path.in_order().into_iter().map(|point| {
            let [sum, before, after, high, low, linear] = point.values;
            let end = whole([high, low]);
            Area {
                sum,
                seconds: self.seconds(point.time, end),
                first: Point {
                    time: point.time,
                    values: [before],
                },
                last: Point {
                    time: end,
                    values: [after],
                },
                is_linear: linear != 0.0,
            }
        });
        let mut areas: Vec<Area> = areas.collect();
        areas.sort_by_key(|area| (area.first.time, area.last.time));
        areas
    }

    fn seconds(&self, from: i64, to: i64) -> f64 {
        (i128::from(to) - i128::from(from)) as f64 / self.per_second
    }

    fn refuse<T>(&self, value: &str, range: &'static str) -> Result<T> {
        Err(FunctionError::OutOfRange {
            function: self.call.function,
            argument: "summary",
            value: value.to_owned(),
            range: range.into(),
        }
        .into())
    }

    /// Returns the area of a group; `None` for no row.
    fn area(&self, path: &Path<VALUES>) -> Result<Option<Area>> {
        let areas = self.areas(path);
        let Some(mut all) = areas.first().copied() else {
            return Ok(None);
        };
        for next in &areas[1..] {
            if next.is_linear != all.is_linear {
                let range = "those of one method, LOCF or LINEAR";
                return self.refuse("time weights of both methods", range);
            }
            if next.first.time < all.last.time {
                let range = "those of times that follow each other, such as of buckets";
                return self.refuse("time weights whose times overlap", range);
            }
            let ([before], [after]) = (all.last.values, next.first.values);
            let gap = self.seconds(all.last.time, next.first.time);
            all.sum += between(before, after, gap, all.is_linear) + next.sum;
            all.last = next.last;
        }
        all.seconds = self.seconds(all.first.time, all.last.time);
        Ok(Some(all))
    }
}

impl Fold for Spans {
    type State = Path<VALUES>;

    fn state_fields(&self) -> Vec<(&'static str, DataType)> {
        self.paths.state_fields()
    }

    fn update(&self, states: &mut [Self::State], rows: &Rows<'_>) -> Result<()> {
        let areas = rows.columns[0].as_struct();
        let number = |index: usize| areas.column(index).as_primitive::<Float64Type>();
        let time = |index: usize| cast(areas.column(index), &DataType::Int64);
        let (first, last) = (time(4)?, time(5)?);
        let (first, last) = (
            first.as_primitive::<Int64Type>(),
            last.as_primitive::<Int64Type>(),
        );
        let linear = areas.column(6).as_boolean();
        rows.each(&[0], |row, group| {
            // A struct built by hand may lack parts; it has no area to add.
            if areas.columns().iter().any(|part| part.is_null(row)) {
                return Ok(());
            }
            let [high, low] = halves(last.value(row));
            let values = [
                number(0).value(row),
                number(3).value(row),
                number(2).value(row),
                high,
                low,
                f64::from(linear.value(row)),
            ];
            states[group].push(Point {
                time: first.value(row),
                values,
            });
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
        let areas = states.iter().map(|path| self.area(path));
        assemble(&areas.collect::<Result<Vec<_>>>()?, &self.time)
    }

    fn heap_bytes(&self, state: &Self::State) -> usize {
        self.paths.heap_bytes(state)
    }
}

#[cfg(test)]
mod tests;
