//! What a checkpoint writes is what has changed, however much state there is.

use std::time::Duration;

use crate::harness::{Client, Harness};

/// Partitions that each view has.
const KEYS: u64 = 20_000;

/// By operator: a view whose state has a row a key.
const VIEWS: &[(&str, &str)] = &[
    ("GroupAggregate", "SELECT k, sum(v) AS v FROM t GROUP BY k"),
    (
        "WindowAggregate",
        "SELECT window_start, k, sum(v) AS v FROM TUMBLE(TABLE t, DESCRIPTOR(ts), INTERVAL '1' DAY) \
         GROUP BY window_start, k",
    ),
    (
        "SessionAggregate",
        "SELECT k, window_start, window_end, sum(v) AS v \
         FROM SESSION(TABLE t PARTITION BY k, DESCRIPTOR(ts), INTERVAL '1' DAY) \
         GROUP BY k, window_start, window_end",
    ),
    (
        "TopN",
        "SELECT k, v FROM (SELECT k, v, row_number() OVER (PARTITION BY k ORDER BY v DESC) AS n \
         FROM t) WHERE n <= 2",
    ),
    (
        "PartitionOver",
        "SELECT k, n, rank() OVER (PARTITION BY k ORDER BY n) AS r \
         FROM (SELECT k, v, count(*) AS n FROM t GROUP BY k, v)",
    ),
    (
        "Over",
        "SELECT k, ts, row_number() OVER (PARTITION BY k ORDER BY ts) AS n, \
         avg(v) OVER (PARTITION BY k ORDER BY ts ROWS 3 PRECEDING) AS v FROM t",
    ),
];

/// The last checkpoint: its epoch and the bytes that it wrote.
async fn checkpoint(client: &mut Client) -> (u64, u64) {
    let sql = "SELECT epoch, bytes FROM rtsap_catalog.checkpoints";
    let answer = client.ok(sql).await;
    let mut cells = answer.split('|').map(|cell| cell.parse().unwrap_or(0));
    (cells.next().unwrap_or(0), cells.next().unwrap_or(0))
}

/// The bytes of the largest checkpoint after epoch `before`, once no more come.
async fn wrote(client: &mut Client, before: u64) -> u64 {
    let (mut last, mut most, mut quiet) = (before, 0, 0);
    while last == before || quiet < 60 {
        let (epoch, bytes) = checkpoint(client).await;
        quiet = if epoch == last { quiet + 1 } else { 0 };
        if epoch > before {
            (last, most) = (epoch, most.max(bytes));
        }
        tokio::time::sleep(Duration::from_millis(25)).await;
    }
    most
}

#[tokio::test(flavor = "multi_thread")]
async fn a_row_more_costs_no_whole_state() {
    let views = VIEWS.iter().map(|(operator, query)| costs(operator, query));
    futures::future::join_all(views).await;
}

async fn costs(operator: &str, query: &str) {
    let harness = Harness::new().await;
    let mut client = harness.session();
    let before = checkpoint(&mut client).await.0;
    client
        .ok(&format!(
            "CREATE TABLE t (k TEXT, v BIGINT, ts TIMESTAMP, WATERMARK FOR ts AS ts);
             CREATE STREAMING VIEW s AS {query};
             INSERT INTO t SELECT 'k' || i, i, TIMESTAMP '2026-01-01' + i * INTERVAL '1 ms' \
               FROM generate_series(1, {KEYS}) AS g (i);
             FLUSH"
        ))
        .await;
    let plan = client.ok("EXPLAIN STREAMING VIEW s").await;
    assert!(plan.contains(operator), "{operator}\n{plan}");
    // Once deltas are as large as the base, a base is written anew.
    let mut whole = wrote(&mut client, before).await;
    let mut bytes = whole;
    for row in 0..4 {
        let before = checkpoint(&mut client).await.0;
        client
            .ok(&format!(
                "INSERT INTO t VALUES ('k7', {row}, TIMESTAMP '2026-01-01 00:00:30' \
                 + {row} * INTERVAL '1 ms'); FLUSH"
            ))
            .await;
        bytes = wrote(&mut client, before).await;
        whole = whole.max(bytes);
    }
    assert!(whole > KEYS * 8, "{operator}: the state is {whole} bytes");
    assert!(
        bytes < whole / 20,
        "{operator}: {bytes} bytes for a row beside {whole} bytes of state"
    );
}
