//! The real server as a child process, with a session on it.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use tokio::runtime::Runtime;
use tokio_postgres::{Client, NoTls};

use crate::Failure;
use crate::cli::{Emit, Setting};
use crate::process::{self, Resident};

/// How often the server is asked whether it is done: answers cost it CPU time that is measured.
const ASK_INTERVAL: Duration = Duration::from_millis(100);

/// How long rows may stand still before a run is given up.
const STILL_MAX: Duration = Duration::from_secs(60);

/// A running `rtsap serve` over a new data directory. Dropping it kills the process.
pub struct Server {
    child: Child,
    address: String,
    runtime: Runtime,
    client: Client,
    data: tempfile::TempDir,
}

/// Where the server's binary is: as said, or beside this program.
fn binary(setting: &Setting) -> Result<PathBuf, Failure> {
    if let Some(path) = &setting.server {
        return Ok(path.clone());
    }
    let beside = std::env::current_exe()?.with_file_name("rtsap");
    if beside.exists() {
        return Ok(beside);
    }
    let missing = format!("there is no {}; build it or say --server", beside.display());
    Err(missing.into())
}

/// A new directory that goes when its value goes.
///
/// # Errors
/// If it cannot be made.
pub fn directory(setting: &Setting) -> Result<tempfile::TempDir, Failure> {
    let mut builder = tempfile::Builder::new();
    let builder = builder.prefix("rtsap-bench-");
    Ok(match &setting.work_dir {
        Some(parent) => builder.tempdir_in(parent)?,
        None => builder.tempdir()?,
    })
}

impl Server {
    /// Starts it on free ports and waits until it is ready.
    ///
    /// # Errors
    /// If it does not start.
    pub fn start(setting: &Setting) -> Result<Self, Failure> {
        Self::start_on(setting, directory(setting)?)
    }

    /// Kills it, as by `kill -9`, and starts it again on what it has saved; returns when it has
    /// said that it is ready, and is connected to.
    ///
    /// # Errors
    /// If it does not start.
    pub fn restart(mut self, setting: &Setting) -> Result<Self, Failure> {
        self.child.kill()?;
        self.child.wait()?;
        let data = std::mem::replace(&mut self.data, directory(setting)?);
        drop(self);
        Self::start_on(setting, data)
    }

    /// Where it keeps its data.
    pub fn data(&self) -> &Path {
        self.data.path()
    }

    fn start_on(setting: &Setting, data: tempfile::TempDir) -> Result<Self, Failure> {
        let mut child = Command::new(binary(setting)?)
            .args([
                "serve",
                "--pg-port",
                "0",
                "--flight-port",
                "0",
                "--http-port",
                "0",
            ])
            .args(["--log", "warn", "--data-dir"])
            .arg(data.path())
            .stdout(Stdio::piped())
            .spawn()?;
        let address = child
            .stdout
            .take()
            .map(ready_address)
            .transpose()?
            .flatten();
        let runtime = Runtime::new()?;
        let connected = match &address {
            Some(address) => runtime.block_on(connect(address)),
            None => Err("the server ended before it was ready".into()),
        };
        match connected {
            Ok(client) => Ok(Self {
                child,
                address: address.unwrap_or_default(),
                runtime,
                client,
                data,
            }),
            Err(error) => {
                // It is going anyway.
                let _ = child.kill();
                let _ = child.wait();
                Err(error)
            }
        }
    }

    /// Its process id.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// `host:port` of the PostgreSQL listener.
    pub fn address(&self) -> &str {
        &self.address
    }

    /// CPU-seconds so far.
    ///
    /// # Errors
    /// If it has ended.
    pub fn cpu_seconds(&self) -> Result<f64, Failure> {
        process::cpu_seconds(self.id())
    }

    /// Its resident memory.
    ///
    /// # Errors
    /// If it has ended.
    pub fn resident(&self) -> Result<Resident, Failure> {
        process::resident(self.id())
    }

    /// Runs statements.
    ///
    /// # Errors
    /// What the server answers.
    pub fn execute(&self, sql: &str) -> Result<(), Failure> {
        let done = self.runtime.block_on(self.client.batch_execute(sql));
        done.map_err(|error| told(sql, &error))
    }

    /// The rows of a query.
    ///
    /// # Errors
    /// What the server answers.
    pub fn query(&self, sql: &str) -> Result<Vec<tokio_postgres::Row>, Failure> {
        let rows = self.runtime.block_on(self.client.query(sql, &[]));
        rows.map_err(|error| told(sql, &error))
    }

    /// One whole number.
    ///
    /// # Errors
    /// What the server answers.
    pub fn number(&self, sql: &str) -> Result<i64, Failure> {
        let rows = self.query(sql)?;
        let row = rows.first().ok_or("no row")?;
        Ok(row.try_get::<_, Option<i64>>(0)?.unwrap_or(0))
    }

    /// Waits until `sql` gives `wanted`.
    ///
    /// # Errors
    /// If it gives more, or the same less for a minute.
    pub fn wait_for(&self, sql: &str, wanted: i64) -> Result<(), Failure> {
        let (mut last, mut moved) = (-1, Instant::now());
        loop {
            let found = self.number(sql)?;
            if found == wanted {
                return Ok(());
            }
            if found != last {
                (last, moved) = (found, Instant::now());
            }
            if found > wanted || moved.elapsed() > STILL_MAX {
                let problems = self.problems();
                return Err(format!("{sql}: {found} instead of {wanted}; {problems}").into());
            }
            std::thread::sleep(ASK_INTERVAL);
        }
    }

    /// What the server says of its sources and views.
    fn problems(&self) -> String {
        let sql = "SELECT 'source ' || name || ': ' || state || ' ' || coalesce(reason, '') \
                   FROM rtsap_catalog.sources UNION ALL SELECT 'ledger of ' || view || ': in ' || \
                   rows_in || ', late ' || late FROM rtsap_catalog.ledger";
        let rows = self.query(sql).unwrap_or_default();
        let lines = rows
            .iter()
            .filter_map(|row| row.try_get::<_, String>(0).ok());
        lines.collect::<Vec<_>>().join("; ")
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Its data goes with it, so it need not end in good order.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Opens a session.
///
/// # Errors
/// If the server refuses.
pub async fn connect(address: &str) -> Result<Client, Failure> {
    let (host, port) = address.rsplit_once(':').ok_or("no port")?;
    let text = format!("host={host} port={port} user=rtsap dbname=rtsap");
    let (client, connection) = tokio_postgres::connect(&text, NoTls).await?;
    // How a connection ends, its client learns.
    tokio::spawn(connection);
    Ok(client)
}

/// The source of `topic`, which ends where the topic now ends if it is `bounded`.
pub fn source(servers: &str, topic: &str, bounded: bool) -> String {
    let mode = if bounded {
        "latest-offset"
    } else {
        "unbounded"
    };
    format!(
        "CREATE SOURCE trades (symbol TEXT NOT NULL, price DOUBLE PRECISION NOT NULL, \
         size BIGINT NOT NULL, ts TIMESTAMP(6) WITH TIME ZONE NOT NULL, venue TEXT, id BIGINT, \
         split INT METADATA FROM 'partition', \
         WATERMARK FOR ts AS ts - INTERVAL '1' SECOND) \
         WITH ('connector' = 'kafka', 'topic' = '{topic}', 'scan.bounded.mode' = '{mode}', \
         'properties.bootstrap.servers' = '{servers}', \
         'scan.startup.mode' = 'earliest-offset', 'format' = 'json')"
    )
}

/// Candles of that source, with `more` aggregates.
pub fn candle_view(window: &str, more: &str, emit: Emit) -> String {
    let emit = match emit {
        Emit::Changes => "EMIT CHANGES",
        Emit::Close => "EMIT ON WINDOW CLOSE",
    };
    format!(
        "CREATE STREAMING VIEW candles AS \
         SELECT window_start, symbol, first_value(price ORDER BY ts) AS open, \
         max(price) AS high, min(price) AS low, last_value(price ORDER BY ts) AS close, \
         sum(size) AS volume, vwap(price, size) AS vwap, count(*) AS trades{more} \
         FROM TUMBLE(TABLE trades, DESCRIPTOR(ts), INTERVAL {window}) \
         GROUP BY window_start, window_end, symbol {emit}"
    )
}

fn told(sql: &str, error: &tokio_postgres::Error) -> Failure {
    let said = error.as_db_error();
    let said = said.map_or_else(|| error.to_string(), |said| said.to_string());
    format!("{sql}: {said}").into()
}

/// Where the server says that it listens, once it does.
fn ready_address(out: std::process::ChildStdout) -> Result<Option<String>, Failure> {
    let mut line = String::new();
    BufReader::new(out).read_line(&mut line)?;
    let start = line.split_once("postgresql://rtsap@").map(|(_, rest)| rest);
    let address = start.and_then(|rest| rest.split(['/', ',', '\n']).next());
    Ok(address.map(ToOwned::to_owned))
}
