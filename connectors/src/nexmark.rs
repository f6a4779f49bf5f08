//! The Nexmark auction site as a source: people, auctions and bids as pure functions of seed and
//! number, so that every replay from any offset is exact.
//!
//! ```text
//! options ─▶ NexmarkOptions ─▶ event (person, auction, bid by number) ─▶ column ─▶ rows
//! ```
//!
//! The stream is that of the benchmark's public generators (Beam, Flink, RisingWave, Arroyo): of 50
//! events one is a person, three are auctions, the rest are bids; half of the bids go to one hot
//! auction in a hundred, three quarters come from hot bidders. One source reads the events of one
//! type. The random numbers are our own, so single values differ from other generators' while
//! shapes, keys and times do not.

use std::sync::Arc;

use rtsap_stream::error::ConnectorError;
use rtsap_stream::registry::SourceRequest;
use rtsap_stream::source::Source;

use crate::generated::GeneratorSource;

mod column;
mod event;
mod options;
mod rows;

/// Checks the options and columns of a Nexmark source.
///
/// # Errors
/// `Invalid` for an unknown or wrong option, and for a column that its events do not have.
pub fn check(request: &SourceRequest) -> Result<(), ConnectorError> {
    generator(request).map(drop)
}

/// The events of one type as a source.
///
/// # Errors
/// As [`check`].
pub fn source(request: &SourceRequest) -> Result<Arc<dyn Source>, ConnectorError> {
    let source = GeneratorSource::new(&request.name, generator(request)?);
    Ok(Arc::new(source))
}

fn generator(request: &SourceRequest) -> Result<rows::NexmarkRows, ConnectorError> {
    let options = options::NexmarkOptions::read(request)?;
    let columns = column::columns(request, options.kind)?;
    Ok(rows::NexmarkRows::new(options, columns))
}
