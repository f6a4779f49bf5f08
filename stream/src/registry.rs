//! A connector by its name and `WITH` options.

use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;

use crate::decode::{DecodeSchema, Decoder};
use crate::error::ConnectorError;
use crate::sink::{Sink, SinkInput};
use crate::source::Source;

/// `WITH` options as written: lowercase keys, values as text, secrets resolved. `Debug` shows keys
/// only.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Options(pub BTreeMap<String, String>);

impl Options {
    /// The value of `key`, if given.
    pub fn get(&self, key: &str) -> Option<&str> {
        self.0.get(key).map(String::as_str)
    }
}

impl std::fmt::Debug for Options {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}

/// What a source declares about itself, for the connector to check and open.
#[derive(Clone, Debug)]
pub struct SourceRequest {
    /// The source's name, for messages.
    pub name: String,
    /// All physical columns (no computed ones).
    pub columns: DecodeSchema,
    /// Indices of the physical columns of its primary key; none if it has no such key.
    pub primary_key: Vec<usize>,
    /// The `WITH` options.
    pub options: Options,
}

/// Makes sources, decoders and sinks from names and options. Injected into the engine; the engine
/// knows no connector.
#[async_trait]
pub trait ConnectorRegistry: Send + Sync {
    /// Names of the source connectors, for error messages.
    fn source_names(&self) -> Vec<&'static str>;

    /// Names of the sink connectors.
    fn sink_names(&self) -> Vec<&'static str>;

    /// Checks all options of a source without touching the network.
    ///
    /// # Errors
    /// `Invalid` for an unknown connector, an unknown option (with the nearest name), or a bad
    /// value.
    fn check_source(&self, request: &SourceRequest) -> Result<(), ConnectorError>;

    /// The source itself.
    ///
    /// # Errors
    /// As [`ConnectorRegistry::check_source`].
    fn source(&self, request: &SourceRequest) -> Result<Arc<dyn Source>, ConnectorError>;

    /// A decoder for the payloads of this source that fills only `columns` (a subset of the
    /// source's columns).
    ///
    /// # Errors
    /// `Invalid` if the format cannot fill a column of that type.
    fn decoder(
        &self,
        request: &SourceRequest,
        columns: &DecodeSchema,
    ) -> Result<Box<dyn Decoder>, ConnectorError>;

    /// The widest changelog that the sink connector named in `options` takes, and its options
    /// checked, offline.
    ///
    /// # Errors
    /// `Invalid` for an unknown connector or option.
    fn check_sink(&self, options: &Options)
    -> Result<crate::change::ChangelogMode, ConnectorError>;

    /// The sink itself; it connects in [`Sink::fence`].
    ///
    /// # Errors
    /// `Invalid` for a bad option or a column type that the target has no counterpart for.
    fn sink(&self, input: &SinkInput, options: &Options) -> Result<Box<dyn Sink>, ConnectorError>;
}
