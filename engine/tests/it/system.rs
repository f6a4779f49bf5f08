//! System tables and what PostgreSQL's clients ask.

use crate::harness::Harness;

#[tokio::test]
async fn clients_find_tables_views_and_columns() {
    let harness = Harness::new().await;
    let mut client = harness.session();
    client
        .ok("CREATE TABLE t (id BIGINT, name TEXT, PRIMARY KEY (id))")
        .await;
    client
        .ok("CREATE STREAMING VIEW v AS SELECT name, count(*) AS n FROM t GROUP BY name")
        .await;
    let listed = "SELECT c.relname, c.relkind FROM pg_catalog.pg_class c \
                  LEFT JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace \
                  WHERE n.nspname = 'public' AND c.relkind IN ('r','v','f') \
                  AND pg_catalog.pg_table_is_visible(c.oid) ORDER BY 1";
    assert_eq!(client.ok(listed).await, "t|r\nv|v");
    let columns = "SELECT a.attname, pg_catalog.format_type(a.atttypid, a.atttypmod), a.attnotnull \
                   FROM pg_catalog.pg_attribute a WHERE a.attrelid = 't'::regclass \
                   AND a.attnum > 0 ORDER BY a.attnum";
    assert_eq!(client.ok(columns).await, "id|bigint|true\nname|text|false");
    let schema = "SELECT table_name, column_name FROM information_schema.columns \
                  WHERE table_schema = 'public' ORDER BY 1, 2";
    assert_eq!(client.ok(schema).await, "t|id\nt|name\nv|n\nv|name");
    assert!(
        client
            .ok("SELECT version()")
            .await
            .starts_with("PostgreSQL 17.5 (RTSAP")
    );
    assert_eq!(
        client.ok("SELECT current_database(), current_user").await,
        "rtsap|rtsap"
    );
    assert_eq!(client.ok("SELECT current_setting('TimeZone')").await, "UTC");
}

#[tokio::test]
async fn system_tables_tell_how_it_runs() {
    let harness = Harness::new().await;
    let mut client = harness.session();
    client.ok("CREATE TABLE t (id BIGINT) APPEND ONLY").await;
    client
        .ok("CREATE STREAMING VIEW v AS SELECT id FROM t WHERE id > 1")
        .await;
    client.ok("INSERT INTO t VALUES (1), (2), (3)").await;
    client.ok("FLUSH").await;
    for table in [
        "sources",
        "tables",
        "views",
        "sinks",
        "ledger",
        "checkpoints",
        "errors",
        "settings",
    ] {
        client
            .ok(&format!("SELECT * FROM rtsap_catalog.{table}"))
            .await;
    }
    assert!(
        client
            .ok("SELECT name FROM rtsap_catalog.functions")
            .await
            .contains("vwap")
    );
    assert_eq!(
        client
            .ok("SELECT name, changelog FROM rtsap_catalog.views")
            .await,
        "v|append"
    );
    assert_eq!(client.ok("SHOW server_version").await, "17.5");
    assert_eq!(
        client.err("SHOW nonsense").await.sqlstate_hint,
        Some("42704")
    );
}
