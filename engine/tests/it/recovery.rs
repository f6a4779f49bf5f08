//! What a restart keeps.

use std::time::Duration;

use crate::harness::Harness;

#[tokio::test]
async fn a_restart_keeps_definitions_rows_and_state() {
    let harness = Harness::new().await;
    let mut client = harness.session();
    client.ok("CREATE TABLE t (k TEXT, v BIGINT)").await;
    client
        .ok("CREATE STREAMING VIEW sums AS SELECT k, sum(v) AS total FROM t GROUP BY k")
        .await;
    client
        .ok("INSERT INTO t VALUES ('a', 1), ('b', 2), ('a', 3)")
        .await;
    client.ok("FLUSH").await;
    drop(client);
    let harness = harness.restart().await;
    let mut client = harness.session();
    assert_eq!(client.ok("SELECT * FROM sums ORDER BY k").await, "a|4\nb|2");
    client.ok("INSERT INTO t VALUES ('a', 10)").await;
    client.ok("FLUSH").await;
    assert_eq!(
        client.ok("SELECT * FROM sums ORDER BY k").await,
        "a|14\nb|2"
    );
    assert_eq!(client.ok("SELECT count(*) FROM t").await, "4");
}

#[tokio::test]
async fn an_acknowledged_insert_survives_without_a_checkpoint() {
    let harness = Harness::new().await;
    let mut client = harness.session();
    client.ok("CREATE TABLE t (v BIGINT)").await;
    client.ok("INSERT INTO t VALUES (1), (2)").await;
    let Harness { engine, folder } = harness;
    // The old engine is fenced by the new one, as a killed process would be forgotten.
    let again = crate::harness::start(&folder, "second").await;
    let again = Harness {
        engine: again,
        folder,
    };
    assert_eq!(again.session().ok("SELECT count(*) FROM t").await, "2");
    drop(engine);
}

#[tokio::test]
async fn a_view_that_has_stopped_does_not_keep_the_server_from_starting() {
    let harness = Harness::new().await;
    let mut client = harness.session();
    for sql in [
        "CREATE TABLE t (k TEXT, v BIGINT)",
        "CREATE STREAMING VIEW shares AS SELECT k, sum(1 / v) AS share FROM t GROUP BY k",
        "CREATE STREAMING VIEW sums AS SELECT k, sum(v) AS total FROM t GROUP BY k",
        "INSERT INTO t VALUES ('a', 0)",
        "FLUSH",
    ] {
        client.ok(sql).await;
    }
    assert_eq!(client.err("SELECT * FROM shares").await.code, "RT0544");
    drop(client);
    let harness = harness.restart().await.restart().await;
    let mut client = harness.session();
    assert_eq!(client.err("SELECT * FROM shares").await.code, "RT0544");
    client.ok("INSERT INTO t VALUES ('a', 5)").await;
    client.ok("FLUSH").await;
    assert_eq!(client.ok("SELECT * FROM sums").await, "a|5");
}

#[tokio::test]
async fn stopping_does_not_wait_for_a_stream_to_end() {
    let harness = Harness::new().await;
    let mut client = harness.session();
    for sql in [
        "CREATE SOURCE endless (symbol TEXT, price DOUBLE PRECISION, ts TIMESTAMP(6), \
         WATERMARK FOR ts AS ts) WITH ('connector' = 'datagen', 'kind' = 'trades', \
         'rows-per-second' = '1000', 'pace' = 'none')",
        "CREATE STREAMING VIEW highs AS SELECT symbol, max(price) AS high FROM endless \
         GROUP BY symbol",
    ] {
        client.ok(sql).await;
    }
    let some = "SELECT count(*) > 0 FROM highs";
    while client.ok(some).await != "true" {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    drop(client);
    let stopped = tokio::time::timeout(Duration::from_secs(30), harness.restart()).await;
    let mut client = stopped.unwrap().session();
    assert_eq!(client.ok(some).await, "true");
}

/// Its definition is durable before its reader is: a crash in between must not let it read beside
/// the reader that the others share, which sets aside what is bad.
#[tokio::test]
async fn a_view_that_no_checkpoint_knows_does_not_repeat_bad_rows() {
    let files = tempfile::tempdir().unwrap();
    let lines: String = (0..10).map(|n| format!("{{\"n\": {n}}}\n")).collect();
    std::fs::write(files.path().join("lines.json"), lines + "{broken\n").unwrap();
    let harness = Harness::new().await;
    let mut client = harness.session();
    let source = format!(
        "CREATE SOURCE lines (n BIGINT) WITH ('connector' = 'filesystem', 'path' = '{}', \
         'format' = 'json')",
        files.path().display()
    );
    client.ok(&source).await;
    let known = "CREATE STREAMING VIEW known AS SELECT n FROM lines";
    client.ok(known).await;
    let count = async |client: &mut crate::harness::Client, view: &str| {
        let sql = format!("SELECT count(*) FROM {view}");
        while client.ok(&sql).await != "10" {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    count(&mut client, "known").await;
    drop(client);
    // The second engine saves nothing, and is fenced by the third.
    let Harness { engine, folder } = harness;
    engine.stop().await.unwrap();
    let second = crate::harness::start_with(&folder, "second", Duration::from_secs(3600)).await;
    let second = Harness {
        engine: second,
        folder,
    };
    let view = "CREATE STREAMING VIEW unknown AS SELECT n FROM lines";
    second.session().ok(view).await;
    let Harness { engine, folder } = second;
    let third = crate::harness::start(&folder, "third").await;
    let third = Harness {
        engine: third,
        folder,
    };
    let mut client = third.session();
    count(&mut client, "unknown").await;
    let errors = "SELECT count(*) FROM \"lines$errors\"";
    assert_eq!(client.ok(errors).await, "1");
    let rows = "SELECT rows FROM rtsap_catalog.sources";
    assert_eq!(client.ok(rows).await, "10");
    drop(engine);
}

/// The calls of one view, each with a state of another kind.
const CALLS: &str = "ema(price, 3) OVER w AS e, (macd(price, 2, 4, 2) OVER w)['macd'] AS m, \
                     zscore(price, 3) OVER w AS z, twice(drawdown(price) OVER w) AS d, \
                     (position_fifo(size, price) OVER w)['realized_pnl'] AS p, \
                     session_vwap(price, size, symbol) OVER w AS v, sma(price, 3) OVER w AS s, \
                     sum(price) OVER w AS t";

#[tokio::test]
async fn functions_and_what_runs_along_go_on_after_a_restart() {
    let mut harness = Harness::new().await;
    let mut client = harness.session();
    client
        .ok(
            "CREATE TABLE ticks (symbol TEXT, price DOUBLE PRECISION, size DOUBLE PRECISION, \
             ts TIMESTAMP(6) WITH TIME ZONE, WATERMARK FOR ts AS ts)",
        )
        .await;
    client
        .ok("CREATE FUNCTION twice(a DOUBLE PRECISION) RETURNS DOUBLE PRECISION RETURN a * 2")
        .await;
    let select = format!(
        "SELECT symbol, ts, {CALLS} FROM ticks WINDOW w AS (PARTITION BY symbol ORDER BY ts)"
    );
    client
        .ok(&format!("CREATE STREAMING VIEW along AS {select}"))
        .await;
    for round in 0..4 {
        let rows = (0..12).map(|row| {
            let (at, symbol) = (round * 12 + row, if row % 3 == 0 { "A" } else { "B" });
            let (price, size) = (10.0 + f64::from(at * 7 % 11) / 4.0, f64::from(at % 5) - 2.0);
            format!("('{symbol}', {price:?}, {size:?}, '2026-01-01T00:00:{at:02}Z')")
        });
        let rows: Vec<String> = rows.collect();
        client
            .ok(&format!("INSERT INTO ticks VALUES {}", rows.join(", ")))
            .await;
        client.ok("FLUSH").await;
        drop(client);
        harness = harness.restart().await;
        client = harness.session();
    }
    // The last row waits for the watermark to pass it.
    let found = client.ok("SELECT * FROM along ORDER BY symbol, ts").await;
    let limit = "SELECT * FROM (SELECT *, max(ts) OVER () AS newest FROM whole) AS w \
                 WHERE ts < newest";
    let columns = "symbol, ts, e, m, z, d, p, v, s, t";
    let expected = format!(
        "WITH whole AS ({select}) SELECT {columns} FROM ({limit}) AS shown ORDER BY symbol, ts"
    );
    assert_eq!(found.lines().count(), 47);
    let expected = client.ok(&expected).await;
    for (found, expected) in found.lines().zip(expected.lines()) {
        assert!(alike(found, expected), "{found}\n{expected}");
    }
    let refused = client.err("DROP FUNCTION twice").await;
    assert_eq!(refused.code, "RT0404");
}

/// Whether the cells of two rows are the same, numbers to nine digits: what runs along adds up in
/// another order than TA-Lib does over all rows.
fn alike(found: &str, expected: &str) -> bool {
    let (found, expected): (Vec<&str>, Vec<&str>) =
        (found.split('|').collect(), expected.split('|').collect());
    let same = |(found, expected): (&&str, &&str)| match (found.parse(), expected.parse()) {
        (Ok(found), Ok(expected)) => {
            let (found, expected): (f64, f64) = (found, expected);
            (found - expected).abs() <= 1e-9 * expected.abs().max(1.0)
        }
        _ => found == expected,
    };
    found.len() == expected.len() && found.iter().zip(&expected).all(same)
}
