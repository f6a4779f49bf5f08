//! TimescaleDB and plain PostgreSQL as a sink, exactly once.
//!
//! ```text
//! ChangeBatches ─▶ net (one change a key) ─▶ binary ─COPY─▶ stage ─▶ delete, upsert ─▶ target
//!                                  one transaction with `rtsap.sink_progress`: all of an epoch or nothing
//! ```
//!
//! The epoch record in the transaction is the guarantee: a lost answer to COMMIT, a repeated call
//! and an old process that still writes are all resolved by comparing and setting it. See `sink`
//! for the protocol, `target` for the table.

use rtsap_stream::change::ChangelogMode;
use rtsap_stream::error::ConnectorError;
use rtsap_stream::registry::Options;
use rtsap_stream::sink::{Sink, SinkInput};

mod binary;
mod column;
mod connection;
mod numeric;
mod options;
mod progress;
mod sink;
mod statements;
mod target;

/// Checks the options and says which changes the sink takes: all of them.
///
/// # Errors
/// `Invalid` for an unknown or wrong option.
pub fn check(options: &Options) -> Result<ChangelogMode, ConnectorError> {
    options::SinkOptions::read("the sink", options)?;
    Ok(ChangelogMode::Retract)
}

/// The sink; it connects when it is fenced.
///
/// # Errors
/// `Invalid` for a wrong option or a column that PostgreSQL has no type for.
pub fn sink(input: &SinkInput, options: &Options) -> Result<Box<dyn Sink>, ConnectorError> {
    let options = options::SinkOptions::read(&format!("sink \"{}\"", input.sink), options)?;
    Ok(Box::new(sink::TimescaleSink::new(input, options)?))
}
