//! What goldens do not show: compiled plans are consistent, and no query makes the planner panic.

use std::sync::Arc;

use datafusion::arrow::array::{AsArray, RecordBatch, TimestampMicrosecondArray};
use datafusion::arrow::compute::cast;
use datafusion::arrow::datatypes::{DataType, Field, Int64Type, Schema, TimeUnit};
use rtsap_catalog::name::ObjectName;
use rtsap_catalog::object::{ObjectDef, ObjectKind, Relation, TableDef};
use rtsap_catalog::snapshot::{CatalogChange, CatalogSnapshot};
use rtsap_plan::operator::OperatorSpec;
use rtsap_stream::change::ChangelogMode;

use super::plan_view;
use crate::bind::bind_source;
use crate::functions::Functions;
use crate::parse::parse;
use crate::statement::StatementKind;

fn catalog() -> CatalogSnapshot {
    let table = TableDef {
        append_only: true,
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
            "SELECT window_start, {name}(v) AS x FROM TUMBLE(TABLE t, DESCRIPTOR(ts), INTERVAL
               '1' MINUTE)
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
    let sql = "WITH a AS (SELECT upper(k) AS k, v * 2 AS v, ts FROM t WHERE v > 1.5) SELECT \
               window_start, k, \
               last_value(v ORDER BY ts) FILTER (WHERE v < 9) AS x FROM HOP(TABLE a, \
               DESCRIPTOR(ts), INTERVAL '1' \
               SECOND, INTERVAL '1' MINUTE) GROUP BY window_start, k HAVING count(*) > 1 EMIT
               ON WINDOW CLOSE";
    for end in 0..sql.len() {
        let _ = plan_view(&sql[..end], &[], &catalog, &functions);
    }
    let whole = plan_view(sql, &[], &catalog, &functions).unwrap();
    assert_eq!(whole.depends_on, [1]);
    assert_eq!(whole.relation.mode, ChangelogMode::Append);
}

/// The windows that stand for a bucket function are exactly its buckets, before the epoch too.
#[test]
fn windows_of_bucket_functions_are_their_buckets() {
    let (catalog, functions) = (catalog(), Functions::default());
    let calls = [
        "time_bucket('1 minute', ts)",
        "time_bucket('7 days', ts)",
        "time_bucket('90 seconds', ts, INTERVAL '5 seconds')",
        "time_bucket('1 hour', ts, TIMESTAMPTZ '2020-01-01T00:10:00Z')",
        "time_bucket('1 day', ts, 'America/New_York')",
        "time_bucket('7 days', ts, 'Europe/Berlin')",
        "time_bucket('3 days', ts, 'Asia/Tokyo', TIMESTAMP '2020-01-02')",
        "time_bucket('4 hours', ts, 'Australia/Lord_Howe')",
        "time_bucket('30 minutes', ts, 'America/New_York', INTERVAL '10 minutes')",
        "date_bin('15 minutes', ts)",
        "date_bin('7 minutes', ts, TIMESTAMPTZ '2001-01-01T00:01:00Z')",
        "date_trunc('second', ts)",
        "date_trunc('hour', ts)",
        "date_trunc('day', ts)",
        "date_trunc('week', ts)",
    ];
    let times = (-400..400).map(|step| step * 123_456_789_123 + step * step * 977);
    // And around 2026-11-01, when clocks are put back in New York.
    let changing = (0..300).map(|step| 1_793_491_200_000_000 + step * 97_000_000);
    let times: Vec<i64> = times.chain(changing).collect();
    for call in calls {
        let sql = format!("SELECT {call} AS b, count(*) AS n FROM t GROUP BY 1");
        let planned = plan_view(&sql, &[], &catalog, &functions).unwrap();
        let spec = planned.plan.nodes.iter().find_map(|node| match &node.spec {
            OperatorSpec::WindowAggregate(spec) => Some(spec.window),
            _ => None,
        });
        let window = spec.unwrap_or_else(|| panic!("{call} is no window"));
        for (time, bucket) in times.iter().zip(buckets(call, &times, &functions)) {
            let windows: Vec<i64> = window.windows_of(time * 1_000).map(|w| w.start).collect();
            assert_eq!(windows, [bucket], "{call} of {time}");
        }
    }
}

/// The value of `call` for each of the times, in nanoseconds.
fn buckets(call: &str, times: &[i64], functions: &Functions) -> Vec<i64> {
    let sql = format!("CREATE SOURCE s (ts TIMESTAMPTZ(6), b AS {call}) WITH (connector = 'x')");
    let StatementKind::CreateSource(source) = parse(&sql).unwrap().remove(0).kind else {
        panic!("no source")
    };
    let bound = bind_source(&source, functions).unwrap();
    let column = TimestampMicrosecondArray::from(times.to_vec()).with_timezone("UTC");
    let rows = RecordBatch::try_new(bound.physical.schema, vec![Arc::new(column)]).unwrap();
    let found = bound.computed[0]
        .1
        .evaluate(&rows)
        .unwrap()
        .to_array(times.len())
        .unwrap();
    let zone = DataType::Timestamp(TimeUnit::Nanosecond, Some("UTC".into()));
    let nanos = cast(&cast(&found, &zone).unwrap(), &DataType::Int64).unwrap();
    nanos.as_primitive::<Int64Type>().values().to_vec()
}
