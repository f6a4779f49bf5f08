//! A sink that cannot go on by itself: it stands still and says where and why, everything else goes
//! on, and once its target is mended `ALTER SINK … RESUME` brings the very rows that are missing.

use std::time::Duration;

use rdkafka::ClientConfig;
use rdkafka::mocking::MockCluster;
use rdkafka::producer::{BaseRecord, DefaultProducerContext, Producer, ThreadedProducer};
use tokio::sync::{Mutex, MutexGuard};
use tokio_postgres::{Client, NoTls};

use super::harness::{PATIENCE, Server, rows, wait_for};

const KEYS: i64 = 10;

/// The tests write to the same tables, so they take turns.
static TURN: Mutex<()> = Mutex::const_new(());

/// A topic of `{"k", "n"}`, a server that reads it, and a database that two sinks write to.
struct Desk<'a> {
    cluster: MockCluster<'a, DefaultProducerContext>,
    producer: ThreadedProducer<DefaultProducerContext>,
    produced: i64,
    target: Client,
    url: String,
    data: tempfile::TempDir,
    server: Server,
    _turn: MutexGuard<'static, ()>,
}

impl Desk<'_> {
    /// `None` with a loud line without a TimescaleDB.
    async fn open() -> Option<Self> {
        let Ok(url) = std::env::var("RTSAP_TEST_TIMESCALE") else {
            eprintln!("SKIPPED: set RTSAP_TEST_TIMESCALE to the URL of a server");
            return None;
        };
        let turn = TURN.lock().await;
        let cluster: MockCluster<'_, DefaultProducerContext> = MockCluster::new(1).unwrap();
        cluster.create_topic("t", 2, 1).unwrap();
        let producer = ClientConfig::new()
            .set("bootstrap.servers", cluster.bootstrap_servers())
            .set("linger.ms", "1")
            .create()
            .unwrap();
        let (target, connection) = tokio_postgres::connect(&url, NoTls).await.unwrap();
        tokio::spawn(connection);
        let data = tempfile::tempdir().unwrap();
        let server = Server::start(data.path());
        Some(Self {
            cluster,
            producer,
            produced: 0,
            target,
            url,
            data,
            server,
            _turn: turn,
        })
    }

    async fn define(&self) {
        let reset = "DROP TABLE IF EXISTS mend_sums, mend_rows; \
            CREATE TABLE mend_sums (k bigint PRIMARY KEY, c bigint CONSTRAINT few CHECK (c <= 30), \
                s numeric); \
            CREATE TABLE mend_rows (k bigint, n bigint CONSTRAINT lucky CHECK (n <> 333));";
        self.target.batch_execute(reset).await.unwrap();
        let forget = "DELETE FROM rtsap.sink_progress WHERE sink LIKE 'mend_%'";
        // Another test may not have made it yet.
        let _ = self.target.batch_execute(forget).await;
        let (url, brokers) = (&self.url, self.cluster.bootstrap_servers());
        let client = self.server.client().await;
        for sql in [
            format!(
                "CREATE SOURCE t (k BIGINT NOT NULL, n BIGINT NOT NULL) WITH ('connector' = \
                 'kafka', 'topic' = 't', 'format' = 'json', 'properties.bootstrap.servers' = \
                 '{brokers}')"
            ),
            "CREATE STREAMING VIEW sums AS SELECT k, count(*) AS c, sum(n) AS s FROM t GROUP BY k"
                .to_owned(),
            "CREATE STREAMING VIEW all_rows AS SELECT k, n FROM t".to_owned(),
            format!(
                "CREATE SINK mend_sums FROM sums WITH ('connector' = 'timescaledb', \
                 'url' = '{url}', 'table' = 'mend_sums')"
            ),
            format!(
                "CREATE SINK mend_rows FROM all_rows WITH ('connector' = 'timescaledb', \
                 'url' = '{url}', 'table' = 'mend_rows')"
            ),
        ] {
            client.batch_execute(&sql).await.unwrap();
        }
    }

    /// Brings every key `rounds` times more.
    fn produce(&mut self, rounds: i64) {
        for _ in 0..rounds * KEYS {
            let n = self.produced;
            let (k, text) = (n % KEYS, format!("{{\"k\":{},\"n\":{n}}}", n % KEYS));
            let record = BaseRecord::to("t").key("").payload(&text);
            let record = record.partition(i32::try_from(k % 2).unwrap());
            self.producer.send(record).map_err(|e| e.0).unwrap();
            self.produced += 1;
        }
        self.producer.flush(Duration::from_secs(30)).unwrap();
    }

    /// What the topic comes to, counted by a plain loop.
    fn sums(&self) -> Vec<String> {
        let line = |k: i64| {
            let numbers = (0..self.produced).filter(|n| n % KEYS == k);
            let (count, sum) = numbers.fold((0, 0), |(count, sum), n| (count + 1, sum + n));
            format!("{k}|{count}|{sum}")
        };
        let mut lines: Vec<String> = (0..KEYS).map(line).collect();
        lines.sort();
        lines
    }

    fn all(&self) -> Vec<String> {
        let mut lines: Vec<String> = (0..self.produced)
            .map(|n| format!("{}|{n}", n % KEYS))
            .collect();
        lines.sort();
        lines
    }

    async fn both_are_right(&self) {
        wait_for(&self.target, "SELECT k, c, s FROM mend_sums", &self.sums()).await;
        wait_for(&self.target, "SELECT k, n FROM mend_rows", &self.all()).await;
    }

    /// Waits until `SHOW SINKS` calls both sinks `states`.
    async fn are(&self, states: [&str; 2]) {
        let client = self.server.client().await;
        let ask = "SELECT name, state FROM rtsap_catalog.sinks";
        let expected = ["mend_rows", "mend_sums"].iter().zip(states);
        let expected: Vec<String> = expected.map(|(name, is)| format!("{name}|{is}")).collect();
        wait_for(&client, ask, &expected).await;
    }

    async fn run(&self, sql: &str) {
        let client = self.server.client().await;
        client.batch_execute(sql).await.unwrap();
    }

    fn restart(&mut self) {
        self.server.kill();
        self.server = Server::start(self.data.path());
    }

    /// Views, checkpoints and the other outboxes go on whatever the sinks do.
    async fn goes_on(&self) {
        let client = self.server.client().await;
        wait_for(&client, "SELECT k, c, s FROM sums", &self.sums()).await;
        let epoch = async || {
            let found = rows(&client, "SELECT epoch FROM rtsap_catalog.checkpoints").await;
            found.unwrap()[0].parse::<u64>().unwrap()
        };
        let (before, start) = (epoch().await, std::time::Instant::now());
        self.run("CREATE TABLE goes_on (a INT)").await;
        while epoch().await <= before {
            assert!(start.elapsed() < PATIENCE, "no checkpoint after {before}");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        self.run("DROP TABLE goes_on").await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mended_sink_goes_on_with_the_very_rows_that_are_missing() {
    let Some(mut desk) = Desk::open().await else {
        return;
    };
    desk.define().await;
    desk.produce(30);
    desk.both_are_right().await;
    // The 31st of each key breaks one constraint, number 333 the other.
    for _ in 0..3 {
        desk.produce(2);
        desk.goes_on().await;
    }
    desk.are(["suspended", "suspended"]).await;
    let client = desk.server.client().await;
    let ask = "SELECT name, failed_epoch > applied_epoch, pending_epochs >= 2, \
               failed_row LIKE 'Failing row contains (%' , reason LIKE '%23514%' \
               FROM rtsap_catalog.sinks";
    let told = ["mend_rows|t|t|t|t", "mend_sums|t|t|t|t"];
    assert_eq!(rows(&client, ask).await.unwrap(), told);
    // A crash forgets neither the outbox nor what is wrong.
    desk.restart();
    desk.are(["suspended", "suspended"]).await;
    desk.goes_on().await;
    desk.run("ALTER SINK mend_sums RESUME").await;
    desk.are(["suspended", "suspended"]).await;
    let mend = "ALTER TABLE mend_sums DROP CONSTRAINT few";
    desk.target.batch_execute(mend).await.unwrap();
    desk.run("ALTER SINK mend_sums RESUME").await;
    desk.are(["suspended", "running"]).await;
    let mend = "ALTER TABLE mend_rows DROP CONSTRAINT lucky";
    desk.target.batch_execute(mend).await.unwrap();
    desk.run("ALTER SINK mend_rows RESUME").await;
    desk.both_are_right().await;
    let client = desk.server.client().await;
    let ask = "SELECT name, state, failed_epoch, failed_row, reason FROM rtsap_catalog.sinks";
    let told = ["mend_rows", "mend_sums"].map(|name| format!("{name}|running|NULL|NULL|NULL"));
    wait_for(&client, ask, &told).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_changed_target_suspends_its_sink_until_it_fits_again() {
    let Some(mut desk) = Desk::open().await else {
        return;
    };
    desk.define().await;
    desk.produce(2);
    desk.both_are_right().await;
    // One loses a column, the other gets one that cannot hold every value.
    let change = "ALTER TABLE mend_sums RENAME COLUMN c TO count; \
                  ALTER TABLE mend_rows ALTER COLUMN n TYPE smallint";
    desk.target.batch_execute(change).await.unwrap();
    desk.produce(2);
    desk.are(["suspended", "suspended"]).await;
    desk.goes_on().await;
    let client = desk.server.client().await;
    let reasons = rows(&client, "SELECT reason FROM rtsap_catalog.sinks").await;
    let reasons = reasons.unwrap().join("\n");
    for part in ["column \"c\"", "column n"] {
        assert!(reasons.contains(part), "{part} in {reasons}");
    }
    let mend = "ALTER TABLE mend_sums RENAME COLUMN count TO c; \
                ALTER TABLE mend_rows ALTER COLUMN n TYPE bigint";
    desk.target.batch_execute(mend).await.unwrap();
    for sink in ["mend_sums", "mend_rows"] {
        desk.run(&format!("ALTER SINK {sink} RESUME")).await;
    }
    desk.both_are_right().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_paused_sink_stands_still_across_a_crash_and_misses_nothing() {
    let Some(mut desk) = Desk::open().await else {
        return;
    };
    desk.define().await;
    desk.produce(2);
    desk.both_are_right().await;
    desk.run("ALTER SINK mend_sums PAUSE").await;
    let (sums, stands) = (desk.sums(), "SELECT k, c, s FROM mend_sums");
    desk.produce(3);
    desk.goes_on().await;
    desk.restart();
    desk.produce(3);
    wait_for(&desk.target, "SELECT k, n FROM mend_rows", &desk.all()).await;
    desk.are(["running", "paused"]).await;
    assert_eq!(rows(&desk.target, stands).await.unwrap(), sums);
    desk.run("ALTER SINK mend_sums RESUME").await;
    desk.both_are_right().await;
    desk.are(["running", "running"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_renamed_sink_goes_on_and_another_of_its_old_name_does_not() {
    let Some(mut desk) = Desk::open().await else {
        return;
    };
    desk.define().await;
    desk.produce(2);
    desk.both_are_right().await;
    desk.run("ALTER SINK mend_sums RENAME TO mend_others").await;
    desk.restart();
    desk.produce(2);
    desk.both_are_right().await;
    // Both of these would write what is there already, after rows that are not theirs.
    let make = |name: &str, view: &str, table: &str| {
        format!(
            "CREATE SINK {name} FROM {view} WITH ('connector' = 'timescaledb', 'url' = '{}', \
             'table' = '{table}')",
            desk.url
        )
    };
    desk.run("DROP SINK mend_rows").await;
    for sql in [
        make("mend_rows", "all_rows", "mend_rows"),
        make("mend_sums", "sums", "mend_sums"),
    ] {
        desk.run(&sql).await;
    }
    let client = desk.server.client().await;
    let ask =
        "SELECT name, state, reason LIKE '%belongs to another sink%' FROM rtsap_catalog.sinks";
    let told = [
        "mend_others|running|NULL",
        "mend_rows|suspended|t",
        "mend_sums|suspended|t",
    ];
    wait_for(&client, ask, &told.map(str::to_owned)).await;
    let rows_before = desk.all();
    desk.produce(2);
    wait_for(&desk.target, "SELECT k, c, s FROM mend_sums", &desk.sums()).await;
    let kept = rows(&desk.target, "SELECT k, n FROM mend_rows")
        .await
        .unwrap();
    assert_eq!(kept, rows_before);
    // As the hint says.
    let empty = "TRUNCATE mend_rows; DELETE FROM rtsap.sink_progress WHERE sink = 'mend_rows'";
    desk.target.batch_execute(empty).await.unwrap();
    desk.run("ALTER SINK mend_rows RESUME").await;
    desk.both_are_right().await;
}
