//! TA-Lib's functions: their definitions, read from the library's own metadata, and their
//! evaluation. No function is listed by hand except the names that must keep their prefix.
//!
//! Every function is `ta_<name>`; most answer to the bare name as well.

mod own;
mod tail;
mod words;

use datafusion::common::{Result, exec_datafusion_err};
use ta_lib::Core;
use ta_lib::abstract_api::{self, FuncId, FuncInfo, InputType, OptInputType, OutputType};

use super::definition::{Compute, Definition, Gaps, Input, Output, OutputKind, Series};
use super::parameter::{Default, Domain, Parameter};
use super::step::Step;
use tail::{Reach, Tail};

/// Names that stay prefixed, because DataFusion, PostgreSQL or one of our own functions has them.
const PREFIXED: [&str; 28] = [
    "acos",
    "add",
    "asin",
    "atan",
    "ceil",
    "cos",
    "cosh",
    "div",
    "exp",
    "floor",
    "kurtosis",
    "ln",
    "log10",
    "max",
    "median",
    "min",
    "mult",
    "percentile",
    "sin",
    "sinh",
    "sqrt",
    "stddev",
    "sub",
    "sum",
    "tan",
    "tanh",
    "var",
    "vwap",
];

/// Single outputs under names of their own, for tools that cannot take a struct apart: the name,
/// TA-Lib's function and the name of its output.
const PARTS: [(&str, &str, &str); 11] = [
    ("macd_line", "MACD", "macd"),
    ("macd_signal", "MACD", "macdsignal"),
    ("macd_hist", "MACD", "macdhist"),
    ("bb_upper", "BBANDS", "upperband"),
    ("bb_middle", "BBANDS", "middleband"),
    ("bb_lower", "BBANDS", "lowerband"),
    ("bb_percent_b", "PERCENTB", "value"),
    ("bb_width", "BBW", "value"),
    ("stoch_k", "STOCH", "slowk"),
    ("stoch_d", "STOCH", "slowd"),
    ("rsi_stoch_k", "STOCHRSI", "fastk"),
];

/// Returns the definition of every function, and of the parts of some.
pub(crate) fn definitions() -> impl Iterator<Item = Definition> {
    let parts = PARTS.into_iter().filter_map(part);
    abstract_api::funcs().map(definition).chain(parts)
}

/// One output of a function as a function.
fn part((name, of, output): (&'static str, &str, &str)) -> Option<Definition> {
    let info = abstract_api::funcs().find(|info| info.name == of)?;
    let whole = definition(info);
    let index = match whole.outputs {
        [_] => 0,
        several => several.iter().position(|known| known.name == output)?,
    };
    let field = match whole.outputs {
        [_] => String::new(),
        _ => format!("['{output}']"),
    };
    Some(Definition {
        name,
        alias: None,
        description: kept(format!("{} One of its outputs.", whole.description)),
        formula: kept(format!("({}(…) OVER …){field}", whole.name)),
        example: kept(words::example(name, info)),
        outputs: Vec::leak(vec![Output {
            name: "value",
            ..*whole.outputs.get(index)?
        }]),
        reference: kept(format!("an output of {}", whole.reference)),
        compute: Compute::TaLib(info.id, Some(index)),
        ..whole
    })
}

/// Begins a function that runs along; `None` if no bounded number of rows is enough for it.
///
/// # Errors
/// If TA-Lib refuses the parameters.
pub(super) fn begin(id: FuncId, parameters: &[f64]) -> Result<Option<Box<dyn Step>>> {
    if let Some(step) = own::begin(id, parameters) {
        return Ok(Some(step));
    }
    Ok(match tail::reach(id, parameters)? {
        Reach::Rows(rows) => Some(Box::new(Tail::new(id, parameters, rows))),
        Reach::All => None,
    })
}

/// What a function keeps of a partition while it runs along.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kept {
    /// A state of its own.
    Own,
    /// So many of the last rows.
    Rows(usize),
    /// All rows: it does not run along.
    All,
}

/// Says what a function keeps with these parameters, which TA-Lib takes.
pub(super) fn kept_along(id: FuncId, parameters: &[f64]) -> Kept {
    if own::begin(id, parameters).is_some() {
        return Kept::Own;
    }
    match tail::reach(id, parameters) {
        Ok(Reach::Rows(rows)) => Kept::Rows(rows),
        Ok(Reach::All) | Err(_) => Kept::All,
    }
}

/// The form of what a function saves with these parameters, which TA-Lib takes.
pub(super) fn layout(id: FuncId, parameters: &[f64]) -> u32 {
    let is_second = own::SECOND.contains(&id.name());
    match is_second && own::begin(id, parameters).is_some() {
        true => 2,
        false => 1,
    }
}

fn definition(info: &'static FuncInfo) -> Definition {
    let bare = info.name.to_lowercase();
    let prefixed: &'static str = kept(format!("ta_{bare}"));
    let bare = (!PREFIXED.contains(&bare.as_str())).then(|| kept(bare));
    let inputs: Vec<Input> = info.inputs.iter().flat_map(words::inputs).collect();
    let outputs: Vec<Output> = info.outputs.iter().map(output).collect();
    let parameters: Vec<Parameter> = info.opt_inputs.iter().map(parameter).collect();
    Definition {
        name: bare.unwrap_or(prefixed),
        alias: bare.map(|_| prefixed),
        example: kept(words::example(bare.unwrap_or(prefixed), info)),
        description: kept(words::description(info)),
        formula: kept(words::formula(info)),
        reference: kept(format!("TA-Lib {} ({})", info.name, info.group.as_str())),
        inputs: Vec::leak(inputs),
        parameters: Vec::leak(parameters),
        outputs: Vec::leak(outputs),
        gaps: Gaps::PassedOver,
        compute: Compute::TaLib(info.id, None),
    }
}

/// Keeps a text as long as the process: the definitions are made once and never go away.
fn kept(text: String) -> &'static str {
    String::leak(text)
}

fn output(info: &abstract_api::OutputInfo) -> Output {
    Output {
        name: kept(words::output_name(info.param_name)),
        kind: match info.kind {
            OutputType::Real => OutputKind::Number,
            OutputType::Integer => OutputKind::Integer,
        },
    }
}

fn parameter(info: &abstract_api::OptInputInfo) -> Parameter {
    let name = info.param_name.trim_start_matches("optIn").to_lowercase();
    let (domain, default) = match info.kind {
        OptInputType::IntegerRange {
            min, max, default, ..
        } => (
            Domain::Integer(i64::from(min), i64::from(max)),
            f64::from(default),
        ),
        OptInputType::RealRange {
            min, max, default, ..
        } => (Domain::Real(min, max), default),
        OptInputType::IntegerList { values, default } => (Domain::Choice(values), default as f64),
        // No function has one: a number from its least to its greatest value.
        OptInputType::RealList { values, default } => {
            let numbers = || values.iter().map(|(number, _)| *number);
            let most = numbers().fold(f64::MIN, f64::max);
            (
                Domain::Real(numbers().fold(f64::MAX, f64::min), most),
                default,
            )
        }
    };
    Parameter {
        name: kept(name),
        domain,
        default: Default::Value(default),
    }
}

/// The outputs of one call, as TA-Lib writes them.
struct Buffers {
    reals: Vec<Vec<f64>>,
    integers: Vec<Vec<i32>>,
}

/// Returns the outputs of a function for the last row of a series that is not empty; `None` in the
/// warm-up.
///
/// # Errors
/// If TA-Lib refuses the series.
fn last(id: FuncId, series: &Series<'_>) -> Result<Option<Vec<f64>>> {
    let (buffers, _, count) = computed(id, series)?;
    let Some(at) = count.checked_sub(1) else {
        return Ok(None);
    };
    let outputs = id.info().outputs.iter().enumerate();
    let values = outputs.map(|(index, info)| match info.kind {
        OutputType::Real => buffers.reals[index][at],
        OutputType::Integer => f64::from(buffers.integers[index][at]),
    });
    Ok(Some(values.collect()))
}

/// Runs a function over a series that is not empty; rows of the warm-up are NaN.
///
/// # Errors
/// If TA-Lib refuses the series: above 100 million rows.
pub(super) fn run(id: FuncId, series: &Series<'_>) -> Result<Vec<Vec<f64>>> {
    let row_count = series.row_count();
    let outputs = id.info().outputs;
    let (buffers, begin, count) = computed(id, series)?;
    let padded = |(index, info): (usize, &abstract_api::OutputInfo)| {
        let mut values = vec![f64::NAN; begin.min(row_count)];
        match info.kind {
            OutputType::Real => values.extend(&buffers.reals[index][..count]),
            OutputType::Integer => {
                let integers = buffers.integers[index].iter().take(count);
                values.extend(integers.map(|&value| f64::from(value)));
            }
        }
        values.resize(row_count, f64::NAN);
        values
    };
    Ok(outputs.iter().enumerate().map(padded).collect())
}

/// Computes a whole series: the outputs, the first row with one, and how many follow.
fn computed(id: FuncId, series: &Series<'_>) -> Result<(Buffers, usize, usize)> {
    let row_count = series.row_count();
    let outputs = id.info().outputs;
    let real = |info: &abstract_api::OutputInfo| match info.kind {
        OutputType::Real => vec![0.0; row_count],
        OutputType::Integer => Vec::new(),
    };
    let integer = |info: &abstract_api::OutputInfo| match info.kind {
        OutputType::Real => Vec::new(),
        OutputType::Integer => vec![0; row_count],
    };
    let mut buffers = Buffers {
        reals: outputs.iter().map(real).collect(),
        integers: outputs.iter().map(integer).collect(),
    };
    let (begin, count) = call(id, series, &mut buffers).map_err(|code| {
        exec_datafusion_err!(
            "cannot compute {} over a partition of {row_count} rows: {code:?}",
            id.name()
        )
    })?;
    Ok((buffers, begin, count))
}

/// Calls TA-Lib and returns the first row with an output and how many follow.
fn call(
    id: FuncId,
    series: &Series<'_>,
    buffers: &mut Buffers,
) -> std::result::Result<(usize, usize), ta_lib::RetCode> {
    let core = Core::new();
    let info = id.info();
    let mut call = id.new_call(&core);
    let mut given = series.inputs.iter().copied();
    for (slot, input) in info.inputs.iter().enumerate() {
        match input.kind {
            InputType::Price => {
                let mut part = |bit: u32| {
                    let is_read = input.flags.bits() & (1 << bit) != 0;
                    if is_read { given.next() } else { None }
                };
                let [open, high, low, close, volume] = [0, 1, 2, 3, 4].map(&mut part);
                call.set_price_input(slot, open, high, low, close, volume, None)?;
            }
            InputType::Real | InputType::Integer => {
                call.set_input(slot, given.next().unwrap_or_default())?;
            }
        }
    }
    for (index, (info, &value)) in info.opt_inputs.iter().zip(series.parameters).enumerate() {
        match info.kind {
            OptInputType::IntegerRange { .. } | OptInputType::IntegerList { .. } => {
                // Checked against TA-Lib's own range, which is one of 32 bits.
                call.set_opt_input(index, value as i32)?;
            }
            OptInputType::RealRange { .. } | OptInputType::RealList { .. } => {
                call.set_opt_input(index, value)?;
            }
        }
    }
    let columns = buffers.reals.iter_mut().zip(&mut buffers.integers);
    for (index, (info, (real, integer))) in info.outputs.iter().zip(columns).enumerate() {
        match info.kind {
            OutputType::Real => call.set_output(index, real)?,
            OutputType::Integer => call.set_int_output(index, integer)?,
        };
    }
    let last = series.row_count().saturating_sub(1);
    let range = call.call(0, last)?;
    Ok((range.beg_idx, range.count))
}

#[cfg(test)]
mod tests;
