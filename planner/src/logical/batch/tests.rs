//! Windows over rows at rest give the rows that the definition of windows gives.

use std::sync::Arc;

use datafusion::arrow::array::{Int64Array, RecordBatch, TimestampMillisecondArray};
use datafusion::arrow::datatypes::{DataType, Field, Schema, TimeUnit};
use datafusion::arrow::util::pretty::pretty_format_batches;
use datafusion::datasource::MemTable;
use datafusion::execution::SessionStateBuilder;
use datafusion::prelude::{SessionConfig, SessionContext};
use datafusion::sql::parser::Statement;
use expect_test::{Expect, expect};

use super::batch_extension;
use crate::parse::parse;
use crate::statement::StatementKind;

fn session() -> SessionContext {
    let extension = batch_extension();
    let state = SessionStateBuilder::new()
        .with_config(SessionConfig::new().with_target_partitions(2))
        .with_default_features()
        .with_relation_planners(vec![extension.relation_planner])
        .build();
    let context = SessionContext::new_with_state(state);
    context.add_analyzer_rule(extension.analyzer_rule);
    let schema = Arc::new(Schema::new(vec![
        Field::new("ts", DataType::Timestamp(TimeUnit::Millisecond, None), true),
        Field::new("v", DataType::Int64, true),
    ]));
    let times = vec![Some(0), Some(999), Some(1_000), Some(-1), None, Some(5_500)];
    let times = TimestampMillisecondArray::from(times);
    let values = Int64Array::from(vec![1, 2, 3, 4, 5, 6]);
    let rows = RecordBatch::try_new(Arc::clone(&schema), vec![Arc::new(times), Arc::new(values)]);
    let table = MemTable::try_new(schema, vec![vec![rows.unwrap()]]).unwrap();
    context.register_table("t", Arc::new(table)).unwrap();
    context
}

async fn check(sql: &str, expected: Expect) {
    let statement = match parse(sql).unwrap().remove(0).kind {
        StatementKind::Query(statement) => statement,
        other => panic!("{other:?}"),
    };
    let context = session();
    let plan = context
        .state()
        .statement_to_plan(Statement::Statement(statement))
        .await
        .unwrap();
    let frame = context.execute_logical_plan(plan).await.unwrap();
    let rows = frame.collect().await.unwrap();
    expected.assert_eq(&format!("{}\n", pretty_format_batches(&rows).unwrap()));
}

#[tokio::test]
async fn tumble_puts_each_row_into_one_window_and_a_null_into_none() {
    let sql = "SELECT v, window_start, window_end, window_time
               FROM TUMBLE(TABLE t, DESCRIPTOR(ts), INTERVAL '1' SECOND) ORDER BY v";
    check(
        sql,
        expect![[r#"
        +---+---------------------+---------------------+-------------------------+
        | v | window_start        | window_end          | window_time             |
        +---+---------------------+---------------------+-------------------------+
        | 1 | 1970-01-01T00:00:00 | 1970-01-01T00:00:01 | 1970-01-01T00:00:00.999 |
        | 2 | 1970-01-01T00:00:00 | 1970-01-01T00:00:01 | 1970-01-01T00:00:00.999 |
        | 3 | 1970-01-01T00:00:01 | 1970-01-01T00:00:02 | 1970-01-01T00:00:01.999 |
        | 4 | 1969-12-31T23:59:59 | 1970-01-01T00:00:00 | 1969-12-31T23:59:59.999 |
        | 6 | 1970-01-01T00:00:05 | 1970-01-01T00:00:06 | 1970-01-01T00:00:05.999 |
        +---+---------------------+---------------------+-------------------------+
    "#]],
    )
    .await;
}

#[tokio::test]
async fn hop_puts_a_row_into_all_its_windows() {
    let sql = "SELECT w.v, w.window_start FROM HOP(TABLE t, DESCRIPTOR(ts),
               INTERVAL '400' MILLISECOND, INTERVAL '1' SECOND) w WHERE v <= 2 ORDER BY 1, 2";
    check(
        sql,
        expect![[r#"
        +---+-------------------------+
        | v | window_start            |
        +---+-------------------------+
        | 1 | 1969-12-31T23:59:59.200 |
        | 1 | 1969-12-31T23:59:59.600 |
        | 1 | 1970-01-01T00:00:00     |
        | 2 | 1970-01-01T00:00:00     |
        | 2 | 1970-01-01T00:00:00.400 |
        | 2 | 1970-01-01T00:00:00.800 |
        +---+-------------------------+
    "#]],
    )
    .await;
}

#[tokio::test]
async fn grouped_windows_and_their_accessors_work_in_reads() {
    let sql = "SELECT TUMBLE_START(ts, INTERVAL '2' SECOND) AS s,
               TUMBLE_END(ts, INTERVAL '2' SECOND) AS e, count(*), sum(v) FROM t WHERE v > 1
               GROUP BY TUMBLE(ts, INTERVAL '2' SECOND) ORDER BY s";
    check(
        sql,
        expect![[r#"
        +---------------------+---------------------+-------+-----+
        | s                   | e                   | count | sum |
        +---------------------+---------------------+-------+-----+
        | 1969-12-31T23:59:58 | 1970-01-01T00:00:00 | 1     | 4   |
        | 1970-01-01T00:00:00 | 1970-01-01T00:00:02 | 2     | 5   |
        | 1970-01-01T00:00:04 | 1970-01-01T00:00:06 | 1     | 6   |
        +---------------------+---------------------+-------+-----+
    "#]],
    )
    .await;
}

#[tokio::test]
async fn windows_over_windows_work_in_reads() {
    let sql = "WITH s AS (SELECT window_start, sum(v) AS v
               FROM TUMBLE(TABLE t, DESCRIPTOR(ts), INTERVAL '1' SECOND) GROUP BY window_start)
               SELECT window_start, max(v)
               FROM TUMBLE(TABLE s, DESCRIPTOR(window_start), INTERVAL '1' MINUTE) GROUP BY
               window_start ORDER BY 1";
    check(
        sql,
        expect![[r#"
        +---------------------+-----+
        | window_start        | max |
        +---------------------+-----+
        | 1969-12-31T23:59:00 | 4   |
        | 1970-01-01T00:00:00 | 6   |
        +---------------------+-----+
    "#]],
    )
    .await;
}
