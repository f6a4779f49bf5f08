//! `ALTER STREAMING VIEW … AS`: what readers and followers see, and what is refused.

use std::time::Duration;

use crate::harness::{Client, Harness};

async fn run(client: &mut Client, statements: &[&str]) {
    for sql in statements {
        client.ok(sql).await;
    }
}

const TICKS: [&str; 2] = [
    "CREATE TABLE t (k TEXT NOT NULL, n BIGINT NOT NULL, ts TIMESTAMP(3) NOT NULL, \
     WATERMARK FOR ts AS ts)",
    "INSERT INTO t VALUES ('a', 1, '2026-01-01 10:00:10'), ('b', 2, '2026-01-01 10:00:50'), \
     ('a', 4, '2026-01-01 10:01:10'), ('b', 8, '2026-01-01 10:02:10')",
];

fn bars(value: &str, emit: &str) -> String {
    format!(
        "SELECT window_start, k, sum({value}) AS s FROM TUMBLE(TABLE t, DESCRIPTOR(ts), \
         INTERVAL '1' MINUTE) GROUP BY window_start, window_end, k {emit}"
    )
}

#[tokio::test]
async fn a_view_without_windows_is_the_new_query_and_so_is_what_reads_it() {
    let harness = Harness::new().await;
    let mut client = harness.session();
    run(&mut client, &TICKS).await;
    let by_key = "AS SELECT k, sum(n) AS s FROM t GROUP BY k";
    client
        .ok(&format!("CREATE STREAMING VIEW v {by_key}"))
        .await;
    let above = "CREATE STREAMING VIEW above AS SELECT sum(s) AS s, count(*) AS n FROM v";
    run(&mut client, &[above, "FLUSH"]).await;
    let mut reader = harness.session();
    let mut follower = reader.follow("SUBSCRIBE v").await;
    let mut told = follower.next(2).await;
    told.retain(|c| c != ' ');
    assert_eq!(told, "insert|a|5\ninsert|b|10");
    let alter =
        "ALTER STREAMING VIEW v AS SELECT k, sum(n * 10) AS s FROM t WHERE n <> 8 GROUP BY k";
    assert_eq!(client.ok(alter).await, "ALTER STREAMING VIEW");
    assert_eq!(client.ok("SELECT * FROM v ORDER BY k").await, "a|50\nb|20");
    assert_eq!(client.ok("SELECT * FROM above").await, "70|2");
    let mut told: Vec<String> = follower.next(4).await.lines().map(str::to_owned).collect();
    told.sort();
    assert_eq!(
        told,
        ["delete|a|5", "delete|b|10", "insert|a|50", "insert|b|20"]
    );
    let shown = client.ok("SHOW CREATE STREAMING VIEW v").await;
    assert!(
        shown.ends_with(&alter["ALTER STREAMING VIEW v ".len()..]),
        "{shown}"
    );
    client
        .ok("INSERT INTO t VALUES ('c', 3, '2026-01-01 10:02:20')")
        .await;
    client.ok("FLUSH").await;
    assert_eq!(follower.next(1).await, "insert|c|30");
    let harness = harness.restart().await;
    let mut client = harness.session();
    client
        .ok("INSERT INTO t VALUES ('c', 4, '2026-01-01 10:02:20')")
        .await;
    client.ok("FLUSH").await;
    assert_eq!(
        client.ok("SELECT * FROM v ORDER BY k").await,
        "a|50\nb|20\nc|70"
    );
    assert_eq!(client.ok("SELECT * FROM above").await, "140|3");
}

#[tokio::test]
async fn closed_windows_stay_and_open_ones_are_the_new_query() {
    let harness = Harness::new().await;
    let mut client = harness.session();
    run(&mut client, &TICKS).await;
    for (view, emit) in [("closed", "EMIT ON WINDOW CLOSE"), ("live", "EMIT CHANGES")] {
        let old = bars("n", emit);
        client
            .ok(&format!("CREATE STREAMING VIEW {view} AS {old}"))
            .await;
        client.ok("FLUSH").await;
        let new = bars("n * 100", emit);
        client
            .ok(&format!("ALTER STREAMING VIEW {view} AS {new}"))
            .await;
    }
    let ask = |view| format!("SELECT s FROM {view} ORDER BY window_start, k");
    // 10:00 and 10:01 are closed.
    assert_eq!(client.ok(&ask("closed")).await, "1\n2\n4");
    assert_eq!(client.ok(&ask("live")).await, "1\n2\n4\n800");
    client
        .ok("INSERT INTO t VALUES ('b', 1, '2026-01-01 10:02:30'), ('a', 1, '2026-01-01 10:03:00')")
        .await;
    client.ok("FLUSH").await;
    assert_eq!(client.ok(&ask("closed")).await, "1\n2\n4\n900");
    assert_eq!(client.ok(&ask("live")).await, "1\n2\n4\n900\n100");
    let harness = harness.restart().await;
    let mut client = harness.session();
    assert_eq!(client.ok(&ask("closed")).await, "1\n2\n4\n900");
    assert_eq!(client.ok(&ask("live")).await, "1\n2\n4\n900\n100");
}

#[tokio::test]
async fn where_the_past_is_gone_the_new_query_waits_for_whole_windows() {
    let harness = Harness::new().await;
    let mut client = harness.session();
    run(
        &mut client,
        &[
            TICKS[0],
            "CREATE STREAMING VIEW ticks WITH (retention = '5 seconds') AS SELECT k, n, ts FROM t",
            "CREATE STREAMING VIEW v AS SELECT window_start, sum(n) AS s FROM TUMBLE(TABLE ticks, \
             DESCRIPTOR(ts), INTERVAL '1' MINUTE) GROUP BY window_start, window_end \
             EMIT ON WINDOW CLOSE",
            "CREATE STREAMING VIEW all_time AS SELECT k, sum(n) AS s FROM ticks GROUP BY k",
            "INSERT INTO t VALUES ('a', 1, '2026-01-01 10:00:10'), ('a', 2, '2026-01-01 10:00:50')",
            "FLUSH",
        ],
    )
    .await;
    // What is saved and old goes: the first row of the open window is no longer served.
    let harness = harness.restart().await.restart().await;
    let mut client = harness.session();
    assert_eq!(client.ok("SELECT n FROM ticks").await, "2");
    let error = client
        .err("ALTER STREAMING VIEW all_time AS SELECT k, sum(n + 1) AS s FROM ticks GROUP BY k")
        .await;
    assert!(
        error
            .message
            .contains("the beginning of what it reads is gone"),
        "{error}"
    );
    let mut other = harness.session();
    let alter = "ALTER STREAMING VIEW v AS SELECT window_start, sum(n * 100) AS s FROM \
                 TUMBLE(TABLE ticks, DESCRIPTOR(ts), INTERVAL '1' MINUTE) \
                 GROUP BY window_start, window_end EMIT ON WINDOW CLOSE";
    let altering = tokio::spawn(async move { other.ok(alter).await });
    for (n, time) in [(4, "10:01:10"), (8, "10:01:50"), (16, "10:02:10")] {
        // The new version has what is needed for no window yet, and the old one goes on.
        tokio::time::sleep(Duration::from_millis(100)).await;
        assert!(!altering.is_finished());
        client
            .ok(&format!(
                "INSERT INTO t VALUES ('a', {n}, '2026-01-01 {time}')"
            ))
            .await;
        client.ok("FLUSH").await;
    }
    altering.await.unwrap();
    client
        .ok("INSERT INTO t VALUES ('a', 32, '2026-01-01 10:03:00')")
        .await;
    client.ok("FLUSH").await;
    let found = client.ok("SELECT s FROM v ORDER BY window_start").await;
    assert_eq!(found, "3\n12\n1600");
}

#[tokio::test]
async fn what_cannot_be_altered_says_why_and_stays() {
    let harness = Harness::new().await;
    let mut client = harness.session();
    run(&mut client, &TICKS).await;
    run(
        &mut client,
        &[
            "CREATE STREAMING VIEW v AS SELECT k, sum(n) AS s FROM t GROUP BY k",
            "CREATE STREAMING VIEW above AS SELECT k FROM v",
            "CREATE TABLE later (k TEXT PRIMARY KEY, name TEXT)",
            "CREATE STREAMING VIEW still AS SELECT k, n FROM t",
            "ALTER STREAMING VIEW still PAUSE",
        ],
    )
    .await;
    for (statement, sqlstate, message) in [
        (
            "v AS SELECT k, count(*) AS s FROM t GROUP BY k",
            "42P16",
            "its columns would change",
        ),
        (
            "v AS SELECT k, sum(n) AS x FROM t GROUP BY k",
            "42P16",
            "its columns would change",
        ),
        (
            "v AS SELECT k, sum(n) AS s, 1 AS one FROM t GROUP BY k",
            "42P16",
            "its columns",
        ),
        (
            "v AS SELECT k, sum(s) AS s FROM v GROUP BY k",
            "42P17",
            "it would read itself",
        ),
        (
            "v AS SELECT k, sum(1) AS s FROM above GROUP BY k",
            "0A000",
            "created after it",
        ),
        (
            "v AS SELECT l.k, sum(n) AS s FROM t JOIN later l ON t.k = l.k GROUP BY l.k",
            "0A000",
            "created after it",
        ),
        (
            "still AS SELECT k, n + 1 AS n FROM t",
            "55000",
            "it is paused",
        ),
    ] {
        let error = client
            .err(&format!("ALTER STREAMING VIEW {statement}"))
            .await;
        let seen = (
            error.code,
            error.sqlstate_hint,
            error.message.contains(message),
        );
        assert_eq!(
            seen,
            ("RT0545", Some(sqlstate), true),
            "{statement}: {error:?}"
        );
        assert!(error.hint.is_some() || sqlstate == "42P17", "{error:?}");
    }
    let error = client
        .err("ALTER STREAMING VIEW v AS SELECT k, sum(m) AS s FROM t GROUP BY k")
        .await;
    assert_eq!(
        (error.code, error.position),
        ("RT0202", Some(41)),
        "{error:?}"
    );
    let error = client.err("ALTER TABLE t AS SELECT 1").await;
    assert_eq!(error.sqlstate_hint, Some("0A000"), "{error:?}");
    assert_eq!(client.ok("SELECT * FROM v ORDER BY k").await, "a|5\nb|10");
    // The same plan in other words needs no new version.
    client
        .ok("ALTER STREAMING VIEW v AS SELECT k, sum(n) AS s FROM t AS x GROUP BY x.k")
        .await;
    assert_eq!(client.ok("SELECT * FROM v ORDER BY k").await, "a|5\nb|10");
    client.ok("DROP STREAMING VIEW v CASCADE").await;
}

#[tokio::test]
async fn a_new_version_is_given_up_with_its_view_or_its_query() {
    let harness = Harness::new().await;
    let mut client = harness.session();
    run(&mut client, &TICKS).await;
    let old = "CREATE STREAMING VIEW v AS SELECT k, sum(n) AS s FROM t GROUP BY k";
    run(&mut client, &[old, "FLUSH"]).await;
    let error = client
        .err("ALTER STREAMING VIEW v AS SELECT k, sum(n / (n - 8)) AS s FROM t GROUP BY k")
        .await;
    assert!(
        error.message.contains("the new query cannot be computed"),
        "{error:?}"
    );
    assert_eq!(client.ok("SELECT * FROM v ORDER BY k").await, "a|5\nb|10");
    client
        .ok("ALTER STREAMING VIEW v AS SELECT k, sum(n + 1) AS s FROM t GROUP BY k")
        .await;
    assert_eq!(client.ok("SELECT * FROM v ORDER BY k").await, "a|7\nb|12");
}
