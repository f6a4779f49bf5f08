//! A dataflow passes rows, promises and counts along its edges.

use std::sync::Arc;

use arrow::array::{ArrayRef, Int64Array};
use arrow::record_batch::RecordBatch;
use datafusion::logical_expr::Operator as Comparison;
use datafusion::physical_expr::expressions::{binary, col, lit};
use rtsap_plan::graph::{Node, StreamPlan};
use rtsap_plan::operator::{ObjectId, OperatorSpec};
use rtsap_plan::properties::{StateBound, StreamProperties};
use rtsap_stream::change::{ChangeBatch, ChangelogMode};
use rtsap_stream::message::Watermark;
use rtsap_stream::time::EventTime;

use super::Dataflow;

fn rows(values: &[i64]) -> RecordBatch {
    let column: ArrayRef = Arc::new(Int64Array::from(values.to_vec()));
    RecordBatch::try_from_iter([("a", column)]).unwrap()
}

/// Two inputs, a filter `a > 10` on the first, a union of both.
fn plan() -> StreamPlan {
    let schema = rows(&[]).schema();
    let node = |spec, inputs| Node {
        spec,
        inputs,
        properties: StreamProperties {
            schema: Arc::clone(&schema),
            mode: ChangelogMode::Append,
            key: vec![],
            event_time: None,
            state: StateBound::None,
        },
    };
    let input = |id| OperatorSpec::Input {
        object: ObjectId(id),
        name: format!("t{id}"),
        columns: vec![3],
    };
    let column = col("a", &schema).unwrap();
    let predicate = binary(column, Comparison::Gt, lit(10_i64), &schema).unwrap();
    StreamPlan {
        nodes: vec![
            node(input(1), vec![]),
            node(input(2), vec![]),
            node(OperatorSpec::Filter { predicate }, vec![0]),
            node(OperatorSpec::Union, vec![1, 2]),
        ],
    }
}

fn feed(dataflow: &mut Dataflow, object: u64, values: &[i64]) {
    let changes = ChangeBatch::inserts(rows(values));
    let place_of = |column: usize| (column == 3).then_some(0);
    dataflow
        .feed(ObjectId(object), &changes, &place_of)
        .unwrap();
}

#[test]
fn rows_are_counted_where_they_leave() {
    let mut dataflow = Dataflow::new(&plan()).unwrap();
    feed(&mut dataflow, 1, &[1, 11, 12]);
    feed(&mut dataflow, 2, &[1]);
    dataflow.publish().unwrap();
    let results = dataflow.take_results();
    assert_eq!(
        results.changes.iter().map(ChangeBatch::len).sum::<usize>(),
        3
    );
    let ledger = dataflow.ledger();
    assert_eq!((ledger.rows_in, ledger.used, ledger.filtered), (4, 3, 1));
    assert!(ledger.balances());
}

#[test]
fn event_time_is_the_least_of_the_inputs_that_are_not_idle() {
    let mut dataflow = Dataflow::new(&plan()).unwrap();
    let at = |nanos| Watermark::At(EventTime::from_nanos(nanos));
    dataflow.advance(ObjectId(1), at(100)).unwrap();
    assert_eq!(dataflow.watermark(), None);
    dataflow.advance(ObjectId(2), at(50)).unwrap();
    assert_eq!(dataflow.watermark(), Some(EventTime::from_nanos(50)));
    dataflow.advance(ObjectId(2), Watermark::Idle).unwrap();
    assert_eq!(dataflow.watermark(), Some(EventTime::from_nanos(100)));
}

#[test]
fn a_missing_column_is_an_error_and_not_a_guess() {
    let mut dataflow = Dataflow::new(&plan()).unwrap();
    let changes = ChangeBatch::inserts(rows(&[1]));
    let error = dataflow.feed(ObjectId(1), &changes, &|_| None).unwrap_err();
    assert!(
        error.to_string().contains("without a column it needs"),
        "{error}"
    );
}

#[test]
fn an_idle_input_is_left_out_behind_operators_too_and_waited_for_when_it_wakes() {
    let mut plan = plan();
    // Filter, then union: input 1 reaches the union through an operator.
    let mut dataflow = Dataflow::new(&plan).unwrap();
    let at = |nanos| Watermark::At(EventTime::from_nanos(nanos));
    dataflow.advance(ObjectId(1), at(10)).unwrap();
    dataflow.advance(ObjectId(2), at(50)).unwrap();
    assert_eq!(dataflow.watermark(), Some(EventTime::from_nanos(10)));
    dataflow.advance(ObjectId(1), Watermark::Idle).unwrap();
    assert_eq!(dataflow.watermark(), Some(EventTime::from_nanos(50)));
    // It wakes where it stood: nothing may pass it until it moves.
    dataflow.advance(ObjectId(1), at(10)).unwrap();
    dataflow.advance(ObjectId(2), at(90)).unwrap();
    assert_eq!(dataflow.watermark(), Some(EventTime::from_nanos(50)));
    dataflow.advance(ObjectId(1), at(80)).unwrap();
    assert_eq!(dataflow.watermark(), Some(EventTime::from_nanos(80)));
    plan.nodes.truncate(1);
    assert!(Dataflow::new(&plan).unwrap().late_schema().is_none());
}
