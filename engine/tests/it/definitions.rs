//! Creating, dropping and describing objects.

use crate::harness::Harness;

const TRADES: &str = "CREATE TABLE trades (symbol TEXT NOT NULL, price DOUBLE PRECISION, \
                      ts TIMESTAMP(3) WITH TIME ZONE, WATERMARK FOR ts AS ts - INTERVAL '1' SECOND)";
const COUNTS: &str =
    "CREATE STREAMING VIEW counts AS SELECT symbol, count(*) AS n FROM trades GROUP BY symbol";

#[tokio::test]
async fn a_view_on_a_table_shows_what_was_inserted_before_flush() {
    let harness = Harness::new().await;
    let mut client = harness.session();
    assert_eq!(client.ok(TRADES).await, "CREATE TABLE");
    assert_eq!(client.ok(COUNTS).await, "CREATE STREAMING VIEW");
    let insert = "INSERT INTO trades VALUES ('A', 1, '2026-01-01T00:00:00Z'), \
                  ('B', 2, '2026-01-01T00:00:01Z'), ('A', 3, '2026-01-01T00:00:02Z')";
    assert_eq!(client.ok(insert).await, "INSERT 0 3");
    assert_eq!(client.ok("FLUSH").await, "FLUSH");
    assert_eq!(
        client.ok("SELECT * FROM counts ORDER BY symbol").await,
        "A|2\nB|1"
    );
    let joined = "SELECT t.price, c.n FROM trades t JOIN counts c USING (symbol) ORDER BY price";
    assert_eq!(client.ok(joined).await, "1.0|2\n2.0|1\n3.0|2");
    harness.engine.stop().await.unwrap();
}

#[tokio::test]
async fn names_are_taken_once_and_if_not_exists_only_notices() {
    let harness = Harness::new().await;
    let mut client = harness.session();
    client.ok(TRADES).await;
    let error = client.err("CREATE TABLE trades (a INT)").await;
    assert_eq!(
        (error.sqlstate_hint, error.position),
        (Some("42P07"), Some(14))
    );
    client.ok("CREATE TABLE IF NOT EXISTS trades (a INT)").await;
    let notices = client.session.take_notices();
    assert_eq!(
        notices[0].message,
        "table \"trades\" already exists, skipping"
    );
}

#[tokio::test]
async fn drop_needs_cascade_when_something_reads_it() {
    let harness = Harness::new().await;
    let mut client = harness.session();
    client.ok(TRADES).await;
    client.ok(COUNTS).await;
    let error = client.err("DROP TABLE trades").await;
    assert_eq!(error.sqlstate_hint, Some("2BP01"));
    assert_eq!(
        error.detail.as_deref(),
        Some("streaming view counts depends on trades.")
    );
    let error = client.err("DROP SOURCE trades").await;
    assert_eq!(error.hint.as_deref(), Some("Use DROP TABLE trades."));
    client.ok("DROP TABLE trades CASCADE").await;
    assert_eq!(
        client.session.take_notices()[0].message,
        "drop cascades to streaming view counts"
    );
    let error = client.err("SELECT * FROM counts").await;
    assert_eq!(error.message, "relation \"counts\" does not exist");
    assert_eq!(client.ok("DROP TABLE IF EXISTS trades").await, "DROP TABLE");
}

#[tokio::test]
async fn describe_show_and_explain_tell_what_there_is() {
    let harness = Harness::new().await;
    let mut client = harness.session();
    client.ok(TRADES).await;
    client.ok(COUNTS).await;
    client
        .ok("COMMENT ON TABLE trades IS 'what was traded'")
        .await;
    let described = client.ok("DESCRIBE trades").await;
    assert!(described.contains("symbol|text|false|"), "{described}");
    assert!(
        described.contains("ts|timestamp(3) with time zone|true|event time"),
        "{described}"
    );
    let views = client.ok("SHOW STREAMING VIEWS").await;
    assert!(views.starts_with("counts|upsert (symbol)|"), "{views}");
    let create = client.ok("SHOW CREATE STREAMING VIEW counts").await;
    assert!(create.contains("GROUP BY symbol"), "{create}");
    let plan = client.ok("EXPLAIN STREAMING VIEW counts").await;
    assert!(plan.contains("GroupAggregate"), "{plan}");
    let plan = client.ok("EXPLAIN SELECT * FROM counts").await;
    assert!(plan.contains("DataSourceExec"), "{plan}");
}

#[tokio::test]
async fn a_generated_source_feeds_a_view() {
    let harness = Harness::new().await;
    let mut client = harness.session();
    let created = client.run(
        "CREATE SOURCE ticks (symbol TEXT, price DOUBLE PRECISION, size DOUBLE PRECISION, \
         ts TIMESTAMP(6) WITH TIME ZONE, WATERMARK FOR ts AS ts - INTERVAL '1' SECOND) \
         WITH ('connector' = 'datagen', 'kind' = 'trades', 'number-of-rows' = '1000', 'seed' = '7')",
    );
    created.await.unwrap();
    client
        .ok("CREATE STREAMING VIEW n AS SELECT count(*) AS n FROM ticks")
        .await;
    client.ok("FLUSH").await;
    assert_eq!(client.ok("SELECT n FROM n").await, "1000");
    let error = client.err("SELECT * FROM ticks").await;
    assert_eq!(error.code, "RT0532");
    assert!(error.hint.unwrap().contains("CREATE STREAMING VIEW"));
}

#[tokio::test]
async fn the_newest_rows_of_a_source_can_be_looked_at() {
    let harness = Harness::new().await;
    let mut client = harness.session();
    client
        .ok(
            "CREATE SOURCE ticks (symbol TEXT, price DOUBLE PRECISION, ts TIMESTAMP(6), \
             double AS price * 2, WATERMARK FOR ts AS ts - INTERVAL '1' SECOND) \
             WITH ('connector' = 'datagen', 'kind' = 'trades', 'number-of-rows' = '3000', \
             'seed' = '7')",
        )
        .await;
    let seen = client.ok("SELECT * FROM ticks LIMIT 5").await;
    let some = client.ok("SELECT double, symbol FROM ticks LIMIT 2").await;
    client
        .ok("CREATE STREAMING VIEW kept AS SELECT * FROM ticks")
        .await;
    client.ok("FLUSH").await;
    let newest = "SELECT * FROM (SELECT * FROM kept ORDER BY ts DESC LIMIT 5) ORDER BY ts";
    assert_eq!(seen, client.ok(newest).await);
    assert_eq!(some.lines().count(), 2);
    for refused in [
        "SELECT * FROM ticks LIMIT 20000",
        "SELECT count(*) FROM ticks LIMIT 1",
        "SELECT * FROM ticks WHERE price > 0 LIMIT 3",
        "SELECT * FROM ticks ORDER BY ts LIMIT 3",
        "SUBSCRIBE ticks",
    ] {
        assert_eq!(client.err(refused).await.code, "RT0532", "{refused}");
    }
}
