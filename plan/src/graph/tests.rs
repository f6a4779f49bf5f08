//! A plan that contradicts itself is found out.

use std::sync::Arc;

use arrow_schema::{DataType, Field, Schema};
use rtsap_stream::change::ChangelogMode;

use super::{Node, PlanCheckError, StreamPlan};
use crate::operator::{ObjectId, OperatorSpec};
use crate::properties::{StateBound, StreamProperties};

fn input() -> Node {
    let schema = Arc::new(Schema::new(vec![Field::new("a", DataType::Int64, true)]));
    let properties = StreamProperties {
        schema,
        mode: ChangelogMode::Append,
        key: vec![],
        event_time: None,
        state: StateBound::None,
    };
    let spec = OperatorSpec::Input {
        object: ObjectId(1),
        name: "t".to_owned(),
        columns: vec![0],
    };
    Node {
        spec,
        inputs: vec![],
        properties,
    }
}

#[test]
fn a_node_reads_only_from_earlier_ones() {
    let mut second = input();
    second.spec = OperatorSpec::Union;
    second.inputs = vec![0, 1];
    let plan = StreamPlan {
        nodes: vec![input(), second],
    };
    assert_eq!(
        plan.check(),
        Err(PlanCheckError::Order { node: 1, input: 1 })
    );
}

#[test]
fn properties_name_existing_columns() {
    let mut node = input();
    node.properties.event_time = Some(3);
    let plan = StreamPlan { nodes: vec![node] };
    assert_eq!(
        plan.check(),
        Err(PlanCheckError::Column {
            node: 0,
            column: 3,
            columns: 1
        })
    );
}

#[test]
fn a_plan_prints_itself() {
    let plan = StreamPlan {
        nodes: vec![input()],
    };
    expect_test::expect![[r"
        Input: t [a] | mode=append state=none
    "]]
    .assert_eq(&plan.fingerprint());
}
