//! Signals: crossings, runs, what a condition was last.

use datafusion::common::Result;

use super::definition::{Compute, Definition, Gaps, Input, ONE_FLAG, ONE_INTEGER, Series};
use super::parameter::{Default, Parameter, integer};

/// The functions of this subject.
pub(super) const DEFINITIONS: [Definition; 6] = [
    Definition {
        name: "crossover",
        alias: None,
        inputs: &[Input::number("a"), Input::number("b")],
        parameters: &[],
        outputs: ONE_FLAG,
        gaps: Gaps::PassedOver,
        compute: Compute::Ours(|series| Ok(vec![crossed(series, 1.0)])),
        description: "Whether a rose above b on this row.",
        formula: "a > b, and a <= b on the row with values before; false on the first",
        reference: "standard",
        example: "SELECT symbol, ts, crossover(price, size + 9) OVER (PARTITION BY symbol ORDER BY \
                  ts) FROM trades",
    },
    Definition {
        name: "crossunder",
        alias: None,
        inputs: &[Input::number("a"), Input::number("b")],
        parameters: &[],
        outputs: ONE_FLAG,
        gaps: Gaps::PassedOver,
        compute: Compute::Ours(|series| Ok(vec![crossed(series, -1.0)])),
        description: "Whether a fell below b on this row.",
        formula: "a < b, and a >= b on the row with values before; false on the first",
        reference: "standard",
        example: "SELECT symbol, ts, crossunder(price, size + 9) OVER (PARTITION BY symbol ORDER \
                  BY ts) FROM trades",
    },
    Definition {
        name: "rising",
        alias: None,
        inputs: &[Input::number("value")],
        parameters: ROWS,
        outputs: ONE_FLAG,
        gaps: Gaps::PassedOver,
        compute: Compute::Ours(|series| Ok(vec![run(series, |now, before| now > before)])),
        description: "Whether a value has risen on each of the last rows.",
        formula: "true if each of the last n values is above the one before; false before there \
                  are n + 1",
        reference: "standard",
        example: "SELECT symbol, ts, rising(price, 1) OVER (PARTITION BY symbol ORDER BY ts) FROM \
                  trades",
    },
    Definition {
        name: "falling",
        alias: None,
        inputs: &[Input::number("value")],
        parameters: ROWS,
        outputs: ONE_FLAG,
        gaps: Gaps::PassedOver,
        compute: Compute::Ours(|series| Ok(vec![run(series, |now, before| now < before)])),
        description: "Whether a value has fallen on each of the last rows.",
        formula: "true if each of the last n values is below the one before; false before there \
                  are n + 1",
        reference: "standard",
        example: "SELECT symbol, ts, falling(price, 1) OVER (PARTITION BY symbol ORDER BY ts) FROM \
                  trades",
    },
    Definition {
        name: "bars_since",
        alias: None,
        inputs: &[Input::flag("condition")],
        parameters: &[],
        outputs: ONE_INTEGER,
        gaps: Gaps::PassedOver,
        compute: Compute::Ours(bars_since),
        description: "How many rows ago a condition was last true.",
        formula: "0 where it is true, else one more than on the row before; null until it was true",
        reference: "standard",
        example: "SELECT symbol, ts, bars_since(price > 11) OVER (PARTITION BY symbol ORDER BY ts) \
                  FROM trades",
    },
    Definition {
        name: "signal_state",
        alias: None,
        inputs: &[Input::flag("enter"), Input::flag("exit")],
        parameters: &[],
        outputs: ONE_FLAG,
        gaps: Gaps::PassedOver,
        compute: Compute::Ours(state),
        description: "Whether a signal is on: since enter was true, until exit is.",
        formula: "exit turns it off, else enter turns it on, else it stays; off at first",
        reference: "standard",
        example: "SELECT symbol, ts, signal_state(price > 11, price < 10) OVER (PARTITION BY \
                  symbol ORDER BY ts) FROM trades",
    },
];

/// How many rows a run has.
const ROWS: &[Parameter] = &[integer("rows", 1, 100_000, Default::Value(1.0))];

/// Returns where the first input less the second, times `sign`, became positive.
fn crossed(series: &Series<'_>, sign: f64) -> Vec<f64> {
    let mut before = f64::NAN;
    let rows = series.inputs[0].iter().zip(&series.inputs[1]);
    let crossings = rows.map(|(a, b)| {
        let difference = sign * (a - b);
        let crossed = difference > 0.0 && before <= 0.0;
        before = difference;
        f64::from(crossed)
    });
    crossings.collect()
}

/// Returns where the last steps all go one way.
fn run(series: &Series<'_>, goes: impl Fn(f64, f64) -> bool) -> Vec<f64> {
    let (mut length, mut before) = (0, f64::NAN);
    let runs = series.inputs[0].iter().map(|&value| {
        length = if goes(value, before) { length + 1 } else { 0 };
        before = value;
        f64::from(length >= series.rows(0))
    });
    runs.collect()
}

fn bars_since(series: &Series<'_>) -> Result<Vec<Vec<f64>>> {
    let mut rows = f64::NAN;
    let counts = series.inputs[0].iter().map(|&condition| {
        rows = if condition != 0.0 { 0.0 } else { rows + 1.0 };
        rows
    });
    Ok(vec![counts.collect()])
}

fn state(series: &Series<'_>) -> Result<Vec<Vec<f64>>> {
    let mut on = false;
    let rows = series.inputs[0].iter().zip(&series.inputs[1]);
    let states = rows.map(|(&enter, &exit)| {
        on = exit == 0.0 && (on || enter != 0.0);
        f64::from(on)
    });
    Ok(vec![states.collect()])
}

#[cfg(test)]
mod tests;
