//! An engine on a temporary directory behind a server on a free port.

use std::net::SocketAddr;
use std::sync::Arc;

use object_store::local::LocalFileSystem;
use rtsap_engine::Engine;
use rtsap_engine::config::EngineConfig;
use rtsap_pgwire_server::server::{PgServerConfig, bind};
use tempfile::TempDir;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio_postgres::{Client, NoTls, SimpleQueryMessage};

/// A running server.
pub struct Harness {
    pub address: SocketAddr,
    pub engine: Engine,
    stop: oneshot::Sender<()>,
    served: JoinHandle<()>,
    _folder: TempDir,
}

impl Harness {
    /// A new server on an empty directory.
    pub async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let store = LocalFileSystem::new_with_prefix(folder.path())
            .unwrap()
            .with_fsync(true);
        let config = EngineConfig::new(Arc::new(store), "pgwire-test");
        let connectors = Arc::new(rtsap_connectors::registry::BuiltinConnectors);
        let engine = Engine::start(config, connectors).await.unwrap();
        let listen = "127.0.0.1:0".parse().unwrap();
        let bound = bind(PgServerConfig::new(listen)).await.unwrap();
        let address = bound.local_addr();
        let (stop, stopped) = oneshot::channel();
        let served = tokio::spawn({
            let engine = engine.clone();
            async move { bound.serve(engine, stopped).await.unwrap() }
        });
        Self {
            address,
            engine,
            stop,
            served,
            _folder: folder,
        }
    }

    /// A connection of user and database `rtsap`.
    pub async fn client(&self) -> Client {
        let port = self.address.port();
        let config = format!("host=127.0.0.1 port={port} user=rtsap dbname=rtsap");
        let (client, connection) = tokio_postgres::connect(&config, NoTls).await.unwrap();
        tokio::spawn(connection);
        client
    }

    /// Shuts the server down; returns when it has drained.
    pub async fn shut_down(self) {
        self.stop.send(()).unwrap();
        self.served.await.unwrap();
    }
}

/// The rows of the last statement that has some, columns separated by `|`, null as `∅`.
pub async fn rows(client: &Client, sql: &str) -> Vec<String> {
    let messages = client.simple_query(sql).await.unwrap();
    let mut rows = Vec::new();
    for message in messages {
        match message {
            SimpleQueryMessage::Row(row) => {
                let cells = (0..row.len()).map(|index| row.get(index).unwrap_or("∅"));
                rows.push(cells.collect::<Vec<_>>().join("|"));
            }
            SimpleQueryMessage::RowDescription(_) => rows.clear(),
            _ => {}
        }
    }
    rows
}
