//! Scripts for operators: one line in, what comes out below it.
//!
//! `changes ts=1 k=a qty=5; -ts=1 k=a` is one batch, a leading minus takes the row back; `watermark
//! 10` is in seconds; `publish`; `recover` saves, starts anew and restores. `+` and `-` lines are
//! rows that came out.

use arrow::array::Int8Array;
use arrow::datatypes::{SchemaRef, TimeUnit};
use arrow::util::display::{ArrayFormatter, FormatOptions};
use expect_test::Expect;
use rtsap_plan::graph::Node;
use rtsap_plan::operator::{Emit, OperatorSpec, WindowColumn};
use rtsap_plan::properties::{StateBound, StreamProperties};
use rtsap_plan::window::WindowSpec;
use rtsap_runtime::operator::{Operator, OperatorError, Output, instantiate};
use rtsap_stream::change::{ChangeBatch, ChangelogMode, Op};
use rtsap_stream::time::EventTime;

use super::plans;
use super::rows::{self, Row};
use super::saves::Saves;

pub const SECOND: i64 = 1_000_000_000;
pub const UNIT: TimeUnit = TimeUnit::Second;

pub fn block_on<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap()
        .block_on(future)
}

pub fn input() -> SchemaRef {
    plans::schema(UNIT)
}

pub fn instantiated(node: &Node) -> Result<Box<dyn Operator>, OperatorError> {
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
                let mut saves = Saves::default();
                saves.save(operator.as_mut());
                operator = instantiated(node).unwrap();
                operator.restore(&saves.restart().under("7/")).unwrap();
                Ok(None)
            }
            other => panic!("no verb {other}"),
        };
        show(&out, &mut log);
        match done {
            Ok(Some(EventTime::MIN | EventTime::MAX) | None) => {}
            Ok(Some(promise)) => log += &format!("  promise {}\n", promise.nanos() / SECOND),
            Err(error) => {
                let error = error.to_string();
                log += &format!("  error: {}\n", error.rsplit(": ").next().unwrap());
            }
        }
    }
    log
}

pub fn check(node: &Node, script: &str, expected: &Expect) {
    expected.assert_eq(&run(node, script));
}

pub fn windows(window: WindowSpec, emit: Emit, lateness: i64, aggregates: &[&str]) -> Node {
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

pub fn tumble(size: i64) -> WindowSpec {
    WindowSpec::Tumble {
        size_nanos: size * SECOND,
        offset_nanos: 0,
    }
}

pub fn hop(size: i64, slide: i64) -> WindowSpec {
    WindowSpec::Hop {
        size_nanos: size * SECOND,
        slide_nanos: slide * SECOND,
        offset_nanos: 0,
    }
}

pub fn groups(keys: &[&str], aggregates: &[&str]) -> Node {
    plans::group_node(&block_on(plans::compile(&input(), keys, aggregates)))
}

pub fn node(
    spec: OperatorSpec,
    schema: SchemaRef,
    mode: ChangelogMode,
    time: Option<usize>,
) -> Node {
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
