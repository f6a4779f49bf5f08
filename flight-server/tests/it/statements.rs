//! Statements as text: rows, changes, refusals.

use tonic::Code;

use crate::harness::{Server, status};

#[tokio::test]
async fn a_view_is_read_as_announced() {
    let server = Server::with_trades().await;
    let mut client = server.client();
    let counts = client
        .query("SELECT symbol, n FROM counts ORDER BY symbol")
        .await;
    assert_eq!(counts, "A|2\nB|1");
    let prices = client
        .query("SELECT price, at FROM trades ORDER BY id")
        .await;
    assert_eq!(
        prices,
        "1.25|2026-01-01T00:00:00Z\n2.50|2026-01-01T00:00:01Z\n|"
    );
    assert_eq!(
        client.query("SELECT symbol FROM counts WHERE n > 5").await,
        ""
    );
    let literals = "SELECT 1 + 1 AS two, 'x' AS x, NULL AS nothing, now() IS NOT NULL AS later";
    assert_eq!(client.query(literals).await, "2|x||true");
}

#[tokio::test]
async fn updates_count_their_rows_and_scripts_add_up() {
    let server = Server::start().await;
    let mut client = server.client();
    assert_eq!(client.update("CREATE TABLE t (v BIGINT)").await, 0);
    assert_eq!(client.update("INSERT INTO t VALUES (1), (2)").await, 2);
    let script = "INSERT INTO t VALUES (3); INSERT INTO t SELECT v FROM t; FLUSH";
    assert!(client.update(script).await >= 3);
    // Programs run everything as a query: what has no rows answers with none, and is done once.
    assert_eq!(client.query("CREATE TABLE u (v BIGINT)").await, "");
    assert_eq!(client.query("INSERT INTO u VALUES (7)").await, "");
    client.update("FLUSH").await;
    assert_eq!(client.query("SELECT v FROM u").await, "7");
}

#[tokio::test]
async fn errors_carry_code_detail_and_hint() {
    let server = Server::with_trades().await;
    let mut client = server.client();
    let error = client.error("SELECT * FROM trade").await;
    assert_eq!(error.code(), Code::NotFound);
    let message = error.message();
    assert!(
        message.starts_with("relation \"trade\" does not exist (RT"),
        "{message}"
    );
    assert!(
        message.contains("SQLSTATE 42P01") && message.contains("POSITION: 15"),
        "{message}"
    );
    for (sql, code) in [
        ("SELEC 1", Code::InvalidArgument),
        ("", Code::InvalidArgument),
        ("SELECT 1; SELECT 2", Code::InvalidArgument),
        ("SELECT $1", Code::InvalidArgument),
        ("CREATE TABLE trades (v BIGINT)", Code::AlreadyExists),
        ("DELETE FROM trades RETURNING count(*)", Code::Unimplemented),
    ] {
        assert_eq!(client.error(sql).await.code(), code, "{sql}");
    }
    let update = client.sql.execute_update("SELECT 1".to_owned(), None).await;
    assert_eq!(status(update.unwrap_err()).code(), Code::InvalidArgument);
}

#[tokio::test]
async fn what_needs_a_lasting_session_is_refused() {
    let server = Server::with_trades().await;
    let mut client = server.client();
    for sql in [
        "BEGIN",
        "COMMIT",
        "SET TimeZone = 'Asia/Tokyo'",
        "DECLARE c CURSOR WITH HOLD FOR SELECT 1",
        "COPY trades FROM STDIN",
        "COPY trades TO STDOUT",
    ] {
        let error = client.error(sql).await;
        assert_eq!(error.code(), Code::Unimplemented, "{sql}: {error}");
        assert!(error.message().contains("HINT: "), "{sql}: {error}");
    }
    let begun = client.sql.begin_transaction().await.unwrap_err();
    assert_eq!(status(begun).code(), Code::Unimplemented);
}
