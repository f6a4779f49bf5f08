//! Builds the parts in order, joins them, and takes them down in the opposite order.

use std::future::Future;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use metrics_exporter_prometheus::PrometheusHandle;
use rtsap_connectors::registry::BuiltinConnectors;
use rtsap_engine::Engine;
use rtsap_engine::config::EngineConfig;
use rtsap_flight_server::FlightServerConfig;
use rtsap_pgwire_server::server::{self as pg_server, PgServerConfig};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::config::Config;
use crate::error::ServerError;
use crate::{admin, store};

/// How long a start waits for its ports.
const PORT_WAIT_MAX: Duration = Duration::from_secs(3);

/// How often it looks.
const PORT_ASK_INTERVAL: Duration = Duration::from_millis(50);

/// A running server.
pub struct Server {
    engine: Engine,
    shutdown: CancellationToken,
    parts: Vec<JoinHandle<Result<(), ServerError>>>,
    /// Where PostgreSQL clients connect.
    pub pg: SocketAddr,
    /// Where Arrow Flight clients connect.
    pub flight: SocketAddr,
    /// Probes, metrics, status page.
    pub http: SocketAddr,
}

impl Server {
    /// Starts everything that `config` describes. Listeners are bound before state is touched, so a
    /// taken port fences nobody; clients are served once the catalog runs.
    ///
    /// # Errors
    /// [`ServerError`]; nothing is left running.
    pub async fn start(config: &Config, metrics: PrometheusHandle) -> Result<Self, ServerError> {
        let listen = |address: SocketAddr, purpose| {
            move |error: &dyn std::fmt::Display| ServerError::Listen {
                address: address.to_string(),
                purpose,
                reason: error.to_string(),
            }
        };
        let insecure_listen = config.insecure_listen;
        let pg = PgServerConfig {
            listen: config.pg,
            insecure_listen,
        };
        for address in [config.pg, config.flight, config.http] {
            until_free(address).await;
        }
        let pg_failed = listen(config.pg, "PostgreSQL clients");
        let pg = pg_server::bind(pg)
            .await
            .map_err(|error| pg_failed(&error))?;
        let flight = FlightServerConfig {
            listen: config.flight,
            insecure_listen,
        };
        let flight_failed = listen(config.flight, "Arrow Flight clients");
        let flight = rtsap_flight_server::bind(flight)
            .await
            .map_err(|error| flight_failed(&error))?;
        let http = admin::bind(config.http).await?;
        let (pg_address, flight_address) = (pg.local_addr(), flight.local_addr());
        let http_address = http.local_addr().map_err(|source| ServerError::Io {
            action: "bind HTTP".to_owned(),
            source,
        })?;

        let engine = Engine::start(engine_config(config)?, Arc::new(BuiltinConnectors)).await?;
        let shutdown = CancellationToken::new();
        let ended = || wait(shutdown.clone());
        let mut parts: Vec<JoinHandle<Result<(), ServerError>>> = Vec::new();
        let (serving, stop) = (engine.clone(), ended());
        parts.push(tokio::spawn(async move {
            pg.serve(serving, stop)
                .await
                .map_err(|error| pg_failed(&error))
        }));
        let (serving, stop) = (engine.clone(), ended());
        parts.push(tokio::spawn(async move {
            flight
                .serve(serving, stop)
                .await
                .map_err(|error| flight_failed(&error))
        }));
        parts.push(tokio::spawn(admin::serve(
            http,
            engine.clone(),
            metrics,
            ended(),
        )));
        Ok(Self {
            engine,
            shutdown,
            parts,
            pg: pg_address,
            flight: flight_address,
            http: http_address,
        })
    }

    /// The engine inside.
    pub fn engine(&self) -> &Engine {
        &self.engine
    }

    /// Serves until `signal`, then stops: no new clients, a last checkpoint, the rest.
    ///
    /// # Errors
    /// Why the last checkpoint could not be written, or why the runtime ended by itself.
    pub async fn run(self, signal: impl Future<Output = ()>) -> Result<(), ServerError> {
        tokio::select! {
            () = signal => {}
            () = self.ended() => {}
        }
        self.stop().await
    }

    /// Stops now.
    ///
    /// # Errors
    /// As [`Server::run`].
    pub async fn stop(self) -> Result<(), ServerError> {
        tracing::info!("stopping");
        let result = self.engine.stop().await;
        self.shutdown.cancel();
        for part in self.parts {
            match part.await {
                Ok(Ok(())) => {}
                Ok(Err(error)) => tracing::warn!(%error, "a listener ended badly"),
                Err(error) => tracing::warn!(%error, "a listener was torn down"),
            }
        }
        result.map_err(ServerError::Engine)
    }

    /// Waits until the runtime has ended by itself: fenced by a newer process, or unable to save.
    async fn ended(&self) {
        loop {
            if let Some(problem) = self.engine.status().problem {
                tracing::error!(problem, "the runtime has ended");
                return;
            }
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    }
}

/// Waits while another process holds `address`: one that was killed keeps its ports until the
/// kernel has taken it down. Whoever still holds it after [`PORT_WAIT_MAX`] is found by the bind.
async fn until_free(address: SocketAddr) {
    let started = tokio::time::Instant::now();
    while started.elapsed() < PORT_WAIT_MAX {
        match std::net::TcpListener::bind(address) {
            Err(error) if error.kind() == std::io::ErrorKind::AddrInUse => {}
            _ => return,
        }
        tokio::time::sleep(PORT_ASK_INTERVAL).await;
    }
}

fn engine_config(config: &Config) -> Result<EngineConfig, ServerError> {
    let writer = format!("{}-{}", std::process::id(), started_nanos());
    let mut engine = EngineConfig::new(store::open(config)?, writer);
    engine.checkpoint_interval = config.checkpoint_interval;
    if let Ok(cores) = std::thread::available_parallelism() {
        engine.read_partitions = cores.get();
    }
    Ok(engine)
}

/// Tells two processes with one id apart, on one machine after another.
fn started_nanos() -> u128 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    since.map(|time| time.as_nanos()).unwrap_or_default()
}

async fn wait(token: CancellationToken) {
    token.cancelled().await;
}
