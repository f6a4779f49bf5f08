//! Queries: errors with hints, parameters, consistency.

use arrow::datatypes::DataType;
use datafusion::scalar::ScalarValue;
use futures::StreamExt;
use rtsap_engine::response::Response;

use crate::harness::Harness;

const SETUP: &str = "CREATE TABLE t (id BIGINT NOT NULL, name TEXT, price NUMERIC(10,2), PRIMARY KEY (id)); \
                     INSERT INTO t VALUES (1, 'one', 1.50), (2, 'two', 2.25)";

#[tokio::test]
async fn a_misspelt_column_gets_a_hint_and_a_position() {
    let harness = Harness::new().await;
    let mut client = harness.session();
    client.ok(SETUP).await;
    let error = client.err("SELECT id, nme FROM t").await;
    assert_eq!(error.message, "column \"nme\" does not exist");
    assert_eq!(error.sqlstate_hint, Some("42703"));
    let hint = "Perhaps you meant to reference the column \"t.name\".";
    assert_eq!(
        (error.hint.as_deref(), error.position),
        (Some(hint), Some(12))
    );
    let error = client.err("SELECT 1;\nSELECT * FROM tt").await;
    assert_eq!(error.message, "relation \"tt\" does not exist");
    assert_eq!(
        (error.hint.as_deref(), error.position),
        (Some("Perhaps you meant \"t\"."), Some(25))
    );
}

#[tokio::test]
async fn an_insert_with_a_key_replaces() {
    let harness = Harness::new().await;
    let mut client = harness.session();
    client.ok(SETUP).await;
    client
        .ok("INSERT INTO t (id, name) VALUES (2, 'zwei')")
        .await;
    assert_eq!(
        client.ok("SELECT * FROM t ORDER BY id").await,
        "1|one|1.50\n2|zwei|"
    );
    let error = client.err("INSERT INTO t (name) VALUES ('none')").await;
    assert_eq!(error.sqlstate_hint, Some("23502"));
    assert_eq!(client.ok("DELETE FROM t WHERE id = 1").await, "DELETE 1");
}

#[tokio::test]
async fn parameters_are_inferred_declared_or_text() {
    let harness = Harness::new().await;
    let mut client = harness.session();
    client.ok(SETUP).await;
    let session = &mut client.session;
    let sql = "SELECT name, $2 AS given FROM t WHERE id = $1 LIMIT $3";
    let statement = session.parse(sql).unwrap().remove(0);
    let prepared = session.prepare(&statement, &[]).await.unwrap();
    assert_eq!(
        prepared.parameter_types,
        [DataType::Int64, DataType::Utf8, DataType::Int64]
    );
    let values = [
        ScalarValue::from(2i64),
        ScalarValue::from("x"),
        ScalarValue::from(5i64),
    ];
    let response = session.execute(&prepared, &values).await.unwrap();
    let Response::Rows { mut batches, .. } = response else {
        panic!("no rows")
    };
    assert_eq!(batches.next().await.unwrap().unwrap().num_rows(), 1);
    let error = session.execute(&prepared, &values[..1]).await.unwrap_err();
    assert_eq!(error.sqlstate_hint, Some("08P01"));
}

#[tokio::test]
async fn a_prepared_statement_sees_new_rows_and_notices_new_definitions() {
    let harness = Harness::new().await;
    let mut client = harness.session();
    client.ok(SETUP).await;
    let statement = client
        .session
        .parse("SELECT count(*) FROM t")
        .unwrap()
        .remove(0);
    let prepared = client.session.prepare(&statement, &[]).await.unwrap();
    client.ok("INSERT INTO t VALUES (3, 'three', 3)").await;
    let response = client.session.execute(&prepared, &[]).await.unwrap();
    let Response::Rows { mut batches, .. } = response else {
        panic!("no rows")
    };
    let batch = batches.next().await.unwrap().unwrap();
    assert_eq!(
        ScalarValue::try_from_array(batch.column(0), 0).unwrap(),
        ScalarValue::from(3i64)
    );
    client.ok("DROP TABLE t").await;
    let error = client.session.execute(&prepared, &[]).await.unwrap_err();
    assert_eq!(error.sqlstate_hint, Some("42P01"));
}

#[tokio::test]
async fn a_cancel_ends_a_statement() {
    let harness = Harness::new().await;
    let mut client = harness.session();
    client.ok(SETUP).await;
    let mut follower = client.follow("SUBSCRIBE t").await;
    follower.next(2).await;
    client.session.cancel_handle().cancel();
    assert_eq!(follower.error().await.sqlstate_hint, Some("57014"));
}

#[tokio::test]
async fn committed_reads_see_the_last_checkpoint() {
    let harness = Harness::new().await;
    let mut client = harness.session();
    client.ok(SETUP).await;
    let harness = harness.restart().await;
    let mut client = harness.session();
    client.ok("SET rtsap.read_consistency = 'committed'").await;
    assert_eq!(client.ok("SELECT count(*) FROM t").await, "2");
}
