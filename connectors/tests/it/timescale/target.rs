//! Existing tables: which are taken and which are refused, and what the error says.

use rtsap_connectors::timescale;
use rtsap_stream::change::ChangeBatch;
use rtsap_stream::error::{ConnectorError, ErrorKind};
use rtsap_stream::sink::{Sink, SinkInput};

use super::{Corner, candles, changes, epoch, generation, postgres_corner, timescale_corner};

async fn fence(corner: &Corner, input: &SinkInput, table: &str) -> Result<String, ConnectorError> {
    let mut sink = corner.sink(input, table);
    sink.fence(generation(1), None)
        .await
        .map(|report| report.target)
}

/// Makes the table by `sql` and checks what fencing says: part of the report, or part of the
/// refusal.
async fn check(sql: &str, expected: Result<&str, &str>) {
    let Some(corner) = postgres_corner().await else {
        return;
    };
    corner
        .run(&sql.replace("TABLE", "TABLE $schema.candles"))
        .await;
    let found = fence(&corner, &candles(), "candles").await;
    match (found, expected) {
        (Ok(report), Ok(part)) => assert!(report.contains(part), "{report}"),
        (Err(error), Err(part)) => {
            assert_eq!(error.kind, ErrorKind::Invalid);
            let detail = error.detail.clone().unwrap_or_default();
            assert!(detail.contains(part), "{error:?}");
        }
        (found, _) => panic!("{sql}: {found:?}"),
    }
    corner.clear().await;
}

const KEY: &str = "PRIMARY KEY (symbol, window_end)";

#[tokio::test]
async fn a_table_that_fits_is_taken() {
    let sql = format!(
        "CREATE TABLE (extra text, window_end timestamptz, symbol varchar, volume numeric, \
         vwap numeric(20,6), made timestamptz NOT NULL DEFAULT now(), {KEY})"
    );
    check(&sql, Ok("plain table")).await;
}

#[tokio::test]
async fn a_table_that_does_not_fit_is_refused_by_name_of_column() {
    let with = |columns: &str| format!("CREATE TABLE ({columns}, {KEY})");
    let good = "symbol text, window_end timestamptz";
    let missing = with(&format!("{good}, volume int8"));
    check(
        &missing,
        Err("Column \"vwap\" of type numeric(18,4) is missing"),
    )
    .await;
    let narrow = with(&format!("{good}, volume int4, vwap numeric"));
    check(&narrow, Err("Column \"volume\" is integer; int8 is needed")).await;
    let rounding = with(&format!("{good}, volume int8, vwap numeric(18,2)"));
    check(
        &rounding,
        Err("Column \"vwap\" is numeric(18,2); numeric(18,4) is needed"),
    )
    .await;
    let zoneless = with("symbol text, window_end timestamp, volume int8, vwap numeric");
    check(
        &zoneless,
        Err("Column \"window_end\" is timestamp without time zone"),
    )
    .await;
    let coarse = with("symbol text, window_end timestamptz(3), volume int8, vwap numeric");
    check(
        &coarse,
        Err("Column \"window_end\" is timestamp(3) with time zone"),
    )
    .await;
    let demanding = with(&format!(
        "{good}, volume int8, vwap numeric, more int NOT NULL"
    ));
    check(
        &demanding,
        Err("Column \"more\" is NOT NULL without a default"),
    )
    .await;
    let generated = with(&format!(
        "{good}, vwap numeric, volume int8 GENERATED ALWAYS AS (1) STORED"
    ));
    check(&generated, Err("Column \"volume\" is generated")).await;
    let keyless = "CREATE TABLE (symbol text NOT NULL, window_end timestamptz NOT NULL, \
                   volume int8, vwap numeric)";
    check(
        keyless,
        Err("No unique index covers exactly the key (window_end, symbol)"),
    )
    .await;
    let nullable = "CREATE TABLE (symbol text, window_end timestamptz NOT NULL, volume int8, \
                    vwap numeric, UNIQUE (symbol, window_end))";
    check(nullable, Err("Key column \"symbol\" may be NULL")).await;
}

#[tokio::test]
async fn a_missing_table_is_not_created_unasked_and_a_view_is_no_target() {
    let Some(corner) = postgres_corner().await else {
        return;
    };
    let mut options = corner.options("candles");
    options.0.insert("create".to_owned(), "false".to_owned());
    let mut sink = timescale::sink(&corner.named(&candles()), &options).unwrap();
    let error = sink.fence(generation(1), None).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Invalid);
    assert!(error.hint.unwrap_or_default().contains("'create' = 'true'"));
    corner.run("CREATE VIEW $schema.candles AS SELECT 1").await;
    assert_eq!(
        fence(&corner, &candles(), "candles")
            .await
            .unwrap_err()
            .kind,
        ErrorKind::Invalid
    );
    corner.clear().await;
}

#[tokio::test]
async fn unusual_names_are_quoted() {
    let Some(corner) = postgres_corner().await else {
        return;
    };
    let mut input = candles();
    let mut fields: Vec<_> = input
        .schema
        .fields()
        .iter()
        .map(|field| field.as_ref().clone())
        .collect();
    fields[2] = fields[2].clone().with_name("Vol \"umé\"; DROP TABLE x --");
    input.schema = std::sync::Arc::new(arrow::datatypes::Schema::new(fields));
    let mut sink = corner.sink(&input, "\"We\"\"ird. Näme\"");
    sink.fence(generation(1), None).await.unwrap();
    let rows = changes(&[(1, "AAPL", 1, 5)]);
    sink.apply(epoch(1), epoch(0), &rows).await.unwrap();
    assert_eq!(corner.rows("\"We\"\"ird. Näme\"").await.len(), 1);
    corner.clear().await;
}

#[tokio::test]
async fn a_violated_constraint_names_table_constraint_and_row() {
    let Some(corner) = postgres_corner().await else {
        return;
    };
    corner
        .run(&format!(
            "CREATE TABLE $schema.candles (symbol text, window_end timestamptz, \
             volume int8 CONSTRAINT positive CHECK (volume > 0), vwap numeric, {KEY})"
        ))
        .await;
    let mut sink = corner.sink(&candles(), "candles");
    sink.fence(generation(1), None).await.unwrap();
    let bad = changes(&[(1, "AAPL", 1, 5), (1, "IBM", 1, -5)]);
    let error = sink.apply(epoch(1), epoch(0), &bad).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Data);
    let detail = error.detail.unwrap_or_default();
    for part in [
        "candles",
        "\"positive\"",
        "Failing row contains",
        "IBM",
        "23514",
    ] {
        assert!(detail.contains(part), "{part} in {detail}");
    }
    assert!(corner.rows("candles").await.is_empty());
    // Nothing of the epoch is left; a good one goes through on a new connection.
    sink.apply(epoch(1), epoch(0), &changes(&[(1, "AAPL", 1, 5)]))
        .await
        .unwrap();
    corner.clear().await;
}

#[tokio::test]
async fn swallowed_rows_are_noticed() {
    let Some(corner) = postgres_corner().await else {
        return;
    };
    let mut sink = corner.sink(&candles(), "candles");
    sink.fence(generation(1), None).await.unwrap();
    corner
        .run(
            "CREATE FUNCTION $schema.swallow() RETURNS trigger LANGUAGE plpgsql AS \
             $$BEGIN RETURN NULL; END$$; CREATE TRIGGER swallow BEFORE INSERT ON $schema.candles \
             FOR EACH ROW EXECUTE FUNCTION $schema.swallow()",
        )
        .await;
    let error = sink
        .apply(epoch(1), epoch(0), &changes(&[(1, "AAPL", 1, 5)]))
        .await
        .unwrap_err();
    assert_eq!(error.kind, ErrorKind::Data);
    assert!(error.message.contains("row counts"), "{error:?}");
    corner.clear().await;
}

#[tokio::test]
async fn a_key_without_event_time_gives_a_plain_table_on_timescaledb() {
    let Some(corner) = timescale_corner().await else {
        return;
    };
    let input = SinkInput {
        key: vec![0],
        ..candles()
    };
    let report = fence(&corner, &input, "latest").await.unwrap();
    assert!(
        report.ends_with("plain table (the key does not contain the event time)"),
        "{report}"
    );
    corner.clear().await;
}

#[tokio::test]
async fn the_chunk_interval_is_respected() {
    let Some(corner) = timescale_corner().await else {
        return;
    };
    let mut options = corner.options("candles");
    options
        .0
        .insert("chunk_interval".to_owned(), "6 hours".to_owned());
    let mut sink = timescale::sink(&corner.named(&candles()), &options).unwrap();
    sink.fence(generation(1), None).await.unwrap();
    let sql = format!(
        "SELECT time_interval::text FROM timescaledb_information.dimensions \
         WHERE hypertable_schema = '{}'",
        corner.schema
    );
    let interval: String = corner.client.query_one(&sql, &[]).await.unwrap().get(0);
    assert_eq!(interval, "06:00:00");
    corner.clear().await;
}

/// Eight bytes are eight bytes: binary COPY into a column of another type takes them for a value of
/// it. What is written after the change must be the values of before.
#[tokio::test]
async fn a_column_whose_type_is_changed_between_epochs_gets_the_right_values() {
    for corner in timescale_corner()
        .await
        .into_iter()
        .chain(postgres_corner().await)
    {
        let keyless = SinkInput {
            key: Vec::new(),
            ..candles()
        };
        let mut sink = corner.sink(&keyless, "trades");
        sink.fence(generation(1), None).await.unwrap();
        let rows = changes(&[(1, "AAPL", 7, 7)]);
        sink.apply(epoch(1), epoch(0), &rows).await.unwrap();
        corner
            .run("ALTER TABLE $schema.trades ALTER COLUMN volume TYPE numeric")
            .await;
        apply(&mut *sink, 2, &changes(&[(1, "AAPL", 8, 8)]))
            .await
            .unwrap();
        assert_eq!(corner.values("trades", "volume").await, ["7", "8"]);
        // A type that does not hold all values is refused, and nothing is kept.
        corner
            .run("ALTER TABLE $schema.trades ALTER COLUMN volume TYPE float8")
            .await;
        let refused = apply(&mut *sink, 3, &changes(&[(1, "AAPL", 9, 9)])).await;
        let refused = refused.unwrap_err();
        assert_eq!(refused.kind, ErrorKind::Invalid, "{refused:?}");
        let detail = refused.detail.unwrap_or_default();
        assert!(detail.contains("int8 is needed"), "{detail}");
        corner
            .run("ALTER TABLE $schema.trades ALTER COLUMN volume TYPE int8")
            .await;
        sink.fence(generation(1), Some(epoch(2))).await.unwrap();
        apply(&mut *sink, 3, &changes(&[(1, "AAPL", 9, 9)]))
            .await
            .unwrap();
        assert_eq!(corner.values("trades", "volume").await, ["7", "8", "9"]);
        corner.clear().await;
    }
}

/// Applies as the task of a sink does: again while the target is away.
async fn apply(
    sink: &mut dyn Sink,
    number: u64,
    changes: &[ChangeBatch],
) -> Result<(), ConnectorError> {
    loop {
        match sink.apply(epoch(number), epoch(number - 1), changes).await {
            Err(error) if error.kind == ErrorKind::Unavailable => {}
            answer => return answer,
        }
    }
}
