//! Two processes over one data directory: the older one ends, whenever it wakes up, and takes
//! nothing of its successor's with it.

use std::path::Path;
use std::time::{Duration, Instant};

use super::harness::{PATIENCE, Server, wait_for};

/// How long the older one sleeps right after it has taken over: long enough for several checkpoints
/// of its successor.
const SLEEP_MS: u64 = 4_000;

fn manifests(data: &Path) -> usize {
    let found = std::fs::read_dir(data.join("chain"));
    found.map_or(0, |entries| entries.count())
}

fn numbers(to: u32) -> Vec<String> {
    let mut rows: Vec<String> = (1..=to).map(|n| format!("{n}|{}", n * n)).collect();
    rows.sort();
    rows
}

async fn insert(server: &Server, from: u32, to: u32) {
    let client = server.client().await;
    for n in from..=to {
        let sql = format!("INSERT INTO numbers VALUES ({n})");
        client.batch_execute(&sql).await.unwrap();
    }
    client.batch_execute("FLUSH").await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_process_that_was_overtaken_while_it_started_leaves_everything() {
    let data = tempfile::tempdir().unwrap();
    let mut first = Server::start(data.path());
    let client = first.client().await;
    client
        .batch_execute("CREATE TABLE numbers (n INT PRIMARY KEY)")
        .await
        .unwrap();
    let view = "CREATE STREAMING VIEW squares AS SELECT n, n * n AS square FROM numbers";
    client.batch_execute(view).await.unwrap();
    insert(&first, 1, 5).await;
    first.kill();

    let before = manifests(data.path());
    let failpoint = format!("chain.taken_over=sleep({SLEEP_MS})");
    let mut sleeper = Server::begin(data.path(), &failpoint);
    let start = Instant::now();
    while manifests(data.path()) == before {
        assert!(start.elapsed() < PATIENCE, "it has not taken over");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let mut newer = Server::start(data.path());
    for n in 6..=25 {
        insert(&newer, n, n).await;
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    assert!(sleeper.fails(), "it must not go on");
    insert(&newer, 26, 30).await;
    let ask = "SELECT n, square FROM squares";
    wait_for(&newer.client().await, ask, &numbers(30)).await;
    newer.kill();
    let last = Server::start(data.path());
    wait_for(&last.client().await, ask, &numbers(30)).await;
    wait_for(
        &last.client().await,
        "SELECT n, n * n FROM numbers",
        &numbers(30),
    )
    .await;
}
