//! Stateless operators, and what is refused at the start.

use std::sync::Arc;

use arrow::datatypes::{DataType, Field, Schema};
use expect_test::expect;
use rtsap_plan::graph::Node;
use rtsap_plan::operator::OperatorSpec;
use rtsap_runtime::operator::instantiate;
use rtsap_stream::change::ChangelogMode;

use crate::it::plans;
use crate::it::script::{block_on, check, groups, hop, input, instantiated, node};

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
        open_only: false,
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
    let schema = Arc::new(Schema::new(vec![Field::new("x", DataType::Int64, true)]));
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
          error: Divide by zero error
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
fn latest_by_key_turns_puts_and_deletes_into_changes_of_rows() {
    let spec = OperatorSpec::LatestByKey { key: vec![1] };
    let script = "
        changes k=a qty=1; k=b qty=2
        changes k=a qty=3; k=a qty=4; -k=b
        changes -k=b; -k=zz
        recover
        changes k=a qty=5; k=b qty=6; -k=b; k=b qty=7
        changes -k=a; k=a qty=5
        changes -k=a; -k=b
        recover
        changes k=a qty=8
    ";
    let upsert = node(spec, input(), ChangelogMode::Upsert, None);
    check(
        &upsert,
        script,
        &expect![[r#"
        changes k=a qty=1; k=b qty=2
          + - a - - - 1 - 0
          + - b - - - 2 - 0
        changes k=a qty=3; k=a qty=4; -k=b
          - - b - - - 2 - 0
          - - a - - - 1 - 0
          + - a - - - 4 - 0
        changes -k=b; -k=zz
        recover
        changes k=a qty=5; k=b qty=6; -k=b; k=b qty=7
          - - a - - - 4 - 0
          + - a - - - 5 - 0
          + - b - - - 7 - 0
        changes -k=a; k=a qty=5
          - - a - - - 5 - 0
          + - a - - - 5 - 0
        changes -k=a; -k=b
          - - a - - - 5 - 0
          - - b - - - 7 - 0
        recover
        changes k=a qty=8
          + - a - - - 8 - 0
    "#]],
    );
}
