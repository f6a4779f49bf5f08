//! Operators line by line; see `script.rs` for the form of the scripts.

mod stateless;

use arrow::array::Int8Array;
use expect_test::expect;
use rtsap_plan::operator::Emit;
use rtsap_runtime::operator::Output;
use rtsap_stream::change::ChangeBatch;
use rtsap_stream::time::EventTime;

use super::rows::{self, Row};
use super::script::{SECOND, check, groups, hop, input, instantiated, tumble, windows};

#[test]
fn tumble_shows_each_window_once_across_recovery() {
    let node = windows(
        tumble(10),
        Emit::OnClose { delay_nanos: 0 },
        0,
        &["count(*)", "sum(qty)"],
    );
    let script = "
        changes ts=1 k=a qty=5 id=1; ts=12 k=b qty=1 id=2; ts=9 k=b qty=7 id=3
        watermark 9
        recover
        changes ts=3 k=a id=4
        watermark 10
        changes ts=9 k=a qty=1 id=5; ts=10 k=a qty=1 id=6; k=a id=7
        publish
        recover
        watermark 35
        changes ts=29 k=a id=8
        watermark max
    ";
    check(
        &node,
        script,
        &expect![[r#"
        changes ts=1 k=a qty=5 id=1; ts=12 k=b qty=1 id=2; ts=9 k=b qty=7 id=3
        watermark 9
          promise 9
        recover
        changes ts=3 k=a id=4
        watermark 10
          + 0 10 a 2 5 9
          + 0 10 b 1 7 9
          promise 19
        changes ts=9 k=a qty=1 id=5; ts=10 k=a qty=1 id=6; k=a id=7
          late 5
          late 7
        publish
        recover
        watermark 35
          + 10 20 b 1 1 19
          + 10 20 a 1 1 19
          promise 39
        changes ts=29 k=a id=8
          late 8
        watermark max
    "#]],
    );
}

#[test]
fn changing_windows_show_what_changed_and_then_only_their_last_word() {
    let node = windows(tumble(10), Emit::Changes, 5, &["max(price)"]);
    let script = "
        changes ts=1 k=a price=1.5; ts=2 k=b price=3
        publish
        publish
        changes ts=3 k=a price=2; ts=11 k=a price=9
        recover
        publish
        changes ts=4 k=b price=1
        watermark 14
        changes ts=5 k=b price=8
        watermark 15
        changes ts=6 k=b price=99 id=3
        publish
        watermark max
    ";
    check(
        &node,
        script,
        &expect![[r#"
        changes ts=1 k=a price=1.5; ts=2 k=b price=3
        publish
          + 0 10 a 1.5 9
          + 0 10 b 3.0 9
        publish
        changes ts=3 k=a price=2; ts=11 k=a price=9
        recover
        publish
          + 0 10 a 2.0 9
          + 10 20 a 9.0 19
        changes ts=4 k=b price=1
        watermark 14
          promise 9
        changes ts=5 k=b price=8
        watermark 15
          + 0 10 b 8.0 9
          promise 19
        changes ts=6 k=b price=99 id=3
          late 3
        publish
        watermark max
    "#]],
    );
}

#[test]
fn hop_merges_slices_and_never_reopens_a_closed_window() {
    let node = windows(
        hop(10, 4),
        Emit::OnClose { delay_nanos: 0 },
        0,
        &["sum(qty)"],
    );
    let script = "
        changes ts=1 k=a qty=1; ts=5 k=b qty=10; ts=9 k=a qty=100
        watermark 11
        changes ts=9 k=c qty=1000 id=1; ts=3 k=c qty=5 id=2; ts=1 k=c qty=5 id=3
        recover
        watermark 40
        changes ts=100 k=d qty=1
        watermark max
    ";
    check(
        &node,
        script,
        &expect![[r#"
        changes ts=1 k=a qty=1; ts=5 k=b qty=10; ts=9 k=a qty=100
        watermark 11
          + -8 2 a 1 1
          + -4 6 a 1 5
          + -4 6 b 10 5
          + 0 10 a 101 9
          + 0 10 b 10 9
          promise 13
        changes ts=9 k=c qty=1000 id=1; ts=3 k=c qty=5 id=2; ts=1 k=c qty=5 id=3
          late 2
          late 3
        recover
        watermark 40
          + 4 14 b 10 13
          + 4 14 a 100 13
          + 4 14 c 1000 13
          + 8 18 a 100 17
          + 8 18 c 1000 17
          promise 41
        changes ts=100 k=d qty=1
        watermark max
          + 92 102 d 1 101
          + 96 106 d 1 105
          + 100 110 d 1 109
    "#]],
    );
}

#[test]
fn hop_with_gaps_counts_rows_between_windows_as_filtered() {
    let node = windows(hop(2, 10), Emit::Changes, 0, &["count(*)"]);
    let script = "
        changes ts=1 k=a; ts=2 k=a; ts=9 k=a; ts=11 k=a
        publish
        watermark max
    ";
    check(
        &node,
        script,
        &expect![[r#"
        changes ts=1 k=a; ts=2 k=a; ts=9 k=a; ts=11 k=a
          filtered 2
        publish
          + 0 2 a 1 1
          + 10 12 a 1 11
        watermark max
    "#]],
    );
}

#[test]
fn a_delay_holds_windows_back_and_takes_late_rows_in() {
    let emit = Emit::OnClose {
        delay_nanos: 5 * SECOND,
    };
    let node = windows(tumble(10), emit, 0, &["count(*)"]);
    let script = "
        changes ts=1 k=a
        watermark 14
        changes ts=2 k=a
        watermark 15
        changes ts=3 k=a id=9
    ";
    check(
        &node,
        script,
        &expect![[r#"
        changes ts=1 k=a
        watermark 14
          promise 9
        changes ts=2 k=a
        watermark 15
          + 0 10 a 2 9
          promise 19
        changes ts=3 k=a id=9
          late 9
    "#]],
    );
}

#[test]
fn groups_update_and_vanish() {
    let node = groups(&["k"], &["count(*)", "sum(qty)"]);
    let script = "
        changes ts=1 k=a qty=1; ts=2 k=b qty=2
        publish
        changes -ts=2 k=b qty=2; ts=3 k=a qty=5
        publish
        recover
        changes ts=4 k=c qty=7; -ts=4 k=c qty=7
        publish
        changes -ts=1 k=a qty=1; -ts=3 k=a qty=5; ts=5 k=b
        publish
        changes -ts=9 k=z
    ";
    check(
        &node,
        script,
        &expect![[r#"
        changes ts=1 k=a qty=1; ts=2 k=b qty=2
        publish
          + a 1 1
          + b 1 2
        changes -ts=2 k=b qty=2; ts=3 k=a qty=5
        publish
          - b 1 2
          + a 2 6
        recover
        changes ts=4 k=c qty=7; -ts=4 k=c qty=7
        publish
        changes -ts=1 k=a qty=1; -ts=3 k=a qty=5; ts=5 k=b
        publish
          - a 2 6
          + b 1 -
        changes -ts=9 k=z
          error: GroupAggregate got a delete of a row that was not there
    "#]],
    );
}

#[test]
fn the_global_group_exists_without_rows() {
    let node = groups(&[], &["count(*)", "sum(qty)"]);
    let script = "
        publish
        publish
        recover
        changes ts=1 qty=3
        publish
        changes -ts=1 qty=3
        publish
    ";
    check(
        &node,
        script,
        &expect![[r#"
        publish
          + 0 -
        publish
        recover
        changes ts=1 qty=3
        publish
          - 0 -
          + 1 3
        changes -ts=1 qty=3
        publish
          - 1 3
          + 0 -
    "#]],
    );
}

#[test]
fn what_cannot_be_taken_back_is_refused() {
    let node = groups(&["k"], &["max(qty)"]);
    let script = "
        changes ts=1 k=a qty=1
        changes -ts=1 k=a qty=1
    ";
    check(
        &node,
        script,
        &expect![[r#"
        changes ts=1 k=a qty=1
        changes -ts=1 k=a qty=1
          error: rows were taken back from an aggregate that cannot do so
    "#]],
    );
}

#[test]
fn sums_fail_instead_of_wrapping_around() {
    let node = groups(&["k"], &["sum(qty)"]);
    let script = "
        changes ts=1 k=a qty=9223372036854775807; ts=1 k=a qty=1; ts=1 k=a qty=-1
        publish
        changes ts=1 k=a qty=1
        publish
    ";
    check(
        &node,
        script,
        &expect![[r#"
        changes ts=1 k=a qty=9223372036854775807; ts=1 k=a qty=1; ts=1 k=a qty=-1
        publish
          + a 9223372036854775807
        changes ts=1 k=a qty=1
        publish
          error: sum 9223372036854775808 does not fit its type
    "#]],
    );
}

#[test]
fn state_stays_flat_while_windows_advance() {
    for emit in [Emit::Changes, Emit::OnClose { delay_nanos: 0 }] {
        for window in [tumble(10), hop(20, 5)] {
            let node = windows(
                window,
                emit,
                5,
                &["count(*)", "sum(price)", "last_value(k ORDER BY id)"],
            );
            let mut operator = instantiated(&node).unwrap();
            let (mut first, mut most, mut shown) = (0, 0, 0);
            for step in 0..250_i64 {
                let rows: Vec<Row> = (0..1_000)
                    .map(|n| Row {
                        ts: Some(step * 10 + n / 100),
                        k: Some(format!("key {}", (n * 7) % 100)),
                        price: Some(1.0),
                        id: n,
                        ..Row::default()
                    })
                    .collect();
                let mut out = Output::default();
                let rows = ChangeBatch::inserts(rows::batch(&input(), &rows));
                operator.on_changes(0, &rows, &mut out).unwrap();
                operator.on_publish(&mut out).unwrap();
                let time = EventTime::from_nanos((step * 10 + 7) * SECOND);
                operator.on_watermark(time, &mut out).unwrap();
                shown += out.changes.iter().map(ChangeBatch::len).sum::<usize>();
                most = most.max(operator.state_bytes());
                if step == 20 {
                    first = most;
                }
            }
            assert!(shown > 10_000);
            assert!(
                most <= first + first / 10,
                "state grew from {first} to {most} bytes"
            );
        }
    }
}

#[test]
fn groups_without_rows_hold_no_memory() {
    let node = groups(&["id"], &["count(*)", "sum(qty)"]);
    let mut operator = instantiated(&node).unwrap();
    let mut bytes = Vec::new();
    for round in 0..60_i64 {
        let ids = round * 1_000..round * 1_000 + 1_000;
        let new = ids.map(|id| Row {
            id,
            qty: Some(1),
            ..Row::default()
        });
        let batch = rows::batch(&input(), &new.collect::<Vec<_>>());
        let gone = Int8Array::from(vec![-1; batch.num_rows()]);
        let mut out = Output::default();
        let come = ChangeBatch::inserts(batch.clone());
        operator.on_changes(0, &come, &mut out).unwrap();
        operator.on_publish(&mut out).unwrap();
        let gone = ChangeBatch::try_new(batch, gone).unwrap();
        operator.on_changes(0, &gone, &mut out).unwrap();
        operator.on_publish(&mut out).unwrap();
        bytes.push(operator.state_bytes());
    }
    assert!(bytes[59] <= bytes[9], "{bytes:?}");
}
