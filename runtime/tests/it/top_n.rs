//! The rows that a top-N shows equal DataFusion's answer at every publish: for any cut into batches
//! and any crash, with and without rows taken back.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::{DataType, Field, Schema, TimeUnit};
use datafusion::physical_expr::PhysicalSortExpr;
use proptest::prelude::*;
use rtsap_plan::graph::Node;
use rtsap_plan::operator::{Emit, OperatorSpec};
use rtsap_plan::properties::{StateBound, StreamProperties};
use rtsap_plan::rank::{Closing, Numbering, TopNSpec};
use rtsap_runtime::operator::{Output, instantiate};
use rtsap_stream::change::{ChangeBatch, ChangelogMode, Op};
use rtsap_stream::time::EventTime;

use super::drive::{crash, retract};
use super::generate::{Event, Script, script};
use super::plans::{expression, schema, session};
use super::rows::{Row, batch, cells};
use super::saves::Saves;
use super::script::block_on;

/// A top-N to try.
#[derive(Clone, Debug)]
struct Case {
    numbering: Numbering,
    first: u64,
    last: u64,
    partition: &'static [&'static str],
    /// Columns, each with whether it descends.
    order: &'static [(&'static str, bool)],
    numbered: bool,
    retracts: bool,
    /// Partitions are by time and are over when event time has passed it.
    closes: Option<Emit>,
}

type Bag = BTreeMap<String, i64>;

fn add(bag: &mut Bag, rows: &RecordBatch, row: usize, weight: i64) {
    let text = format!("{:?}", cells(rows, row));
    let count = bag.entry(text.clone()).or_insert(0);
    *count += weight;
    assert!(*count >= 0, "a delete of what was not there: {text}");
    if *count == 0 {
        bag.remove(&text);
    }
}

async fn node(case: &Case) -> Node {
    let input = schema(TimeUnit::Millisecond);
    let mut partition = Vec::new();
    for text in case.partition {
        partition.push(expression(&input, text).await);
    }
    let mut order = Vec::new();
    for (text, descending) in case.order {
        let options = arrow::compute::SortOptions {
            descending: *descending,
            nulls_first: *descending,
        };
        order.push(PhysicalSortExpr {
            expr: expression(&input, text).await,
            options,
        });
    }
    let mut fields: Vec<_> = input.fields().iter().map(Arc::clone).collect();
    let number_at = case.numbered.then_some(fields.len());
    if case.numbered {
        fields.push(Arc::new(Field::new("rn", DataType::UInt64, false)));
    }
    let closing = case.closes.map(|_| Closing {
        column: 0,
        after_nanos: 0,
    });
    let spec = OperatorSpec::TopN(TopNSpec {
        partition,
        order,
        numbering: case.numbering,
        first: case.first,
        last: case.last,
        number_at,
        closing,
        emit: case.closes.unwrap_or(Emit::Changes),
        keeps_rows: case.retracts,
    });
    let properties = StreamProperties {
        schema: Arc::new(Schema::new(fields)),
        mode: ChangelogMode::Retract,
        key: vec![],
        event_time: closing.map(|closing| closing.column),
        state: StateBound::PerRow,
    };
    Node {
        spec,
        inputs: vec![0],
        properties,
    }
}

fn query(case: &Case) -> String {
    let partition = match case.partition {
        [] => String::new(),
        columns => format!("PARTITION BY {} ", columns.join(", ")),
    };
    let direction = |descends: bool| {
        if descends {
            "DESC NULLS FIRST"
        } else {
            "ASC NULLS LAST"
        }
    };
    let order = case
        .order
        .iter()
        .map(|(column, descends)| format!("{column} {}", direction(*descends)));
    let order = order.collect::<Vec<_>>().join(", ");
    let name = case.numbering.name();
    let number = if case.numbered { ", rn" } else { "" };
    format!(
        "SELECT ts, k, side, price, amount, qty, name, id{number} FROM \
         (SELECT *, {name}() OVER ({partition}ORDER BY {order}) AS rn FROM t) \
         WHERE rn BETWEEN {} AND {}",
        case.first, case.last
    )
}

async fn answer(case: &Case, rows: &[Row]) -> Bag {
    let input = schema(TimeUnit::Millisecond);
    let ctx = session("t", &input, vec![batch(&input, rows)]);
    let batches = ctx
        .sql(&query(case))
        .await
        .unwrap()
        .collect()
        .await
        .unwrap();
    let mut bag = Bag::new();
    for rows in &batches {
        (0..rows.num_rows()).for_each(|row| add(&mut bag, rows, row, 1));
    }
    bag
}

fn take(shown: &mut Bag, out: &mut Output, appends: bool) {
    for changes in std::mem::take(&mut out.changes) {
        for row in 0..changes.len() {
            let weight = match changes.op(row) {
                Op::Insert => 1,
                Op::Delete => -1,
            };
            assert!(weight > 0 || !appends, "a delete of a final row");
            add(shown, changes.rows(), row, weight);
        }
    }
}

async fn run(case: &Case, script: &[Event]) {
    let input = schema(TimeUnit::Millisecond);
    let node = node(case).await;
    let mut operator = instantiate::operator(&node, &[Arc::clone(&input)]).unwrap();
    let appends = matches!(case.closes, Some(Emit::OnClose { .. }));
    let (mut shown, mut live, mut late) = (Bag::new(), Vec::<Row>::new(), 0);
    let (mut latest, mut watermark) = (i64::MIN, i64::MIN);
    let mut saves = Saves::default();
    for event in script.iter().chain([&Event::Publish]) {
        let mut out = Output::default();
        match event {
            Event::Rows(rows) => {
                let mut rows = rows.clone();
                for row in &mut rows {
                    latest = latest.max(row.ts.unwrap_or(i64::MIN));
                    row.ts = row.ts.map(|ts| ts * 1_000);
                }
                let changes = ChangeBatch::inserts(batch(&input, &rows));
                let in_time = |row: &Row| {
                    case.closes.is_none() || row.ts.is_some_and(|ts| ts * 1_000_000 >= watermark)
                };
                late += rows.iter().filter(|row| !in_time(row)).count();
                live.extend(rows.into_iter().filter(in_time));
                operator.on_changes(0, &changes, &mut out).unwrap();
            }
            Event::Retract(every) if case.retracts => {
                let changes = retract(&input, &mut live, *every);
                operator.on_changes(0, &changes, &mut out).unwrap();
            }
            Event::Watermark(behind) if case.closes.is_some() && latest != i64::MIN => {
                let time = (latest - behind) * 1_000_000_000;
                if time > watermark {
                    watermark = time;
                    operator
                        .on_watermark(EventTime::from_nanos(time), &mut out)
                        .unwrap();
                    take(&mut shown, &mut out, appends);
                }
            }
            Event::Watermark(_) | Event::Retract(_) => {}
            Event::Publish | Event::Crash => {
                operator.on_publish(&mut out).unwrap();
                take(&mut shown, &mut out, appends);
                if !appends {
                    assert_eq!(shown, answer(case, &live).await);
                }
                match event {
                    Event::Crash => {
                        operator = crash(operator.as_mut(), &mut saves, &node, &input);
                    }
                    _ => saves.save(operator.as_mut()),
                }
            }
        }
        let gone: usize = out.late.iter().map(RecordBatch::num_rows).sum();
        late -= gone;
        assert_eq!(late, 0);
        assert!(out.changes.is_empty(), "sent before the publish");
    }
    let mut out = Output::default();
    operator.on_watermark(EventTime::MAX, &mut out).unwrap();
    take(&mut shown, &mut out, appends);
    assert_eq!(shown, answer(case, &live).await);
    if case.closes.is_some() {
        assert_eq!(operator.state_bytes(), 0);
    }
}

const BY_PRICE: &[(&str, bool)] = &[("price", true), ("id", false)];
const BY_QTY: &[(&str, bool)] = &[("qty", false), ("id", true)];
const TIED: &[(&str, bool)] = &[("qty", true)];

fn case() -> impl Strategy<Value = (Case, Script)> {
    let numbering = prop_oneof![
        3 => Just((Numbering::RowNumber, BY_PRICE)),
        2 => Just((Numbering::RowNumber, BY_QTY)),
        1 => Just((Numbering::Rank, TIED)),
        1 => Just((Numbering::DenseRank, TIED)),
    ];
    let range = prop_oneof![Just((1, 1)), Just((1, 3)), Just((2, 2)), Just((3, 7))];
    let partition = prop_oneof![Just(&["k"][..]), Just(&["k", "side"][..]), Just(&[][..])];
    let closes = prop_oneof![
        2 => Just(None),
        1 => Just(Some(Emit::Changes)),
        1 => Just(Some(Emit::OnClose { delay_nanos: 0 })),
    ];
    let cases = (
        numbering,
        range,
        partition,
        any::<bool>(),
        any::<bool>(),
        closes,
    );
    let cases = cases.prop_map(
        |((numbering, order), (first, last), partition, numbered, retracts, closes)| Case {
            numbering,
            first,
            last,
            partition: if closes.is_some() {
                &["ts", "side"]
            } else {
                partition
            },
            order,
            numbered,
            retracts: retracts && closes.is_none(),
            closes,
        },
    );
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
    fn top_n_equals_batch((case, script) in case()) {
        block_on(run(&case, &script));
    }
}
