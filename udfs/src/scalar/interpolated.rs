//! `interpolated_average(area, start, width, previous, next)`: the mean of a value over a whole
//! bucket of time, with what is known from the buckets beside it.

use std::sync::Arc;

use datafusion::arrow::array::{Array, ArrayRef, AsArray, Float64Array, StructArray};
use datafusion::arrow::compute::cast;
use datafusion::arrow::compute::kernels::numeric::add;
use datafusion::arrow::datatypes::{DataType, Float64Type, Int64Type, IntervalUnit};
use datafusion::common::{Result, internal_err};
use datafusion::logical_expr::ScalarUDF;

use super::plain::Plain;
use crate::aggregate::series::per_second;
use crate::aggregate::series::time_weight::time_of;
use crate::arguments::Call;
use crate::registry::{FunctionDoc, FunctionKind};

const CALL: Call = Call {
    function: "interpolated_average",
    signature: "interpolated_average(area, start, width [, previous [, next]])",
};

/// What a person wants to know about it.
pub(crate) const DOC: FunctionDoc = FunctionDoc {
    name: "interpolated_average",
    kind: FunctionKind::Scalar,
    signature: "interpolated_average(area, start timestamp, width interval [, previous area \
                [, next area]]) -> double precision",
    description: "The mean of a value over a whole bucket of time: what time_weight gives for the \
                  bucket, and for the buckets before and after it.",
    formula: "to the area between the first and the last row are added that from start to the \
              first row, if there is a previous area, and that from the last row to start + width; \
              LOCF: the last value before stands; LINEAR: the value lies on the line to the \
              neighbour, and without a next area the time ends at the last row; the sum over the \
              seconds that it covers; null if a row lies outside of the bucket, or a neighbour \
              inside of it or of the other method",
    reference: "TimescaleDB toolkit interpolated_average",
    example: "SELECT minute, interpolated_average(area, minute, INTERVAL '1 minute', \
              lag(area) OVER (ORDER BY minute), lead(area) OVER (ORDER BY minute)) FROM \
              (SELECT time_bucket('1 minute', ts) AS minute, time_weight('LINEAR', ts, price) AS \
              area FROM trades GROUP BY minute)",
};

/// Makes the function.
pub(crate) fn function() -> Arc<ScalarUDF> {
    let plain = Plain {
        call: CALL,
        coerce,
        return_type: |_| Ok(DataType::Float64),
        evaluate: averages,
    };
    plain.function()
}

fn coerce(types: &[DataType]) -> Result<Vec<DataType>> {
    CALL.count(types, 3, 5)?;
    let expected = "the result of time_weight";
    let Some(time) = time_of(&types[0]) else {
        return CALL.wrong_type("area", expected, &types[0]);
    };
    CALL.time("start", &types[1])?;
    let is_text = matches!(
        types[2],
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View | DataType::Null
    );
    if !is_text && !matches!(types[2], DataType::Interval(_)) {
        return CALL.wrong_type("width", "an interval", &types[2]);
    }
    let width = DataType::Interval(IntervalUnit::MonthDayNano);
    let mut coerced = vec![types[0].clone(), time.clone(), width];
    for (name, found) in ["previous", "next"].into_iter().zip(&types[3..]) {
        if !found.is_null() && found != &types[0] {
            return CALL.wrong_type(name, "the result of time_weight, as area is", found);
        }
        coerced.push(types[0].clone());
    }
    Ok(coerced)
}

fn averages(columns: &[ArrayRef], row_count: usize) -> Result<ArrayRef> {
    let [areas, starts, widths, neighbours @ ..] = columns else {
        return internal_err!("{} takes three arguments", CALL.function);
    };
    let per_second = per_second(time_of(areas.data_type()));
    let ends = cast(&add(starts, widths)?, &DataType::Int64)?;
    let starts = cast(starts, &DataType::Int64)?;
    let (starts, ends) = (
        starts.as_primitive::<Int64Type>(),
        ends.as_primitive::<Int64Type>(),
    );
    let areas = Areas::of(areas)?;
    let neighbours = neighbours.iter().map(Areas::of);
    let neighbours = neighbours.collect::<Result<Vec<_>>>()?;
    let neighbour = |index: usize, row: usize| neighbours.get(index)?.row(row);
    let means = (0..row_count).map(|row| {
        let bucket = Bucket {
            area: areas.row(row)?,
            start: starts.is_valid(row).then(|| starts.value(row))?,
            end: ends.is_valid(row).then(|| ends.value(row))?,
            per_second,
        };
        let mean = bucket.mean(neighbour(0, row), neighbour(1, row));
        mean.filter(|mean| mean.is_finite())
    });
    let means: ArrayRef = Arc::new(means.collect::<Float64Array>());
    Ok(means)
}

/// A column of what `time_weight` gives.
struct Areas<'a> {
    areas: &'a StructArray,
    /// First and last times, in their unit.
    times: [ArrayRef; 2],
}

/// A moment and the value at it.
type Moment = (i64, f64);

/// What `time_weight` gives for one group.
#[derive(Clone, Copy, Debug)]
struct Area {
    sum: f64,
    first: Moment,
    last: Moment,
    is_linear: bool,
}

impl<'a> Areas<'a> {
    fn of(column: &'a ArrayRef) -> Result<Self> {
        let areas = column.as_struct();
        let time = |index: usize| cast(areas.column(index), &DataType::Int64);
        let times = [time(4)?, time(5)?];
        Ok(Self { areas, times })
    }

    fn row(&self, row: usize) -> Option<Area> {
        let known = |column: &ArrayRef| column.is_valid(row);
        if self.areas.is_null(row) || !self.areas.columns().iter().all(known) {
            return None;
        }
        let number = |index: usize| {
            let column = self.areas.column(index).as_primitive::<Float64Type>();
            column.value(row)
        };
        let time = |index: usize| self.times[index].as_primitive::<Int64Type>().value(row);
        Some(Area {
            sum: number(0),
            first: (time(0), number(3)),
            last: (time(1), number(2)),
            is_linear: self.areas.column(6).as_boolean().value(row),
        })
    }
}

/// One bucket of time and what is known of it.
struct Bucket {
    area: Area,
    start: i64,
    end: i64,
    per_second: f64,
}

impl Bucket {
    fn mean(&self, previous: Option<Area>, next: Option<Area>) -> Option<f64> {
        let Area {
            first,
            last,
            is_linear,
            ..
        } = self.area;
        let fits = |area: &Option<Area>| area.is_none_or(|area| area.is_linear == is_linear);
        let before = previous.is_none_or(|area| area.last.0 < self.start);
        let behind = next.is_none_or(|area| area.first.0 >= self.end);
        let inside = self.start <= first.0 && last.0 < self.end;
        if !(fits(&previous) && fits(&next) && before && behind && inside) {
            return None;
        }
        let (mut sum, mut from, mut to) = (self.area.sum, first.0, last.0);
        if let Some(previous) = previous {
            from = self.start;
            sum += self.area_between(previous.last, first, self.start, first.0);
        }
        match next {
            Some(next) => {
                to = self.end;
                sum += self.area_between(last, next.first, last.0, self.end);
            }
            None if !is_linear => {
                to = self.end;
                sum += last.1 * self.seconds(last.0, self.end);
            }
            None => {}
        }
        Some(match self.seconds(from, to) {
            seconds if seconds > 0.0 => sum / seconds,
            _ => last.1,
        })
    }

    /// Returns the area from one time to another, both between two moments.
    fn area_between(&self, before: Moment, after: Moment, from: i64, to: i64) -> f64 {
        let value = |time: i64| {
            let share = self.seconds(before.0, time) / self.seconds(before.0, after.0);
            before.1 + (after.1 - before.1) * share
        };
        let height = match self.area.is_linear {
            true if after.0 > before.0 => f64::midpoint(value(from), value(to)),
            _ => before.1,
        };
        height * self.seconds(from, to)
    }

    fn seconds(&self, from: i64, to: i64) -> f64 {
        (i128::from(to) - i128::from(from)) as f64 / self.per_second
    }
}

#[cfg(test)]
mod tests;
