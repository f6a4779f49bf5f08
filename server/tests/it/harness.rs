//! Starts the real binary and a real broker, and talks to both.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use tokio_postgres::{Client, NoTls};

/// How long anything may take before a test gives up on it.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// A running `rtsap serve`. Dropping it kills the process.
pub struct Server {
    child: Child,
    /// Where PostgreSQL clients connect.
    pub pg: String,
    /// Where HTTP answers.
    pub http: String,
}

impl Server {
    /// Starts on free ports over `data_dir` and waits until it is ready.
    pub fn start(data_dir: &Path) -> Self {
        Self::start_in(data_dir, &[])
    }

    /// As [`Server::start`], in an environment with these variables.
    pub fn start_in(data_dir: &Path, environment: &[(&str, String)]) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_rtsap"));
        command.envs(environment.iter().map(|(name, value)| (*name, value)));
        command.arg("serve");
        Self::await_ready(spawn(command, data_dir)).unwrap()
    }

    /// Starts one that is not waited for, with `failpoints` armed.
    pub fn begin(data_dir: &Path, failpoints: &str) -> Starting {
        let mut command = Command::new(env!("CARGO_BIN_EXE_rtsap"));
        command.env("RTSAP_FAILPOINTS", failpoints);
        command.arg("serve");
        Starting(spawn(command, data_dir))
    }

    /// Starts with `failpoints` armed and checkpoints each 100 ms; `None` if it dies before it is
    /// ready.
    pub fn try_start(data_dir: &Path, failpoints: Option<&str>) -> Option<Self> {
        let mut command = Command::new(env!("CARGO_BIN_EXE_rtsap"));
        let config = data_dir.with_extension("toml");
        std::fs::write(&config, "[checkpoint]\ninterval_ms = 100\n").unwrap();
        command.env("RTSAP_FAILPOINTS", failpoints.unwrap_or_default());
        command.arg("serve").arg("--config").arg(config);
        // What it says when it is made to die is of no interest.
        command.stderr(Stdio::null());
        Self::await_ready(spawn(command, data_dir))
    }

    fn await_ready(mut child: Child) -> Option<Self> {
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap())
            .read_line(&mut line)
            .unwrap();
        if line.is_empty() {
            child.wait().unwrap();
            return None;
        }
        let part = |scheme: &str| {
            let start = line
                .find(scheme)
                .unwrap_or_else(|| panic!("no {scheme} in {line:?}"));
            let rest = &line[start + scheme.len()..];
            rest.split([',', '/', '\n']).next().unwrap().to_owned()
        };
        let (pg, http) = (part("postgresql://rtsap@"), part("http://"));
        Some(Self { child, pg, http })
    }

    /// Whether it has ended by itself.
    pub fn has_ended(&mut self) -> bool {
        self.child.try_wait().unwrap().is_some()
    }

    /// A client, if it answers.
    pub async fn try_client(&self) -> Option<Client> {
        let (host, port) = self.pg.rsplit_once(':')?;
        let text = format!("host={host} port={port} user=rtsap dbname=rtsap");
        let (client, connection) = tokio_postgres::connect(&text, NoTls).await.ok()?;
        tokio::spawn(connection);
        Some(client)
    }

    /// SIGKILL.
    pub fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// SIGTERM; returns whether the process ended with code 0.
    pub fn terminate(&mut self) -> bool {
        let id = self.child.id().to_string();
        assert!(
            Command::new("kill")
                .args(["-TERM", &id])
                .status()
                .unwrap()
                .success()
        );
        self.child.wait().unwrap().success()
    }

    /// A client.
    pub async fn client(&self) -> Client {
        self.try_client().await.unwrap()
    }
}

/// A process that may be ready some time, or end before. Dropping it kills it.
pub struct Starting(Child);

impl Starting {
    /// Waits until it has ended; returns whether it did so with an error.
    pub fn fails(&mut self) -> bool {
        let start = Instant::now();
        while start.elapsed() < PATIENCE {
            if let Some(status) = self.0.try_wait().unwrap() {
                return !status.success();
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        panic!("it still runs");
    }
}

impl Drop for Starting {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Starts `rtsap serve …` on free ports over `data_dir`.
fn spawn(mut command: Command, data_dir: &Path) -> Child {
    command
        .args(["--pg-port", "0", "--flight-port", "0", "--http-port", "0"])
        .arg("--data-dir")
        .arg(data_dir)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap()
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Rows of a simple query as text, columns joined by `|`, sorted.
pub async fn rows(client: &Client, sql: &str) -> Result<Vec<String>, tokio_postgres::Error> {
    let mut rows = Vec::new();
    for message in client.simple_query(sql).await? {
        if let tokio_postgres::SimpleQueryMessage::Row(row) = message {
            let cells = (0..row.len()).map(|index| row.get(index).unwrap_or("NULL"));
            rows.push(cells.collect::<Vec<_>>().join("|"));
        }
    }
    rows.sort();
    Ok(rows)
}

/// Asks `sql` again until it answers `expected`, for at most [`PATIENCE`]; fails with the last
/// answer.
pub async fn wait_for(client: &Client, sql: &str, expected: &[String]) {
    let start = Instant::now();
    loop {
        let found = rows(client, sql).await.unwrap();
        if found == expected {
            return;
        }
        if start.elapsed() > PATIENCE {
            let missing: Vec<_> = expected
                .iter()
                .filter(|row| !found.contains(row))
                .take(5)
                .collect();
            let extra: Vec<_> = found
                .iter()
                .filter(|row| !expected.contains(row))
                .take(5)
                .collect();
            panic!(
                "{sql}: {} rows, expected {}; missing {missing:?}, extra {extra:?}",
                found.len(),
                expected.len()
            );
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}
