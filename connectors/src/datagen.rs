//! The seeded market generator as a source: rows as a pure function of seed and offset, so that
//! every replay from any offset is exact.
//!
//! ```text
//! options ─▶ GeneratorOptions ─▶ column::Fill per column ─▶ source ─▶ rows
//!                                market (trades, quotes) ┘   noise, symbols: hashing, no history
//! ```
//!
//! Event time starts at `start-time` and advances by 1 / `rows-per-second` a row; the wall clock
//! only paces reading.
//! [`market`] also serves, as a library, those who put the same market into a topic.

use std::sync::Arc;

use rtsap_stream::error::ConnectorError;
use rtsap_stream::registry::SourceRequest;
use rtsap_stream::source::Source;

use crate::generated::GeneratorSource;

mod column;
pub mod market;
pub(crate) mod noise;
mod options;
mod source;
mod symbols;
mod text;
mod value;

/// Checks the options and columns of a generator.
///
/// # Errors
/// `Invalid` for an unknown or wrong option, and for a column that no rule fills.
pub fn check(request: &SourceRequest) -> Result<(), ConnectorError> {
    generator(request).map(drop)
}

/// The generator as a source.
///
/// # Errors
/// As [`check`].
pub fn source(request: &SourceRequest) -> Result<Arc<dyn Source>, ConnectorError> {
    Ok(Arc::new(GeneratorSource::new(
        &request.name,
        generator(request)?,
    )))
}

fn generator(request: &SourceRequest) -> Result<source::Generator, ConnectorError> {
    let options = options::GeneratorOptions::read(request)?;
    let columns = column::columns(request, &options)?;
    Ok(source::Generator::new(options, columns))
}
