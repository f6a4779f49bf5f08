//! `asap(ts, value, resolution)`: a series smoothed until its trend shows and no more, for charts.
//!
//! A moving average over the number of points that gives the smoothest line while what is far from
//! the mean stays as far as it was: the least standard deviation of its steps among those whose
//! kurtosis is not below that of the series (Rong and Bailis, "ASAP: Prioritizing Attention via
//! Time Series Smoothing", 2017). All lengths up to a tenth of the points are tried, so the result
//! does not depend on a search.

use std::sync::Arc;

use datafusion::arrow::datatypes::DataType;
use datafusion::common::Result;
use datafusion::physical_plan::PhysicalExpr;

use super::downsample::{Shape, coerce, count, data_type};
use super::path::Point;
use crate::aggregate::Aggregate;
use crate::arguments::Call;
use crate::fold::AnyFold;
use crate::registry::{FunctionDoc, FunctionKind};

const CALL: Call = Call {
    function: "asap",
    signature: "asap(ts, value, resolution)",
};

/// What a person wants to know about it.
pub(crate) const DOC: FunctionDoc = FunctionDoc {
    name: "asap",
    kind: FunctionKind::Aggregate,
    signature: "asap(ts timestamp, value, resolution integer) -> struct(ts, value)[]",
    description: "A series smoothed until its trend shows, while what stands out still does: \
                  points in order of time, for a chart of resolution points.",
    formula: "n rows are means of n / resolution (rounded down) rows each, as long as there are \
              that many; of the moving averages over 1 to a tenth of these points, whose kurtosis \
              (m4 / n) / (m2 / n)^2 is not below that of the points, that with the least standard \
              deviation of its steps, the shortest of equal ones; a point stands at the mean time \
              of its rows; rows count as evenly spaced, equal times follow arrival",
    reference: "TimescaleDB toolkit asap_smooth, Rong and Bailis 2017",
    example: "SELECT symbol, asap(ts, price, 3) FROM trades GROUP BY symbol",
};

/// The other name.
pub(crate) const ALIAS: FunctionDoc = FunctionDoc {
    name: "asap_smooth",
    ..DOC
};

/// The aggregate function.
#[derive(Debug, PartialEq, Eq, Hash)]
pub(crate) struct Asap;

/// The most points of a chart: twice as many are averaged a tenth as often again.
const RESOLUTION_MAX: i64 = 10_000;

impl Aggregate for Asap {
    fn call(&self) -> Call {
        CALL
    }

    fn aliases(&self) -> &'static [&'static str] {
        &[ALIAS.name]
    }

    fn coerce(&self, types: &[DataType]) -> Result<Vec<DataType>> {
        coerce(CALL, "resolution", types)
    }

    fn return_type(&self, types: &[DataType]) -> Result<DataType> {
        Ok(data_type(types))
    }

    fn fold(
        &self,
        types: &[DataType],
        constants: Option<&[Arc<dyn PhysicalExpr>]>,
    ) -> Result<Box<dyn AnyFold>> {
        let resolution = match constants.and_then(|exprs| exprs.get(2)) {
            None => 1,
            Some(expr) => count(CALL, "resolution", (1, RESOLUTION_MAX), expr)?,
        };
        Ok(Box::new(Shape::of(types, resolution, smoothed)))
    }
}

/// Returns the smoothed series of rows in order of time.
fn smoothed(rows: &[Point<1>], resolution: usize) -> Vec<Point<1>> {
    let group = (rows.len() / resolution).max(1);
    let means: Vec<Point<1>> = rows.chunks_exact(group).map(mean).collect();
    let values: Vec<f64> = means.iter().map(|point| point.values[0]).collect();
    let wanted = kurtosis(&values);
    let (mut best, mut least) = (1, roughness(&values));
    let sums = sums(&values);
    for length in 2..=values.len() / 10 {
        let averages = averages(&sums, length);
        let rough = roughness(&averages);
        if rough < least && kurtosis(&averages) >= wanted {
            (best, least) = (length, rough);
        }
    }
    if best == 1 {
        return means;
    }
    means.windows(best).map(mean).collect()
}

/// Returns the mean time and value of points.
fn mean(points: &[Point<1>]) -> Point<1> {
    let count = points.len().max(1);
    let time: i128 = points.iter().map(|point| i128::from(point.time)).sum();
    let value: f64 = points.iter().map(|point| point.values[0]).sum();
    Point {
        // Between the first and the last time.
        time: time.div_euclid(count as i128) as i64,
        values: [value / count as f64],
    }
}

/// Returns the sums of the first values, from none to all, of their distances from the mean, so
/// that a large mean costs no digits.
fn sums(values: &[f64]) -> Vec<f64> {
    let mean = values.iter().sum::<f64>() / values.len().max(1) as f64;
    let mut sums = vec![0.0];
    let mut sum = 0.0;
    for value in values {
        sum += value - mean;
        sums.push(sum);
    }
    sums
}

/// Returns the means of every `length` values that follow each other, less the mean of all.
fn averages(sums: &[f64], length: usize) -> Vec<f64> {
    let ends = sums[length..].iter();
    ends.zip(sums)
        .map(|(end, start)| (end - start) / length as f64)
        .collect()
}

/// Returns the standard deviation of the steps of a series; 0 below two steps.
fn roughness(values: &[f64]) -> f64 {
    let steps: Vec<f64> = values.windows(2).map(|pair| pair[1] - pair[0]).collect();
    let [second, _] = moments(&steps);
    second.sqrt()
}

/// Returns the kurtosis of a series; NaN, which nothing reaches, if it does not vary.
fn kurtosis(values: &[f64]) -> f64 {
    let [second, fourth] = moments(values);
    fourth / (second * second)
}

/// Returns the means of the squares and of the fourth powers of the distances from the mean.
fn moments(values: &[f64]) -> [f64; 2] {
    let count = values.len().max(1) as f64;
    let mean = values.iter().sum::<f64>() / count;
    let mut sums = [0.0, 0.0];
    for value in values {
        let square = (value - mean) * (value - mean);
        sums[0] += square;
        sums[1] += square * square;
    }
    sums.map(|sum| sum / count)
}

#[cfg(test)]
mod tests {
    use crate::trial::{refusal_text, rows};

    fn check(values: &str, resolution: usize, expected: &str) {
        let sql = format!(
            "SELECT array_to_string(array_agg(CAST(p['ts'] AS BIGINT) || ':' || round(p['value'], \
             6) ORDER BY p['ts']), ' ') FROM (SELECT unnest(asap(to_timestamp_micros(t), v, \
             {resolution})) AS p FROM (VALUES {values}) AS x(t, v))"
        );
        assert_eq!(rows(&sql), [expected], "{values}");
    }

    #[test]
    fn few_points_stay_as_they_are() {
        check("(1, 2.0), (3, 9.0), (2, 5.0)", 100, "1:2.0 2:5.0 3:9.0");
        check("(1, 2.0)", 1, "1:2.0");
        check("(1, 2.0), (2, 2.0), (3, 2.0), (4, 2.0)", 2, "1:2.0 3:2.0");
        // Rows that do not count.
        check(
            "(1, 2.0), (2, NULL), (3, 'NaN'::double), (4, 8.0)",
            9,
            "1:2.0 4:8.0",
        );
    }

    #[test]
    fn rows_beyond_the_resolution_are_means() {
        // Two each; the fifth is left over.
        check(
            "(1, 2.0), (2, 4.0), (5, 6.0), (6, 8.0), (9, 1.0)",
            2,
            "1:3.0 5:7.0",
        );
    }

    #[test]
    fn a_period_is_smoothed_away_and_a_step_stays() {
        // Two values in turn, and ten rows that lie higher.
        let value =
            |t: i32| f64::from(t % 2 * 20 - 10) + if (20..30).contains(&t) { 5.0 } else { 0.0 };
        let values: Vec<String> = (0..40).map(|t| format!("({t}, {:?})", value(t))).collect();
        let sql = format!(
            "SELECT array_length(a), a[1]['value'], a[22]['value'], CAST(a[22]['ts'] AS BIGINT) \
             FROM (SELECT asap(to_timestamp_micros(2 * t), v, 100) AS a FROM (VALUES {}) AS x(t, \
             v))",
            values.join(", ")
        );
        assert_eq!(rows(&sql), ["37 0.0 5.0 45"]);
    }

    #[test]
    fn no_rows_are_null_and_a_resolution_has_bounds() {
        assert_eq!(
            rows("SELECT asap(ts, price, 3) IS NULL FROM trades WHERE false"),
            ["true"]
        );
        assert_eq!(
            refusal_text("SELECT asap_smooth(ts, price, 0) FROM trades"),
            "cannot use 0 as argument resolution of asap, expected an integer from 1 to 10000"
        );
    }
}
