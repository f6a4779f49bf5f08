//! An engine that goes away and comes back while a file runs: what a file says must hold whatever
//! happens to the process.
//!
//! Before and after each `FLUSH` another engine begins on the same store. One time the old one has
//! stopped; the next time it still runs, is fenced, and what it has not saved is lost.

use std::sync::Arc;

use async_trait::async_trait;
use object_store::memory::InMemory;
use sqllogictest::{AsyncDB, DBOutput, DefaultColumnType};
use tokio::sync::Mutex;

use crate::database::{Database, Failure, Server};

/// One store and the engines on it, one after the other. Cloning shares them.
#[derive(Clone)]
pub struct Lives(Arc<Mutex<Life>>);

struct Life {
    store: Arc<InMemory>,
    server: Server,
    /// How many engines there were before this one.
    before: u64,
}

impl Lives {
    /// Starts the first engine.
    ///
    /// # Errors
    /// Why it did not start.
    pub async fn start() -> Result<Self, Failure> {
        let store = Arc::new(InMemory::new());
        let server = Server::start_on(Arc::clone(&store), 0).await?;
        let before = 0;
        let life = Life {
            store,
            server,
            before,
        };
        Ok(Self(Arc::new(Mutex::new(life))))
    }

    /// A connection that outlives the engines.
    pub fn connect(&self) -> Reconnecting {
        Reconnecting {
            lives: self.clone(),
            session: None,
        }
    }

    /// Stops the last engine, whose ledger must balance.
    ///
    /// # Errors
    /// Views of which that is not so; what its last checkpoint met.
    pub async fn stop(&self) -> Result<(), Failure> {
        let life = self.0.lock().await;
        let balanced = life.server.check_ledger().await;
        let stopped = life.server.stop().await;
        balanced.and(stopped)
    }

    async fn restart(&self) -> Result<(), Failure> {
        let mut life = self.0.lock().await;
        life.before += 1;
        let (store, before) = (Arc::clone(&life.store), life.before);
        if before % 2 == 1 {
            life.server.stop().await?;
            life.server = Server::start_on(store, before).await?;
            return Ok(());
        }
        let next = Server::start_on(store, before).await?;
        let fenced = std::mem::replace(&mut life.server, next);
        // It cannot save anything any more, and says so.
        let _: Result<(), Failure> = fenced.stop().await;
        Ok(())
    }
}

/// A connection that begins a new session when there is a new engine.
pub struct Reconnecting {
    lives: Lives,
    session: Option<(u64, Database)>,
}

impl Reconnecting {
    async fn session(&mut self) -> Result<&mut Database, Failure> {
        let life = self.lives.0.lock().await;
        let session = match self.session.take() {
            Some((before, session)) if before == life.before => session,
            _ => life.server.connect()?,
        };
        let (_, session) = self.session.insert((life.before, session));
        Ok(session)
    }
}

#[async_trait]
impl AsyncDB for Reconnecting {
    type Error = Failure;
    type ColumnType = DefaultColumnType;

    async fn run(&mut self, sql: &str) -> Result<DBOutput<DefaultColumnType>, Failure> {
        let flush = sql.trim().eq_ignore_ascii_case("FLUSH");
        if flush {
            self.lives.restart().await?;
        }
        let output = self.session().await?.run(sql).await?;
        if flush {
            self.lives.restart().await?;
        }
        Ok(output)
    }

    async fn shutdown(&mut self) {}

    fn engine_name(&self) -> &str {
        "rtsap"
    }

    fn error_sql_state(failure: &Failure) -> Option<String> {
        failure.sqlstate().map(str::to_owned)
    }
}
