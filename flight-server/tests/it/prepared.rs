//! Prepared statements with parameters.

use std::sync::Arc;

use arrow::array::{ArrayRef, Float64Array, Int64Array, StringArray};
use arrow::record_batch::RecordBatch;
use tonic::Code;

use crate::harness::{Client, Server, status};

fn values(columns: Vec<ArrayRef>) -> RecordBatch {
    let names = (0..columns.len()).map(|index| index.to_string());
    RecordBatch::try_from_iter(names.zip(columns)).unwrap()
}

async fn prepared_query(client: &mut Client, sql: &str, columns: Vec<ArrayRef>) -> String {
    let mut statement = client.sql.prepare(sql.to_owned(), None).await.unwrap();
    statement.set_parameters(values(columns)).unwrap();
    let info = statement.execute().await.unwrap();
    client.rows_of(info).await.unwrap()
}

#[tokio::test]
async fn parameters_are_cast_to_what_they_are_compared_with() {
    let server = Server::with_trades().await;
    let mut client = server.client();
    let one: ArrayRef = Arc::new(Float64Array::from(vec![2.0]));
    let sql = "SELECT id, symbol FROM trades WHERE price > ? AND symbol <> '?'";
    assert_eq!(prepared_query(&mut client, sql, vec![one]).await, "2|B");
    let two: Vec<ArrayRef> = vec![
        Arc::new(StringArray::from(vec!["A"])),
        Arc::new(Int64Array::from(vec![1])),
    ];
    let sql = "SELECT id FROM trades WHERE symbol = $1 ORDER BY id LIMIT $2";
    assert_eq!(prepared_query(&mut client, sql, two).await, "1");
}

#[tokio::test]
async fn a_statement_tells_its_columns_and_can_be_run_again_until_it_is_closed() {
    let server = Server::with_trades().await;
    let mut client = server.client();
    let sql = "SELECT count(*) AS n FROM trades WHERE id >= $1".to_owned();
    let mut statement = client.sql.prepare(sql, None).await.unwrap();
    let parameters = statement.parameter_schema().unwrap();
    assert_eq!(
        parameters.field(0).data_type(),
        &arrow::datatypes::DataType::Int64
    );
    assert_eq!(statement.dataset_schema().unwrap().field(0).name(), "n");
    for (from, expected) in [(1, "3"), (3, "1"), (9, "0")] {
        let from: ArrayRef = Arc::new(Int64Array::from(vec![from]));
        statement.set_parameters(values(vec![from])).unwrap();
        let info = statement.execute().await.unwrap();
        assert_eq!(client.rows_of(info).await.unwrap(), expected);
    }
    let info = statement.execute().await.unwrap();
    statement.close().await.unwrap();
    let gone = client.rows_of(info).await.unwrap_err();
    assert_eq!(status(gone).code(), Code::NotFound);
}

#[tokio::test]
async fn many_rows_of_parameters_are_written_together_or_not_at_all() {
    let server = Server::with_trades().await;
    let mut client = server.client();
    let sql = "INSERT INTO trades (id, symbol) VALUES (?, ?)".to_owned();
    let mut statement = client.sql.prepare(sql, None).await.unwrap();
    let rows = |symbols: Vec<Option<&str>>| {
        let ids = (0..symbols.len()).map(|index| 10 + i64::try_from(index).unwrap());
        values(vec![
            Arc::new(Int64Array::from_iter_values(ids)),
            Arc::new(StringArray::from(symbols)),
        ])
    };
    statement
        .set_parameters(rows(vec![Some("C"), None]))
        .unwrap();
    // A null in a NOT NULL column: the row before it is not written either.
    let refused = statement.execute_update().await.unwrap_err();
    assert_eq!(status(refused).code(), Code::InvalidArgument);
    client.update("FLUSH").await;
    assert_eq!(client.query("SELECT count(*) FROM trades").await, "3");
    statement
        .set_parameters(rows(vec![Some("C"), Some("D"), Some("E")]))
        .unwrap();
    assert_eq!(statement.execute_update().await.unwrap(), 3);
    client.update("FLUSH").await;
    assert_eq!(client.query("SELECT count(*) FROM trades").await, "6");
}

#[tokio::test]
async fn a_wrong_number_of_values_is_refused() {
    let server = Server::with_trades().await;
    let mut client = server.client();
    let sql = "SELECT id FROM trades WHERE id = $1".to_owned();
    let mut statement = client.sql.prepare(sql, None).await.unwrap();
    let info = statement.execute().await.unwrap();
    let none = client.rows_of(info).await.unwrap_err();
    assert_eq!(status(none).code(), Code::InvalidArgument);
    let one: ArrayRef = Arc::new(Int64Array::from(vec![1]));
    statement
        .set_parameters(values(vec![Arc::clone(&one), one]))
        .unwrap();
    let two = statement.execute().await.unwrap_err();
    assert_eq!(status(two).code(), Code::InvalidArgument);
    let both: ArrayRef = Arc::new(Int64Array::from(vec![1, 2]));
    statement.set_parameters(values(vec![both])).unwrap();
    let info = statement.execute().await.unwrap();
    let rows = client.rows_of(info).await.unwrap_err();
    assert_eq!(status(rows).code(), Code::InvalidArgument);
}
