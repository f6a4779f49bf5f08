//! Logs and metrics: installed once, at the start.

use std::io::IsTerminal;

use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};
use tracing_subscriber::EnvFilter;

use crate::config::Config;
use crate::error::ServerError;

/// Installs the logger (standard error) and the metrics recorder.
///
/// # Errors
/// [`ServerError::Config`] if the filter cannot be read or something is installed already.
pub fn install(config: &Config) -> Result<PrometheusHandle, ServerError> {
    let bad = |message: String| ServerError::Config {
        message,
        hint: None,
    };
    let filter = EnvFilter::try_new(&config.log)
        .map_err(|error| bad(format!("cannot read log filter {:?}: {error}", config.log)))?;
    let logs = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_ansi(std::io::stderr().is_terminal())
        .with_writer(std::io::stderr);
    let installed = if config.log_json {
        logs.json().try_init()
    } else {
        logs.try_init()
    };
    installed.map_err(|error| bad(format!("cannot install the logger: {error}")))?;
    let handle = PrometheusBuilder::new()
        .install_recorder()
        .map_err(|error| bad(format!("cannot install the metrics recorder: {error}")))?;
    rtsap_engine::status::describe_metrics();
    rtsap_connectors::metrics::describe();
    Ok(handle)
}
