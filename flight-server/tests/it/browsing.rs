//! What clients ask to show a tree of tables.

use arrow::array::AsArray;
use arrow::datatypes::Schema;
use arrow::record_batch::RecordBatch;
use arrow_flight::sql::{
    CommandGetDbSchemas, CommandGetExportedKeys, CommandGetPrimaryKeys, CommandGetTables,
    CommandGetXdbcTypeInfo, SqlInfo,
};
use arrow_flight::{FlightInfo, IpcMessage};
use futures::TryStreamExt;

use crate::harness::{Client, Server};

fn tables(pattern: &str, types: &[&str], include_schema: bool) -> CommandGetTables {
    CommandGetTables {
        catalog: None,
        db_schema_filter_pattern: Some("public".to_owned()),
        table_name_filter_pattern: Some(pattern.to_owned()),
        table_types: types.iter().map(ToString::to_string).collect(),
        include_schema,
    }
}

async fn batches(client: &mut Client, info: FlightInfo) -> Vec<RecordBatch> {
    let stream = client.stream_of(&info).await.unwrap();
    stream.try_collect().await.unwrap()
}

#[tokio::test]
async fn catalogs_schemas_and_tables_are_listed() {
    let server = Server::with_trades().await;
    let mut client = server.client();
    let info = client.sql.get_catalogs().await.unwrap();
    assert_eq!(client.rows_of(info).await.unwrap(), "rtsap");
    let all = CommandGetDbSchemas {
        catalog: None,
        db_schema_filter_pattern: None,
    };
    let info = client.sql.get_db_schemas(all).await.unwrap();
    let schemas = client.rows_of(info).await.unwrap();
    for schema in ["rtsap|pg_catalog", "rtsap|public", "rtsap|rtsap_catalog"] {
        assert!(schemas.contains(schema), "{schemas}");
    }
    let info = client
        .sql
        .get_tables(tables("%", &[], false))
        .await
        .unwrap();
    let listed = client.rows_of(info).await.unwrap();
    assert_eq!(
        listed,
        "rtsap|public|counts|VIEW\nrtsap|public|trades|TABLE"
    );
    let info = client
        .sql
        .get_tables(tables("%", &["VIEW"], false))
        .await
        .unwrap();
    assert_eq!(
        client.rows_of(info).await.unwrap(),
        "rtsap|public|counts|VIEW"
    );
    let info = client
        .sql
        .get_tables(tables("nothing%", &[], false))
        .await
        .unwrap();
    assert_eq!(client.rows_of(info).await.unwrap(), "");
    let info = client.sql.get_table_types().await.unwrap();
    assert_eq!(
        client.rows_of(info).await.unwrap(),
        "SYSTEM TABLE\nTABLE\nVIEW"
    );
}

#[tokio::test]
async fn tables_come_with_their_columns() {
    let server = Server::with_trades().await;
    let mut client = server.client();
    let info = client
        .sql
        .get_tables(tables("trades", &[], true))
        .await
        .unwrap();
    let batches = batches(&mut client, info).await;
    let bytes = batches[0].column(4).as_binary::<i32>().value(0).to_vec();
    let schema = Schema::try_from(IpcMessage(bytes.into())).unwrap();
    let names: Vec<_> = schema
        .fields()
        .iter()
        .map(|field| field.name().as_str())
        .collect();
    assert_eq!(names, ["id", "symbol", "price", "at"]);
    // Every table of the system has columns, too.
    let all = CommandGetTables {
        db_schema_filter_pattern: None,
        ..tables("%", &[], true)
    };
    let info = client.sql.get_tables(all).await.unwrap();
    let listed: usize = self::batches(&mut client, info)
        .await
        .iter()
        .map(RecordBatch::num_rows)
        .sum();
    assert!(listed > 20, "{listed}");
}

#[tokio::test]
async fn keys_are_those_of_tables() {
    let server = Server::with_trades().await;
    let mut client = server.client();
    client
        .update("CREATE TABLE pairs (a BIGINT, b TEXT, c BIGINT, PRIMARY KEY (c, a))")
        .await;
    let of = |table: &str| CommandGetPrimaryKeys {
        catalog: None,
        db_schema: None,
        table: table.to_owned(),
    };
    let info = client.sql.get_primary_keys(of("trades")).await.unwrap();
    let keys = client.rows_of(info).await.unwrap();
    assert_eq!(keys, "rtsap|public|trades|id|trades_pkey|1");
    let info = client.sql.get_primary_keys(of("pairs")).await.unwrap();
    let keys = client.rows_of(info).await.unwrap();
    assert_eq!(
        keys,
        "rtsap|public|pairs|c|pairs_pkey|1\nrtsap|public|pairs|a|pairs_pkey|2"
    );
    let info = client.sql.get_primary_keys(of("missing")).await.unwrap();
    assert_eq!(client.rows_of(info).await.unwrap(), "");
    let exported = CommandGetExportedKeys {
        catalog: None,
        db_schema: None,
        table: "trades".into(),
    };
    let info = client.sql.get_exported_keys(exported).await.unwrap();
    assert_eq!(client.rows_of(info).await.unwrap(), "");
}

#[tokio::test]
async fn the_server_describes_itself_and_its_types() {
    let server = Server::start().await;
    let mut client = server.client();
    let asked = vec![
        SqlInfo::FlightSqlServerName,
        SqlInfo::FlightSqlServerReadOnly,
    ];
    let info = client.sql.get_sql_info(asked).await.unwrap();
    let answer = client.rows_of(info).await.unwrap();
    assert!(
        answer.contains("RTSAP") && answer.contains("false"),
        "{answer}"
    );
    let all = CommandGetXdbcTypeInfo { data_type: None };
    let info = client.sql.get_xdbc_type_info(all).await.unwrap();
    assert!(client.rows_of(info).await.unwrap().contains("bigint"));
    client
        .sql
        .handshake("anybody", "any password")
        .await
        .unwrap();
    assert_eq!(client.query("SELECT 1 AS one").await, "1");
}
