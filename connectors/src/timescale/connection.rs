//! The connection to the database: how long anything may take, and what each failure means.

use std::error::Error as _;
use std::time::Duration;

use rtsap_stream::error::{ConnectorError, ErrorKind};
use tokio::task::JoinHandle;
use tokio_postgres::error::{DbError, SqlState};
use tokio_postgres::{Client, NoTls};

use super::options::SinkOptions;

/// A database that does not answer within this is down.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// Unacknowledged bytes older than this end the connection: a peer that vanished without a word.
const TCP_USER_TIMEOUT: Duration = Duration::from_secs(30);
/// Silence after which the system asks whether the peer still lives.
const KEEPALIVE_IDLE: Duration = Duration::from_secs(15);
/// One epoch must be applied within this, or it is rolled back and tried again.
pub const EPOCH_TIMEOUT: Duration = Duration::from_secs(180);

/// Opens a transaction with limits of its own: a lock that others hold for 5 s and a statement that
/// takes a minute end it. An epoch is durable when COMMIT answers, whatever the session's default
/// says.
pub const BEGIN: &str = "BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE; \
    SET LOCAL lock_timeout = '5s'; SET LOCAL statement_timeout = '60s'; \
    SET LOCAL idle_in_transaction_session_timeout = '60s'; \
    SET LOCAL client_min_messages = warning; \
    SET LOCAL DateStyle = 'ISO, YMD'; SET LOCAL TimeZone = 'UTC'; \
    SELECT pg_catalog.set_config('synchronous_commit', 'on', true) \
    WHERE pg_catalog.current_setting('synchronous_commit') IN ('off', 'local');";

/// A client and the task that moves its bytes; dropping it closes the connection, which rolls back.
pub struct Connection {
    /// To talk with.
    pub client: Client,
    task: JoinHandle<()>,
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Connection {
    /// Connects.
    ///
    /// # Errors
    /// `Unavailable` if the database cannot be reached, `Denied` if it does not let us in,
    /// `Invalid` if it does not exist.
    pub async fn open(options: &SinkOptions) -> Result<Self, ConnectorError> {
        let mut config = options.config.clone();
        config
            .connect_timeout(CONNECT_TIMEOUT)
            .tcp_user_timeout(TCP_USER_TIMEOUT)
            .keepalives_idle(KEEPALIVE_IDLE);
        let action = format!("connect to {}", options.place);
        let opened = tokio::time::timeout(2 * CONNECT_TIMEOUT, config.connect(NoTls)).await;
        let (client, connection) = match opened {
            Ok(opened) => opened.map_err(|error| database_error(&action, error))?,
            Err(_) => {
                return Err(ConnectorError::unavailable(format!("cannot {action}"))
                    .with_detail("It did not answer in time."));
            }
        };
        let place = options.place.clone();
        let task = tokio::spawn(async move {
            if let Err(error) = connection.await {
                tracing::warn!(place, %error, "connection to the sink's database ended");
            }
        });
        Ok(Self { client, task })
    }
}

/// `error` of the database while doing `action`, with the kind that says who must act.
pub fn database_error(action: &str, error: tokio_postgres::Error) -> ConnectorError {
    let Some(reported) = error.as_db_error() else {
        let kind = if error.is_closed() || error.source().is_some() || error.code().is_none() {
            ErrorKind::Unavailable
        } else {
            ErrorKind::Internal
        };
        let why = error
            .source()
            .map_or_else(|| error.to_string(), ToString::to_string);
        return ConnectorError::new(kind, format!("cannot {action}"))
            .with_detail(format!("{why}."))
            .with_source(error);
    };
    let kind = kind_of(reported.code());
    let message = format!("cannot {action}: {}", reported.message());
    let detail = detail_of(reported);
    let hint = reported.hint().map(str::to_owned);
    let mut result = ConnectorError::new(kind, message);
    result.detail = Some(detail);
    result.hint = hint;
    result.row = row_of(reported);
    result.with_source(error)
}

/// Who must act on an SQLSTATE.
fn kind_of(state: &SqlState) -> ErrorKind {
    /// Causes that pass by themselves: locks, deadlocks, timeouts, a server that starts or stops,
    /// no room.
    const PASSING: [SqlState; 10] = [
        SqlState::LOCK_NOT_AVAILABLE,
        SqlState::QUERY_CANCELED,
        SqlState::ADMIN_SHUTDOWN,
        SqlState::CRASH_SHUTDOWN,
        SqlState::CANNOT_CONNECT_NOW,
        SqlState::IDLE_IN_TRANSACTION_SESSION_TIMEOUT,
        SqlState::READ_ONLY_SQL_TRANSACTION,
        SqlState::T_R_DEADLOCK_DETECTED,
        SqlState::T_R_SERIALIZATION_FAILURE,
        SqlState::IO_ERROR,
    ];
    if PASSING.contains(state) {
        return ErrorKind::Unavailable;
    }
    if *state == SqlState::INSUFFICIENT_PRIVILEGE {
        return ErrorKind::Denied;
    }
    match state.code().get(..2) {
        Some("08" | "53" | "57" | "40") => ErrorKind::Unavailable,
        Some("28") => ErrorKind::Denied,
        Some("22" | "23" | "44") => ErrorKind::Data,
        Some("XX") => ErrorKind::Internal,
        _ => ErrorKind::Invalid,
    }
}

/// The row that broke a constraint, in the server's words: `Failing row contains (…)`, or the key.
/// Of values that a column cannot hold it says where they stood in what was copied.
fn row_of(error: &DbError) -> Option<String> {
    let row = match error.code().code().get(..2) {
        Some("23" | "44") => error.detail(),
        Some("22") => error.where_(),
        _ => None,
    };
    row.map(str::to_owned)
}

fn detail_of(error: &DbError) -> String {
    let mut parts = Vec::new();
    if let Some(table) = error.table() {
        parts.push(format!(
            "Table \"{}.{table}\".",
            error.schema().unwrap_or_default()
        ));
    }
    if let Some(constraint) = error.constraint() {
        parts.push(format!("Constraint \"{constraint}\"."));
    }
    if let Some(column) = error.column() {
        parts.push(format!("Column \"{column}\"."));
    }
    if let Some(detail) = error.detail() {
        parts.push(detail.to_owned());
    }
    if let Some(place) = error.where_() {
        parts.push(format!("At: {place}."));
    }
    parts.push(format!("SQLSTATE {}.", error.code().code()));
    parts.join(" ")
}
