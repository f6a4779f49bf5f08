//! Listens, lets connections in up to a limit, and drains them at the end.

use std::future::Future;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicI32, Ordering};
use std::time::Duration;

use rtsap_engine::Engine;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::cancel::CancelKeys;
use crate::connection::Connection;
use crate::error::{Failure, PgServerError};
use crate::socket::{Outbox, Stop, halves};
use crate::startup::negotiate;

/// Sessions at once: what `max_connections` says.
pub const CONNECTIONS_MAX: usize = 100;

/// Sockets at once that have not said who they are: room for cancel requests while all sessions are
/// taken.
const NEGOTIATING_MAX: usize = 100;

/// Longest time for the first packets: far more than any network takes, short against a denial of
/// service.
const NEGOTIATION_TIME_MAX: Duration = Duration::from_secs(20);

/// Longest time that statements get to end at a shutdown.
const DRAIN_TIME_MAX: Duration = Duration::from_secs(5);

/// Pause after a failed accept: the usual cause, too many open files, does not go away at once.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Gauge: open sessions over the PostgreSQL protocol.
const CONNECTIONS_METRIC: &str = "rtsap_pgwire_connections";

/// Where and how to listen.
#[derive(Clone, Debug)]
pub struct PgServerConfig {
    /// The address; port 0 takes any free one.
    pub listen: SocketAddr,
    /// Serves anybody who can reach the address, without authentication or encryption.
    pub insecure_listen: bool,
}

impl PgServerConfig {
    /// Listens on a loopback address.
    pub fn new(listen: SocketAddr) -> Self {
        Self {
            listen,
            insecure_listen: false,
        }
    }
}

/// A server that listens but does not answer yet.
#[derive(Debug)]
pub struct Bound {
    listener: TcpListener,
    address: SocketAddr,
}

/// Listens on the address of `config`.
///
/// # Errors
/// [`PgServerError::NotLoopback`] for an address that others can reach, unless `insecure_listen`
/// allows it; [`PgServerError::Bind`] if the address cannot be had.
pub async fn bind(config: PgServerConfig) -> Result<Bound, PgServerError> {
    let address = config.listen;
    if !address.ip().is_loopback() && !config.insecure_listen {
        return Err(PgServerError::NotLoopback { address });
    }
    let bind_error = |source| PgServerError::Bind { address, source };
    let listener = TcpListener::bind(address).await.map_err(bind_error)?;
    let address = listener.local_addr().map_err(bind_error)?;
    if !address.ip().is_loopback() {
        tracing::warn!(%address, "everybody who reaches this address can read and change \
                                  everything");
    }
    Ok(Bound { listener, address })
}

/// Listens and serves until `shutdown` is done.
///
/// # Errors
/// As [`bind`] and [`Bound::serve`].
pub async fn serve(
    config: PgServerConfig,
    engine: Engine,
    shutdown: impl Future,
) -> Result<(), PgServerError> {
    bind(config).await?.serve(engine, shutdown).await
}

impl Bound {
    /// The address it listens on.
    pub fn local_addr(&self) -> SocketAddr {
        self.address
    }

    /// Serves until `shutdown` is done; then subscriptions and idle sessions end at once, and
    /// running statements get a few seconds.
    ///
    /// # Errors
    /// [`PgServerError::Random`] if the system gives no random numbers.
    pub async fn serve(self, engine: Engine, shutdown: impl Future) -> Result<(), PgServerError> {
        let server = Arc::new(Server::new(engine)?);
        let mut tasks = JoinSet::new();
        tokio::pin!(shutdown);
        loop {
            tokio::select! {
                _ = &mut shutdown => break,
                Some(ended) = tasks.join_next() => log_end(ended),
                accepted = self.listener.accept() => match accepted {
                    Ok((socket, peer)) if tasks.len() < CONNECTIONS_MAX + NEGOTIATING_MAX => {
                        tracing::debug!(%peer, "client connected");
                        tasks.spawn(Arc::clone(&server).converse(socket));
                    }
                    Ok((_, peer)) => tracing::warn!(%peer, "too many connections, client refused"),
                    Err(error) => {
                        tracing::warn!(%error, "cannot accept a connection");
                        tokio::time::sleep(ACCEPT_PAUSE).await;
                    }
                },
            }
        }
        drop(self.listener);
        server.stop.cancel();
        let drained = async {
            while let Some(ended) = tasks.join_next().await {
                log_end(ended);
            }
        };
        if tokio::time::timeout(DRAIN_TIME_MAX, drained).await.is_err() {
            tracing::warn!(
                sessions = tasks.len(),
                "statements still ran at shutdown and were ended"
            );
            tasks.shutdown().await;
        }
        Ok(())
    }
}

fn log_end(ended: Result<(), tokio::task::JoinError>) {
    if let Err(error) = ended {
        tracing::error!(%error, "a session ended by a bug");
    }
}

/// What all connections share.
struct Server {
    engine: Engine,
    keys: Arc<CancelKeys>,
    sessions: Semaphore,
    process_ids: AtomicI32,
    random: &'static dyn rustls::crypto::SecureRandom,
    stop: CancellationToken,
}

impl Server {
    fn new(engine: Engine) -> Result<Self, PgServerError> {
        let random = rustls::crypto::ring::default_provider().secure_random;
        let server = Self {
            engine,
            keys: Arc::default(),
            sessions: Semaphore::new(CONNECTIONS_MAX),
            process_ids: AtomicI32::new(1),
            random,
            stop: CancellationToken::new(),
        };
        // Better to fail now than at the first connection.
        server.secret().map_err(|_| PgServerError::Random)?;
        Ok(server)
    }

    /// One connection from its first to its last byte.
    async fn converse(self: Arc<Self>, socket: TcpStream) {
        // Answers are written in one piece: waiting for more would only delay them.
        let _ = socket.set_nodelay(true);
        let (mut inbox, mut outbox) = halves(socket);
        let negotiated = negotiate(&mut inbox, &mut outbox, &self.keys);
        let negotiated = tokio::select! {
            negotiated = tokio::time::timeout(NEGOTIATION_TIME_MAX, negotiated) => negotiated,
            () = self.stop.cancelled() => return,
        };
        let settings = match negotiated {
            Ok(Ok(Some(settings))) => settings,
            Ok(Err(Stop::Failed(failure))) => return refuse(&failure, &mut outbox).await,
            Ok(Ok(None) | Err(Stop::Gone)) | Err(_) => return,
        };
        let Ok(_permit) = self.sessions.try_acquire() else {
            let failure = Failure::new("53300", "sorry, too many clients already");
            return refuse(&failure, &mut outbox).await;
        };
        let opened = self.open(settings);
        let (session, secret) = match opened {
            Ok(opened) => opened,
            Err(failure) => return refuse(&failure, &mut outbox).await,
        };
        let process_id = session.settings().process_id;
        let (_key, canceled) = self.keys.add(process_id, secret, session.cancel_handle());
        metrics::gauge!(CONNECTIONS_METRIC).increment(1);
        let connection = Connection::new(inbox, outbox, session, canceled, self.stop.child_token());
        Box::pin(connection.run(process_id, secret)).await;
        metrics::gauge!(CONNECTIONS_METRIC).decrement(1);
    }

    fn open(
        &self,
        mut settings: rtsap_engine::session::SessionSettings,
    ) -> Result<(rtsap_engine::session::Session, i32), Failure> {
        let secret = self.secret()?;
        settings.process_id = self.process_ids.fetch_add(1, Ordering::Relaxed);
        Ok((self.engine.session(settings)?, secret))
    }

    fn secret(&self) -> Result<i32, Failure> {
        let mut bytes = [0; 4];
        let filled = self.random.fill(&mut bytes);
        filled.map_err(|_| Failure::new("58000", "the system gives no random numbers"))?;
        Ok(i32::from_be_bytes(bytes))
    }
}

/// Tells a client why it cannot have a session.
async fn refuse(failure: &Failure, outbox: &mut Outbox) {
    // The client may be gone; its absence is then the answer.
    if outbox.put(&failure.clone().fatal().response()).is_ok() && outbox.flush().await.is_ok() {
        outbox.close().await;
    }
}
