//! Statements and values, simple and extended, in text and in binary.

use std::error::Error;

use tokio_postgres::types::{FromSql, Type};

use crate::harness::{Harness, rows};

#[tokio::test(flavor = "multi_thread")]
async fn several_statements_run_one_after_the_other_until_one_fails() {
    let harness = Harness::new().await;
    let client = harness.client().await;
    client
        .batch_execute("CREATE TABLE t (k TEXT, v BIGINT); INSERT INTO t VALUES ('a', 1)")
        .await
        .unwrap();
    let failed = client
        .simple_query("INSERT INTO t VALUES ('b', 2); SELECT nothing; DROP TABLE t")
        .await;
    assert_eq!(failed.unwrap_err().code().unwrap().code(), "42703");
    client.batch_execute("FLUSH").await.unwrap();
    assert_eq!(
        rows(&client, "SELECT k, v FROM t ORDER BY k").await,
        ["a|1", "b|2"]
    );
    assert_eq!(rows(&client, "").await, Vec::<String>::new());
    assert_eq!(
        client
            .execute("INSERT INTO t VALUES ('c', 3), ('d', 4)", &[])
            .await
            .unwrap(),
        2
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn the_session_says_what_it_is_and_follows_its_variables() {
    let harness = Harness::new().await;
    let client = harness.client().await;
    assert_eq!(rows(&client, "SHOW server_encoding").await, ["UTF8"]);
    assert_eq!(
        rows(&client, "SELECT current_user, current_database()").await,
        ["rtsap|rtsap"]
    );
    let instant = "SELECT TIMESTAMPTZ '2024-01-02 03:04:05.5+00'";
    assert_eq!(rows(&client, instant).await, ["2024-01-02 03:04:05.5+00"]);
    client
        .batch_execute("SET TimeZone = 'America/New_York'")
        .await
        .unwrap();
    assert_eq!(
        rows(&client, "SELECT to_timestamp(1704164645)::timestamptz")
            .await
            .len(),
        1
    );
    assert_eq!(rows(&client, "SHOW TimeZone").await, ["America/New_York"]);
}

/// A value's bytes as they came.
struct Raw(Vec<u8>);

impl<'a> FromSql<'a> for Raw {
    fn from_sql(_: &Type, raw: &'a [u8]) -> Result<Self, Box<dyn Error + Sync + Send>> {
        Ok(Self(raw.to_vec()))
    }

    fn accepts(_: &Type) -> bool {
        true
    }
}

const TYPES: &str = "CREATE TABLE types (b BOOLEAN, i2 SMALLINT, i4 INTEGER, i8 BIGINT, f4 REAL, \
    f8 DOUBLE PRECISION, d DECIMAL(20, 4), s TEXT, x BYTEA, day DATE, at TIMESTAMP(6), \
    ts TIMESTAMP(9) WITH TIME ZONE, tags TEXT[], n BIGINT[])";

#[tokio::test(flavor = "multi_thread")]
async fn all_types_make_the_round_trip_in_binary_and_in_text() {
    let harness = Harness::new().await;
    let client = harness.client().await;
    client.batch_execute(TYPES).await.unwrap();
    let insert = "INSERT INTO types VALUES ($1, $2, $3, $4, $5, $6, $7::text::decimal(20, 4), $8, \
                  $9, $10, $11, $12, $13, $14)";
    let insert = client
        .prepare_typed(
            insert,
            &[
                Type::BOOL,
                Type::INT2,
                Type::INT4,
                Type::INT8,
                Type::FLOAT4,
                Type::FLOAT8,
                Type::TEXT,
                Type::TEXT,
                Type::BYTEA,
                Type::DATE,
                Type::TIMESTAMP,
                Type::TIMESTAMPTZ,
                Type::TEXT_ARRAY,
                Type::INT8_ARRAY,
            ],
        )
        .await
        .unwrap();
    let day = chrono::NaiveDate::from_ymd_opt(2024, 2, 29).unwrap();
    let at = day.and_hms_micro_opt(12, 34, 56, 789_012).unwrap();
    let instant = at.and_utc();
    let tags = vec![Some("a b"), None, Some("")];
    let values: [&(dyn tokio_postgres::types::ToSql + Sync); 14] = [
        &true,
        &-2_i16,
        &-4_i32,
        &i64::MIN,
        &0.1_f32,
        &1e-9_f64,
        &"-123.45",
        &"naïve \\ \"text\"",
        &b"\x00\xff".as_slice(),
        &day,
        &at,
        &instant,
        &tags,
        &vec![1_i64, 2],
    ];
    assert_eq!(client.execute(&insert, &values).await.unwrap(), 1);
    client
        .batch_execute("INSERT INTO types (i8) VALUES (NULL); FLUSH")
        .await
        .unwrap();

    let row = client
        .query_one("SELECT * FROM types WHERE b", &[])
        .await
        .unwrap();
    assert_eq!(
        (
            row.get::<_, bool>(0),
            row.get::<_, i16>(1),
            row.get::<_, i32>(2),
            row.get::<_, i64>(3)
        ),
        (true, -2, -4, i64::MIN)
    );
    assert_eq!((row.get::<_, f32>(4), row.get::<_, f64>(5)), (0.1, 1e-9));
    assert_eq!(row.columns()[6].type_(), &Type::NUMERIC);
    assert_eq!(
        row.get::<_, Raw>(6).0,
        b"\0\x02\0\0\x40\0\0\x04\0\x7b\x11\x94"
    );
    assert_eq!(row.get::<_, &str>(7), "naïve \\ \"text\"");
    assert_eq!(row.get::<_, &[u8]>(8), b"\x00\xff");
    assert_eq!(row.get::<_, chrono::NaiveDate>(9), day);
    assert_eq!(row.get::<_, chrono::NaiveDateTime>(10), at);
    assert_eq!(row.get::<_, chrono::DateTime<chrono::Utc>>(11), instant);
    assert_eq!(row.get::<_, Vec<Option<&str>>>(12), tags);
    assert_eq!(row.get::<_, Vec<i64>>(13), [1, 2]);
    assert_eq!(
        rows(&client, "SELECT * FROM types WHERE b").await,
        [
            "t|-2|-4|-9223372036854775808|0.1|1e-09|-123.4500|naïve \\ \"text\"|\\x00ff|2024-02-29|\
          2024-02-29 12:34:56.789012|2024-02-29 12:34:56.789012+00|{\"a b\",NULL,\"\"}|{1,2}"
        ]
    );
    let nulls = client
        .query_one("SELECT * FROM types WHERE b IS NULL", &[])
        .await
        .unwrap();
    assert!((0..nulls.len()).all(|index| nulls.get::<_, Option<Raw>>(index).is_none()));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_large_result_comes_whole_and_in_order() {
    let harness = Harness::new().await;
    let client = harness.client().await;
    let found = client
        .query(
            "SELECT value FROM generate_series(1, 200000) AS g (value) ORDER BY value",
            &[],
        )
        .await;
    let found = found.unwrap();
    assert_eq!(found.len(), 200_000);
    assert!(
        found
            .iter()
            .zip(1_i64..)
            .all(|(row, wanted)| row.get::<_, i64>(0) == wanted)
    );
}
