//! A TCP proxy before a server that can lose the answer to a COMMIT.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_postgres::Config;
use tokio_postgres::config::Host;

/// How long the server's side stays open after a lost answer: longer than any test waits for it.
const SERVER_LINGER: Duration = Duration::from_secs(30);

pub struct Proxy {
    /// The server's URL with the proxy's address.
    pub url: String,
    lose: Arc<AtomicBool>,
}

impl Proxy {
    pub async fn start(url: &str) -> Self {
        let config: Config = url.parse().unwrap();
        let Some(Host::Tcp(host)) = config.get_hosts().first() else {
            panic!("no TCP host in {url}")
        };
        let server = format!("{host}:{}", config.get_ports().first().unwrap_or(&5432));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let lose = Arc::new(AtomicBool::new(false));
        let (flag, upstream) = (Arc::clone(&lose), server.clone());
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                tokio::spawn(carry(client, upstream.clone(), Arc::clone(&flag)));
            }
        });
        Self {
            url: url.replace(&server, &address.to_string()),
            lose,
        }
    }

    /// The next COMMIT reaches the server; then the client's connection is cut, and the server's
    /// stays open.
    pub fn lose_next_commit(&self) {
        self.lose.store(true, Ordering::SeqCst);
    }
}

async fn carry(client: TcpStream, server: String, lose: Arc<AtomicBool>) {
    let server = TcpStream::connect(server).await.unwrap();
    let (mut from_client, mut to_client) = client.into_split();
    let (mut from_server, mut to_server) = server.into_split();
    let answers = tokio::spawn(async move {
        let _ = tokio::io::copy(&mut from_server, &mut to_client).await;
        from_server
    });
    let mut buffer = vec![0; 64 * 1024];
    while let Ok(count @ 1..) = from_client.read(&mut buffer).await {
        let is_commit = buffer[..count].windows(6).any(|word| word == b"COMMIT");
        // "ON COMMIT DELETE ROWS" is not it: the simple query of one word is.
        let is_commit = is_commit && buffer[..count].starts_with(b"Q") && count < 16;
        if is_commit && lose.swap(false, Ordering::SeqCst) {
            // The answer's way is cut before the question is passed on.
            answers.abort();
            let _ = answers.await;
            drop(from_client);
            to_server.write_all(&buffer[..count]).await.unwrap();
            // Keep the server's side open until it has done its work.
            tokio::time::sleep(SERVER_LINGER).await;
            return;
        }
        if to_server.write_all(&buffer[..count]).await.is_err() {
            break;
        }
    }
    answers.abort();
}
