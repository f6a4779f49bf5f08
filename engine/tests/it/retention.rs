//! Rows that a view serves no longer.

use crate::harness::Harness;

#[tokio::test]
async fn old_rows_go_and_nothing_else_changes() {
    let mut harness = Harness::new().await;
    let mut client = harness.session();
    for sql in [
        "CREATE TABLE t (k TEXT, ts TIMESTAMP(3), WATERMARK FOR ts AS ts)",
        "CREATE STREAMING VIEW ticks WITH (retention = '1 minute') AS SELECT k, ts FROM t",
        "CREATE STREAMING VIEW bars WITH (retention = '5 minutes') AS \
         SELECT window_start, k, count(*) AS n FROM TUMBLE(TABLE t, DESCRIPTOR(ts), \
         INTERVAL '1' MINUTE) GROUP BY window_start, k",
        "CREATE STREAMING VIEW all_ticks AS SELECT count(*) AS n FROM ticks",
        "CREATE STREAMING VIEW all_bars AS SELECT sum(n) AS n FROM bars",
    ] {
        client.ok(sql).await;
    }
    for minute in 0..30 {
        let row = |second: i32| format!("('a', '2026-01-01 10:{minute:02}:{second:02}')");
        let rows = format!("INSERT INTO t VALUES {}, {}", row(0), row(30));
        client.ok(&rows).await;
        client.ok("FLUSH").await;
        if minute % 10 == 9 {
            drop(client);
            harness = harness.restart().await;
            client = harness.session();
        }
    }
    // Every restart saves first, and what is saved and old goes.
    drop(client);
    let harness = harness.restart().await.restart().await;
    let mut client = harness.session();
    let ticks = client.ok("SELECT count(*), min(ts) FROM ticks").await;
    assert_eq!(ticks, "3|2026-01-01T10:28:30");
    let bars = client
        .ok("SELECT count(*), min(window_start) FROM bars")
        .await;
    assert_eq!(bars, "6|2026-01-01T10:24:00");
    assert_eq!(client.ok("SELECT * FROM all_ticks").await, "60");
    assert_eq!(client.ok("SELECT * FROM all_bars").await, "60");
}

#[tokio::test]
async fn a_view_that_cannot_forget_says_why() {
    let harness = Harness::new().await;
    let mut client = harness.session();
    client
        .ok("CREATE TABLE t (k TEXT, ts TIMESTAMP(3), WATERMARK FOR ts AS ts)")
        .await;
    for (retention, query, found) in [
        ("1 hour", "SELECT k FROM t", "without event time"),
        ("0 s", "SELECT k, ts FROM t", "longer than nothing"),
        (
            "1 minute",
            "SELECT window_end, count(*) AS n FROM TUMBLE(TABLE t, DESCRIPTOR(ts), \
             INTERVAL '1' HOUR) GROUP BY window_end",
            "too short",
        ),
    ] {
        let view = format!("CREATE STREAMING VIEW v WITH (retention = '{retention}') AS {query}");
        let error = client.err(&view).await;
        assert!(error.message.contains(found), "{error:?}");
        assert!(error.hint.is_some(), "{error:?}");
    }
}
