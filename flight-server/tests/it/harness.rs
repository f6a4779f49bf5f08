//! A server on any free port, and clients that answer in text.

use std::sync::Arc;

use arrow::record_batch::RecordBatch;
use arrow::util::display::array_value_to_string;
use arrow_flight::FlightInfo;
use arrow_flight::client::FlightClient;
use arrow_flight::decode::FlightRecordBatchStream;
use arrow_flight::error::FlightError;
use arrow_flight::sql::client::FlightSqlServiceClient;
use futures::TryStreamExt;
use object_store::local::LocalFileSystem;
use rtsap_connectors::registry::BuiltinConnectors;
use rtsap_engine::Engine;
use rtsap_engine::config::EngineConfig;
use rtsap_flight_server::{FlightServerConfig, bind};
use tempfile::TempDir;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tonic::Status;
use tonic::transport::{Channel, Endpoint};

pub const TRADES: &str = "CREATE TABLE trades (id BIGINT PRIMARY KEY, symbol TEXT NOT NULL, \
                          price NUMERIC(10, 2), at TIMESTAMP(6) WITH TIME ZONE)";
pub const COUNTS: &str =
    "CREATE STREAMING VIEW counts AS SELECT symbol, count(*) AS n FROM trades GROUP BY symbol";
pub const ROWS: &str = "INSERT INTO trades VALUES (1, 'A', 1.25, '2026-01-01T00:00:00Z'), \
                        (2, 'B', 2.50, '2026-01-01T00:00:01Z'), (3, 'A', NULL, NULL)";

/// A running server and its engine.
pub struct Server {
    pub engine: Engine,
    channel: Channel,
    stop: Option<oneshot::Sender<()>>,
    serving: JoinHandle<()>,
    _folder: TempDir,
}

impl Server {
    /// Over an empty directory.
    pub async fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let store = LocalFileSystem::new_with_prefix(folder.path()).unwrap();
        let config = EngineConfig::new(Arc::new(store), "first");
        let engine = Engine::start(config, Arc::new(BuiltinConnectors))
            .await
            .unwrap();
        let listen = "127.0.0.1:0".parse().unwrap();
        let config = FlightServerConfig {
            listen,
            insecure_listen: false,
        };
        let bound = bind(config).await.unwrap();
        let address = format!("http://{}", bound.local_addr());
        let (stop, stopped) = oneshot::channel();
        let serving = engine.clone();
        let serving = tokio::spawn(async move {
            let stopped = async { stopped.await.unwrap_or_default() };
            bound.serve(serving, stopped).await.unwrap();
        });
        let channel = Endpoint::new(address).unwrap().connect().await.unwrap();
        Self {
            engine,
            channel,
            stop: Some(stop),
            serving,
            _folder: folder,
        }
    }

    /// With the table `trades`, three rows in it, and the view `counts`.
    pub async fn with_trades() -> Self {
        let server = Self::start().await;
        let mut client = server.client();
        for sql in [TRADES, COUNTS, ROWS, "FLUSH"] {
            client.update(sql).await;
        }
        server
    }

    pub fn client(&self) -> Client {
        Client {
            sql: FlightSqlServiceClient::new(self.channel.clone()),
        }
    }

    pub fn plain(&self) -> FlightClient {
        FlightClient::new(self.channel.clone())
    }

    /// Asks it to stop.
    pub fn stop(&mut self) {
        self.stop.take().unwrap().send(()).unwrap();
    }

    /// Waits until it has stopped.
    pub async fn stopped(self) {
        drop(self.channel);
        self.serving.await.unwrap();
        self.engine.stop().await.unwrap();
    }
}

/// A Flight SQL client that answers in text.
pub struct Client {
    pub sql: FlightSqlServiceClient<Channel>,
}

impl Client {
    /// Rows that `sql` changed.
    pub async fn update(&mut self, sql: &str) -> i64 {
        match self.sql.execute_update(sql.to_owned(), None).await {
            Ok(count) => count,
            Err(error) => panic!("{sql}: {error}"),
        }
    }

    /// The stream of `sql`.
    pub async fn stream(&mut self, sql: &str) -> Result<FlightRecordBatchStream, FlightError> {
        let info = self.sql.execute(sql.to_owned(), None).await?;
        self.stream_of(&info).await
    }

    /// The stream behind `info`.
    pub async fn stream_of(
        &mut self,
        info: &FlightInfo,
    ) -> Result<FlightRecordBatchStream, FlightError> {
        let ticket = info.endpoint[0].ticket.clone().unwrap();
        self.sql.do_get(ticket).await
    }

    /// All rows behind `info`, after a check that they came as announced.
    pub async fn rows_of(&mut self, info: FlightInfo) -> Result<String, FlightError> {
        let stream = self.stream_of(&info).await?;
        let batches: Vec<RecordBatch> = stream.try_collect().await?;
        let announced = info.try_decode_schema().unwrap();
        for batch in &batches {
            assert_eq!(*batch.schema(), announced);
        }
        Ok(batches.iter().flat_map(rows).collect::<Vec<_>>().join("\n"))
    }

    /// All rows of `sql`.
    pub async fn query(&mut self, sql: &str) -> String {
        let info = self.sql.execute(sql.to_owned(), None).await;
        let rows = match info {
            Ok(info) => self.rows_of(info).await,
            Err(error) => Err(error),
        };
        rows.unwrap_or_else(|error| panic!("{sql}: {error}"))
    }

    /// The status of `sql`, which must fail.
    pub async fn error(&mut self, sql: &str) -> Status {
        let info = match self.sql.execute(sql.to_owned(), None).await {
            Ok(info) => info,
            Err(error) => return status(error),
        };
        match self.rows_of(info).await {
            Ok(rows) => panic!("{sql} answered\n{rows}"),
            Err(error) => status(error),
        }
    }
}

/// The status inside an error.
pub fn status(error: FlightError) -> Status {
    match error {
        FlightError::Tonic(status) => *status,
        other => panic!("no status: {other}"),
    }
}

/// One line a row; nulls are empty.
pub fn rows(batch: &RecordBatch) -> Vec<String> {
    let line = |row| {
        let columns = batch.columns().iter();
        let cells = columns.map(|column| array_value_to_string(column, row).unwrap());
        cells.collect::<Vec<_>>().join("|")
    };
    (0..batch.num_rows()).map(line).collect()
}
