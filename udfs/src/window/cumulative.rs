//! What runs over a partition from its first row: returns, extremes, drawdowns, filled gaps,
//! average prices since an anchor.

use datafusion::common::Result;

use super::definition::{
    Compute, Definition, Gaps, Input, InputKind, ONE_INTEGER, ONE_NUMBER, Series, rows_of,
};
use super::parameter::{Default, Parameter, integer};
use super::step::{Ring, Step, Walk};

/// The functions of this subject.
pub(super) const DEFINITIONS: [Definition; 12] = [
    Definition {
        name: "returns",
        alias: None,
        inputs: &[Input::number("value")],
        parameters: &[STEP],
        outputs: ONE_NUMBER,
        gaps: Gaps::PassedOver,
        compute: Compute::Ours(|p| Spanned::start(p, |now, before| now / before - 1.0)),
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
        compute: Compute::Ours(|p| {
            Spanned::start(p, |now, before| {
                if now > 0.0 && before > 0.0 {
                    (now / before).ln()
                } else {
                    f64::NAN
                }
            })
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
        compute: Compute::Ours(|_| Folded::start(|product, value| product * value)),
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
        compute: Compute::Ours(|_| Folded::start(f64::max)),
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
        compute: Compute::Ours(|_| Folded::start(f64::min)),
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
        compute: Compute::Ours(|_| Peak::start(|peak| peak.drawdown)),
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
        compute: Compute::Ours(|_| Peak::start(|peak| peak.deepest)),
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
        compute: Compute::Ours(|_| Peak::start(|peak| peak.rows)),
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
        compute: Compute::Ours(|_| Ok(Box::new(Filled { last: f64::NAN }))),
        description: "The last value that is known.",
        formula: "the value, or that of the last row that has one",
        reference: "pandas ffill",
        example: "SELECT symbol, ts, ffill(size) OVER (PARTITION BY symbol ORDER BY ts) FROM \
                  trades",
    },
    Definition {
        name: "interpolate",
        alias: None,
        inputs: &[
            Input::number("value"),
            Input {
                name: "ts",
                kind: InputKind::Time,
            },
        ],
        parameters: &[],
        outputs: ONE_NUMBER,
        gaps: Gaps::Kept,
        compute: Compute::Whole(interpolated),
        description: "The value, or the one on the line in time between the values around it.",
        formula: "linear in ts; null before the first and after the last value; it reads rows that \
                  come later, so streaming views refuse it",
        reference: "pandas interpolate(method='time', limit_area='inside')",
        example: "SELECT symbol, ts, interpolate(size, ts) OVER (PARTITION BY symbol ORDER BY ts) \
                  FROM trades",
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
        compute: Compute::Ours(|_| Vwap::start(|session, before| session != before)),
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
        compute: Compute::Ours(|_| Vwap::start(|anchor, _| anchor != 0.0)),
        description: "The volume-weighted average price since a condition was last true.",
        formula: "sum(price * size) / sum(size) over rows with size > 0 since anchor was last true",
        reference: "standard",
        example: "SELECT symbol, ts, anchored_vwap(price, size, price > 11) OVER (PARTITION BY \
                  symbol ORDER BY ts) FROM trades",
    },
];

/// How many rows a return spans.
const STEP: Parameter = integer("rows", 1, 100_000, Default::Value(1.0));

/// A number from each value and the one some rows before.
#[derive(Debug)]
struct Spanned {
    rows: usize,
    ring: Ring,
    value: fn(f64, f64) -> f64,
}

impl Spanned {
    fn start(parameters: &[f64], value: fn(f64, f64) -> f64) -> Result<Box<dyn Step>> {
        let rows = rows_of(parameters, 0);
        let ring = Ring::new(rows + 1);
        Ok(Box::new(Self { rows, ring, value }))
    }
}

impl Step for Spanned {
    fn step(&mut self, inputs: &[f64], outputs: &mut [f64]) -> Result<()> {
        self.ring.push(inputs[0]);
        if let Some(before) = self.ring.back(self.rows) {
            outputs[0] = (self.value)(inputs[0], before);
        }
        Ok(())
    }

    fn walk(&mut self, walk: &mut Walk<'_>) {
        self.ring.walk(walk);
    }

    fn heap_bytes(&self) -> usize {
        self.ring.heap_bytes()
    }
}

/// Every value folded with those before it; NaN before the first.
#[derive(Debug)]
struct Folded {
    so_far: f64,
    add: fn(f64, f64) -> f64,
    has_begun: bool,
}

impl Folded {
    fn start(add: fn(f64, f64) -> f64) -> Result<Box<dyn Step>> {
        Ok(Box::new(Self {
            so_far: f64::NAN,
            add,
            has_begun: false,
        }))
    }
}

impl Step for Folded {
    fn step(&mut self, inputs: &[f64], outputs: &mut [f64]) -> Result<()> {
        self.so_far = match self.has_begun {
            true => (self.add)(self.so_far, inputs[0]),
            false => inputs[0],
        };
        self.has_begun = true;
        outputs[0] = self.so_far;
        Ok(())
    }

    fn walk(&mut self, walk: &mut Walk<'_>) {
        walk.number(&mut self.so_far);
        walk.flag(&mut self.has_begun);
    }
}

/// How far a value lies below its peak.
#[derive(Debug)]
struct Peak {
    peak: f64,
    drawdown: f64,
    deepest: f64,
    rows: f64,
    shown: fn(&Peak) -> f64,
}

impl Peak {
    fn start(shown: fn(&Peak) -> f64) -> Result<Box<dyn Step>> {
        Ok(Box::new(Self {
            peak: f64::NAN,
            drawdown: 0.0,
            deepest: 0.0,
            rows: 0.0,
            shown,
        }))
    }
}

impl Step for Peak {
    fn step(&mut self, inputs: &[f64], outputs: &mut [f64]) -> Result<()> {
        let value = inputs[0];
        // The maximum of NaN and a number is the number.
        self.peak = self.peak.max(value);
        self.drawdown = value / self.peak - 1.0;
        self.deepest = self.drawdown.min(self.deepest);
        self.rows = if value < self.peak {
            self.rows + 1.0
        } else {
            0.0
        };
        outputs[0] = (self.shown)(self);
        Ok(())
    }

    fn walk(&mut self, walk: &mut Walk<'_>) {
        walk.number(&mut self.peak);
        walk.number(&mut self.deepest);
        walk.number(&mut self.rows);
    }
}

/// The last value that is known.
#[derive(Debug)]
struct Filled {
    last: f64,
}

impl Step for Filled {
    fn step(&mut self, inputs: &[f64], outputs: &mut [f64]) -> Result<()> {
        if inputs[0].is_finite() {
            self.last = inputs[0];
        }
        outputs[0] = self.last;
        Ok(())
    }

    fn walk(&mut self, walk: &mut Walk<'_>) {
        walk.number(&mut self.last);
    }
}

/// Returns values with the gaps between them filled on lines in time.
fn interpolated(series: &Series<'_>) -> Result<Vec<Vec<f64>>> {
    let (values, times) = (series.inputs[0], series.inputs[1]);
    let mut filled = vec![f64::NAN; values.len()];
    let mut before: Option<usize> = None;
    for row in 0..values.len() {
        if !values[row].is_finite() || !times[row].is_finite() {
            continue;
        }
        filled[row] = values[row];
        if let Some(from) = before {
            let span = times[row] - times[from];
            for between in from + 1..row {
                let share = (times[between] - times[from]) / span;
                filled[between] = values[from] + share * (values[row] - values[from]);
            }
        }
        before = Some(row);
    }
    Ok(vec![filled])
}

/// The average price since the third input last began anew.
#[derive(Debug)]
struct Vwap {
    products: f64,
    sizes: f64,
    before: f64,
    begins: fn(f64, f64) -> bool,
}

impl Vwap {
    fn start(begins: fn(f64, f64) -> bool) -> Result<Box<dyn Step>> {
        Ok(Box::new(Self {
            products: 0.0,
            sizes: 0.0,
            before: f64::NAN,
            begins,
        }))
    }
}

impl Step for Vwap {
    fn step(&mut self, inputs: &[f64], outputs: &mut [f64]) -> Result<()> {
        let &[price, size, anchor] = inputs else {
            return datafusion::common::internal_err!("an average price has three inputs");
        };
        if (self.begins)(anchor, self.before) {
            (self.products, self.sizes) = (0.0, 0.0);
        }
        self.before = anchor;
        if size > 0.0 {
            self.products += price * size;
            self.sizes += size;
        }
        outputs[0] = self.products / self.sizes;
        Ok(())
    }

    fn walk(&mut self, walk: &mut Walk<'_>) {
        walk.number(&mut self.products);
        walk.number(&mut self.sizes);
        walk.number(&mut self.before);
    }
}

#[cfg(test)]
mod tests;
