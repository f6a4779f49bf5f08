//! What `OVER` gives equals DataFusion's answer over the rows that were in time: for any order of
//! arrival, any cut into batches and any crash.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::{AsArray, RecordBatch};
use arrow::datatypes::{Field, Int64Type, Schema, TimeUnit};
use datafusion::common::DFSchema;
use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion::logical_expr::LogicalPlan;
use datafusion::logical_expr::physical_planning_context::PhysicalPlanningContext;
use datafusion::physical_expr::PhysicalSortExpr;
use datafusion::physical_planner::create_window_expr;
use proptest::prelude::*;
use rtsap_plan::graph::Node;
use rtsap_plan::operator::OperatorSpec;
use rtsap_plan::over::{History, OverCall, OverFunction, OverSpec};
use rtsap_plan::properties::{StateBound, StreamProperties};
use rtsap_runtime::operator::{Output, instantiate};
use rtsap_stream::change::{ChangeBatch, ChangelogMode};
use rtsap_stream::time::EventTime;

use super::drive::crash;
use super::generate::{Event, Script, script};
use super::plans::{compile, expression, schema, session};
use super::rows::{Cell, Row, batch, cells};
use super::saves::Saves;
use super::script::block_on;

const SECOND: i64 = 1_000_000_000;

/// How a call is computed; the text is what stands before `OVER`, or the frame.
#[derive(Clone, Copy, Debug)]
enum Kind {
    Number,
    Rank,
    Dense,
    Running,
    Kept(History, u64, i64),
}

/// Function, frame, and what the planner would say of it.
type Call = (&'static str, &'static str, Kind);

const NONE: History = History::None;

/// Calls over `ORDER BY ts, id`, in which no two rows are equal.
const TOTAL: &[Call] = &[
    (
        "sum(qty) FILTER (WHERE side = 1)",
        "ROWS UNBOUNDED PRECEDING",
        Kind::Running,
    ),
    (
        "count(*) FILTER (WHERE id > 0)",
        "ROWS UNBOUNDED PRECEDING",
        Kind::Running,
    ),
    ("row_number()", "", Kind::Number),
    ("sum(qty)", "ROWS UNBOUNDED PRECEDING", Kind::Running),
    ("avg(price)", "ROWS UNBOUNDED PRECEDING", Kind::Running),
    (
        "count(DISTINCT name)",
        "ROWS UNBOUNDED PRECEDING",
        Kind::Running,
    ),
    ("stddev(price)", "ROWS UNBOUNDED PRECEDING", Kind::Running),
    (
        "sum(price)",
        "ROWS 3 PRECEDING",
        Kind::Kept(History::Rows(3), 0, 0),
    ),
    (
        "max(price)",
        "ROWS BETWEEN 5 PRECEDING AND 2 PRECEDING",
        Kind::Kept(History::Rows(5), 0, 0),
    ),
    (
        "min(qty)",
        "ROWS BETWEEN CURRENT ROW AND CURRENT ROW",
        Kind::Kept(NONE, 0, 0),
    ),
    ("lag(price, 2)", "", Kind::Kept(History::Rows(2), 0, 0)),
    (
        "lag(name, 1, 'none')",
        "",
        Kind::Kept(History::Rows(1), 0, 0),
    ),
    (
        "first_value(price)",
        "ROWS 2 PRECEDING",
        Kind::Kept(History::Rows(2), 0, 0),
    ),
    (
        "last_value(qty)",
        "ROWS 2 PRECEDING",
        Kind::Kept(History::Rows(2), 0, 0),
    ),
];

/// As `TOTAL`, with calls that wait for rows.
const WAITING: &[Call] = &[
    ("lead(price)", "", Kind::Kept(NONE, 1, 0)),
    ("lead(qty, 3)", "", Kind::Kept(NONE, 3, 0)),
    (
        "sum(qty)",
        "ROWS BETWEEN 1 PRECEDING AND 2 FOLLOWING",
        Kind::Kept(History::Rows(1), 2, 0),
    ),
    ("sum(qty)", "ROWS UNBOUNDED PRECEDING", Kind::Running),
    ("row_number()", "", Kind::Number),
];

/// Calls over `ORDER BY ts`, in which rows of one time are peers.
const PEERS: &[Call] = &[
    ("rank()", "", Kind::Rank),
    ("dense_rank()", "", Kind::Dense),
    ("count(*)", "", Kind::Running),
    ("sum(amount)", "", Kind::Running),
    ("max(price)", "", Kind::Running),
    (
        "count(*)",
        "RANGE INTERVAL '5' SECOND PRECEDING",
        Kind::Kept(History::Range(5 * SECOND), 0, 0),
    ),
    (
        "max(price)",
        "RANGE BETWEEN INTERVAL '9' SECOND PRECEDING AND INTERVAL '2' SECOND PRECEDING",
        Kind::Kept(History::Range(9 * SECOND), 0, 0),
    ),
    (
        "sum(price)",
        "RANGE INTERVAL '3' SECOND PRECEDING",
        Kind::Kept(History::Range(3 * SECOND), 0, 0),
    ),
    (
        "count(*)",
        "RANGE BETWEEN CURRENT ROW AND CURRENT ROW",
        Kind::Kept(NONE, 0, 0),
    ),
];

/// As `PEERS`, with frames that end behind the row.
const LATER: &[Call] = &[
    (
        "count(*)",
        "RANGE BETWEEN INTERVAL '2' SECOND PRECEDING AND INTERVAL '4' SECOND FOLLOWING",
        Kind::Kept(History::Range(2 * SECOND), 0, 4 * SECOND),
    ),
    ("rank()", "", Kind::Rank),
    ("sum(qty)", "", Kind::Running),
];

#[derive(Clone, Debug)]
struct Case {
    calls: &'static [Call],
    order: &'static [&'static str],
    partition: &'static [&'static str],
}

fn text(case: &Case, call: &Call) -> String {
    let partition = match case.partition {
        [] => String::new(),
        columns => format!("PARTITION BY {} ", columns.join(", ")),
    };
    format!(
        "{} OVER ({partition}ORDER BY {} {})",
        call.0,
        case.order.join(", "),
        call.1
    )
}

async fn call(case: &Case, call: &Call) -> (OverCall, Field) {
    let input = schema(TimeUnit::Millisecond);
    let ctx = session("t", &input, vec![]);
    let state = ctx.state();
    let plan = state
        .create_logical_plan(&format!("SELECT {} FROM t", text(case, call)))
        .await
        .unwrap();
    let plan = state
        .analyzer()
        .execute_and_check(plan, state.config_options(), |_, _| {})
        .unwrap();
    let mut found = None;
    plan.apply(|node| {
        if let LogicalPlan::Window(window) = node {
            found = Some(window.clone());
        }
        Ok(TreeNodeRecursion::Continue)
    })
    .unwrap();
    let window = found.unwrap();
    let logical: &DFSchema = window.input.schema();
    let planning = PhysicalPlanningContext::default();
    let made = create_window_expr(
        &window.window_expr[0],
        logical,
        state.execution_props(),
        &planning,
    )
    .unwrap();
    let field = made.field().unwrap().as_ref().clone().with_nullable(true);
    let plain = |function| OverCall {
        function,
        history: NONE,
        following_rows: 0,
        following_nanos: 0,
    };
    let call = match call.2 {
        Kind::Number => plain(OverFunction::RowNumber),
        Kind::Rank => plain(OverFunction::Rank),
        Kind::Dense => plain(OverFunction::DenseRank),
        Kind::Running => {
            let aggregate = compile(&input, &[], &[call.0]).await.aggregates.remove(0);
            let peers = !call.1.starts_with("ROWS");
            plain(OverFunction::Running {
                function: aggregate.function,
                filter: aggregate.filter,
                peers,
            })
        }
        Kind::Kept(history, following_rows, following_nanos) => OverCall {
            function: OverFunction::Kept(made),
            history,
            following_rows,
            following_nanos,
        },
    };
    (call, field)
}

async fn node(case: &Case) -> Node {
    let input = schema(TimeUnit::Millisecond);
    let mut partition = Vec::new();
    for text in case.partition {
        partition.push(expression(&input, text).await);
    }
    let mut order = Vec::new();
    for text in case.order {
        let options = arrow::compute::SortOptions {
            descending: false,
            nulls_first: false,
        };
        order.push(PhysicalSortExpr {
            expr: expression(&input, text).await,
            options,
        });
    }
    let mut fields: Vec<Field> = input
        .fields()
        .iter()
        .map(|field| field.as_ref().clone())
        .collect();
    let mut calls = Vec::new();
    for (index, one) in case.calls.iter().enumerate() {
        let (call, field) = call(case, one).await;
        calls.push(call);
        fields.push(field.with_name(format!("call_{index}")));
    }
    let spec = OperatorSpec::Over(OverSpec {
        time: 0,
        partition,
        order,
        calls,
        delay_nanos: 0,
    });
    let properties = StreamProperties {
        schema: Arc::new(Schema::new(fields)),
        mode: ChangelogMode::Append,
        key: vec![],
        event_time: Some(0),
        state: StateBound::PerKey,
    };
    Node {
        spec,
        inputs: vec![0],
        properties,
    }
}

/// Rows by id.
type Found = BTreeMap<i64, Vec<Cell>>;

fn take(found: &mut Found, out: &mut Output, promise: EventTime) {
    let mut before = i64::MIN;
    for changes in std::mem::take(&mut out.changes) {
        assert!(changes.ops().is_none());
        let rows = changes.rows();
        let times =
            arrow::compute::cast(rows.column(0), &arrow::datatypes::DataType::Int64).unwrap();
        let ids = rows.column(7).as_primitive::<Int64Type>();
        for row in 0..rows.num_rows() {
            let time = times.as_primitive::<Int64Type>().value(row);
            assert!(time >= before, "rows come in order of event time");
            assert!(
                time * 1_000_000 >= promise.nanos(),
                "a row that was promised not to come"
            );
            before = time;
            let known = found.insert(ids.value(row), cells(rows, row));
            assert!(known.is_none(), "sent twice: {known:?}");
        }
    }
}

async fn answer(case: &Case, rows: &[Row]) -> Found {
    let input = schema(TimeUnit::Millisecond);
    let ctx = session("t", &input, vec![batch(&input, rows)]);
    let calls = case
        .calls
        .iter()
        .map(|call| text(case, call))
        .collect::<Vec<_>>();
    let calls = calls
        .iter()
        .enumerate()
        .map(|(index, call)| format!("{call} AS call_{index}"));
    let sql = format!(
        "SELECT t.*, {} FROM t",
        calls.collect::<Vec<_>>().join(", ")
    );
    let batches = ctx.sql(&sql).await.unwrap().collect().await.unwrap();
    let mut found = Found::new();
    for rows in &batches {
        let ids = rows.column(7).as_primitive::<Int64Type>();
        for row in 0..rows.num_rows() {
            found.insert(ids.value(row), cells(rows, row));
        }
    }
    found
}

async fn run(case: &Case, script: &[Event]) {
    let input = schema(TimeUnit::Millisecond);
    let node = node(case).await;
    let mut operator = instantiate::operator(&node, &[Arc::clone(&input)]).unwrap();
    let (mut found, mut live) = (Found::new(), Vec::<Row>::new());
    let (mut latest, mut watermark, mut promise) = (i64::MIN, i64::MIN, EventTime::MIN);
    let mut saves = Saves::default();
    for event in script {
        let mut out = Output::default();
        match event {
            Event::Rows(rows) => {
                let mut rows = rows.clone();
                for row in &mut rows {
                    latest = latest.max(row.ts.unwrap_or(i64::MIN));
                    row.ts = row.ts.map(|ts| ts * 1_000);
                }
                let changes = ChangeBatch::inserts(batch(&input, &rows));
                operator.on_changes(0, &changes, &mut out).unwrap();
                let in_time = |row: &Row| row.ts.is_some_and(|ts| ts * 1_000_000 >= watermark);
                let late = rows.iter().filter(|row| !in_time(row)).count();
                assert_eq!(
                    out.late.iter().map(RecordBatch::num_rows).sum::<usize>(),
                    late
                );
                live.extend(rows.into_iter().filter(in_time));
            }
            Event::Watermark(behind) if latest != i64::MIN => {
                let time = (latest - behind) * SECOND;
                if time > watermark {
                    watermark = time;
                    let time = EventTime::from_nanos(time);
                    let next = operator.on_watermark(time, &mut out).unwrap();
                    take(&mut found, &mut out, promise);
                    assert!(next >= promise && next <= time);
                    promise = next;
                }
            }
            Event::Publish | Event::Crash => {
                operator.on_publish(&mut out).unwrap();
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
    operator.on_watermark(EventTime::MAX, &mut out).unwrap();
    take(&mut found, &mut out, promise);
    assert_eq!(found, answer(case, &live).await);
}

fn case() -> impl Strategy<Value = (Case, Script)> {
    let partition = prop_oneof![Just(&["k"][..]), Just(&["k", "side"][..]), Just(&[][..])];
    let calls = prop_oneof![
        Just((TOTAL, &["ts", "id"][..])),
        Just((WAITING, &["ts", "id"][..])),
        Just((PEERS, &["ts"][..])),
        Just((LATER, &["ts"][..])),
    ];
    let cases = (partition, calls).prop_map(|(partition, (calls, order))| Case {
        calls,
        order,
        partition,
    });
    (cases, script())
}

fn config() -> ProptestConfig {
    ProptestConfig {
        cases: 96,
        max_shrink_iters: 200,
        failure_persistence: None,
        ..Default::default()
    }
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn over_equals_batch((case, script) in case()) {
        block_on(run(&case, &script));
    }
}
