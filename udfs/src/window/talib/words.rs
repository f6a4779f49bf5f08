//! The words that TA-Lib's metadata become: names of arguments and outputs, descriptions,
//! examples.

use ta_lib::Core;
use ta_lib::abstract_api::{FuncFlags, FuncInfo, InputInfo, InputType};

use crate::window::definition::Input;

/// The parts of a bar in the order of TA-Lib's flag bits.
const PARTS: [&str; 5] = ["open", "high", "low", "close", "volume"];

/// Returns the arguments that one input of TA-Lib stands for: a bar's parts, or one series.
pub(super) fn inputs(info: &InputInfo) -> Vec<Input> {
    let names: Vec<&'static str> = match (info.kind, info.param_name) {
        (InputType::Price, _) => {
            let parts = PARTS.iter().enumerate();
            let read = parts.filter(|(bit, _)| info.flags.bits() & (1 << bit) != 0);
            read.map(|(_, part)| *part).collect()
        }
        (_, "inReal0") => vec!["value0"],
        (_, "inReal1") => vec!["value1"],
        (_, "inPeriods") => vec!["periods"],
        _ => vec!["value"],
    };
    names.into_iter().map(Input::number).collect()
}

/// Returns the name of an output: `outRealUpperBand` is `upperband`, `outMACDSignal` `macdsignal`.
pub(super) fn output_name(name: &str) -> String {
    let name = name.trim_start_matches("out");
    let bare = name
        .strip_prefix("Real")
        .or_else(|| name.strip_prefix("Integer"))
        .filter(|rest| !rest.is_empty());
    bare.unwrap_or(name).to_lowercase()
}

/// Returns what a function computes, in a sentence.
pub(super) fn description(info: &FuncInfo) -> String {
    format!("{}.", info.hint.trim_end_matches('.'))
}

/// Returns the rules that hold for a function.
pub(super) fn formula(info: &FuncInfo) -> String {
    let mut text = format!("TA-Lib {} over the rows with values", info.name);
    let core = Core::new();
    match info.id.new_call(&core).lookback() {
        Ok(0) | Err(_) => {}
        Ok(1) => text.push_str("; the first of them is null"),
        Ok(lookback) if info.opt_inputs.is_empty() => {
            text.push_str(&format!("; the first {lookback} of them are null"));
        }
        Ok(lookback) => text.push_str(&format!(
            "; the first {lookback} of them are null at the defaults"
        )),
    }
    if info.flags.contains(FuncFlags::PATH_DEPENDENT) {
        text.push_str("; depends on the partition's first row");
    }
    if info.flags.contains(FuncFlags::NAN_INF_OUTPUT) {
        text.push_str("; null where there is no finite result");
    }
    text
}

/// Returns a query over the example tables.
pub(super) fn example(name: &str, info: &FuncInfo) -> String {
    let names: Vec<&str> = info
        .inputs
        .iter()
        .flat_map(inputs)
        .map(|i| i.name)
        .collect();
    let (table, columns): (_, Vec<String>) = if names.iter().any(|name| PARTS.contains(name)) {
        let column = |name: &&str| match *name {
            "value" => "close(candle)".to_owned(),
            part => format!("{part}(candle)"),
        };
        ("bars", names.iter().map(column).collect())
    } else {
        let column = |name: &&str| match *name {
            "value1" | "periods" => "size".to_owned(),
            _ => "price".to_owned(),
        };
        ("trades", names.iter().map(column).collect())
    };
    format!(
        "SELECT symbol, ts, {name}({}) OVER (PARTITION BY symbol ORDER BY ts) FROM {table}",
        columns.join(", ")
    )
}
