//! The crash-point matrix: the server dies at each named point, once early and once later, is
//! started again, and in the end no row is missing, doubled or wrong. With `RTSAP_TEST_FAILPOINTS`
//! = `all` every point is taken; else every seventh, so that the rest of the tests stays short.

use std::path::Path;
use std::time::{Duration, Instant};

use rdkafka::ClientConfig;
use rdkafka::mocking::MockCluster;
use rdkafka::producer::{BaseRecord, DefaultProducerContext, Producer, ThreadedProducer};
use rtsap_stream::failpoint;
use tokio_postgres::Client;

use super::harness::{Server, rows, wait_for};
use super::outside::Outside;

/// Messages produced before each start, three times.
const MESSAGES: i64 = 900;

/// Tries to bring a statement through, each with a server that may die of it.
const TRIES_MAX: usize = 6;

/// A process that aborts is gone within this.
const END_MAX: Duration = Duration::from_secs(5);

/// Points that this test cannot reach: the number of partitions stays (the connectors' tests add
/// some), and no view is altered (`alter.rs` dies at these).
const ELSEWHERE: [&str; 7] = [
    "core.split_found",
    "core.rebuild_begun",
    "core.cut_over",
    "boot.cut_over",
    "alter.level",
    "alter.saved",
    "alter.committed",
];

fn definitions(brokers: &str, folder: &Path) -> Vec<String> {
    let files = folder.join("files");
    vec![
        format!(
            "CREATE SOURCE IF NOT EXISTS t (k BIGINT NOT NULL, n BIGINT NOT NULL) WITH \
             ('connector' = 'kafka', 'topic' = 't', 'format' = 'json', \
             'properties.bootstrap.servers' = '{brokers}')"
        ),
        "CREATE TABLE IF NOT EXISTS notes (id BIGINT PRIMARY KEY, text TEXT)".to_owned(),
        "CREATE STREAMING VIEW IF NOT EXISTS sums AS SELECT k, count(*) AS c, sum(n) AS s FROM t \
         GROUP BY k"
            .to_owned(),
        "CREATE STREAMING VIEW IF NOT EXISTS all_rows AS SELECT k, n FROM t".to_owned(),
        format!(
            "CREATE SINK IF NOT EXISTS files FROM all_rows WITH ('connector' = 'filesystem', \
             'path' = '{}', 'format' = 'parquet')",
            files.display()
        ),
    ]
}

/// A server with a point armed, and what it takes to go on when it dies.
struct Life<'a> {
    folder: &'a Path,
    server: Option<Server>,
    deaths: usize,
}

impl Life<'_> {
    /// Starts until a start succeeds; the armed point acts in the first only.
    fn begin(&mut self, armed: Option<&str>) {
        if self.server.as_mut().is_some_and(Server::has_ended) {
            self.deaths += 1;
        }
        self.server = None;
        let data = self.folder.join("data");
        let mut armed = armed;
        for _ in 0..TRIES_MAX {
            match Server::try_start(&data, armed.take()) {
                Some(server) => {
                    self.server = Some(server);
                    return;
                }
                None => self.deaths += 1,
            }
        }
        panic!("it does not start");
    }

    async fn client(&mut self) -> Client {
        for _ in 0..TRIES_MAX {
            if let Some(server) = &self.server
                && let Some(client) = server.try_client().await
            {
                return client;
            }
            self.end().await;
        }
        panic!("nobody answers");
    }

    /// Waits until a server that has lost its connections has ended, and starts the next.
    async fn end(&mut self) {
        self.rest(END_MAX).await;
        self.begin(None);
    }

    /// Waits for `time`, or until the server dies.
    async fn rest(&mut self, time: Duration) {
        let until = Instant::now() + time;
        while Instant::now() < until {
            if self.server.as_mut().is_none_or(Server::has_ended) {
                return;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Runs a statement that may be repeated until it goes through.
    async fn run(&mut self, sql: &str) {
        for _ in 0..TRIES_MAX {
            let client = self.client().await;
            match client.batch_execute(sql).await {
                Ok(()) => return,
                Err(error) if error.as_db_error().is_none() => self.end().await,
                // It was carried out, and only its answer was lost.
                Err(error) if error.code().is_some_and(|code| code.code() == "23505") => return,
                Err(error) => panic!("{sql}: {error:?}"),
            }
        }
        panic!("it does not go through: {sql}");
    }
}

async fn dies_at(name: &str, action: &str, outside: &Outside) -> usize {
    let cluster: MockCluster<'_, DefaultProducerContext> = MockCluster::new(1).unwrap();
    cluster.create_topic("t", 2, 1).unwrap();
    let brokers = cluster.bootstrap_servers();
    let producer: ThreadedProducer<DefaultProducerContext> = ClientConfig::new()
        .set("bootstrap.servers", &brokers)
        .create()
        .unwrap();
    let folder = tempfile::tempdir().unwrap();
    let mut life = Life {
        folder: folder.path(),
        server: None,
        deaths: 0,
    };
    life.begin(Some(&format!("{name}={action}")));
    for statement in definitions(&brokers, folder.path()) {
        life.run(&statement).await;
    }
    for statement in outside.definitions() {
        life.run(&statement).await;
    }
    for round in 0..3 {
        for n in round * MESSAGES..(round + 1) * MESSAGES {
            let payload = format!("{{\"k\":{},\"n\":{n}}}", n % 7);
            let partition = i32::try_from(n % 2).unwrap();
            let record: BaseRecord<'_, str, str> = BaseRecord::to("t");
            let record = record.partition(partition).payload(&payload);
            producer.send(record).map_err(|e| e.0).unwrap();
        }
        producer.flush(Duration::from_secs(30)).unwrap();
        life.run(&format!("INSERT INTO notes VALUES ({round}, 'x')"))
            .await;
        life.run("CREATE STREAMING VIEW IF NOT EXISTS extra AS SELECT n FROM t")
            .await;
        life.run("DROP STREAMING VIEW IF EXISTS extra").await;
        life.rest(outside.work_time()).await;
        if round < 2 {
            let armed = format!("{name}={action}");
            life.begin(Some(&armed));
        }
    }
    life.begin(None);
    let client = life.client().await;
    let sums: Vec<String> = (0..7)
        .map(|k| {
            let of: Vec<i64> = (0..3 * MESSAGES).filter(|n| n % 7 == k).collect();
            format!("{k}|{}|{}", of.len(), of.iter().sum::<i64>())
        })
        .collect();
    wait_for(&client, "SELECT * FROM sums", &sums).await;
    let notes: Vec<String> = (0..3).map(|round| format!("{round}|x")).collect();
    assert_eq!(
        rows(&client, "SELECT * FROM notes").await.unwrap(),
        notes,
        "{name}"
    );
    let total = 3 * MESSAGES;
    let all = vec![format!("{total}|{total}")];
    wait_for(
        &client,
        "SELECT count(*), count(DISTINCT n) FROM all_rows",
        &all,
    )
    .await;
    outside.check(total, &sums).await;
    in_files(&client, folder.path(), total).await;
    life.deaths
}

/// The files hold each row once, read by the server's own reader of Parquet.
async fn in_files(client: &Client, folder: &Path, total: i64) {
    let files = folder.join("files");
    // It follows the folder: the last epochs may still be on their way.
    let source = format!(
        "CREATE SOURCE back (k BIGINT, n BIGINT) WITH ('connector' = 'filesystem', \
         'path' = '{}/epoch-*.parquet', 'format' = 'parquet', \
         'source.monitor-interval' = '100 ms'); \
         CREATE STREAMING VIEW back_view AS SELECT k, n FROM back",
        files.display()
    );
    client.batch_execute(&source).await.unwrap();
    let all = vec![format!("{total}|{total}")];
    wait_for(
        client,
        "SELECT count(*), count(DISTINCT n) FROM back_view",
        &all,
    )
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn dying_at_any_named_point_loses_and_repeats_nothing() {
    let all = std::env::var("RTSAP_TEST_FAILPOINTS").is_ok_and(|value| value == "all");
    let step = if all { 1 } else { 7 };
    let here = |name: &&&str| !ELSEWHERE.contains(*name);
    let (mut runs, mut deaths, mut untouched) = (0, 0, Vec::new());
    for name in failpoint::NAMES.iter().filter(here).step_by(step) {
        let actions: &[&str] = match name.ends_with("_lost") {
            true => &["fail", "fail@3+"],
            false => &["abort", "abort@3"],
        };
        let mut died = 0;
        for action in actions {
            let Some(outside) = Outside::for_point(name, runs) else {
                died = 1;
                continue;
            };
            died += dies_at(name, action, &outside).await;
            runs += 1;
        }
        deaths += died;
        if died == 0 && !name.ends_with("_lost") {
            untouched.push(*name);
        }
    }
    println!("{runs} runs, {deaths} deaths; not reached: {untouched:?}");
    assert!(untouched.is_empty(), "not reached: {untouched:?}");
}

/// Each name in the list stands in the code, once, and each in the code is in the list.
#[test]
fn every_failpoint_has_its_place() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let mut found: Vec<String> = Vec::new();
    for folder in ["runtime/src", "connectors/src", "catalog/src", "engine/src"] {
        collect(&root.join(folder), &mut found);
    }
    found.sort_unstable();
    let mut wanted: Vec<String> = failpoint::NAMES.iter().map(|n| (*n).to_owned()).collect();
    wanted.sort_unstable();
    assert_eq!(found, wanted);
}

fn collect(folder: &Path, found: &mut Vec<String>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            collect(&path, found);
            continue;
        }
        let text = std::fs::read_to_string(&path).unwrap();
        for call in ["failpoint::pass(\"", "failpoint::fails(\""] {
            let names = text
                .split(call)
                .skip(1)
                .filter_map(|rest| rest.split('"').next());
            found.extend(names.map(str::to_owned));
        }
    }
}
