//! Sources with a primary key, and rows of tables that are changed, across restarts.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::time::Duration;

use rdkafka::ClientConfig;
use rdkafka::mocking::MockCluster;
use rdkafka::producer::{FutureProducer, FutureRecord};

use crate::harness::{Client, Harness};

/// A file of `count` lines over five keys, and for each key its last line.
fn lines(count: i64) -> (String, Vec<(i64, i64)>) {
    let mut text = String::new();
    let mut last = BTreeMap::new();
    for line in 0..count {
        let (id, n) = (line * 7 % 5, line * 31 % 17);
        let _ = writeln!(text, "{{\"id\":{id},\"k\":\"k{}\",\"n\":{n}}}", id % 2);
        last.insert(id, n);
    }
    (text, last.into_iter().collect())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_source_with_a_key_keeps_the_last_row_of_each_across_a_restart() {
    let harness = Harness::new().await;
    let files = tempfile::tempdir().unwrap();
    let (text, last) = lines(1_000);
    std::fs::write(files.path().join("a.jsonl"), text).unwrap();
    let mut client = harness.session();
    let path = files.path().display();
    client
        .ok(&format!(
            "CREATE SOURCE s (id BIGINT, k TEXT, n BIGINT, PRIMARY KEY (id) NOT ENFORCED) WITH \
             ('connector' = 'filesystem', 'path' = '{path}', 'format' = 'json');
             CREATE STREAMING VIEW rows AS SELECT id, n FROM s;
             CREATE STREAMING VIEW sums AS SELECT k, sum(n) AS n, count(*) AS c FROM s GROUP BY k;
             CREATE STREAMING VIEW odd AS SELECT id, n FROM s WHERE n % 2 = 1;
             FLUSH"
        ))
        .await;
    let expected: Vec<String> = last.iter().map(|(id, n)| format!("{id}|{n}")).collect();
    let check = async |client: &mut Client| {
        let rows = client.ok("SELECT id, n FROM rows ORDER BY id").await;
        assert_eq!(rows, expected.join("\n"));
        let sum = |odd: i64| -> i64 { last.iter().filter(|r| r.0 % 2 == odd).map(|r| r.1).sum() };
        let sums = client
            .ok("SELECT k || ':' || n || ':' || c AS r FROM sums ORDER BY k")
            .await;
        assert!(sums.contains(&format!("k0:{}:3", sum(0))), "{sums}");
        assert!(sums.contains(&format!("k1:{}:2", sum(1))), "{sums}");
        let odd = last.iter().filter(|row| row.1 % 2 == 1).count();
        let count = client.ok("SELECT count(*) AS c FROM odd").await;
        assert_eq!(count, odd.to_string());
    };
    check(&mut client).await;
    let explained = client.ok("EXPLAIN STREAMING VIEW sums").await;
    assert!(explained.contains("LatestByKey: by [id]"), "{explained}");
    drop(client);
    let harness = harness.restart().await;
    let mut client = harness.session();
    client.ok("FLUSH").await;
    check(&mut client).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn changed_rows_survive_a_restart_in_their_order() {
    let harness = Harness::new().await;
    let mut client = harness.session();
    client
        .ok("CREATE TABLE t (id INT PRIMARY KEY, n BIGINT);
             CREATE STREAMING VIEW s AS SELECT sum(n) AS n, count(*) AS c FROM t;
             INSERT INTO t VALUES (1, 1), (2, 2), (3, 3);
             DELETE FROM t WHERE id = 1;
             UPDATE t SET n = n * 10 WHERE id = 2;
             INSERT INTO t VALUES (1, 100);
             DELETE FROM t WHERE id = 3")
        .await;
    let table = client.ok("SELECT id, n FROM t ORDER BY id").await;
    assert_eq!(table, "1|100\n2|20");
    drop(client);
    let harness = harness.restart().await;
    let mut client = harness.session();
    assert_eq!(client.ok("SELECT id, n FROM t ORDER BY id").await, table);
    let sums = client.ok("SELECT n, c FROM s").await;
    assert_eq!(sums, "120|2");
    // The log before the checkpoint is contained in it; what comes after is replayed onto it.
    client
        .ok("UPDATE t SET n = 1; DELETE FROM t WHERE id = 2")
        .await;
    drop(client);
    let harness = harness.restart().await;
    let sums = harness.session().ok("SELECT n, c FROM s").await;
    assert_eq!(sums, "1|1");
}

#[tokio::test(flavor = "multi_thread")]
async fn no_update_is_lost_between_writers() {
    let harness = Harness::new().await;
    let mut client = harness.session();
    client
        .ok("CREATE TABLE t (id INT PRIMARY KEY, n BIGINT); INSERT INTO t VALUES (1, 0), (2, 0)")
        .await;
    let writers = (0..4).map(|writer| {
        let mut client = harness.session();
        tokio::spawn(async move {
            for _ in 0..10 {
                match writer % 2 {
                    0 => client.ok("UPDATE t SET n = n + 1 WHERE id = 1").await,
                    _ => {
                        client
                            .ok("BEGIN; UPDATE t SET n = n + 1 WHERE id = 1; COMMIT")
                            .await
                    }
                };
            }
        })
    });
    for writer in writers.collect::<Vec<_>>() {
        writer.await.unwrap();
    }
    let rows = client.ok("SELECT n FROM t WHERE id = 1").await;
    assert_eq!(rows, "40");
}

/// Sends keys with payloads, or without: tombstones.
async fn send(producer: &FutureProducer, messages: &[(&str, Option<&str>)]) {
    for (key, payload) in messages {
        let mut record = FutureRecord::to("accounts").key(*key).partition(0);
        record.payload = *payload;
        producer
            .send(record, Duration::from_secs(30))
            .await
            .unwrap();
    }
}

/// Waits until `sql` answers `expected`; messages of a topic come when they come.
async fn comes_to(client: &mut Client, sql: &str, expected: &str) {
    let mut found = String::new();
    for _ in 0..600 {
        found = client.ok(sql).await;
        if found == expected {
            return;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert_eq!(found, expected, "{sql}");
}

#[tokio::test(flavor = "multi_thread")]
async fn tombstones_of_a_topic_take_rows_away_also_after_a_restart() {
    let cluster = MockCluster::new(1).unwrap();
    cluster.create_topic("accounts", 1, 1).unwrap();
    let servers = cluster.bootstrap_servers();
    let producer: FutureProducer = ClientConfig::new()
        .set("bootstrap.servers", &servers)
        .create()
        .unwrap();
    let harness = Harness::new().await;
    let mut client = harness.session();
    // A tombstone has no `n`: what is computed from it must not stop its row from going away.
    client
        .ok(&format!(
            "CREATE SOURCE a (id BIGINT NOT NULL, n BIGINT NOT NULL, share AS 100 / n, PRIMARY KEY \
             (id) NOT ENFORCED) WITH ('connector' = 'upsert-kafka', 'topic' = 'accounts', \
             'properties.bootstrap.servers' = '{servers}', 'scan.startup.mode' = \
             'earliest-offset', 'value.format' = 'json', 'key.format' = 'raw');
             CREATE STREAMING VIEW rows AS SELECT id, n, share FROM a;
             CREATE STREAMING VIEW sums AS SELECT sum(n) AS n, count(share) AS c FROM a"
        ))
        .await;
    let (rows, sums) = ("SELECT * FROM rows ORDER BY id", "SELECT * FROM sums");
    let first = [
        ("1", Some(r#"{"id":1,"n":10}"#)),
        ("2", Some(r#"{"id":2,"n":20}"#)),
        ("1", Some(r#"{"id":1,"n":50}"#)),
        ("3", Some(r#"{"id":3,"n":5}"#)),
        ("2", None),
        ("9", None),
        ("4", Some(r#"{"id":4,"n":0}"#)),
        ("x", None),
    ];
    send(&producer, &first).await;
    comes_to(&mut client, rows, "1|50|2\n3|5|20").await;
    comes_to(&mut client, sums, "55|2").await;
    let errors = "SELECT \"offset\", reason FROM \"a$errors\" ORDER BY \"offset\"";
    comes_to(
        &mut client,
        errors,
        "6|cannot compute a column: Arrow error: Divide by zero error\n7|key: \"x\" is no whole \
         number",
    )
    .await;
    drop(client);
    let harness = harness.restart().await;
    let mut client = harness.session();
    assert_eq!(client.ok(rows).await, "1|50|2\n3|5|20");
    let second = [
        ("1", None),
        ("3", Some(r#"{"id":3,"n":25}"#)),
        ("2", Some(r#"{"id":2,"n":1}"#)),
    ];
    send(&producer, &second).await;
    comes_to(&mut client, rows, "2|1|100\n3|25|4").await;
    comes_to(&mut client, sums, "26|2").await;
}
