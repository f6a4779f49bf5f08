//! The same files through a socket: an engine behind the PostgreSQL protocol and a real client.
//!
//! Values are compared as the protocol's text, so its encoder and `text` check each other. Types of
//! columns are not: the simple protocol's client does not tell them.

use async_trait::async_trait;
use rtsap_engine::Engine;
use rtsap_pgwire_server::server::{PgServerConfig, bind};
use sqllogictest::{AsyncDB, DBOutput, DefaultColumnType};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio_postgres::{Client, NoTls, SimpleQueryMessage, SimpleQueryRow};

use crate::database::{Failure, shown};

/// An engine that listens on a free port of this machine.
pub struct WireServer {
    port: u16,
    stop: oneshot::Sender<()>,
    served: JoinHandle<Result<(), Failure>>,
}

impl WireServer {
    /// Serves `engine`.
    ///
    /// # Errors
    /// Why it cannot listen.
    pub async fn start(engine: Engine) -> Result<Self, Failure> {
        let listen = std::net::SocketAddr::from(([127, 0, 0, 1], 0));
        let bound = bind(PgServerConfig::new(listen)).await;
        let bound = bound.map_err(Failure::new)?;
        let port = bound.local_addr().port();
        let (stop, stopped) = oneshot::channel::<()>();
        let served = tokio::spawn(async move {
            let ended = async {
                let _ = stopped.await;
            };
            bound.serve(engine, ended).await.map_err(Failure::new)
        });
        Ok(Self { port, stop, served })
    }

    /// Where it listens.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Stops listening; returns when all sessions have ended.
    ///
    /// # Errors
    /// Why the listener ended.
    pub async fn stop(self) -> Result<(), Failure> {
        let _ = self.stop.send(());
        self.served.await.map_err(Failure::new)?
    }
}

/// One connection.
pub struct WireDatabase {
    client: Client,
    name: &'static str,
    /// Whether a failure begins with its SQLSTATE.
    with_state: bool,
}

impl WireDatabase {
    /// Connects to `port`.
    ///
    /// # Errors
    /// What the server or the socket said.
    pub async fn connect(port: u16) -> Result<Self, Failure> {
        let address = format!("host=127.0.0.1 port={port} user=rtsap dbname=rtsap");
        Self::open(&address, "rtsap").await
    }

    /// Connects to the server at `address`, which calls itself `name` in conditions of the files.
    ///
    /// # Errors
    /// What the server or the socket said.
    pub async fn open(address: &str, name: &'static str) -> Result<Self, Failure> {
        let (client, connection) = tokio_postgres::connect(address, NoTls).await?;
        tokio::spawn(connection);
        Ok(Self {
            client,
            name,
            with_state: false,
        })
    }

    /// The same with failures that begin with their SQLSTATE: `22012: division by zero`.
    #[must_use]
    pub fn with_state(mut self) -> Self {
        self.with_state = true;
        self
    }

    /// Runs statements whose rows nobody wants.
    ///
    /// # Errors
    /// What the server said.
    pub async fn execute(&self, sql: &str) -> Result<(), Failure> {
        Ok(self.client.batch_execute(sql).await?)
    }

    async fn rows(&self, sql: &str) -> Result<DBOutput<DefaultColumnType>, Failure> {
        let mut columns = None;
        let mut rows = Vec::new();
        let mut changed = 0;
        for message in self.client.simple_query(sql).await? {
            match message {
                SimpleQueryMessage::RowDescription(described) => {
                    columns = Some(described.len());
                    rows.clear();
                }
                SimpleQueryMessage::Row(row) => rows.push(cells(&row)?),
                SimpleQueryMessage::CommandComplete(count) => changed = count,
                _ => {}
            }
        }
        Ok(match columns {
            Some(columns) => DBOutput::Rows {
                types: vec![DefaultColumnType::Any; columns],
                rows,
            },
            None => DBOutput::StatementComplete(changed),
        })
    }
}

impl From<tokio_postgres::Error> for Failure {
    fn from(error: tokio_postgres::Error) -> Self {
        match error.as_db_error() {
            Some(said) => Self::said(
                said.message(),
                said.detail(),
                said.hint(),
                Some(said.code().code().to_owned()),
            ),
            None => Self::new(error),
        }
    }
}

#[async_trait]
impl AsyncDB for WireDatabase {
    type Error = Failure;
    type ColumnType = DefaultColumnType;

    async fn run(&mut self, sql: &str) -> Result<DBOutput<DefaultColumnType>, Failure> {
        let done = self.rows(sql).await;
        match self.with_state {
            true => done.map_err(Failure::with_state),
            false => done,
        }
    }

    async fn shutdown(&mut self) {}

    fn engine_name(&self) -> &str {
        self.name
    }

    fn error_sql_state(failure: &Failure) -> Option<String> {
        failure.sqlstate().map(str::to_owned)
    }
}

fn cells(row: &SimpleQueryRow) -> Result<Vec<String>, Failure> {
    let names = row.columns().iter().enumerate();
    let cell = |(index, column): (usize, &tokio_postgres::SimpleColumn)| {
        let value = row.try_get(index)?.unwrap_or("NULL");
        Ok(shown(column.name(), value.to_owned()))
    };
    names.map(cell).collect()
}
