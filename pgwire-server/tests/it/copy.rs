//! COPY in both directions.

use bytes::Bytes;
use futures::{SinkExt, StreamExt, TryStreamExt, pin_mut};
use tokio_postgres::NoTls;

use crate::harness::{Harness, rows};

const TABLE: &str = "CREATE TABLE t (k TEXT, v BIGINT, ok BOOLEAN, ts TIMESTAMP(3) WITH TIME ZONE, \
    x BYTEA, p DECIMAL(10, 2))";

async fn copy_in(
    client: &tokio_postgres::Client,
    sql: &str,
    data: &str,
) -> Result<u64, tokio_postgres::Error> {
    let sink = client.copy_in::<_, Bytes>(sql).await?;
    pin_mut!(sink);
    // In pieces that cut lines.
    for piece in data.as_bytes().chunks(5) {
        sink.send(Bytes::copy_from_slice(piece)).await?;
    }
    sink.finish().await
}

async fn copy_out(client: &tokio_postgres::Client, sql: &str) -> Vec<u8> {
    let stream = client.copy_out(sql).await.unwrap();
    let pieces: Vec<Bytes> = stream.try_collect().await.unwrap();
    pieces.concat()
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_come_in_as_text_and_csv_and_go_out_in_every_format() {
    let harness = Harness::new().await;
    let client = harness.client().await;
    client.batch_execute(TABLE).await.unwrap();
    let text =
        "a\t1\tt\t2024-01-02 03:04:05.123+00\t\\\\x00ff\t1.50\nb\\tc\t\\N\tf\t\\N\t\\N\t\\N\n";
    assert_eq!(
        copy_in(&client, "COPY t FROM STDIN", text).await.unwrap(),
        2
    );
    let csv = "k,v\n\"x,\"\"y\"\"\n\",3\n";
    let written = copy_in(
        &client,
        "COPY t (k, v) FROM STDIN WITH (FORMAT csv, HEADER true)",
        csv,
    )
    .await;
    assert_eq!(written.unwrap(), 1);
    client.batch_execute("FLUSH").await.unwrap();
    let out = copy_out(&client, "COPY (SELECT * FROM t ORDER BY k) TO STDOUT").await;
    assert_eq!(
        String::from_utf8(out).unwrap(),
        "a\t1\tt\t2024-01-02 03:04:05.123+00\t\\\\x00ff\t1.50\n\
         b\\tc\t\\N\tf\t\\N\t\\N\t\\N\n\
         x,\"y\"\\n\t3\t\\N\t\\N\t\\N\t\\N\n"
    );
    let out = copy_out(
        &client,
        "COPY (SELECT k, v FROM t ORDER BY k) TO STDOUT WITH (FORMAT csv, HEADER true)",
    )
    .await;
    assert_eq!(
        String::from_utf8(out).unwrap(),
        "k,v\na,1\nb\tc,\n\"x,\"\"y\"\"\n\",3\n"
    );
    let out = copy_out(
        &client,
        "COPY (SELECT v FROM t ORDER BY k) TO STDOUT WITH (FORMAT binary)",
    )
    .await;
    assert!(
        out.starts_with(b"PGCOPY\n\xff\r\n\0") && out.ends_with(b"\xff\xff"),
        "{out:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_copy_that_fails_writes_nothing_and_the_session_goes_on() {
    let harness = Harness::new().await;
    let client = harness.client().await;
    client
        .batch_execute("CREATE TABLE t (k TEXT, v BIGINT)")
        .await
        .unwrap();
    let error = copy_in(&client, "COPY t FROM STDIN", "a\t1\nb\n")
        .await
        .unwrap_err();
    let error = error.as_db_error().unwrap().clone();
    assert_eq!(
        (error.code().code(), error.where_()),
        ("22P04", Some("COPY, line 2"))
    );
    let error = copy_in(&client, "COPY t FROM STDIN", "a\tone\n")
        .await
        .unwrap_err();
    assert_eq!(error.code().unwrap().code(), "22P02");
    let error = copy_in(&client, "COPY t FROM STDIN WITH (FORMAT binary)", "x")
        .await
        .unwrap_err();
    assert_eq!(error.code().unwrap().code(), "0A000");
    client.batch_execute("FLUSH").await.unwrap();
    assert_eq!(rows(&client, "SELECT count(*) FROM t").await, ["0"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_copied_subscription_streams_live() {
    let harness = Harness::new().await;
    let writer = harness.client().await;
    writer
        .batch_execute("CREATE TABLE t (k TEXT, v BIGINT)")
        .await
        .unwrap();
    let reader = harness.client().await;
    let changes = reader
        .copy_out("COPY (SUBSCRIBE t) TO STDOUT")
        .await
        .unwrap();
    pin_mut!(changes);
    for round in 1..4 {
        writer
            .batch_execute(&format!("INSERT INTO t VALUES ('a', {round})"))
            .await
            .unwrap();
        let line = changes.next().await.unwrap().unwrap();
        let line = String::from_utf8(line.to_vec()).unwrap();
        assert!(line.ends_with(&format!("\tinsert\ta\t{round}\n")), "{line}");
    }
    reader.cancel_token().cancel_query(NoTls).await.unwrap();
    assert_eq!(
        changes
            .next()
            .await
            .unwrap()
            .unwrap_err()
            .code()
            .unwrap()
            .code(),
        "57014"
    );
}
