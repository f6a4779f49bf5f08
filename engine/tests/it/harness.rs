//! An engine on a temporary directory, and sessions that answer in text.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

use std::sync::Arc;
use std::time::Duration;

use arrow::record_batch::RecordBatch;
use arrow::util::pretty::pretty_format_batches;
use futures::StreamExt;
use object_store::local::LocalFileSystem;
use rtsap_engine::Engine;
use rtsap_engine::config::EngineConfig;
use rtsap_engine::error::EngineError;
use rtsap_engine::response::{CommandTag, Response};
use rtsap_engine::session::{Session, SessionSettings};
use tempfile::TempDir;

/// An engine and the directory it lives in.
pub struct Harness {
    pub engine: Engine,
    pub folder: TempDir,
}

impl Harness {
    /// A new engine on an empty directory.
    pub async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let engine = start(&folder, "first").await;
        Self { engine, folder }
    }

    /// The same directory under a new engine, after the old one has stopped.
    pub async fn restart(self) -> Self {
        self.engine.stop().await.unwrap();
        let engine = start(&self.folder, "second").await;
        Self {
            engine,
            folder: self.folder,
        }
    }

    /// A session of user and database `rtsap`.
    pub fn session(&self) -> Client {
        let settings = SessionSettings {
            user: "rtsap".to_owned(),
            database: "rtsap".to_owned(),
            ..SessionSettings::default()
        };
        Client {
            session: self.engine.session(settings).unwrap(),
        }
    }
}

pub async fn start(folder: &TempDir, writer: &str) -> Engine {
    start_with(folder, writer, Duration::from_secs(1)).await
}

/// Starts an engine that begins a checkpoint at most once in `interval`.
pub async fn start_with(folder: &TempDir, writer: &str, interval: Duration) -> Engine {
    let store = LocalFileSystem::new_with_prefix(folder.path())
        .unwrap()
        .with_fsync(true);
    let mut config = EngineConfig::new(Arc::new(store), writer);
    config.checkpoint_interval = interval;
    let connectors = Arc::new(rtsap_connectors::registry::BuiltinConnectors);
    Engine::start(config, connectors).await.unwrap()
}

/// A session that answers in text.
pub struct Client {
    pub session: Session,
}

impl Client {
    /// Runs all statements of `sql`; returns the last answer.
    pub async fn run(&mut self, sql: &str) -> Result<String, EngineError> {
        let mut answer = String::new();
        for statement in self.session.parse(sql)? {
            let prepared = self.session.prepare(&statement, &[]).await?;
            let response = self.session.execute(&prepared, &[]).await?;
            answer = text_of(response, prepared.tag).await?;
        }
        Ok(answer)
    }

    /// The same, for what must work.
    pub async fn ok(&mut self, sql: &str) -> String {
        match self.run(sql).await {
            Ok(answer) => answer,
            Err(error) => panic!("{sql}: {error:?}"),
        }
    }

    /// The error of `sql`, which must fail.
    pub async fn err(&mut self, sql: &str) -> EngineError {
        match self.run(sql).await {
            Ok(answer) => panic!("{sql} answered\n{answer}"),
            Err(error) => error,
        }
    }

    /// Starts a subscription.
    pub async fn follow(&mut self, sql: &str) -> Follower {
        let statement = self.session.parse(sql).unwrap().remove(0);
        let prepared = self.session.prepare(&statement, &[]).await.unwrap();
        match self.session.execute(&prepared, &[]).await.unwrap() {
            Response::Changes { changes, .. } => Follower { changes },
            other => panic!("{sql} is no subscription: {other:?}"),
        }
    }
}

/// A subscription under way.
pub struct Follower {
    changes: rtsap_engine::response::BatchStream,
}

impl Follower {
    /// The error that ends it.
    pub async fn error(&mut self) -> EngineError {
        loop {
            if let Err(error) = self.changes.next().await.unwrap() {
                return error;
            }
        }
    }

    /// The changes that come before it ends, without their times, as text.
    pub async fn rest(&mut self) -> String {
        let mut lines: Vec<String> = Vec::new();
        while let Some(batch) = self.changes.next().await {
            let batch = batch.unwrap();
            let columns: Vec<usize> = (1..batch.num_columns()).collect();
            lines.extend(rows_of(&batch.project(&columns).unwrap()));
        }
        lines.join("\n")
    }

    /// The next `rows` changes without their times, as text.
    pub async fn next(&mut self, rows: usize) -> String {
        let mut lines: Vec<String> = Vec::new();
        while lines.len() < rows {
            let batch = self.changes.next().await.unwrap().unwrap();
            let columns: Vec<usize> = (1..batch.num_columns()).collect();
            lines.extend(rows_of(&batch.project(&columns).unwrap()));
        }
        lines.join("\n")
    }
}

pub async fn text_of(response: Response, tag: CommandTag) -> Result<String, EngineError> {
    match response {
        Response::Rows { batches, .. } | Response::CopyOut { batches, .. } => {
            let mut lines = Vec::new();
            let mut batches = batches;
            while let Some(batch) = batches.next().await {
                lines.extend(rows_of(&batch?));
            }
            Ok(lines.join("\n"))
        }
        Response::Done(tag) => Ok(tag.text(0)),
        other => panic!("{tag:?} answered {other:?}"),
    }
}

/// The rows of a batch, one line each, columns separated by `|`.
fn rows_of(batch: &RecordBatch) -> Vec<String> {
    let table = pretty_format_batches(std::slice::from_ref(batch))
        .unwrap()
        .to_string();
    let lines = table.lines().skip(3).filter(|line| line.starts_with('|'));
    let cells = |line: &str| {
        let inner = line.trim_matches('|');
        inner
            .split('|')
            .map(str::trim)
            .collect::<Vec<_>>()
            .join("|")
    };
    lines.map(cells).collect()
}
