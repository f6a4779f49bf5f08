//! Operators line by line: a script of changes, watermarks, publishes and crashes goes in, what
//! comes out stands below each line.
//!
//! `changes ts=1 k=a qty=5; -ts=1 k=a` is one batch, a leading minus takes the row back; `watermark
//! 10` is in seconds; `publish`; `recover` saves, starts anew and restores. `+` and `-` lines are
//! rows that came out.

#[path = "harness/plans.rs"]
mod plans;
#[path = "harness/rows.rs"]
mod rows;

use std::sync::Arc;

use arrow::array::Int8Array;
use arrow::datatypes::{Field, Schema, SchemaRef, TimeUnit};
use arrow::util::display::{ArrayFormatter, FormatOptions};
use expect_test::{Expect, expect};
use rtsap_plan::graph::Node;
use rtsap_plan::operator::{Emit, OperatorSpec, WindowColumn};
use rtsap_plan::properties::{StateBound, StreamProperties};
use rtsap_plan::window::WindowSpec;
use rtsap_runtime::operator::{Operator, OperatorError, Output, instantiate};
use rtsap_runtime::state::{StateReader, StateWriter, decode, encode};
use rtsap_stream::change::{ChangeBatch, ChangelogMode, Op};
use rtsap_stream::time::EventTime;

use rows::Row;

const SECOND: i64 = 1_000_000_000;
const UNIT: TimeUnit = TimeUnit::Second;

fn block_on<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap()
        .block_on(future)
}

fn input() -> SchemaRef {
    plans::schema(UNIT)
}

fn instantiated(node: &Node) -> Result<Box<dyn Operator>, OperatorError> {
    instantiate::operator(node, &[input(), input()])
}

fn changes(text: &str) -> ChangeBatch {
    let (mut rows, mut ops) = (Vec::new(), Vec::new());
    for row in text.split(';').map(str::trim) {
        let minus = row.strip_prefix('-');
        ops.push(if minus.is_some() { -1 } else { 1 });
        let mut parsed = Row::default();
        for (name, value) in minus
            .unwrap_or(row)
            .split(' ')
            .filter_map(|part| part.split_once('='))
        {
            match name {
                "ts" => parsed.ts = value.parse().ok(),
                "k" => parsed.k = Some(value.to_owned()),
                "side" => parsed.side = Some(value.parse().unwrap()),
                "price" => parsed.price = Some(value.parse().unwrap()),
                "amount" => parsed.amount = Some(value.parse().unwrap()),
                "qty" => parsed.qty = Some(value.parse().unwrap()),
                "id" => parsed.id = value.parse().unwrap(),
                other => panic!("no column {other}"),
            }
        }
        rows.push(parsed);
    }
    ChangeBatch::try_new(rows::batch(&input(), &rows), Int8Array::from(ops)).unwrap()
}

fn show(out: &Output, log: &mut String) {
    let options = FormatOptions::default()
        .with_null("-")
        .with_timestamp_format(Some("%s"));
    for changes in &out.changes {
        for row in 0..changes.len() {
            let cells: Vec<String> = changes
                .rows()
                .columns()
                .iter()
                .map(|column| {
                    ArrayFormatter::try_new(column, &options)
                        .unwrap()
                        .value(row)
                        .to_string()
                })
                .collect();
            let sign = if changes.op(row) == Op::Insert {
                '+'
            } else {
                '-'
            };
            *log += &format!("  {sign} {}\n", cells.join(" "));
        }
    }
    for late in &out.late {
        for row in 0..late.num_rows() {
            let id = late.column_by_name("id").unwrap();
            let id = ArrayFormatter::try_new(id, &options).unwrap();
            *log += &format!("  late {}\n", id.value(row));
        }
    }
    if out.filtered_rows > 0 {
        *log += &format!("  filtered {}\n", out.filtered_rows);
    }
}

fn run(node: &Node, script: &str) -> String {
    let mut operator = instantiated(node).unwrap();
    let mut log = String::new();
    for line in script
        .lines()
        .map(str::trim)
        .filter(|line| !line.is_empty())
    {
        log += &format!("{line}\n");
        let (verb, rest) = line.split_once(' ').unwrap_or((line, ""));
        let mut out = Output::default();
        let done = match verb {
            "changes" => operator
                .on_changes(0, &changes(rest), &mut out)
                .map(|()| None),
            "publish" => operator.on_publish(&mut out).map(|()| None),
            "watermark" => {
                let time = match rest {
                    "max" => EventTime::MAX,
                    seconds => EventTime::from_nanos(seconds.parse::<i64>().unwrap() * SECOND),
                };
                operator.on_watermark(time, &mut out).map(Some)
            }
            "recover" => {
                let mut writer = StateWriter::default();
                operator.snapshot(&mut writer).unwrap();
                let sections = decode(&encode(&writer.into_sections()).unwrap()).unwrap();
                operator = instantiated(node).unwrap();
                operator.restore(&StateReader::new(sections)).unwrap();
                Ok(None)
            }
            other => panic!("no verb {other}"),
        };
        show(&out, &mut log);
        match done {
            Ok(Some(EventTime::MIN | EventTime::MAX) | None) => {}
            Ok(Some(promise)) => log += &format!("  promise {}\n", promise.nanos() / SECOND),
            Err(error) => log += &format!("  error: {error}\n"),
        }
    }
    log
}

fn check(node: &Node, script: &str, expected: &Expect) {
    expected.assert_eq(&run(node, script));
}

fn windows(window: WindowSpec, emit: Emit, lateness: i64, aggregates: &[&str]) -> Node {
    let compiled = block_on(plans::compile(&input(), &["k"], aggregates));
    plans::window_node(
        &compiled,
        window,
        emit,
        lateness * SECOND,
        UNIT,
        WindowColumn::Time,
    )
}

fn tumble(size: i64) -> WindowSpec {
    WindowSpec::Tumble {
        size_nanos: size * SECOND,
        offset_nanos: 0,
    }
}

fn hop(size: i64, slide: i64) -> WindowSpec {
    WindowSpec::Hop {
        size_nanos: size * SECOND,
        slide_nanos: slide * SECOND,
        offset_nanos: 0,
    }
}

fn groups(keys: &[&str], aggregates: &[&str]) -> Node {
    plans::group_node(&block_on(plans::compile(&input(), keys, aggregates)))
}

fn node(spec: OperatorSpec, schema: SchemaRef, mode: ChangelogMode, time: Option<usize>) -> Node {
    let state = StateBound::None;
    let properties = StreamProperties {
        schema,
        mode,
        key: vec![],
        event_time: time,
        state,
    };
    Node {
        spec,
        inputs: vec![0],
        properties,
    }
}

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
        changes ts=1 qty=3
        recover
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
        changes ts=1 qty=3
        recover
        publish
          + 1 3
        changes -ts=1 qty=3
        publish
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
          error: cannot compute GroupAggregate: Execution error: rows were taken back from an aggregate that cannot do so
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
          error: cannot compute GroupAggregate: Execution error: sum 9223372036854775808 does not fit its type
    "#]],
    );
}

#[test]
fn filter_turns_failing_upserts_into_deletes() {
    let predicate = block_on(plans::expression(&input(), "qty > 3"));
    let spec = OperatorSpec::Filter { predicate };
    let script = "
        changes k=a qty=5; k=b qty=6
        changes k=a qty=5; k=b qty=1; k=c
        changes -k=a qty=5; k=b qty=9
    ";
    let upsert = node(spec.clone(), input(), ChangelogMode::Upsert, None);
    check(
        &upsert,
        script,
        &expect![[r#"
        changes k=a qty=5; k=b qty=6
          + - a - - - 5 - 0
          + - b - - - 6 - 0
        changes k=a qty=5; k=b qty=1; k=c
          + - a - - - 5 - 0
          - - b - - - 1 - 0
          - - c - - - - - 0
          filtered 2
        changes -k=a qty=5; k=b qty=9
          - - a - - - 5 - 0
          + - b - - - 9 - 0
    "#]],
    );
    let retract = node(spec, input(), ChangelogMode::Retract, None);
    check(
        &retract,
        script,
        &expect![[r#"
        changes k=a qty=5; k=b qty=6
          + - a - - - 5 - 0
          + - b - - - 6 - 0
        changes k=a qty=5; k=b qty=1; k=c
          + - a - - - 5 - 0
          filtered 2
        changes -k=a qty=5; k=b qty=9
          - - a - - - 5 - 0
          + - b - - - 9 - 0
    "#]],
    );
}

#[test]
fn window_assign_repeats_rows_and_holds_the_watermark_back() {
    let mut fields: Vec<Field> = input()
        .fields()
        .iter()
        .map(|f| f.as_ref().clone())
        .collect();
    let time = fields[0].data_type().clone();
    fields.extend(
        ["window_start", "window_end", "window_time"]
            .map(|name| Field::new(name, time.clone(), false)),
    );
    let schema = Arc::new(Schema::new(fields));
    let spec = OperatorSpec::WindowAssign {
        window: hop(10, 5),
        time: 0,
    };
    let node = node(spec, schema, ChangelogMode::Retract, Some(8));
    let script = "
        changes ts=7 k=a; k=b; -ts=12 k=c
        watermark 12
    ";
    check(
        &node,
        script,
        &expect![[r#"
        changes ts=7 k=a; k=b; -ts=12 k=c
          + 7 a - - - - - 0 0 10 9
          + 7 a - - - - - 0 5 15 14
          - 12 c - - - - - 0 5 15 14
          - 12 c - - - - - 0 10 20 19
          filtered 1
        watermark 12
          promise 5
    "#]],
    );
}

#[test]
fn project_keeps_ops_and_names_what_it_cannot_compute() {
    let exprs = vec![block_on(plans::expression(&input(), "100 / qty"))];
    let schema = Arc::new(Schema::new(vec![Field::new(
        "x",
        arrow::datatypes::DataType::Int64,
        true,
    )]));
    let node = node(
        OperatorSpec::Project { exprs },
        schema,
        ChangelogMode::Retract,
        None,
    );
    let script = "
        changes qty=5; -qty=20; k=a
        changes qty=0
    ";
    check(
        &node,
        script,
        &expect![[r#"
        changes qty=5; -qty=20; k=a
          + 20
          - 5
          + -
        changes qty=0
          error: cannot compute Project: Arrow error: Divide by zero error
    "#]],
    );
}

#[test]
fn what_would_be_wrong_is_refused_at_the_start() {
    let refused = |aggregate: &str| {
        let node = groups(&["k"], &[aggregate]);
        match instantiated(&node) {
            Ok(_) => panic!("{aggregate} was taken"),
            Err(error) => error.to_string(),
        }
    };
    expect![
        "cannot compute GroupAggregate: This feature is not implemented: ORDER BY inside bit_and"
    ]
    .assert_eq(&refused("bit_and(qty ORDER BY id)"));
    let input = Node {
        inputs: vec![],
        ..groups(&["k"], &["count(*)"])
    };
    assert!(instantiate::operator(&input, &[]).is_err());
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
