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
/// of their own: a streaming view refuses them.
const UNBOUNDED: [&str; 2] = ["SAREXT", "ZIGZAG"];

/// Recursive functions without a state of their own, with how many times their warm-up they need
/// to forget the past.
const FORGETTING: [(&str, usize); 31] = [
    ("CKSP", 64),
    ("CRSI", 64),
    ("CVI", 64),
    ("DOSC", 64),
    ("FISHER", 64),
    ("FRAMA", 64),
    ("HT_DCPERIOD", 64),
    ("HT_DCPHASE", 64),
    ("HT_PHASOR", 64),
    ("HT_SINE", 64),
    ("HT_TRENDLINE", 64),
    ("HT_TRENDMODE", 64),
    ("KDJ", 64),
    ("KVO", 64),
    ("MAMA", 64),
    ("MASSI", 64),
    ("MCGD", 64),
    ("PSO", 64),
    ("RVI", 64),
    ("RVIR", 64),
    ("SMI", 64),
    ("STC", 64),
    ("STOCHRSI", 64),
    ("SWAK_2PHP", 64),
    ("SWAK_BP", 64),
    ("SWAK_BUTTER", 64),
    ("SWAK_GAUSS", 64),
    ("SWAK_HP", 64),
    ("VIDYA", 64),
    ("WAVETREND", 64),
    ("SQZMOM", 64),
];

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
    if UNBOUNDED.contains(&id.name()) {
        return Ok(Reach::All);
    }
    let slow = FORGETTING.iter().find(|(name, _)| *name == id.name());
    let rows = match slow {
        Some((_, times)) => (times * (warm_up + 1)).max(256),
        None => warm_up + 1,
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

    fn heap_bytes(&self) -> usize {
        self.rings.iter().map(Ring::heap_bytes).sum::<usize>()
    }
}
