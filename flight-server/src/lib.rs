//! Arrow Flight and Flight SQL over the engine.
//!
//! ```text
//! gRPC ─▶ service (plain Flight: SQL text, paths) ─▶ flight_sql (commands) ─▶ statement ─▶ engine
//!                                                        │                        │
//!                            metadata (catalogs, tables) ┘      stream (batches ◀─┘ as they come)
//! ```
//!
//! Invariants: every statement is its own session, so what only lives in a session (transaction
//! blocks, `SET`, cursors) is refused and never silently lost; nothing is collected before it is
//! sent; a client that goes away drops its stream, and with it the engine's work.

use std::net::SocketAddr;
use std::time::Duration;

use arrow_flight::flight_service_server::FlightServiceServer;
use rtsap_engine::Engine;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tonic::transport::Server;
use tonic::transport::server::TcpIncoming;

use crate::error::FlightServerError;
use crate::service::Service;

pub mod error;
mod flight_sql;
mod info;
mod ingest;
mod metadata;
mod parameters;
mod placeholders;
mod prepared;
mod service;
mod statement;
mod stream;

/// Longest message a client may send: 64 MiB hold the batches that clients cut for bulk ingestion.
const MESSAGE_BYTES_MAX: usize = 64 << 20;
/// A silent connection is asked this often whether somebody is still there.
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(20);
/// And is closed if nobody answers for so long.
const KEEPALIVE_TIMEOUT: Duration = Duration::from_secs(10);
/// Answers that are under way at a shutdown have this long to end.
const SHUTDOWN_WAIT: Duration = Duration::from_secs(5);

/// Where to listen.
#[derive(Clone, Copy, Debug)]
pub struct FlightServerConfig {
    /// Address and port; port 0 takes any free one.
    pub listen: SocketAddr,
    /// Whether an address beyond loopback is allowed though there is neither TLS nor
    /// authentication.
    pub insecure_listen: bool,
}

/// A server that listens already and does not answer yet.
#[derive(Debug)]
pub struct Bound {
    listener: TcpListener,
    address: SocketAddr,
}

/// Begins to listen.
///
/// # Errors
/// [`FlightServerError::Exposed`] for an address beyond loopback that was not allowed expressly;
/// [`FlightServerError::Listen`] if the address cannot be had.
pub async fn bind(config: FlightServerConfig) -> Result<Bound, FlightServerError> {
    let address = config.listen;
    if !address.ip().is_loopback() && !config.insecure_listen {
        return Err(FlightServerError::Exposed { address });
    }
    let cannot = |source| FlightServerError::Listen { address, source };
    let listener = TcpListener::bind(address).await.map_err(cannot)?;
    let address = listener.local_addr().map_err(cannot)?;
    Ok(Bound { listener, address })
}

impl Bound {
    /// The address it listens on, with the real port.
    pub const fn local_addr(&self) -> SocketAddr {
        self.address
    }

    /// Answers until `shutdown` is done. Subscriptions end then with `UNAVAILABLE`; other answers
    /// have five seconds.
    ///
    /// # Errors
    /// [`FlightServerError::Serve`] if it cannot go on; [`FlightServerError::Internal`] for a bug
    /// of ours.
    pub async fn serve(
        self,
        engine: Engine,
        shutdown: impl Future<Output = ()> + Send,
    ) -> Result<(), FlightServerError> {
        let (stop, stopping) = watch::channel(false);
        let service = Service::new(engine, stopping.clone())?;
        let service =
            FlightServiceServer::new(service).max_decoding_message_size(MESSAGE_BYTES_MAX);
        let incoming = TcpIncoming::from(self.listener).with_nodelay(Some(true));
        let mut stopped = stopping;
        let told = async move {
            // An error says that nobody will ever tell: also a reason to stop.
            let _ = stopped.wait_for(|stopped| *stopped).await;
        };
        let serving = Server::builder()
            .http2_keepalive_interval(Some(KEEPALIVE_INTERVAL))
            .http2_keepalive_timeout(Some(KEEPALIVE_TIMEOUT))
            .add_service(service)
            .serve_with_incoming_shutdown(incoming, told);
        let late = async {
            shutdown.await;
            stop.send_replace(true);
            tokio::time::sleep(SHUTDOWN_WAIT).await;
        };
        tokio::select! {
            served = serving => served.map_err(FlightServerError::Serve),
            () = late => {
                tracing::warn!("Flight clients were cut off: their answers took too long to end");
                Ok(())
            }
        }
    }
}
