//! `ALTER STREAMING VIEW … AS` while messages come, subscribers read and sinks write: the new query
//! takes the old one's place, and whoever follows the view has each window exactly once, whatever
//! dies in between.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::time::Duration;

use futures::StreamExt;
use rdkafka::ClientConfig;
use rdkafka::mocking::MockCluster;
use rdkafka::producer::{BaseRecord, DefaultProducerContext, Producer, ThreadedProducer};
use tokio::task::JoinHandle;
use tokio_postgres::{Client, NoTls};

use super::harness::{Server, rows, wait_for};

/// 2024-01-02T14:30:00Z, in milliseconds.
const START_MS: i64 = 1_704_205_800_000;

/// Event time between two messages: 20 a second, so that a window has 5 of each key.
const STEP_MS: i64 = 50;

const KEYS: i64 = 4;

/// By so much each row counts more in the new queries.
const MORE: i64 = 1_000_000;

/// Messages behind the last one that is compared: they close the windows before it.
const CLOSING: i64 = 200;

/// (window, key) → (sum, count): by a plain loop over the messages.
fn windows(produced: i64) -> BTreeMap<(i64, i64), (i64, i64)> {
    let mut windows = BTreeMap::new();
    for n in 0..produced {
        let second = (START_MS + n * STEP_MS).div_euclid(1_000);
        let (sum, count) = windows.entry((second, n % KEYS)).or_insert((0, 0));
        (*sum, *count) = (*sum + n, *count + 1);
    }
    windows
}

/// Messages that come until this is dropped.
struct Stream {
    produced: Arc<AtomicI64>,
    stop: Arc<AtomicBool>,
    task: Option<std::thread::JoinHandle<()>>,
}

impl Stream {
    fn start(brokers: &str) -> Self {
        let producer: ThreadedProducer<DefaultProducerContext> = ClientConfig::new()
            .set("bootstrap.servers", brokers)
            .set("linger.ms", "1")
            .create()
            .unwrap();
        let (produced, stop) = (
            Arc::new(AtomicI64::new(0)),
            Arc::new(AtomicBool::new(false)),
        );
        let (count, ends) = (Arc::clone(&produced), Arc::clone(&stop));
        let task = std::thread::spawn(move || {
            while !ends.load(Ordering::SeqCst) {
                for _ in 0..10 {
                    let n = count.load(Ordering::SeqCst);
                    let ts = START_MS + n * STEP_MS;
                    let text = format!("{{\"k\":{},\"n\":{n},\"ms\":{ts}}}", n % KEYS);
                    let record: BaseRecord<'_, str, str> = BaseRecord::to("t");
                    let partition = i32::try_from(n % KEYS % 2).unwrap();
                    let record = record.partition(partition).payload(&text);
                    producer.send(record).map_err(|e| e.0).unwrap();
                    count.store(n + 1, Ordering::SeqCst);
                }
                std::thread::sleep(Duration::from_millis(10));
            }
            producer.flush(Duration::from_secs(30)).unwrap();
        });
        let task = Some(task);
        Self {
            produced,
            stop,
            task,
        }
    }

    /// Ends it; returns how many messages there are.
    fn end(&mut self) -> i64 {
        self.stop.store(true, Ordering::SeqCst);
        if let Some(task) = self.task.take() {
            task.join().unwrap();
        }
        self.produced.load(Ordering::SeqCst)
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::SeqCst);
    }
}

fn bars(value: &str, emit: &str) -> String {
    format!(
        "SELECT window_start, k, sum({value}) AS s FROM TUMBLE(TABLE t, DESCRIPTOR(ts), \
         INTERVAL '1' SECOND) GROUP BY window_start, window_end, k {emit}"
    )
}

fn totals(value: &str) -> String {
    format!("SELECT k, count(*) AS c, sum({value}) AS s FROM t GROUP BY k")
}

/// The views, by name, with their queries for a value.
fn views(value: &str) -> [(&'static str, String); 3] {
    [
        ("bars", bars(value, "EMIT ON WINDOW CLOSE")),
        ("live", bars(value, "EMIT CHANGES")),
        ("totals", totals(value)),
    ]
}

const TABLES: [&str; 3] = ["alter_bars", "alter_live", "alter_totals"];

async fn target() -> Option<(String, Client)> {
    let Ok(url) = std::env::var("RTSAP_TEST_TIMESCALE") else {
        eprintln!("SKIPPED: set RTSAP_TEST_TIMESCALE to the URL of a server");
        return None;
    };
    let (client, connection) = tokio_postgres::connect(&url, NoTls).await.unwrap();
    tokio::spawn(connection);
    Some((url, client))
}

async fn forget(target: &Client) {
    for table in TABLES {
        let drop = format!("DROP TABLE IF EXISTS {table}");
        target.batch_execute(&drop).await.unwrap();
    }
    let forget = "DELETE FROM rtsap.sink_progress WHERE sink LIKE 'alter_%'";
    // Another test may not have made it yet.
    let _ = target.batch_execute(forget).await;
}

async fn define(client: &Client, brokers: &str, url: &str) {
    let source = format!(
        "CREATE SOURCE t (k BIGINT NOT NULL, n BIGINT NOT NULL, ms BIGINT NOT NULL, \
         ts AS to_timestamp_millis(ms), \
         WATERMARK FOR ts AS ts - INTERVAL '0.2' SECOND) WITH ('connector' = 'kafka', \
         'topic' = 't', 'format' = 'json', 'properties.bootstrap.servers' = '{brokers}')"
    );
    client.batch_execute(&source).await.unwrap();
    for (name, query) in views("n") {
        let view = format!("CREATE STREAMING VIEW {name} AS {query}");
        client.batch_execute(&view).await.unwrap();
        let sink = format!(
            "CREATE SINK alter_{name} FROM {name} WITH ('connector' = 'timescaledb', \
             'url' = '{url}', 'table' = 'alter_{name}')"
        );
        client.batch_execute(&sink).await.unwrap();
    }
    // A view on a view that is altered.
    let above = "CREATE STREAMING VIEW above AS SELECT sum(s) AS s, count(*) AS keys FROM totals";
    client.batch_execute(above).await.unwrap();
}

/// A subscriber, who adds up what it is told: text of a row → how often it is there.
fn follow(client: Client, view: &'static str) -> JoinHandle<BTreeMap<String, i64>> {
    tokio::spawn(async move {
        let sql = format!("COPY (SUBSCRIBE {view}) TO STDOUT");
        let lines = client.copy_out(&sql).await.unwrap();
        let mut lines = std::pin::pin!(lines);
        let mut rows = BTreeMap::new();
        while let Some(Ok(bytes)) = lines.next().await {
            for line in std::str::from_utf8(&bytes).unwrap().lines() {
                let mut cells = line.splitn(3, '\t');
                let (_, op) = (cells.next(), cells.next().unwrap());
                let row = cells.next().unwrap().replace('\t', "|");
                let count = rows.entry(row.clone()).or_insert(0);
                *count += if op == "insert" { 1 } else { -1 };
                assert!(
                    (0..=1).contains(count),
                    "{view}: {row} {op} comes {count} times"
                );
            }
        }
        rows.retain(|_, count| *count > 0);
        rows
    })
}

const ASK: &str = "SELECT extract(epoch FROM window_start)::bigint, k, s FROM ";

/// Every window before `last` is there once, by the old query up to some window and by the new one
/// from there on; returns how many are old and how many new.
fn check_windows(name: &str, found: &[String], last: i64) -> (usize, usize) {
    let wanted = windows(last + CLOSING);
    let limit = (START_MS + last * STEP_MS).div_euclid(1_000);
    let mut seen = BTreeMap::new();
    for line in found {
        let cells: Vec<i64> = line.split('|').map(|cell| cell.parse().unwrap()).collect();
        let before = seen.insert((cells[0], cells[1]), cells[2]);
        assert_eq!(before, None, "{name}: {line} is there twice");
    }
    let (mut old, mut new) = (0, 0);
    let (mut newest_old, mut oldest_new) = (i64::MIN, i64::MAX);
    for ((window, key), (sum, count)) in wanted.range(..(limit, 0)) {
        let found = seen.get(&(*window, *key));
        match found {
            Some(found) if found == sum => {
                (old, newest_old) = (old + 1, newest_old.max(*window));
            }
            Some(found) if *found == sum + MORE * count => {
                (new, oldest_new) = (new + 1, oldest_new.min(*window));
            }
            other => panic!("{name}: window {window} of key {key} is {other:?}, not {sum}"),
        }
    }
    assert!(
        newest_old < oldest_new,
        "{name}: {newest_old} is old, {oldest_new} is new"
    );
    (old, new)
}

/// Compares views, tables and the view above with the messages.
async fn check(client: &Client, target: &Client, produced: i64) {
    let sum = |k: i64| {
        let numbers = (0..produced).filter(|n| n % KEYS == k);
        numbers.fold((0, 0), |(count, sum), n| (count + 1, sum + n + MORE))
    };
    let sums: Vec<(i64, i64)> = (0..KEYS).map(sum).collect();
    let lines: Vec<String> = sums
        .iter()
        .enumerate()
        .map(|(k, (c, s))| format!("{k}|{c}|{s}"))
        .collect();
    wait_for(client, "SELECT k, c, s FROM totals", &lines).await;
    wait_for(target, "SELECT k, c, s FROM alter_totals", &lines).await;
    let total: i64 = sums.iter().map(|(_, sum)| sum).sum();
    wait_for(
        client,
        "SELECT s, keys FROM above",
        &[format!("{total}|{KEYS}")],
    )
    .await;
    for name in ["bars", "live"] {
        let served = rows(client, &format!("{ASK}{name}")).await.unwrap();
        let (old, new) = check_windows(name, &served, produced - CLOSING);
        assert!(new > 0, "{name}: nothing is new");
        eprintln!("{name}: {old} windows by the old query, {new} by the new one");
        wait_for(target, &format!("{ASK}alter_{name}"), &served).await;
    }
    let ledger = "SELECT view, rows_in, balances FROM rtsap_catalog.ledger WHERE view <> 'above'";
    let balanced = ["bars", "live", "totals"].map(|view| format!("{view}|{produced}|t"));
    wait_for(client, ledger, &balanced).await;
}

/// The tests write to the same tables, so they take turns.
static TURN: tokio::sync::Mutex<()> = tokio::sync::Mutex::const_new(());

#[tokio::test(flavor = "multi_thread")]
async fn a_new_query_takes_over_without_a_gap_or_an_overlap() {
    let _turn = TURN.lock().await;
    let Some((url, target)) = target().await else {
        return;
    };
    forget(&target).await;
    let cluster: MockCluster<'_, DefaultProducerContext> = MockCluster::new(1).unwrap();
    cluster.create_topic("t", 2, 1).unwrap();
    let brokers = cluster.bootstrap_servers();
    let data = tempfile::tempdir().unwrap();
    let server = Server::start(data.path());
    let client = server.client().await;
    define(&client, &brokers, &url).await;
    let mut stream = Stream::start(&brokers);
    let mut followers = Vec::new();
    for view in ["bars", "live", "totals"] {
        followers.push((view, follow(server.client().await, view)));
    }
    tokio::time::sleep(Duration::from_millis(1_500)).await;
    for (name, query) in views("n + 1000000") {
        let alter = format!("ALTER STREAMING VIEW {name} AS {query}");
        client.batch_execute(&alter).await.unwrap();
        tokio::time::sleep(Duration::from_millis(300)).await;
    }
    let text = rows(&client, "SHOW CREATE bars").await.unwrap().join(" ");
    assert!(text.contains("n + 1000000"), "{text}");
    tokio::time::sleep(Duration::from_millis(1_000)).await;
    let produced = stream.end();
    check(&client, &target, produced).await;
    let mut held = Vec::new();
    for view in ["bars", "live", "totals"] {
        let mut lines = rows(&client, &format!("SELECT * FROM {view}"))
            .await
            .unwrap();
        lines.sort();
        held.push(lines);
    }
    for name in ["bars", "live"] {
        for sql in [
            format!("DROP SINK alter_{name}"),
            format!("DROP STREAMING VIEW {name}"),
        ] {
            client.batch_execute(&sql).await.unwrap();
        }
    }
    let end = "DROP SINK alter_totals; DROP STREAMING VIEW above; DROP STREAMING VIEW totals";
    client.batch_execute(end).await.unwrap();
    for ((view, follower), held) in followers.into_iter().zip(held) {
        let told: Vec<String> = follower.await.unwrap().into_keys().collect();
        assert_eq!(told, held, "what the subscriber of {view} was told");
    }
}

/// Starts until a start succeeds; the armed points act in their life only.
fn start(data: &Path, mut armed: Option<&str>) -> (Server, usize) {
    let mut deaths = 0;
    loop {
        match Server::try_start(data, armed.take()) {
            Some(server) => return (server, deaths),
            None => deaths += 1,
        }
        assert!(deaths < 3, "it does not start");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn dying_while_a_view_is_altered_leaves_the_old_one_or_the_new_one() {
    let _turn = TURN.lock().await;
    let Some((url, target)) = target().await else {
        return;
    };
    for (point, then, new) in [
        ("core.rebuild_begun", "", false),
        ("alter.level", "", false),
        ("alter.saved", "", false),
        ("catalog.swapped", "", true),
        ("alter.committed", "", true),
        ("alter.committed", "boot.cut_over=abort", true),
        ("core.cut_over", "", true),
        ("core.cut_over", "core.cut_made=abort", true),
    ] {
        forget(&target).await;
        let cluster: MockCluster<'_, DefaultProducerContext> = MockCluster::new(1).unwrap();
        cluster.create_topic("t", 2, 1).unwrap();
        let brokers = cluster.bootstrap_servers();
        let data = tempfile::tempdir().unwrap();
        let folder = data.path().join("data");
        let (server, _) = start(&folder, None);
        define(&server.client().await, &brokers, &url).await;
        drop(server);
        let mut stream = Stream::start(&brokers);
        let mut deaths = 0;
        let (mut server, _) = start(&folder, None);
        for (name, query) in views("n + 1000000") {
            drop(server);
            let armed = format!("{point}=abort");
            (server, _) = start(&folder, Some(&armed));
            let client = server.client().await;
            let alter = format!("ALTER STREAMING VIEW {name} AS {query}");
            let lost = client.batch_execute(&alter).await.unwrap_err();
            assert!(lost.as_db_error().is_none(), "{point}: {lost:?}");
            drop(server);
            let died;
            (server, died) = start(&folder, Some(then));
            deaths += 1 + died;
            let client = server.client().await;
            let text = rows(&client, &format!("SHOW CREATE {name}")).await;
            let text = text.unwrap_or_default().join(" ");
            if text.is_empty() {
                // It has died of what was armed for its second life.
                drop(server);
                deaths += 1;
                (server, _) = start(&folder, None);
            } else {
                assert_eq!(text.contains("n + 1000000"), new, "{point}: {text}");
            }
            if !new {
                let client = server.client().await;
                client.batch_execute(&alter).await.unwrap();
            }
        }
        drop(server);
        let (server, _) = start(&folder, None);
        tokio::time::sleep(Duration::from_millis(500)).await;
        let produced = stream.end();
        check(&server.client().await, &target, produced).await;
        eprintln!("{point} {then}: {deaths} deaths");
    }
}
