//! Signals: crossings, runs, what a condition was last.

use datafusion::common::Result;

use super::definition::{
    Compute, Definition, Gaps, Input, ONE_FLAG, ONE_INTEGER, Output, OutputKind, rows_of,
};
use super::parameter::{Default, Parameter, integer, real};
use super::step::{Step, Walk};
use crate::error::FunctionError;

/// The functions of this subject.
pub(super) const DEFINITIONS: [Definition; 7] = [
    Definition {
        name: "crossover",
        alias: None,
        inputs: &[Input::number("a"), Input::number("b")],
        parameters: &[],
        outputs: ONE_FLAG,
        gaps: Gaps::PassedOver,
        compute: Compute::Ours(|_| Crossed::start(1.0)),
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
        compute: Compute::Ours(|_| Crossed::start(-1.0)),
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
        compute: Compute::Ours(|p| Run::start(p, |now, before| now > before)),
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
        compute: Compute::Ours(|p| Run::start(p, |now, before| now < before)),
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
        compute: Compute::Ours(|_| Ok(Box::new(Since { rows: f64::NAN }))),
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
        compute: Compute::Ours(|_| Ok(Box::new(State { is_on: false }))),
        description: "Whether a signal is on: since enter was true, until exit is.",
        formula: "exit turns it off, else enter turns it on, else it stays; off at first",
        reference: "standard",
        example: "SELECT symbol, ts, signal_state(price > 11, price < 10) OVER (PARTITION BY \
                  symbol ORDER BY ts) FROM trades",
    },
    Definition {
        name: "limit_breach",
        alias: None,
        inputs: &[Input::number("value")],
        parameters: &[
            real("soft", 0.0, f64::MAX, Default::Refused),
            real("hard", 0.0, f64::MAX, Default::Refused),
            real("hysteresis", 0.0, f64::MAX, Default::Value(0.0)),
        ],
        outputs: LIMIT,
        gaps: Gaps::PassedOver,
        compute: Compute::Ours(Limit::start),
        description: "The level of a limit and whether it changed on this row, without flicker at \
                      the edge.",
        formula: "level is 2 from |value| > hard on, 1 from |value| > soft on, else 0; it falls \
                  below a limit only once |value| <= limit - hysteresis; event is true where level \
                  differs from that of the row before, which is 0 at first; soft must not be above \
                  hard",
        reference: "standard",
        example: "SELECT symbol, ts, limit_breach(price, 11, 12, 0.5) OVER (PARTITION BY symbol \
                  ORDER BY ts) FROM trades",
    },
];

/// A limit's level and its edges.
const LIMIT: &[Output] = &[
    Output {
        name: "level",
        kind: OutputKind::Integer,
    },
    Output {
        name: "event",
        kind: OutputKind::Flag,
    },
];

/// How many rows a run has.
const ROWS: &[Parameter] = &[integer("rows", 1, 100_000, Default::Value(1.0))];

/// Where the first input less the second, times a sign, becomes positive.
#[derive(Debug)]
struct Crossed {
    sign: f64,
    before: f64,
}

impl Crossed {
    fn start(sign: f64) -> Result<Box<dyn Step>> {
        let before = f64::NAN;
        Ok(Box::new(Self { sign, before }))
    }
}

impl Step for Crossed {
    fn step(&mut self, inputs: &[f64], outputs: &mut [f64]) -> Result<()> {
        let difference = self.sign * (inputs[0] - inputs[1]);
        outputs[0] = f64::from(difference > 0.0 && self.before <= 0.0);
        self.before = difference;
        Ok(())
    }

    fn walk(&mut self, walk: &mut Walk<'_>) {
        walk.number(&mut self.before);
    }
}

/// Whether the last steps all go one way.
#[derive(Debug)]
struct Run {
    rows: usize,
    goes: fn(f64, f64) -> bool,
    length: usize,
    before: f64,
}

impl Run {
    fn start(parameters: &[f64], goes: fn(f64, f64) -> bool) -> Result<Box<dyn Step>> {
        Ok(Box::new(Self {
            rows: rows_of(parameters, 0),
            goes,
            length: 0,
            before: f64::NAN,
        }))
    }
}

impl Step for Run {
    fn step(&mut self, inputs: &[f64], outputs: &mut [f64]) -> Result<()> {
        let goes = (self.goes)(inputs[0], self.before);
        self.length = if goes { self.length + 1 } else { 0 };
        self.before = inputs[0];
        outputs[0] = f64::from(self.length >= self.rows);
        Ok(())
    }

    fn walk(&mut self, walk: &mut Walk<'_>) {
        walk.count(&mut self.length);
        walk.number(&mut self.before);
    }
}

/// How many rows ago a condition was true.
#[derive(Debug)]
struct Since {
    rows: f64,
}

impl Step for Since {
    fn step(&mut self, inputs: &[f64], outputs: &mut [f64]) -> Result<()> {
        self.rows = if inputs[0] != 0.0 {
            0.0
        } else {
            self.rows + 1.0
        };
        outputs[0] = self.rows;
        Ok(())
    }

    fn walk(&mut self, walk: &mut Walk<'_>) {
        walk.number(&mut self.rows);
    }
}

/// Whether a signal is on.
#[derive(Debug)]
struct State {
    is_on: bool,
}

impl Step for State {
    fn step(&mut self, inputs: &[f64], outputs: &mut [f64]) -> Result<()> {
        self.is_on = inputs[1] == 0.0 && (self.is_on || inputs[0] != 0.0);
        outputs[0] = f64::from(self.is_on);
        Ok(())
    }

    fn walk(&mut self, walk: &mut Walk<'_>) {
        walk.flag(&mut self.is_on);
    }
}

/// The level of a limit, which it leaves downwards only by more than the hysteresis.
#[derive(Debug)]
struct Limit {
    /// The soft and the hard limit.
    limits: [f64; 2],
    hysteresis: f64,
    level: usize,
}

impl Limit {
    fn start(parameters: &[f64]) -> Result<Box<dyn Step>> {
        let &[soft, hard, hysteresis] = parameters else {
            return datafusion::common::internal_err!("limit_breach has three parameters");
        };
        if soft > hard {
            return Err(FunctionError::OutOfRange {
                function: "limit_breach",
                argument: "soft",
                value: soft.to_string(),
                range: "a number not above hard".into(),
            }
            .into());
        }
        Ok(Box::new(Self {
            limits: [soft, hard],
            hysteresis,
            level: 0,
        }))
    }
}

impl Step for Limit {
    fn step(&mut self, inputs: &[f64], outputs: &mut [f64]) -> Result<()> {
        let used = inputs[0].abs();
        let holds = |(index, limit): (usize, &f64)| {
            let edge = if self.level > index {
                limit - self.hysteresis
            } else {
                *limit
            };
            used > edge
        };
        let level = self
            .limits
            .iter()
            .enumerate()
            .filter(|pair| holds(*pair))
            .count();
        outputs[0] = level as f64;
        outputs[1] = f64::from(level != self.level);
        self.level = level;
        Ok(())
    }

    fn walk(&mut self, walk: &mut Walk<'_>) {
        walk.count(&mut self.level);
    }
}

#[cfg(test)]
mod tests;
