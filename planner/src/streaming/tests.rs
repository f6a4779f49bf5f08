//! What goldens do not show: compiled plans are consistent, and no query makes the planner panic.

use std::sync::Arc;

use datafusion::arrow::datatypes::{DataType, Field, Schema, TimeUnit};
use rtsap_catalog::name::ObjectName;
use rtsap_catalog::object::{ObjectDef, ObjectKind, Relation, TableDef};
use rtsap_catalog::snapshot::{CatalogChange, CatalogSnapshot};
use rtsap_plan::operator::OperatorSpec;
use rtsap_stream::change::ChangelogMode;

use super::plan_view;
use crate::functions::Functions;

fn catalog() -> CatalogSnapshot {
    let table = TableDef {
        columns: vec![],
        watermark: None,
        primary_key: vec![],
    };
    let def = ObjectDef {
        id: 1,
        name: ObjectName::from_folded("t").unwrap(),
        sql: String::new(),
        depends_on: vec![],
        kind: ObjectKind::Table(table),
        comment: None,
    };
    let time = DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()));
    let relation = Relation {
        schema: Arc::new(Schema::new(vec![
            Field::new("k", DataType::Utf8, true),
            Field::new("v", DataType::Decimal128(18, 8), true),
            Field::new("ts", time, true),
        ])),
        mode: ChangelogMode::Append,
        key: vec![],
        event_time: Some(2),
    };
    CatalogSnapshot::default()
        .apply(&CatalogChange::Create(def))
        .unwrap()
        .with_relation(1, relation)
}

/// Every aggregate of DataFusion and of our own that takes one number can stand in a window.
#[test]
fn every_aggregate_of_one_number_compiles_in_a_window() {
    let (catalog, functions) = (catalog(), Functions::default());
    let refused = [
        "grouping",
        "percentile_cont",
        "quantile_cont",
        "approx_percentile_cont",
        "nth_value",
    ];
    let mut compiled = 0;
    let mut names: Vec<&String> = functions.aggregate.keys().collect();
    names.sort();
    for name in names {
        let sql = format!(
            "SELECT window_start, {name}(v) AS x FROM TUMBLE(TABLE t, DESCRIPTOR(ts), INTERVAL '1' MINUTE)
             GROUP BY window_start"
        );
        match plan_view(&sql, &[], &catalog, &functions) {
            Ok(planned) => {
                compiled += 1;
                let windowed = |node: &&rtsap_plan::graph::Node| {
                    matches!(node.spec, OperatorSpec::WindowAggregate(_))
                };
                assert_eq!(
                    planned.plan.nodes.iter().filter(windowed).count(),
                    1,
                    "{name}"
                );
            }
            // Of other arguments: two numbers, a Boolean, an ordering.
            Err(error) => assert!(
                ["RT0209", "RT0102"].contains(&error.code()) || refused.contains(&name.as_str()),
                "{name}: {} {error}",
                error.code()
            ),
        }
    }
    assert!(compiled >= 20, "{compiled}");
}

#[test]
fn any_prefix_of_a_query_is_an_answer_and_not_a_panic() {
    let (catalog, functions) = (catalog(), Functions::default());
    let sql = "WITH a AS (SELECT upper(k) AS k, v * 2 AS v, ts FROM t WHERE v > 1.5) SELECT window_start, k, \
               last_value(v ORDER BY ts) FILTER (WHERE v < 9) AS x FROM HOP(TABLE a, DESCRIPTOR(ts), INTERVAL '1' \
               SECOND, INTERVAL '1' MINUTE) GROUP BY window_start, k HAVING count(*) > 1 EMIT ON WINDOW CLOSE";
    for end in 0..sql.len() {
        let _ = plan_view(&sql[..end], &[], &catalog, &functions);
    }
    let whole = plan_view(sql, &[], &catalog, &functions).unwrap();
    assert_eq!(whole.depends_on, [1]);
    assert_eq!(whole.relation.mode, ChangelogMode::Append);
}
