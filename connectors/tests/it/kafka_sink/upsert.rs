//! The upserting sink: one message a changed key, a tombstone for one that is gone.

use super::*;

fn totals(name: &str) -> SinkInput {
    SinkInput {
        key: vec![0],
        mode: ChangelogMode::Retract,
        ..trades(name)
    }
}

/// What a compacted topic comes to: key → value.
fn table(corner: &Corner) -> BTreeMap<String, String> {
    let mut table = BTreeMap::new();
    for seen in corner.read("read_committed").into_values().flatten() {
        let key = seen.key.expect("every message has a key");
        match seen.value {
            Some(value) => table.insert(key, value),
            None => table.remove(&key),
        };
    }
    table
}

#[tokio::test(flavor = "multi_thread")]
async fn the_topic_is_a_table_of_the_view() {
    let Some(corner) = corner("upsert") else {
        return;
    };
    let mut sink = corner.sink(&totals("s"), &[("connector", "upsert-kafka")]);
    sink.fence(generation(1), None).await.unwrap();
    let first = changes(&[
        (1, "AAPL", 1),
        (1, "MSFT", 2),
        (1, "IBM", 7),
        (-1, "IBM", 7),
    ]);
    sink.apply(epoch(1), epoch(0), &first).await.unwrap();
    let row = |symbol: &str, n: i64| {
        (
            format!("{{\"symbol\":\"{symbol}\"}}"),
            format!("{{\"symbol\":\"{symbol}\",\"n\":{n}}}"),
        )
    };
    assert_eq!(table(&corner), [row("AAPL", 1), row("MSFT", 2)].into());
    let second = changes(&[
        (-1, "AAPL", 1),
        (1, "AAPL", 5),
        (-1, "MSFT", 2),
        (1, "GOOG", 3),
        (-1, "AAPL", 5),
        (1, "AAPL", 6),
    ]);
    sink.apply(epoch(2), epoch(1), &second).await.unwrap();
    assert_eq!(table(&corner), [row("AAPL", 6), row("GOOG", 3)].into());
    let all = corner.read("read_committed");
    // Net per epoch: no message for what came and went within one.
    assert_eq!(all.values().map(Vec::len).sum::<usize>(), 2 + 3);
    let tombstones = all.values().flatten().filter(|seen| seen.value.is_none());
    assert_eq!(tombstones.count(), 1);
}
