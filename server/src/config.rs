//! Configuration: file, then environment and arguments, into one struct. Unknown keys are refused.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::Deserialize;

use crate::cli::{CommonArgs, ServeArgs};
use crate::error::ServerError;

/// Everything the server needs to know.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// Catalog, checkpoints and table logs, unless `checkpoint_url` says otherwise.
    pub data_dir: PathBuf,
    /// Where PostgreSQL clients connect.
    pub pg: SocketAddr,
    /// Where Arrow Flight clients connect.
    pub flight: SocketAddr,
    /// Probes, metrics, status page.
    pub http: SocketAddr,
    /// Log filter.
    pub log: String,
    /// Whether logs are JSON lines.
    pub log_json: bool,
    /// Where checkpoints go; `None` is the data directory.
    pub checkpoint_url: Option<String>,
    /// Shortest time between two checkpoints.
    pub checkpoint_interval: Duration,
    /// Whether other than loopback addresses may be used without TLS and passwords.
    pub insecure_listen: bool,
}

impl Default for Config {
    fn default() -> Self {
        let local = |port| SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), port);
        Self {
            data_dir: PathBuf::from("rtsap-data"),
            pg: local(5433),
            flight: local(8815),
            http: local(8090),
            log: "info".to_owned(),
            log_json: false,
            checkpoint_url: None,
            checkpoint_interval: Duration::from_secs(1),
            insecure_listen: false,
        }
    }
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct File {
    data_dir: Option<PathBuf>,
    insecure_listen: Option<bool>,
    pg: Listen,
    flight: Listen,
    http: Listen,
    log: Log,
    checkpoint: Checkpoint,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Listen {
    listen: Option<SocketAddr>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Log {
    filter: Option<String>,
    json: Option<bool>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Checkpoint {
    url: Option<String>,
    interval_ms: Option<u64>,
}

impl Config {
    /// The configuration that `args` describe.
    ///
    /// # Errors
    /// [`ServerError::Config`] if the file cannot be read or has an unknown key or a bad value.
    pub fn load(args: &ServeArgs) -> Result<Self, ServerError> {
        let mut config = Self::default();
        if let Some(path) = &args.config {
            let text = std::fs::read_to_string(path).map_err(|source| ServerError::Io {
                action: format!("read configuration {}", path.display()),
                source,
            })?;
            config.read(&text, path)?;
        }
        config.pg = args.pg_listen.unwrap_or(config.pg);
        config.flight = args.flight_listen.unwrap_or(config.flight);
        config.http = args.http_listen.unwrap_or(config.http);
        config.apply(&args.common);
        config.checkpoint_url = args.checkpoint_url.clone().or(config.checkpoint_url);
        config.insecure_listen |= args.insecure_listen;
        config.check()?;
        Ok(config)
    }

    /// Takes over what the command line says.
    pub fn apply(&mut self, args: &CommonArgs) {
        if let Some(data_dir) = &args.data_dir {
            self.data_dir.clone_from(data_dir);
        }
        let set = |address: &mut SocketAddr, port: Option<u16>| {
            if let Some(port) = port {
                address.set_port(port);
            }
        };
        set(&mut self.pg, args.pg_port);
        set(&mut self.flight, args.flight_port);
        set(&mut self.http, args.http_port);
        if let Some(log) = &args.log {
            self.log.clone_from(log);
        }
    }

    fn read(&mut self, text: &str, path: &Path) -> Result<(), ServerError> {
        let file: File = toml::from_str(text).map_err(|error| ServerError::Config {
            message: format!("cannot read configuration {}: {error}", path.display()),
            hint: Some("Every key is described in docs/operations.md.".to_owned()),
        })?;
        self.data_dir = file.data_dir.unwrap_or_else(|| self.data_dir.clone());
        self.insecure_listen = file.insecure_listen.unwrap_or(self.insecure_listen);
        self.pg = file.pg.listen.unwrap_or(self.pg);
        self.flight = file.flight.listen.unwrap_or(self.flight);
        self.http = file.http.listen.unwrap_or(self.http);
        self.log = file.log.filter.unwrap_or_else(|| self.log.clone());
        self.log_json = file.log.json.unwrap_or(self.log_json);
        self.checkpoint_url = file.checkpoint.url.or_else(|| self.checkpoint_url.clone());
        if let Some(interval) = file.checkpoint.interval_ms {
            self.checkpoint_interval = Duration::from_millis(interval);
        }
        Ok(())
    }

    /// Refuses addresses that are open to others: this version has neither TLS nor passwords.
    fn check(&self) -> Result<(), ServerError> {
        let open = [self.pg, self.flight, self.http]
            .into_iter()
            .find(|a| !a.ip().is_loopback());
        match open {
            Some(address) if !self.insecure_listen => Err(ServerError::Config {
                message: format!("refusing to listen on {address} without TLS and authentication"),
                hint: Some(
                    "Listen on 127.0.0.1, or say --insecure-listen in a network that is closed by \
                     other means."
                        .to_owned(),
                ),
            }),
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests;
