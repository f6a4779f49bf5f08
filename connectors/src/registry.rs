//! The built-in connectors, chosen by the option `connector`. Decides nothing itself: each system's
//! module checks its own options.

use std::sync::Arc;

use rtsap_stream::change::ChangelogMode;
use rtsap_stream::decode::{DecodeSchema, Decoder};
use rtsap_stream::error::ConnectorError;
use rtsap_stream::registry::{ConnectorRegistry, Options, SourceRequest};
use rtsap_stream::sink::{Sink, SinkInput};
use rtsap_stream::source::Source;

use crate::options::nearest;
use crate::{blackhole, datagen, filesystem, format, kafka, nexmark, timescale};

/// Source connectors, as written in `'connector' = '…'`.
const SOURCES: [&str; 5] = ["datagen", "filesystem", "kafka", "nexmark", "upsert-kafka"];

/// Sink connectors, as written in `'connector' = '…'`.
const SINKS: [&str; 6] = [
    "blackhole",
    "filesystem",
    "kafka",
    "postgres",
    "timescaledb",
    "upsert-kafka",
];

/// All connectors of this crate.
#[derive(Clone, Copy, Debug, Default)]
pub struct BuiltinConnectors;

impl ConnectorRegistry for BuiltinConnectors {
    fn source_names(&self) -> Vec<&'static str> {
        SOURCES.to_vec()
    }

    fn sink_names(&self) -> Vec<&'static str> {
        SINKS.to_vec()
    }

    fn check_source(&self, request: &SourceRequest) -> Result<(), ConnectorError> {
        match source_connector(request)? {
            "kafka" | "upsert-kafka" => {
                kafka::check(request)?;
                format::decoder(request, &request.columns).map(|_| ())
            }
            "filesystem" => filesystem::check(request),
            "nexmark" => nexmark::check(request),
            _ => datagen::check(request),
        }
    }

    fn source(&self, request: &SourceRequest) -> Result<Arc<dyn Source>, ConnectorError> {
        match source_connector(request)? {
            "kafka" | "upsert-kafka" => kafka::source(request),
            "filesystem" => filesystem::source(request),
            "nexmark" => nexmark::source(request),
            _ => datagen::source(request),
        }
    }

    fn decoder(
        &self,
        request: &SourceRequest,
        columns: &DecodeSchema,
    ) -> Result<Box<dyn Decoder>, ConnectorError> {
        match source_connector(request)? {
            "kafka" | "upsert-kafka" => format::decoder(request, columns),
            "filesystem" => filesystem::decoder(request, columns),
            other => Err(ConnectorError::invalid(format!(
                "source \"{}\" with connector \"{other}\" makes rows itself and has no decoder",
                request.name
            ))),
        }
    }

    fn check_sink(&self, options: &Options) -> Result<ChangelogMode, ConnectorError> {
        match connector(options, "the sink", &SINKS)? {
            "blackhole" => blackhole::check(options),
            "filesystem" => filesystem::sink::check(options),
            "kafka" | "upsert-kafka" => kafka::sink::check(options),
            _ => timescale::check(options),
        }
    }

    fn sink(&self, input: &SinkInput, options: &Options) -> Result<Box<dyn Sink>, ConnectorError> {
        match connector(options, &format!("sink \"{}\"", input.sink), &SINKS)? {
            "blackhole" => blackhole::sink(input, options),
            "filesystem" => filesystem::sink::sink(input, options),
            "kafka" | "upsert-kafka" => kafka::sink::sink(input, options),
            _ => timescale::sink(input, options),
        }
    }
}

fn source_connector(request: &SourceRequest) -> Result<&'static str, ConnectorError> {
    connector(
        &request.options,
        &format!("source \"{}\"", request.name),
        &SOURCES,
    )
}

/// The connector named in `options`, one of `known`.
fn connector(
    options: &Options,
    subject: &str,
    known: &[&'static str],
) -> Result<&'static str, ConnectorError> {
    let list = known.join(", ");
    let Some(name) = options.get("connector") else {
        return Err(ConnectorError::invalid(format!(
            "option \"connector\" of {subject} is missing"
        ))
        .with_hint(format!("Possible values: {list}.")));
    };
    let wanted = name.trim();
    if let Some(found) = known
        .iter()
        .find(|known| known.eq_ignore_ascii_case(wanted))
    {
        return Ok(found);
    }
    let hint = match nearest(wanted, known.iter().copied()) {
        Some(near) => format!("Did you mean '{near}'? Possible values: {list}."),
        None => format!("Possible values: {list}."),
    };
    Err(
        ConnectorError::invalid(format!("unknown connector \"{name}\" for {subject}"))
            .with_hint(hint),
    )
}

#[cfg(test)]
mod tests;
