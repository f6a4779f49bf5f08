//! Sessions equal those of a definition that looks at all pairs of rows, and their aggregates
//! DataFusion's: for any order of arrival, any cut into batches and any crash.

use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::TimeUnit;
use proptest::prelude::*;
use rtsap_plan::graph::Node;
use rtsap_plan::operator::{Emit, OperatorSpec, WindowColumn};
use rtsap_plan::session::SessionSpec;
use rtsap_plan::window::{Window, WindowSpec};
use rtsap_runtime::operator::{Output, instantiate};
use rtsap_stream::change::{ChangeBatch, Op};
use rtsap_stream::time::EventTime;

use super::drive::{WindowCase, compare, crash, window_answer};
use super::generate::{Event, Script, script};
use super::plans::{compile, expression, schema, window_node};
use super::rows::{Row, Table, batch, cells, key};
use super::saves::Saves;
use super::script::block_on;

const SECOND: i64 = 1_000_000_000;
const AGGREGATES: &[&str] = &[
    "count(*)",
    "sum(qty)",
    "max(price)",
    "count(DISTINCT name)",
    "last_value(price ORDER BY id)",
];

#[derive(Clone, Debug)]
struct Case {
    gap: i64,
    delay: Option<i64>,
    partition: &'static [&'static str],
    keys: &'static [&'static str],
    event_time: WindowColumn,
}

impl Case {
    fn emit(&self) -> Emit {
        self.delay
            .map_or(Emit::Changes, |delay_nanos| Emit::OnClose { delay_nanos })
    }

    fn windows(&self) -> WindowCase {
        WindowCase {
            window: WindowSpec::Session {
                gap_nanos: self.gap,
            },
            emit: self.emit(),
            unit: TimeUnit::Millisecond,
            keys: self.keys,
            aggregates: AGGREGATES,
            event_time: self.event_time,
            lateness_nanos: 0,
        }
    }

    fn partition_of(&self, row: &Row) -> String {
        let part = |name: &&str| match *name {
            "k" => format!("{:?}", row.k),
            _ => format!("{:?}", row.side),
        };
        self.partition
            .iter()
            .map(part)
            .collect::<Vec<_>>()
            .join("/")
    }
}

async fn node(case: &Case) -> Node {
    let input = schema(TimeUnit::Millisecond);
    let compiled = compile(&input, case.keys, AGGREGATES).await;
    let window = case.windows().window;
    let plain = window_node(
        &compiled,
        window,
        case.emit(),
        0,
        TimeUnit::Millisecond,
        case.event_time,
    );
    let OperatorSpec::WindowAggregate(aggregate) = plain.spec else {
        panic!("another operator");
    };
    let mut partition = Vec::new();
    for text in case.partition {
        partition.push(expression(&input, text).await);
    }
    let spec = SessionSpec {
        gap_nanos: case.gap,
        partition,
        aggregate,
    };
    // Rows that changes take back may be of any time.
    let mut properties = plain.properties;
    properties.event_time = properties.event_time.filter(|_| case.delay.is_some());
    Node {
        spec: OperatorSpec::SessionAggregate(spec),
        inputs: plain.inputs,
        properties,
    }
}

/// The sessions of `rows` by definition: what is connected by steps of at most the gap.
fn sessions(case: &Case, rows: &[Row]) -> Vec<(Window, Row)> {
    let time = |row: &Row| row.ts.unwrap() * 1_000_000;
    let mut sorted: Vec<&Row> = rows.iter().collect();
    sorted.sort_by_key(|row| (case.partition_of(row), time(row)));
    let mut out = Vec::new();
    let mut at = 0;
    while at < sorted.len() {
        let mut end = at + 1;
        while end < sorted.len()
            && case.partition_of(sorted[end]) == case.partition_of(sorted[at])
            && time(sorted[end]) - time(sorted[end - 1]) <= case.gap
        {
            end += 1;
        }
        let window = Window {
            start: time(sorted[at]),
            end: time(sorted[end - 1]) + case.gap,
        };
        out.extend(sorted[at..end].iter().map(|row| (window, (*row).clone())));
        at = end;
    }
    out
}

/// Whether `row` is late when sessions that end before `closed` are over.
fn is_late(case: &Case, accepted: &[Row], row: &Row, closed: i64) -> bool {
    let Some(ts) = row.ts else {
        return true;
    };
    let time = ts * 1_000_000;
    let open = sessions(case, accepted)
        .into_iter()
        .filter(|(window, _)| window.end >= closed);
    let mut open = open.filter(|(_, other)| case.partition_of(other) == case.partition_of(row));
    let joins = |window: Window| time + case.gap >= window.start && time <= window.end;
    time.saturating_add(case.gap) < closed && !open.any(|(window, _)| joins(window))
}

struct Shown {
    rows: Table,
    keys: usize,
    event_time: usize,
    appends: bool,
}

impl Shown {
    fn take(&mut self, out: &mut Output, promise: EventTime) {
        for changes in std::mem::take(&mut out.changes) {
            let rows = changes.rows();
            let times = arrow::compute::cast(
                rows.column(self.event_time),
                &arrow::datatypes::DataType::Int64,
            );
            let times = times.unwrap();
            for row in 0..rows.num_rows() {
                use arrow::array::AsArray;
                let time = times
                    .as_primitive::<arrow::datatypes::Int64Type>()
                    .value(row);
                assert!(
                    time * 1_000_000 >= promise.nanos(),
                    "a row that was promised not to come"
                );
                let cells = cells(rows, row);
                let key = key(&cells, 2 + self.keys);
                let known = match changes.op(row) {
                    Op::Insert => self.rows.insert(key, cells).is_none(),
                    Op::Delete => !self.appends && self.rows.remove(&key) == Some(cells),
                };
                assert!(known, "a row twice, or a delete of what was not there");
            }
        }
    }
}

async fn run(case: &Case, script: &[Event]) {
    let input = schema(TimeUnit::Millisecond);
    let node = node(case).await;
    let mut operator = instantiate::operator(&node, &[Arc::clone(&input)]).unwrap();
    let mut shown = Shown {
        rows: Table::new(),
        keys: case.keys.len(),
        event_time: node.properties.event_time.unwrap_or(0),
        appends: case.delay.is_some(),
    };
    // Rows of open sessions, and what is over for good: no row joins that any more.
    let (mut accepted, mut over) = (Vec::<Row>::new(), Vec::<(Window, Row)>::new());
    let (mut latest, mut watermark, mut promise) = (i64::MIN, i64::MIN, EventTime::MIN);
    let wait = case.delay.unwrap_or(0);
    let mut saves = Saves::default();
    for event in script {
        let mut out = Output::default();
        match event {
            Event::Rows(rows) => {
                let mut rows = rows.clone();
                let mut late = 0;
                for row in &mut rows {
                    latest = latest.max(row.ts.unwrap_or(i64::MIN));
                    row.ts = row.ts.map(|ts| ts * 1_000);
                    if is_late(case, &accepted, row, watermark.saturating_sub(wait)) {
                        late += 1;
                    } else {
                        accepted.push(row.clone());
                    }
                }
                let changes = ChangeBatch::inserts(batch(&input, &rows));
                operator.on_changes(0, &changes, &mut out).unwrap();
                assert_eq!(
                    out.late.iter().map(RecordBatch::num_rows).sum::<usize>(),
                    late
                );
            }
            Event::Watermark(behind) if latest != i64::MIN => {
                let time = (latest - behind) * SECOND;
                if time > watermark {
                    watermark = time;
                    let all = sessions(case, &accepted).into_iter();
                    let (closed, open): (Vec<_>, Vec<_>) =
                        all.partition(|(window, _)| window.end < time.saturating_sub(wait));
                    over.extend(closed);
                    accepted = open.into_iter().map(|(_, row)| row).collect();
                    let next = operator
                        .on_watermark(EventTime::from_nanos(time), &mut out)
                        .unwrap();
                    shown.take(&mut out, promise);
                    assert!(next >= promise);
                    promise = next;
                }
            }
            Event::Publish | Event::Crash => {
                operator.on_publish(&mut out).unwrap();
                shown.take(&mut out, promise);
                match event {
                    Event::Crash => {
                        operator = crash(operator.as_mut(), &mut saves, &node, &input);
                    }
                    _ => saves.save(operator.as_mut()),
                }
            }
            Event::Watermark(_) | Event::Retract(_) => {}
        }
        assert!(out.changes.is_empty());
    }
    let mut out = Output::default();
    operator.on_publish(&mut out).unwrap();
    operator.on_watermark(EventTime::MAX, &mut out).unwrap();
    shown.take(&mut out, promise);
    assert_eq!(operator.state_bytes(), 0);
    over.extend(sessions(case, &accepted));
    let answer = window_answer(&case.windows(), &input, &over).await;
    compare(&shown.rows, &answer);
}

fn case() -> impl Strategy<Value = (Case, Script)> {
    let by = prop_oneof![
        Just((&["k"][..], &["k"][..])),
        Just((&["k"][..], &["k", "side"][..])),
        Just((&[][..], &[][..])),
        Just((&[][..], &["side"][..])),
    ];
    let delay = prop_oneof![Just(None), Just(Some(0)), Just(Some(3 * SECOND))];
    let gap = prop_oneof![Just(SECOND), Just(2 * SECOND), Just(5 * SECOND)];
    let event_time = prop_oneof![Just(WindowColumn::End), Just(WindowColumn::Time)];
    let cases =
        (by, delay, gap, event_time).prop_map(|((partition, keys), delay, gap, event_time)| Case {
            gap,
            delay,
            partition,
            keys,
            event_time,
        });
    (cases, script())
}

fn config() -> ProptestConfig {
    ProptestConfig {
        cases: 64,
        max_shrink_iters: 200,
        failure_persistence: None,
        ..Default::default()
    }
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn sessions_equal_their_definition((case, script) in case()) {
        block_on(run(&case, &script));
    }
}
