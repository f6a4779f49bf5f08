//! What goes by the clock on the wall, and what stands still: across restarts as well.

use std::time::{Duration, Instant};

use crate::harness::{Client, Harness};

const TABLE: &str = "CREATE TABLE t (id BIGINT, k TEXT, ts TIMESTAMP(3), WATERMARK FOR ts AS ts)";

/// Asks until `sql` answers `wanted`, for at most 20 seconds.
async fn becomes(client: &mut Client, sql: &str, wanted: &str) {
    let end = Instant::now() + Duration::from_secs(20);
    loop {
        let found = client.ok(sql).await;
        if found == wanted {
            return;
        }
        assert!(
            Instant::now() < end,
            "{sql} answers\n{found}\nnot\n{wanted}"
        );
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn a_window_closes_after_its_timeout_without_rows() {
    let harness = Harness::new().await;
    let mut client = harness.session();
    client.ok(TABLE).await;
    for (name, emit) in [
        ("waits", ""),
        ("closes", " AND TIMEOUT INTERVAL '200' MILLISECOND"),
    ] {
        let view = format!(
            "CREATE STREAMING VIEW {name} AS SELECT window_start, count(*) AS n \
             FROM TUMBLE(TABLE t, DESCRIPTOR(ts), INTERVAL '1' MINUTE) GROUP BY window_start \
             EMIT ON WINDOW CLOSE{emit}"
        );
        client.ok(&view).await;
    }
    let row =
        "INSERT INTO t VALUES (1, 'a', '2026-01-01 10:00:10'), (2, 'a', '2026-01-01 10:00:20')";
    client.ok(row).await;
    let all = "SELECT n FROM closes ORDER BY window_start";
    becomes(&mut client, all, "2").await;
    assert_eq!(client.ok("SELECT n FROM waits").await, "");
    // Whoever comes now is late for the window that has closed, and that one alone.
    let row =
        "INSERT INTO t VALUES (3, 'a', '2026-01-01 10:00:30'), (4, 'a', '2026-01-01 10:01:00')";
    client.ok(row).await;
    client.ok("FLUSH").await;
    assert_eq!(
        client.ok("SELECT ts FROM \"closes$late\"").await,
        "2026-01-01T10:00:30"
    );
    assert_eq!(client.ok("SELECT n FROM waits").await, "3");
    becomes(&mut client, all, "2\n1").await;
    // What the clock has closed stays closed.
    drop(client);
    let harness = harness.restart().await;
    let mut client = harness.session();
    assert_eq!(client.ok(all).await, "2\n1");
}

#[tokio::test]
async fn what_waits_for_its_turn_outlives_a_restart() {
    let mut harness = Harness::new().await;
    let mut client = harness.session();
    client.ok(TABLE).await;
    let view = "CREATE STREAMING VIEW slow AS SELECT k, count(*) AS n FROM t GROUP BY k \
                EMIT EVERY INTERVAL '1' HOUR";
    client.ok(view).await;
    client
        .ok("CREATE STREAMING VIEW behind AS SELECT sum(n) AS n FROM slow")
        .await;
    client
        .ok("INSERT INTO t VALUES (1, 'a', '2026-01-01 10:00:10')")
        .await;
    client.ok("FLUSH").await;
    client
        .ok("INSERT INTO t VALUES (2, 'a', '2026-01-01 10:00:11')")
        .await;
    for _ in 0..3 {
        drop(client);
        harness = harness.restart().await;
        client = harness.session();
    }
    client.ok("FLUSH").await;
    assert_eq!(client.ok("SELECT * FROM slow").await, "a|2");
    assert_eq!(client.ok("SELECT * FROM behind").await, "2");
}

#[tokio::test]
async fn a_paused_view_stands_still_across_restarts_and_misses_nothing() {
    let mut harness = Harness::new().await;
    let mut client = harness.session();
    client.ok(TABLE).await;
    for sql in [
        "CREATE STREAMING VIEW rows_of AS SELECT id, k FROM t",
        "CREATE STREAMING VIEW counts AS SELECT k, count(*) AS n FROM rows_of GROUP BY k",
        "CREATE STREAMING VIEW total AS SELECT sum(n) AS n FROM counts",
        "INSERT INTO t VALUES (1, 'a', '2026-01-01 10:00:10')",
        "FLUSH",
        "ALTER STREAMING VIEW rows_of PAUSE",
        "ALTER STREAMING VIEW counts PAUSE",
    ] {
        client.ok(sql).await;
    }
    for id in 2..5 {
        client
            .ok(&format!(
                "INSERT INTO t VALUES ({id}, 'b', '2026-01-01 10:00:1{id}')"
            ))
            .await;
        client.ok("FLUSH").await;
        if id == 3 {
            // Its rows wait for the view behind, which still stands.
            client.ok("ALTER STREAMING VIEW rows_of RESUME").await;
            client.ok("FLUSH").await;
        }
        drop(client);
        harness = harness.restart().await;
        client = harness.session();
        assert_eq!(client.ok("SELECT * FROM counts").await, "a|1");
        assert_eq!(client.ok("SELECT * FROM total").await, "1");
    }
    client.ok("ALTER STREAMING VIEW counts RESUME").await;
    client.ok("FLUSH").await;
    assert_eq!(
        client.ok("SELECT * FROM counts ORDER BY k").await,
        "a|1\nb|3"
    );
    assert_eq!(client.ok("SELECT * FROM total").await, "4");
}
