//! What runs over a partition from its first row: returns, extremes, drawdowns, filled gaps,
//! average prices since an anchor.

use datafusion::common::Result;

use super::definition::{
    Compute, Definition, Gaps, Input, InputKind, ONE_INTEGER, ONE_NUMBER, Series,
};
use super::parameter::{Default, Parameter, integer};

/// The functions of this subject.
pub(super) const DEFINITIONS: [Definition; 11] = [
    Definition {
        name: "returns",
        alias: None,
        inputs: &[Input::number("value")],
        parameters: &[STEP],
        outputs: ONE_NUMBER,
        gaps: Gaps::PassedOver,
        compute: Compute::Ours(|series| Ok(vec![steps(series, |now, before| now / before - 1.0)])),
        description: "The simple return over some rows.",
        formula: "value / value n rows before - 1",
        reference: "pandas pct_change",
        example: "SELECT symbol, ts, returns(price) OVER (PARTITION BY symbol ORDER BY ts) FROM \
                  trades",
    },
    Definition {
        name: "log_returns",
        alias: None,
        inputs: &[Input::number("value")],
        parameters: &[STEP],
        outputs: ONE_NUMBER,
        gaps: Gaps::PassedOver,
        compute: Compute::Ours(|series| {
            Ok(vec![steps(series, |now, before| {
                if now > 0.0 && before > 0.0 {
                    (now / before).ln()
                } else {
                    f64::NAN
                }
            })])
        }),
        description: "The logarithmic return over some rows.",
        formula: "ln(value / value n rows before); null unless both are above zero",
        reference: "standard",
        example: "SELECT symbol, ts, log_returns(price) OVER (PARTITION BY symbol ORDER BY ts) \
                  FROM trades",
    },
    Definition {
        name: "cumprod",
        alias: None,
        inputs: &[Input::number("value")],
        parameters: &[],
        outputs: ONE_NUMBER,
        gaps: Gaps::PassedOver,
        compute: Compute::Ours(|series| Ok(vec![fold(series, |sum, value| sum * value)])),
        description: "The product so far.",
        formula: "product of the values up to the row",
        reference: "pandas cumprod",
        example: "SELECT symbol, ts, cumprod(price) OVER (PARTITION BY symbol ORDER BY ts) FROM \
                  trades",
    },
    Definition {
        name: "cummax",
        alias: None,
        inputs: &[Input::number("value")],
        parameters: &[],
        outputs: ONE_NUMBER,
        gaps: Gaps::PassedOver,
        compute: Compute::Ours(|series| Ok(vec![fold(series, f64::max)])),
        description: "The greatest value so far.",
        formula: "max of the values up to the row",
        reference: "pandas cummax",
        example: "SELECT symbol, ts, cummax(price) OVER (PARTITION BY symbol ORDER BY ts) FROM \
                  trades",
    },
    Definition {
        name: "cummin",
        alias: None,
        inputs: &[Input::number("value")],
        parameters: &[],
        outputs: ONE_NUMBER,
        gaps: Gaps::PassedOver,
        compute: Compute::Ours(|series| Ok(vec![fold(series, f64::min)])),
        description: "The least value so far.",
        formula: "min of the values up to the row",
        reference: "pandas cummin",
        example: "SELECT symbol, ts, cummin(price) OVER (PARTITION BY symbol ORDER BY ts) FROM \
                  trades",
    },
    Definition {
        name: "drawdown",
        alias: None,
        inputs: &[Input::number("value")],
        parameters: &[],
        outputs: ONE_NUMBER,
        gaps: Gaps::PassedOver,
        compute: Compute::Ours(|series| Ok(vec![drawdown(series)])),
        description: "How far a value lies below its peak so far, at most 0.",
        formula: "value / max of the values up to the row - 1",
        reference: "pandas",
        example: "SELECT symbol, ts, drawdown(price) OVER (PARTITION BY symbol ORDER BY ts) FROM \
                  trades",
    },
    Definition {
        name: "max_drawdown",
        alias: None,
        inputs: &[Input::number("value")],
        parameters: &[],
        outputs: ONE_NUMBER,
        gaps: Gaps::PassedOver,
        compute: Compute::Ours(|series| {
            let mut drawdown = drawdown(series);
            let mut deepest = 0.0;
            for value in &mut drawdown {
                deepest = value.min(deepest);
                *value = deepest;
            }
            Ok(vec![drawdown])
        }),
        description: "The deepest drawdown so far.",
        formula: "min of drawdown(value) up to the row",
        reference: "empyrical max_drawdown",
        example: "SELECT symbol, ts, max_drawdown(price) OVER (PARTITION BY symbol ORDER BY ts) \
                  FROM trades",
    },
    Definition {
        name: "drawdown_duration",
        alias: None,
        inputs: &[Input::number("value")],
        parameters: &[],
        outputs: ONE_INTEGER,
        gaps: Gaps::PassedOver,
        compute: Compute::Ours(duration),
        description: "How many rows with values ago the peak so far was last seen.",
        formula: "0 at a peak, else one more than before",
        reference: "standard",
        example: "SELECT symbol, ts, drawdown_duration(price) OVER (PARTITION BY symbol ORDER BY \
                  ts) FROM trades",
    },
    Definition {
        name: "ffill",
        alias: None,
        inputs: &[Input::number("value")],
        parameters: &[],
        outputs: ONE_NUMBER,
        gaps: Gaps::Kept,
        compute: Compute::Ours(|series| {
            let mut last = f64::NAN;
            let filled = series.inputs[0].iter().map(|value| {
                if value.is_finite() {
                    last = *value;
                }
                last
            });
            Ok(vec![filled.collect()])
        }),
        description: "The last value that is known.",
        formula: "the value, or that of the last row that has one",
        reference: "pandas ffill",
        example: "SELECT symbol, ts, ffill(size) OVER (PARTITION BY symbol ORDER BY ts) FROM \
                  trades",
    },
    Definition {
        name: "session_vwap",
        alias: None,
        inputs: &[
            Input::number("price"),
            Input::number("size"),
            Input {
                name: "session",
                kind: InputKind::Run,
            },
        ],
        parameters: &[],
        outputs: ONE_NUMBER,
        gaps: Gaps::PassedOver,
        compute: Compute::Ours(|series| {
            Ok(vec![vwap(series, |session, before| session != before)])
        }),
        description: "The volume-weighted average price since the session began.",
        formula: "sum(price * size) / sum(size) over rows with size > 0 since session last changed",
        reference: "standard",
        example: "SELECT symbol, ts, session_vwap(price, size, date_trunc('minute', ts)) OVER \
                  (PARTITION BY symbol ORDER BY ts) FROM trades",
    },
    Definition {
        name: "anchored_vwap",
        alias: None,
        inputs: &[
            Input::number("price"),
            Input::number("size"),
            Input::flag("anchor"),
        ],
        parameters: &[],
        outputs: ONE_NUMBER,
        gaps: Gaps::PassedOver,
        compute: Compute::Ours(|series| Ok(vec![vwap(series, |anchor, _| anchor != 0.0)])),
        description: "The volume-weighted average price since a condition was last true.",
        formula: "sum(price * size) / sum(size) over rows with size > 0 since anchor was last true",
        reference: "standard",
        example: "SELECT symbol, ts, anchored_vwap(price, size, price > 11) OVER (PARTITION BY \
                  symbol ORDER BY ts) FROM trades",
    },
];

/// How many rows a return spans.
const STEP: Parameter = integer("rows", 1, 100_000, Default::Value(1.0));

/// Computes from each value and the one some rows before.
fn steps(series: &Series<'_>, value: impl Fn(f64, f64) -> f64) -> Vec<f64> {
    let values = &series.inputs[0];
    let step = |(row, now): (usize, &f64)| match row.checked_sub(series.rows(0)) {
        Some(before) => value(*now, values[before]),
        None => f64::NAN,
    };
    values.iter().enumerate().map(step).collect()
}

/// Returns every value folded with those before it.
fn fold(series: &Series<'_>, add: impl Fn(f64, f64) -> f64) -> Vec<f64> {
    let mut so_far = None;
    let folded = series.inputs[0].iter().map(|&value| {
        let next = so_far.map_or(value, |so_far| add(so_far, value));
        so_far = Some(next);
        next
    });
    folded.collect()
}

fn drawdown(series: &Series<'_>) -> Vec<f64> {
    let peaks = fold(series, f64::max);
    let values = series.inputs[0].iter().zip(&peaks);
    values.map(|(value, peak)| value / peak - 1.0).collect()
}

fn duration(series: &Series<'_>) -> Result<Vec<Vec<f64>>> {
    let peaks = fold(series, f64::max);
    let mut rows = 0.0;
    let durations = series.inputs[0].iter().zip(&peaks).map(|(value, peak)| {
        rows = if value < peak { rows + 1.0 } else { 0.0 };
        rows
    });
    Ok(vec![durations.collect()])
}

/// Returns the average price since the third input last began anew.
fn vwap(series: &Series<'_>, begins: impl Fn(f64, f64) -> bool) -> Vec<f64> {
    let (mut products, mut sizes, mut before) = (0.0, 0.0, f64::NAN);
    let mut averages = Vec::with_capacity(series.row_count());
    for row in 0..series.row_count() {
        let [price, size, anchor] = [0, 1, 2].map(|input| series.inputs[input][row]);
        if begins(anchor, before) {
            (products, sizes) = (0.0, 0.0);
        }
        before = anchor;
        if size > 0.0 {
            products += price * size;
            sizes += size;
        }
        averages.push(products / sizes);
    }
    averages
}

#[cfg(test)]
mod tests;
