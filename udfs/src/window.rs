//! Window functions: one value per row from the rows before it in its partition.
//!
//! ```text
//! definition   what a function is called with and gives, as data
//! parameter    its constants: defaults, ranges, how they are read
//! talib        the definitions of TA-Lib's functions, read from its own metadata
//! rolling, decaying, cumulative, signal    the definitions of our own
//! function     DataFusion's form of a definition, and what it refuses
//! position     positions and their profit, exact in decimals
//! step         a function that runs along row by row, and how what it remembers is saved
//! partition    runs a definition over the rows of a partition, at once or as they come
//! ```
//!
//! Rows with an input that is null, NaN or infinite are passed over: they give null and leave
//! the function as it is. A value that is not finite is null as well.

mod cumulative;
mod decaying;
pub(crate) mod definition;
pub(crate) mod function;
mod parameter;
mod partition;
pub(crate) mod position;
mod rolling;
mod signal;
mod step;
pub(crate) mod talib;

use std::sync::{Arc, LazyLock};

use datafusion::arrow::datatypes::DataType;
use datafusion::common::{Result, internal_err};
use datafusion::logical_expr::WindowUDF;
use datafusion::physical_plan::PhysicalExpr;

use crate::running::{Along, Running};
use definition::{Compute, Entry};
use parameter::Parameter;

/// Returns every window function of ours, sorted by name.
pub(crate) fn all() -> &'static [Entry] {
    static ALL: LazyLock<Vec<Entry>> = LazyLock::new(|| {
        let ours = cumulative::DEFINITIONS
            .iter()
            .chain(&decaying::DEFINITIONS)
            .chain(&rolling::DEFINITIONS)
            .chain(&signal::DEFINITIONS);
        let definitions = talib::definitions().chain(ours.cloned());
        let mut entries: Vec<Entry> = definitions.map(Entry::new).collect();
        entries.sort_by_key(|entry| entry.definition.name);
        entries
    });
    &ALL
}

/// Returns what a streaming view keeps for a function with its usual parameters, in words; `None`
/// for a name of no window function.
pub(crate) fn in_views(name: &str) -> Option<String> {
    let own = "own state".to_owned();
    let is_named = |entry: &&Entry| {
        let definition = &entry.definition;
        definition.name == name || definition.alias == Some(name)
    };
    let Some(entry) = all().iter().find(is_named) else {
        let mut positions = position::docs();
        return positions.any(|doc| doc.name == name).then_some(own);
    };
    let definition = &entry.definition;
    Some(match definition.compute {
        Compute::Ours(_) => own,
        Compute::Whole(_) => "refused".to_owned(),
        Compute::TaLib(id, _) => {
            let parameters = definition.parameters.iter().map(Parameter::usual);
            match talib::kept_along(id, &parameters.collect::<Vec<_>>()) {
                talib::Kept::Own => own,
                talib::Kept::Rows(1) => "ring of 1 row".to_owned(),
                talib::Kept::Rows(rows) => format!("ring of {rows} rows"),
                talib::Kept::All => "refused".to_owned(),
            }
        }
    })
}

/// See [`crate::running::along`].
pub(crate) fn along(
    function: &WindowUDF,
    arguments: &[Arc<dyn PhysicalExpr>],
) -> Option<Result<Along>> {
    let inner = function.inner().as_ref();
    if let Some(ours) = inner.downcast_ref::<function::Function>() {
        return Some(ours.along(arguments));
    }
    let position = inner.downcast_ref::<position::Position>()?;
    Some(Ok(position.along(arguments)))
}

/// See [`crate::running::start`].
pub(crate) fn start(
    function: &WindowUDF,
    arguments: &[Arc<dyn PhysicalExpr>],
    types: &[DataType],
) -> Result<Box<dyn Running>> {
    let inner = function.inner().as_ref();
    if let Some(ours) = inner.downcast_ref::<function::Function>() {
        return ours.start(arguments);
    }
    match inner.downcast_ref::<position::Position>() {
        Some(position) => position.start(arguments, types),
        None => internal_err!("{} does not run along", function.name()),
    }
}
