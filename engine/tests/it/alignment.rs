//! Sources that wait for each other.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::time::{Duration, Instant};

use crate::harness::{Client, Harness};

/// Rows for a second of event time.
const FAST: i64 = 100_000;
const SLOW: i64 = 100;

/// Seconds of event time that have come from the fast and from the slow source, at one cut.
async fn reached(client: &mut Client) -> [i64; 2] {
    let sql = "SELECT (SELECT count(*) FROM fast_rows), (SELECT count(*) FROM slow_rows)";
    let counts = client.ok(sql).await;
    let (fast, slow) = counts.split_once('|').unwrap();
    let number = |text: &str| text.parse::<i64>().unwrap();
    [number(fast) / FAST, number(slow) / SLOW]
}

#[tokio::test]
async fn the_fast_one_waits_for_the_slow_one() {
    let harness = Harness::new().await;
    let mut client = harness.session();
    for (name, rate, pace) in [("slow", SLOW, "wall-clock"), ("fast", FAST, "none")] {
        let source = format!(
            "CREATE SOURCE {name} (symbol TEXT, ts TIMESTAMP(6), WATERMARK FOR ts AS ts) \
             WITH ('connector' = 'datagen', 'kind' = 'trades', 'rows-per-second' = '{rate}', \
             'number-of-rows' = '5000000', 'pace' = '{pace}', \
             'scan.watermark.alignment.group' = 'market', \
             'scan.watermark.alignment.max-drift' = '3s')"
        );
        client.ok(&source).await;
    }
    for name in ["fast", "slow"] {
        let view = format!("CREATE STREAMING VIEW {name}_rows AS SELECT symbol FROM {name}");
        client.ok(&view).await;
    }
    let begun = Instant::now();
    let (mut most, mut explained) = (0, false);
    loop {
        let [fast, slow] = reached(&mut client).await;
        // A step takes some batches at once.
        assert!(fast <= slow + 3 + 2, "{fast} s against {slow} s");
        most = most.max(fast);
        let why = client.ok("EXPLAIN WHY fast_rows").await;
        explained |= why.contains("it is not read: it is ahead of its scan.watermark.alignment");
        if most >= 5 && explained {
            return;
        }
        let waited = begun.elapsed();
        assert!(
            waited < Duration::from_secs(60),
            "the fast source has come to {most} s"
        );
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}
