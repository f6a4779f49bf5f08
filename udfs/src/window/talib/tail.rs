//! TA-Lib asked about the last rows: how functions without a state of their own run along.
//!
//! A function of a window needs as many rows as its warm-up has and one more; one that forgets
//! the past slowly needs so many that what is left of it is below 1e-9 of the result. Each row is
//! computed from exactly its own last rows, so that cuts into batches make no difference.

use datafusion::common::{Result, exec_datafusion_err};
use ta_lib::Core;
use ta_lib::abstract_api::{FuncId, InputType, OptInputType};

use super::super::definition::Series;
use crate::window::step::{Ring, Step, Walk};

/// Functions whose value depends on all rows before it, however long ago, and that have no state
/// of their own: a streaming view refuses them. Some carry on what happened last without an end,
/// some adapt so slowly that no number of rows bounds what is left of the past.
const UNBOUNDED: [&str; 17] = [
    "CRSI",
    "FISHER",
    "FRAMA",
    "HT_DCPERIOD",
    "HT_DCPHASE",
    "HT_PHASOR",
    "HT_SINE",
    "HT_TRENDLINE",
    "HT_TRENDMODE",
    "KVO",
    "MAMA",
    "MCGD",
    "SAREXT",
    "STC",
    "SWAK_BP",
    "VIDYA",
    "ZIGZAG",
];

/// Recursive functions that forget the past like an exponential average does; those that have a
/// state of their own come here with averages that have none.
const FORGETTING: [&str; 6] = [
    "KDJ",
    "STOCHRSI",
    "SWAK_2PHP",
    "SWAK_BUTTER",
    "SWAK_GAUSS",
    "SWAK_HP",
];

/// How many times its warm-up such a function keeps: an average over n rows has forgotten all but
/// 1e-12 of what is 28 n rows ago, one of averages of averages after some more.
const FORGOTTEN_AFTER: usize = 64;

/// The least rows that are kept: some filters have no warm-up.
const FORGETTING_ROWS_MIN: usize = 256;

/// TA-Lib's numbers of the averages of a window among its kinds of averages: simple, weighted,
/// triangular, Hull's, none, Arnaud Legoux'. The others are recursive.
const WINDOWED: [f64; 6] = [0.0, 2.0, 5.0, 9.0, 10.0, 15.0];

/// Of the recursive ones those that adapt: Kaufman's, MESA's, variable index.
const ADAPTING: [f64; 3] = [6.0, 7.0, 14.0];

/// How many rows a function needs at most.
const ROWS_MAX: usize = 400_000;

/// How a function is run over its last rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reach {
    /// So many rows tell all.
    Rows(usize),
    /// No number of rows does.
    All,
}

/// Says how far back `id` sees with these parameters.
///
/// # Errors
/// If TA-Lib refuses the parameters.
pub(super) fn reach(id: FuncId, parameters: &[f64]) -> Result<Reach> {
    let info = id.info();
    let core = Core::new();
    let mut call = id.new_call(&core);
    for (index, (info, &value)) in info.opt_inputs.iter().zip(parameters).enumerate() {
        let set = match info.kind {
            OptInputType::IntegerRange { .. } | OptInputType::IntegerList { .. } => {
                call.set_opt_input(index, value as i32)
            }
            OptInputType::RealRange { .. } | OptInputType::RealList { .. } => {
                call.set_opt_input(index, value)
            }
        };
        set.map_err(|code| exec_datafusion_err!("cannot set up {}: {code:?}", id.name()))?;
    }
    let warm_up = call
        .lookback()
        .map_err(|code| exec_datafusion_err!("cannot set up {}: {code:?}", id.name()))?;
    let kinds = info.opt_inputs.iter().zip(parameters);
    let kinds = kinds.filter(|(info, _)| info.param_name.ends_with("MAType"));
    let kinds: Vec<f64> = kinds.map(|(_, kind)| *kind).collect();
    if UNBOUNDED.contains(&id.name()) || kinds.iter().any(|kind| ADAPTING.contains(kind)) {
        return Ok(Reach::All);
    }
    let forgets =
        FORGETTING.contains(&id.name()) || kinds.iter().any(|kind| !WINDOWED.contains(kind));
    let rows = match forgets {
        true => (FORGOTTEN_AFTER * (warm_up + 1)).max(FORGETTING_ROWS_MIN),
        false => warm_up + 1,
    };
    Ok(if rows <= ROWS_MAX {
        Reach::Rows(rows)
    } else {
        Reach::All
    })
}

/// The last rows and the function that is asked about them.
#[derive(Debug)]
pub(super) struct Tail {
    id: FuncId,
    parameters: Vec<f64>,
    rings: Vec<Ring>,
    /// How many rows are kept.
    #[cfg(test)]
    rows: usize,
    /// Rows that have gone by, for functions that answer with a row's number.
    gone: usize,
}

impl Tail {
    /// Before the first row.
    pub(super) fn new(id: FuncId, parameters: &[f64], rows: usize) -> Self {
        let inputs = id.info().inputs.iter().map(|input| match input.kind {
            InputType::Price => input.flags.bits().count_ones() as usize,
            InputType::Real | InputType::Integer => 1,
        });
        Self {
            id,
            parameters: parameters.to_vec(),
            rings: vec![Ring::new(rows); inputs.sum()],
            #[cfg(test)]
            rows,
            gone: 0,
        }
    }

    /// Whether output `index` is the number of a row.
    fn is_row_number(&self, index: usize) -> bool {
        let outputs = self.id.info().outputs;
        let name = outputs.get(index).map_or("", |output| output.param_name);
        self.id.name().ends_with("INDEX") || name.ends_with("Idx")
    }
}

impl Step for Tail {
    fn step(&mut self, inputs: &[f64], outputs: &mut [f64]) -> Result<()> {
        if self.rings.first().is_some_and(Ring::is_full) {
            self.gone += 1;
        }
        for (ring, input) in self.rings.iter_mut().zip(inputs) {
            ring.push(*input);
        }
        let series: Vec<&[f64]> = self.rings.iter().map(Ring::values).collect();
        let series = Series {
            inputs: &series,
            parameters: &self.parameters,
        };
        if let Some(values) = super::last(self.id, &series)? {
            for (index, (output, value)) in outputs.iter_mut().zip(values).enumerate() {
                let shift = if self.is_row_number(index) {
                    self.gone
                } else {
                    0
                };
                *output = value + shift as f64;
            }
        }
        Ok(())
    }

    fn walk(&mut self, walk: &mut Walk<'_>) {
        walk.count(&mut self.gone);
        for ring in &mut self.rings {
            ring.walk(walk);
        }
    }

    #[cfg(test)]
    fn rows_kept(&self) -> usize {
        self.rows
    }

    fn heap_bytes(&self) -> usize {
        self.rings.iter().map(Ring::heap_bytes).sum::<usize>()
    }
}
