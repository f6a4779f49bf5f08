//! Kafka topics as a source: one client a source, exact offsets, no consumer group.
//!
//! Offsets live in checkpoints. The source is told where to start, reads from exactly there, and
//! fails with [`rtsap_stream::error::ErrorKind::Data`] when the offset no longer exists; it never
//! jumps silently. Transactions are respected (`isolation.level = read_committed`): aborted
//! messages are not seen, and positions step over control records.

use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use async_trait::async_trait;
use rtsap_stream::error::{ConnectorError, ErrorKind};
use rtsap_stream::registry::SourceRequest;
use rtsap_stream::source::{Positions, Source, SourceReader};

use crate::format;

pub mod bare;
mod client;
mod consumer;
pub mod options;
mod positions;
mod reader;
pub mod sink;

use client::Client;
use options::KafkaOptions;
use reader::KafkaReader;

/// Checks the options of a Kafka source without touching the network.
///
/// # Errors
/// `Invalid` for an option that is missing, unknown or has a bad value.
pub fn check(request: &SourceRequest) -> Result<(), ConnectorError> {
    read_options(request).map(|_| ())
}

/// The source that `request` describes.
///
/// # Errors
/// As [`check`].
pub fn source(request: &SourceRequest) -> Result<Arc<dyn Source>, ConnectorError> {
    Ok(Arc::new(KafkaSource {
        options: Arc::new(read_options(request)?),
    }))
}

fn read_options(request: &SourceRequest) -> Result<KafkaOptions, ConnectorError> {
    let upsert = request.options.get("connector").is_some_and(|name| {
        let name = name.trim();
        name.eq_ignore_ascii_case("upsert-kafka")
    });
    if upsert && request.primary_key.is_empty() {
        let name = &request.name;
        let message =
            format!("source \"{name}\" with connector \"upsert-kafka\" has no primary key");
        return Err(ConnectorError::invalid(message)
            .with_hint("Declare it: PRIMARY KEY (column) NOT ENFORCED."));
    }
    let format_keys = format::option_keys(&request.name, &request.options)?;
    KafkaOptions::read(&request.name, &request.options, &format_keys)
}

/// A Kafka topic.
pub struct KafkaSource {
    options: Arc<KafkaOptions>,
}

impl KafkaSource {
    /// Runs `work` with a client of its own on a thread that may block.
    async fn blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce(&KafkaOptions, Client) -> Result<T, ConnectorError> + Send + 'static,
    ) -> Result<T, ConnectorError> {
        let options = Arc::clone(&self.options);
        let task = tokio::task::spawn_blocking(move || {
            let mut config = options.client_config();
            config.set(
                "enable.partition.eof",
                if options.bounded { "true" } else { "false" },
            );
            let client = client::open(&config)?;
            work(&options, client)
        });
        task.await.map_err(|error| {
            ConnectorError::new(ErrorKind::Internal, "the Kafka request was abandoned")
                .with_source(error)
        })?
    }
}

#[async_trait]
impl Source for KafkaSource {
    async fn start_positions(&self) -> Result<Positions, ConnectorError> {
        self.blocking(|options, client| positions::start(options, &client))
            .await
    }

    async fn end_positions(&self) -> Result<Positions, ConnectorError> {
        self.blocking(|options, client| positions::end(options, &client))
            .await
    }

    fn is_bounded(&self) -> bool {
        self.options.bounded
    }

    async fn open(
        &self,
        positions: &Positions,
        _projection: &SchemaRef,
    ) -> Result<Box<dyn SourceReader>, ConnectorError> {
        let positions = positions.clone();
        let reader = self.blocking(move |options, client| {
            let ends = if options.bounded {
                Some(positions::end(options, &client)?)
            } else {
                None
            };
            KafkaReader::open(options, client, &positions, ends.as_ref())
        });
        Ok(Box::new(reader.await?))
    }
}
