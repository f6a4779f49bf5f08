//! `lttb(ts, value, points)`: the rows of a series that show its shape, for charts.
//!
//! Largest triangle three buckets: the first and the last row stay; the rows between are cut into
//! buckets of equal length, and of each the row stays that spans the largest triangle with the one
//! kept before it and the mean of the next bucket (Steinarsson, "Downsampling Time Series for
//! Visual Representation", 2013).

use std::sync::Arc;

use datafusion::arrow::array::{
    ArrayRef, AsArray, Float64Array, Int64Array, ListArray, StructArray,
};
use datafusion::arrow::buffer::{NullBuffer, OffsetBuffer};
use datafusion::arrow::compute::cast;
use datafusion::arrow::datatypes::{DataType, Field, Fields, Float64Type};
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
    function: "lttb",
    signature: "lttb(ts, value, points)",
};

/// What a person wants to know about it.
pub(crate) const DOC: FunctionDoc = FunctionDoc {
    name: "lttb",
    kind: FunctionKind::Aggregate,
    signature: "lttb(ts timestamp, value, points integer) -> struct(ts, value)[]",
    description: "The rows of a series that show its shape: at most so many points, in order of \
                  time, for a chart.",
    formula: "the first and the last row, and of each of points - 2 buckets of equal length \
              between them the row that spans the largest triangle with the one kept before it and \
              the mean of the next bucket, the earliest of equal ones; all rows if there are no \
              more than points; equal times follow arrival",
    reference: "TimescaleDB toolkit lttb, Steinarsson 2013",
    example: "SELECT symbol, lttb(ts, price, 3) FROM trades GROUP BY symbol",
};

/// The aggregate function.
#[derive(Debug, PartialEq, Eq, Hash)]
pub(crate) struct Lttb;

fn fields(time: &DataType) -> Fields {
    Fields::from(vec![
        Field::new("ts", time.clone(), true),
        Field::new("value", DataType::Float64, true),
    ])
}

fn element(time: &DataType) -> Arc<Field> {
    Arc::new(Field::new_list_field(DataType::Struct(fields(time)), true))
}

impl Aggregate for Lttb {
    fn call(&self) -> Call {
        CALL
    }

    fn coerce(&self, types: &[DataType]) -> Result<Vec<DataType>> {
        coerce(CALL, "points", types)
    }

    fn return_type(&self, types: &[DataType]) -> Result<DataType> {
        Ok(data_type(types))
    }

    fn fold(
        &self,
        types: &[DataType],
        constants: Option<&[Arc<dyn PhysicalExpr>]>,
    ) -> Result<Box<dyn AnyFold>> {
        let points = match constants.and_then(|exprs| exprs.get(2)) {
            None => 3,
            Some(expr) => count(CALL, "points", (3, 1_000_000), expr)?,
        };
        Ok(Box::new(Shape::of(types, points, pick)))
    }
}

/// Returns the types that arguments (ts, value, and a number of points) are coerced to.
///
/// # Errors
/// [`FunctionError`] if the call does not fit.
pub(super) fn coerce(
    call: Call,
    points: &'static str,
    types: &[DataType],
) -> Result<Vec<DataType>> {
    call.count(types, 3, 3)?;
    let time = call.time("ts", &types[0])?;
    call.number("value", &types[1])?;
    if !types[2].is_integer() {
        return call.wrong_type(points, "an integer", &types[2]);
    }
    Ok(vec![time, DataType::Float64, DataType::Int64])
}

/// Returns the type of a list of points.
pub(super) fn data_type(types: &[DataType]) -> DataType {
    DataType::List(element(&types[0]))
}

/// Reads a number of points.
///
/// # Errors
/// [`FunctionError::OutOfRange`].
pub(super) fn count(
    call: Call,
    argument: &'static str,
    (least, most): (i64, i64),
    expr: &Arc<dyn PhysicalExpr>,
) -> Result<usize> {
    match call.constant(argument, expr)? {
        ScalarValue::Int64(Some(points)) if (least..=most).contains(&points) => Ok(points as usize),
        other => Err(FunctionError::OutOfRange {
            function: call.function,
            argument,
            value: other.to_string(),
            range: format!("an integer from {least} to {most}").into(),
        }
        .into()),
    }
}

/// Returns about so many points that stand for rows in order of time.
type Draw = fn(&[Point<1>], usize) -> Vec<Point<1>>;

/// Collects rows and draws points.
#[derive(Debug)]
pub(super) struct Shape {
    paths: PathFold<1>,
    points: usize,
    draw: Draw,
    /// The type of the times.
    time: DataType,
}

impl Shape {
    /// Draws points of coerced arguments of these types.
    pub(super) fn of(types: &[DataType], points: usize, draw: Draw) -> Self {
        Self {
            paths: PathFold {
                measure: Measure::Twap,
                factor: 1.0,
            },
            points,
            draw,
            time: types.first().cloned().unwrap_or(DataType::Null),
        }
    }
}

impl Fold for Shape {
    type State = Path<1>;

    fn state_fields(&self) -> Vec<(&'static str, DataType)> {
        self.paths.state_fields()
    }

    fn update(&self, states: &mut [Self::State], rows: &Rows<'_>) -> Result<()> {
        let times = i64::read(&rows.columns[0])?.values;
        let values = rows.columns[1].as_primitive::<Float64Type>().values();
        rows.each(&[0, 1], |row, group| {
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
        let picked: Vec<Vec<Point<1>>> = states
            .iter()
            .map(|path| (self.draw)(&path.in_order(), self.points))
            .collect();
        let points = || picked.iter().flatten();
        let times = Int64Array::from_iter_values(points().map(|point| point.time));
        let values = Float64Array::from_iter_values(points().map(|point| point.values[0]));
        let columns: Vec<ArrayRef> = vec![cast(&times, &self.time)?, Arc::new(values)];
        let rows = StructArray::try_new(fields(&self.time), columns, None)?;
        let known = NullBuffer::from_iter(picked.iter().map(|points| !points.is_empty()));
        Ok(Arc::new(ListArray::try_new(
            element(&self.time),
            OffsetBuffer::from_lengths(picked.iter().map(Vec::len)),
            Arc::new(rows),
            Some(known).filter(|known| known.null_count() > 0),
        )?))
    }

    fn heap_bytes(&self, state: &Self::State) -> usize {
        self.paths.heap_bytes(state)
    }
}

/// Returns at most `count` rows (three at least) of rows in order of time.
fn pick(path: &[Point<1>], count: usize) -> Vec<Point<1>> {
    let (Some(first), Some(last)) = (path.first(), path.last()) else {
        return Vec::new();
    };
    if path.len() <= count {
        return path.to_vec();
    }
    let buckets = count - 2;
    // Bucket i holds the rows from start(i) to start(i + 1); the last row stands behind them.
    let between = (path.len() - 2) as u128;
    let start = |bucket: usize| (bucket as u128 * between / buckets as u128) as usize + 1;
    // Seconds or nanoseconds since the first row: areas compare the same in any unit.
    let at = |point: &Point<1>| {
        let since = i128::from(point.time) - i128::from(first.time);
        (since as f64, point.values[0])
    };
    let mut picked = vec![*first];
    let mut before = at(first);
    for bucket in 0..buckets {
        let next = match bucket + 1 {
            behind if behind == buckets => std::slice::from_ref(last),
            next => &path[start(next)..start(next + 1)],
        };
        let sums = next.iter().map(at).fold((0.0, 0.0), |sums, point| {
            (sums.0 + point.0, sums.1 + point.1)
        });
        let mean = (sums.0 / next.len() as f64, sums.1 / next.len() as f64);
        let area = |point: &Point<1>| {
            let (time, value) = at(point);
            let wide = (before.0 - mean.0) * (value - before.1);
            (wide - (before.0 - time) * (mean.1 - before.1)).abs()
        };
        let candidates = &path[start(bucket)..start(bucket + 1)];
        let Some(mut best) = candidates.first() else {
            continue;
        };
        let mut largest = area(best);
        for candidate in candidates {
            let area = area(candidate);
            if area > largest {
                (best, largest) = (candidate, area);
            }
        }
        before = at(best);
        picked.push(*best);
    }
    picked.push(*last);
    picked
}

#[cfg(test)]
mod tests {
    use crate::trial::{refusal_text, rows};

    fn check(values: &str, points: usize, expected: &str) {
        let sql = format!(
            "SELECT array_to_string(array_agg(p['value'] ORDER BY p['ts']), ' ') FROM (SELECT \
             unnest(lttb(to_timestamp_micros(t), v, {points})) AS p FROM (VALUES {values}) AS \
             x(t, v))"
        );
        assert_eq!(rows(&sql), [expected], "{values}");
    }

    #[test]
    fn peaks_stay_and_flat_stretches_go() {
        let peaks = "(1, 0.0), (2, 9.0), (3, 1.0), (4, 1.0), (5, -7.0), (6, 0.0)";
        check(peaks, 4, "0 9 -7 0");
        check(peaks, 6, "0 9 1 1 -7 0");
        check(peaks, 100, "0 9 1 1 -7 0");
        // Out of order, with rows that do not count.
        check(
            "(5, -7.0), (1, 0.0), (6, 0.0), (4, NULL), (2, 9.0), (3, 'NaN'::double), (3, 1.0), \
             (4, 1.0)",
            4,
            "0 9 -7 0",
        );
        check("(1, 3.0)", 3, "3");
    }

    #[test]
    fn flat_and_simultaneous_rows_have_an_answer() {
        check("(1, 2.0), (2, 2.0), (3, 2.0), (4, 2.0)", 3, "2 2 2");
        check("(1, 1.0), (1, 2.0), (1, 3.0), (1, 4.0)", 3, "1 2 4");
    }

    #[test]
    fn no_rows_are_null_and_few_points_are_refused() {
        assert_eq!(
            rows("SELECT lttb(ts, price, 3) IS NULL FROM trades WHERE false"),
            ["true"]
        );
        assert_eq!(
            refusal_text("SELECT lttb(ts, price, 2) FROM trades"),
            "cannot use 2 as argument points of lttb, expected an integer from 3 to 1000000"
        );
    }
}
