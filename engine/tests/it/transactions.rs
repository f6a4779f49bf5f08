//! Blocks: one cut, rows at `COMMIT`, failure.

use rtsap_engine::session::TransactionStatus;

use crate::harness::Harness;

#[tokio::test]
async fn a_block_reads_one_cut_and_writes_at_commit() {
    let harness = Harness::new().await;
    let mut client = harness.session();
    client
        .ok("CREATE TABLE t (v BIGINT); CREATE TABLE u (v BIGINT)")
        .await;
    let mut block = harness.session();
    block.ok("BEGIN").await;
    assert_eq!(block.ok("SELECT count(*) FROM u").await, "0");
    client.ok("INSERT INTO u VALUES (1)").await;
    assert_eq!(block.ok("SELECT count(*) FROM u").await, "0");
    assert_eq!(
        block.ok("INSERT INTO t VALUES (1), (2)").await,
        "INSERT 0 2"
    );
    assert_eq!(client.ok("SELECT count(*) FROM t").await, "0");
    block
        .ok("SAVEPOINT s; INSERT INTO t VALUES (3); ROLLBACK TO s")
        .await;
    block.ok("COMMIT").await;
    assert_eq!(client.ok("SELECT count(*) FROM t").await, "2");
    assert_eq!(block.ok("SELECT count(*) FROM u").await, "1");
}

#[tokio::test]
async fn a_rollback_writes_nothing_and_undoes_settings() {
    let harness = Harness::new().await;
    let mut client = harness.session();
    client.ok("CREATE TABLE t (v BIGINT)").await;
    client
        .ok("BEGIN; SET TimeZone = 'Asia/Tokyo'; INSERT INTO t VALUES (1); ROLLBACK")
        .await;
    assert_eq!(client.ok("SELECT count(*) FROM t").await, "0");
    assert_eq!(client.ok("SHOW TimeZone").await, "UTC");
}

#[tokio::test]
async fn a_failed_block_takes_only_its_end() {
    let harness = Harness::new().await;
    let mut client = harness.session();
    client.ok("CREATE TABLE t (v BIGINT)").await;
    client.ok("BEGIN; INSERT INTO t VALUES (1)").await;
    let error = client.err("SELECT v FROM t").await;
    assert_eq!(error.code, "RT0527");
    assert_eq!(
        client.session.transaction_status(),
        TransactionStatus::Failed
    );
    assert_eq!(client.err("SELECT 1").await.sqlstate_hint, Some("25P02"));
    assert_eq!(client.ok("COMMIT").await, "ROLLBACK");
    assert_eq!(client.ok("SELECT count(*) FROM t").await, "0");
    let error = client.err("BEGIN; CREATE TABLE u (v INT)").await;
    assert_eq!(error.sqlstate_hint, Some("25001"));
}
