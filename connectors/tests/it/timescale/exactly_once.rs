//! No epoch twice, none left out, no old writer: whatever fails in between.

use std::time::Duration;

use rtsap_connectors::timescale;
use rtsap_stream::error::{ConnectorError, ErrorKind};
use rtsap_stream::progress::Owner;
use rtsap_stream::sink::Sink;

use super::proxy::Proxy;
use super::{Corner, candles, changes, epoch, generation, postgres_corner, timescale_corner};

fn kind<T: std::fmt::Debug>(result: Result<T, ConnectorError>) -> ErrorKind {
    result.unwrap_err().kind
}

/// Changes that would show if they were applied twice: no key, so a second time would add rows.
fn keyless() -> rtsap_stream::sink::SinkInput {
    rtsap_stream::sink::SinkInput {
        key: Vec::new(),
        ..candles()
    }
}

async fn corners() -> Vec<Corner> {
    timescale_corner()
        .await
        .into_iter()
        .chain(postgres_corner().await)
        .collect()
}

#[tokio::test]
async fn an_epoch_applied_again_changes_nothing() {
    for corner in corners().await {
        let mut sink = corner.sink(&keyless(), "trades");
        sink.fence(generation(1), None).await.unwrap();
        let first = changes(&[(1, "AAPL", 1, 100), (1, "AAPL", 1, 100)]);
        sink.apply(epoch(1), epoch(0), &first).await.unwrap();
        sink.apply(epoch(1), epoch(0), &first).await.unwrap();
        assert_eq!(corner.rows("trades").await.len(), 2);

        let mut restarted = corner.sink(&keyless(), "trades");
        let report = restarted
            .fence(generation(2), Some(epoch(1)))
            .await
            .unwrap();
        assert_eq!(report.applied, epoch(1));
        restarted.apply(epoch(1), epoch(0), &first).await.unwrap();
        restarted
            .apply(epoch(2), epoch(1), &changes(&[(1, "IBM", 2, 1)]))
            .await
            .unwrap();
        // Its own record is never further than what it sent last: this one is another's.
        let foreign = restarted.apply(epoch(1), epoch(0), &first).await;
        assert_eq!(kind(foreign), ErrorKind::Data);
        assert_eq!(corner.rows("trades").await.len(), 3);
        corner.clear().await;
    }
}

#[tokio::test]
async fn an_older_generation_is_fenced() {
    for corner in corners().await {
        let mut old = corner.sink(&candles(), "candles");
        old.fence(generation(4), None).await.unwrap();
        let mut new = corner.sink(&candles(), "candles");
        new.fence(generation(5), None).await.unwrap();
        let rows = changes(&[(1, "AAPL", 1, 100)]);
        assert_eq!(
            kind(old.apply(epoch(1), epoch(0), &rows).await),
            ErrorKind::Fenced
        );
        assert_eq!(
            kind(old.fence(generation(4), None).await),
            ErrorKind::Fenced
        );
        assert!(corner.rows("candles").await.is_empty());
        new.apply(epoch(1), epoch(0), &rows).await.unwrap();
        // The zombie repeats the epoch that its successor has applied: still fenced, not "already
        // done".
        assert_eq!(
            kind(old.apply(epoch(1), epoch(0), &rows).await),
            ErrorKind::Fenced
        );
        // A fence whose answer was lost is simply taken again.
        assert_eq!(
            new.fence(generation(5), Some(epoch(1)))
                .await
                .unwrap()
                .applied,
            epoch(1)
        );
        assert_eq!(corner.rows("candles").await.len(), 1);
        corner.clear().await;
    }
}

#[tokio::test]
async fn a_missing_record_and_a_gap_stop_the_sink() {
    for corner in corners().await {
        let mut sink = corner.sink(&candles(), "candles");
        assert_eq!(
            kind(sink.fence(generation(1), Some(epoch(7))).await),
            ErrorKind::Data
        );
        sink.fence(generation(1), None).await.unwrap();
        let rows = changes(&[(1, "AAPL", 1, 100)]);
        let gap = sink.apply(epoch(9), epoch(8), &rows).await.unwrap_err();
        assert_eq!(gap.kind, ErrorKind::Data);
        assert!(gap.message.contains("gap"), "{gap:?}");
        sink.apply(epoch(1), epoch(0), &rows).await.unwrap();
        corner
            .run("DELETE FROM rtsap.sink_progress WHERE sink = '$schema.candles'")
            .await;
        let missing = sink.apply(epoch(2), epoch(1), &rows).await.unwrap_err();
        assert_eq!(missing.kind, ErrorKind::Data);
        assert_eq!(
            kind(sink.fence(generation(2), Some(epoch(1))).await),
            ErrorKind::Data
        );
        assert_eq!(corner.rows("candles").await.len(), 1);
        corner.clear().await;
    }
}

#[tokio::test]
async fn a_database_restored_from_an_older_state_stops_the_sink() {
    for corner in corners().await {
        let mut sink = corner.sink(&keyless(), "trades");
        sink.fence(generation(1), None).await.unwrap();
        for number in 1..=3_u64 {
            let rows = changes(&[(1, "AAPL", number as i64, 1)]);
            let previous = epoch(number - 1);
            sink.apply(epoch(number), previous, &rows).await.unwrap();
        }
        // A backup of epoch 2 comes back; epoch 3 was confirmed and is forgotten here.
        let back = "DELETE FROM $schema.trades WHERE window_end = \
                    (SELECT max(window_end) FROM $schema.trades); \
                    UPDATE rtsap.sink_progress SET epoch = 2 WHERE sink = '$schema.candles'";
        corner.run(back).await;
        let mut restarted = corner.sink(&keyless(), "trades");
        let rewound = restarted.fence(generation(2), Some(epoch(3))).await;
        let error = rewound.unwrap_err();
        assert_eq!(error.kind, ErrorKind::Data);
        assert!(error.message.contains("gone back in time"), "{error}");
        // So does a failover that the running process meets.
        let rows = changes(&[(1, "AAPL", 4, 1)]);
        assert_eq!(
            kind(sink.apply(epoch(4), epoch(3), &rows).await),
            ErrorKind::Data
        );
        assert_eq!(corner.rows("trades").await.len(), 2);
        corner.clear().await;
    }
}

#[tokio::test]
async fn a_target_that_vanished_is_not_made_anew() {
    for corner in corners().await {
        let mut sink = corner.sink(&candles(), "candles");
        sink.fence(generation(1), None).await.unwrap();
        sink.apply(epoch(1), epoch(0), &changes(&[(1, "AAPL", 1, 100)]))
            .await
            .unwrap();
        corner.run("DROP TABLE $schema.candles").await;
        assert_eq!(
            kind(sink.fence(generation(2), Some(epoch(1))).await),
            ErrorKind::Data
        );
        corner.clear().await;
    }
}

/// Waits until `sql` returns true. Bounded by the test's own patience, not by a fixed sleep.
async fn until(corner: &Corner, sql: &str) {
    for _ in 0..2_000 {
        let sql = sql.replace("$schema", &corner.schema);
        let holds: bool = corner.client.query_one(&sql, &[]).await.unwrap().get(0);
        if holds {
            return;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    panic!("it never came true: {sql}");
}

/// The server's processes that wait for a lock within an epoch of this corner.
const WAITING: &str = "FROM pg_stat_activity WHERE application_name = '$schema' \
    AND wait_event_type = 'Lock'";

fn named_sink(corner: &Corner, url: &str) -> Box<dyn Sink> {
    let separator = if url.contains('?') { '&' } else { '?' };
    let url = format!("{url}{separator}application_name={}", corner.schema);
    timescale::sink(
        &corner.named(&keyless()),
        &corner.options_at(&url, "trades"),
    )
    .unwrap()
}

#[tokio::test]
async fn a_backend_killed_before_its_commit_applies_nothing_and_the_retry_once() {
    for corner in corners().await {
        let mut sink = named_sink(&corner, &corner.url);
        sink.fence(generation(1), None).await.unwrap();
        sink.apply(epoch(1), epoch(0), &changes(&[(1, "AAPL", 1, 1)]))
            .await
            .unwrap();
        // A lock on the target holds the sink after it has moved the record and before it commits.
        corner
            .run("BEGIN; LOCK TABLE $schema.trades IN ACCESS EXCLUSIVE MODE")
            .await;
        let second = changes(&[(1, "AAPL", 2, 2), (1, "AAPL", 2, 3)]);
        let applying = tokio::spawn(async move {
            let result = sink.apply(epoch(2), epoch(1), &second).await;
            (sink, second, result)
        });
        until(&corner, &format!("SELECT count(*) = 1 {WAITING}")).await;
        corner
            .run(&format!("SELECT pg_terminate_backend(pid) {WAITING}"))
            .await;
        let (mut sink, second, result) = applying.await.unwrap();
        assert_eq!(kind(result), ErrorKind::Unavailable);
        corner.run("COMMIT").await;
        assert_eq!(corner.rows("trades").await.len(), 1);
        sink.apply(epoch(2), epoch(1), &second).await.unwrap();
        sink.apply(epoch(2), epoch(1), &second).await.unwrap();
        assert_eq!(corner.rows("trades").await.len(), 3);
        corner.clear().await;
    }
}

#[tokio::test]
async fn a_lost_answer_to_commit_is_resolved_on_the_next_call() {
    for corner in corners().await {
        let proxy = Proxy::start(&corner.url).await;
        let mut sink = named_sink(&corner, &proxy.url);
        sink.fence(generation(1), None).await.unwrap();
        let rows = changes(&[(1, "AAPL", 1, 1)]);
        // The server gets the COMMIT, the sink never hears of it.
        proxy.lose_next_commit();
        assert_eq!(
            kind(sink.apply(epoch(1), epoch(0), &rows).await),
            ErrorKind::Unavailable
        );
        until(&corner, "SELECT count(*) = 1 FROM $schema.trades").await;
        sink.apply(epoch(1), epoch(0), &rows).await.unwrap();
        assert_eq!(corner.rows("trades").await.len(), 1);
        sink.apply(epoch(2), epoch(1), &changes(&[(1, "AAPL", 1, 2)]))
            .await
            .unwrap();
        assert_eq!(corner.rows("trades").await.len(), 2);
        corner.clear().await;
    }
}

#[tokio::test]
async fn a_retry_waits_for_the_commit_that_is_still_under_way() {
    for corner in corners().await {
        let proxy = Proxy::start(&corner.url).await;
        let mut sink = named_sink(&corner, &proxy.url);
        sink.fence(generation(1), None).await.unwrap();
        // A deferred trigger holds COMMIT on the server until the test lets it go.
        corner
            .run(
                "CREATE FUNCTION $schema.hold() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN \
                     PERFORM pg_advisory_xact_lock(hashtext('$schema')); RETURN NULL; END$$; \
                 CREATE CONSTRAINT TRIGGER hold AFTER INSERT ON $schema.trades \
                     DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION $schema.hold(); \
                 SELECT pg_advisory_lock(hashtext('$schema'))",
            )
            .await;
        let rows = changes(&[(1, "AAPL", 1, 1)]);
        proxy.lose_next_commit();
        assert_eq!(
            kind(sink.apply(epoch(1), epoch(0), &rows).await),
            ErrorKind::Unavailable
        );
        until(&corner, &format!("SELECT count(*) = 1 {WAITING}")).await;
        // The retry finds the record locked by the old transaction, and must not read its old
        // state.
        let retry = tokio::spawn(async move { sink.apply(epoch(1), epoch(0), &rows).await });
        until(&corner, &format!("SELECT count(*) = 2 {WAITING}")).await;
        corner
            .run("SELECT pg_advisory_unlock(hashtext('$schema'))")
            .await;
        retry.await.unwrap().unwrap();
        assert_eq!(corner.rows("trades").await.len(), 1);
        corner.clear().await;
    }
}

#[tokio::test]
async fn killing_backends_at_any_moment_loses_and_duplicates_nothing() {
    const EPOCHS: u64 = 30;
    const FAILURES_MAX: u32 = 2_000;
    for corner in corners().await {
        let mut sink = named_sink(&corner, &corner.url);
        sink.fence(generation(1), None).await.unwrap();
        let (killer, name) = (super::connect(&corner.url).await, corner.schema.clone());
        let killing = tokio::spawn(async move {
            let sql = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity \
                       WHERE application_name = $1";
            // The pauses run through all lengths, so kills fall on every statement of an epoch.
            for round in 0_u64.. {
                killer.query_one(sql, &[&name]).await.unwrap();
                tokio::time::sleep(Duration::from_millis(10 + round * 17 % 90)).await;
            }
        });
        let mut unclear = 0;
        for number in 1..=EPOCHS {
            let minute = number as i64;
            let rows = changes(&[
                (1, "A", minute, 1),
                (1, "A", minute, 1),
                (1, "B", minute, 1),
            ]);
            while let Err(error) = sink.apply(epoch(number), epoch(number - 1), &rows).await {
                assert_eq!(error.kind, ErrorKind::Unavailable, "{error:?}");
                unclear += 1;
                assert!(unclear < FAILURES_MAX, "no epoch gets through");
            }
        }
        killing.abort();
        let rows = corner.rows("trades").await;
        assert_eq!(
            rows.len() as u64,
            3 * EPOCHS,
            "after {unclear} failed calls"
        );
        assert!(unclear > 0, "kills hit the sink");
        corner.clear().await;
    }
}

#[tokio::test]
async fn an_unreachable_server_is_unavailable() {
    let options = super::options(&[
        ("connector", "postgres"),
        ("url", "postgres://nobody:secret-word@127.0.0.1:1/nowhere"),
        ("table", "t"),
    ]);
    let mut sink = timescale::sink(&candles(), &options).unwrap();
    let error = sink.fence(generation(1), None).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Unavailable);
    assert!(!format!("{error:?}").contains("secret-word"));
}

/// `keyless()` of another sink that has the same name.
fn another() -> rtsap_stream::sink::SinkInput {
    rtsap_stream::sink::SinkInput {
        owner: Owner {
            directory: 7,
            sink: 3,
        },
        ..keyless()
    }
}

#[tokio::test]
async fn a_record_of_another_sink_is_never_taken_over() {
    for corner in corners().await {
        let mut sink = corner.sink(&keyless(), "trades");
        sink.fence(generation(1), None).await.unwrap();
        let rows = changes(&[(1, "AAPL", 1, 1)]);
        sink.apply(epoch(5), epoch(0), &rows).await.unwrap();
        // Its directory has come further, so that its epochs would follow; they are other rows.
        let mut other = corner.sink(&another(), "trades");
        for expected in [None, Some(epoch(5))] {
            let refused = other.fence(generation(9), expected).await.unwrap_err();
            assert_eq!(refused.kind, ErrorKind::Data);
            assert!(
                refused.message.contains("belongs to another sink"),
                "{refused}"
            );
        }
        sink.apply(epoch(6), epoch(5), &rows).await.unwrap();
        // A version before has left no owner: only who knows what was applied goes on.
        corner
            .run("UPDATE rtsap.sink_progress SET owner = NULL WHERE sink = '$schema.candles'")
            .await;
        let refused = other.fence(generation(9), None).await;
        assert_eq!(kind(refused), ErrorKind::Data);
        let mut restarted = corner.sink(&keyless(), "trades");
        let report = restarted.fence(generation(2), Some(epoch(6))).await;
        assert_eq!(report.unwrap().applied, epoch(6));
        let refused = other.fence(generation(9), Some(epoch(6))).await;
        assert_eq!(kind(refused), ErrorKind::Data);
        assert_eq!(corner.rows("trades").await.len(), 2);
        corner.clear().await;
    }
}

#[tokio::test]
async fn the_records_of_an_older_version_get_an_owner() {
    let Some(corner) = postgres_corner().await else {
        return;
    };
    let name = format!("{}_old", corner.schema);
    let create = format!("CREATE DATABASE {name}");
    corner.client.batch_execute(&create).await.unwrap();
    let url = corner.url.replace("/postgres?", &format!("/{name}?"));
    let url = match url.strip_suffix("/postgres") {
        Some(start) => format!("{start}/{name}"),
        None => url,
    };
    let client = super::connect(&url).await;
    let old = "CREATE SCHEMA rtsap; CREATE TABLE rtsap.sink_progress (sink text PRIMARY KEY, \
        generation bigint NOT NULL, epoch bigint NOT NULL, \
        updated_at timestamptz NOT NULL DEFAULT clock_timestamp()); \
        INSERT INTO rtsap.sink_progress VALUES ('candles', 4, 12); \
        CREATE TABLE candles (symbol text, window_end timestamptz, volume int8, \
        vwap numeric(18,4), PRIMARY KEY (symbol, window_end))";
    client.batch_execute(old).await.unwrap();
    let options = super::options(&[
        ("connector", "postgres"),
        ("url", &url),
        ("table", "candles"),
    ]);
    let input = rtsap_stream::sink::SinkInput {
        owner: another().owner,
        ..candles()
    };
    let mut sink = timescale::sink(&input, &options).unwrap();
    let report = sink.fence(generation(5), Some(epoch(12))).await.unwrap();
    assert_eq!(report.applied, epoch(12));
    let owner = "SELECT owner FROM rtsap.sink_progress";
    let owner: String = client.query_one(owner, &[]).await.unwrap().get(0);
    assert_eq!(owner, "0000000000000007-3");
    drop((sink, client));
    let drop = format!("DROP DATABASE {name} WITH (FORCE)");
    corner.client.batch_execute(&drop).await.unwrap();
    corner.clear().await;
}
