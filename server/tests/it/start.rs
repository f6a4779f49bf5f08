//! Starting, stopping, refusing to start.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::process::Command;

use super::harness::{Server, rows};

fn get(address: &str, path: &str) -> String {
    let mut stream = TcpStream::connect(address).unwrap();
    write!(
        stream,
        "GET {path} HTTP/1.1\r\nHost: rtsap\r\nConnection: close\r\n\r\n"
    )
    .unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

#[tokio::test(flavor = "multi_thread")]
async fn probes_and_metrics_answer() {
    let data = tempfile::tempdir().unwrap();
    let server = Server::start(data.path());
    assert!(get(&server.http, "/live").starts_with("HTTP/1.1 200"));
    assert!(get(&server.http, "/ready").starts_with("HTTP/1.1 200"));
    let client = server.client().await;
    client
        .batch_execute("CREATE TABLE t (a INT); INSERT INTO t VALUES (1), (2)")
        .await
        .unwrap();
    client
        .batch_execute("CREATE STREAMING VIEW v AS SELECT a FROM t WHERE a > 1")
        .await
        .unwrap();
    client.batch_execute("FLUSH").await.unwrap();
    let metrics = get(&server.http, "/metrics");
    assert!(
        metrics.contains("# HELP rtsap_runtime_rows_in_total"),
        "{metrics}"
    );
    assert!(
        metrics.contains("rtsap_runtime_rows_in_total{view=\"v\"} 2"),
        "{metrics}"
    );
    assert!(get(&server.http, "/api/v1/status").contains("\"name\":\"v\""));
    assert!(get(&server.http, "/").contains("<title>RTSAP</title>"));
}

#[tokio::test(flavor = "multi_thread")]
async fn acknowledged_inserts_survive_kill_9() {
    let data = tempfile::tempdir().unwrap();
    let mut server = Server::start(data.path());
    let client = server.client().await;
    client
        .batch_execute("CREATE TABLE t (k TEXT PRIMARY KEY, v INT)")
        .await
        .unwrap();
    client
        .batch_execute("CREATE STREAMING VIEW s AS SELECT count(*) AS n FROM t")
        .await
        .unwrap();
    for number in 0..20 {
        let insert = format!("INSERT INTO t VALUES ('k{}', {number})", number % 7);
        client.batch_execute(&insert).await.unwrap();
    }
    server.kill();
    let server = Server::start(data.path());
    let client = server.client().await;
    let found = rows(&client, "SELECT k, v FROM t").await.unwrap();
    assert_eq!(
        found,
        [
            "k0|14", "k1|15", "k2|16", "k3|17", "k4|18", "k5|19", "k6|13"
        ]
    );
    client.batch_execute("FLUSH").await.unwrap();
    assert_eq!(rows(&client, "SELECT n FROM s").await.unwrap(), ["7"]);
}

#[test]
fn an_open_address_is_refused_with_a_hint() {
    let data = tempfile::tempdir().unwrap();
    let file = data.path().join("rtsap.toml");
    std::fs::write(&file, "[pg]\nlisten = '0.0.0.0:0'\n").unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_rtsap"));
    let output = command
        .args(["serve", "--config"])
        .arg(&file)
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(2));
    let text = String::from_utf8_lossy(&output.stderr);
    assert!(
        text.contains("without TLS") && text.contains("hint:"),
        "{text}"
    );
}

#[test]
fn help_names_every_option_and_its_default() {
    let mut command = Command::new(env!("CARGO_BIN_EXE_rtsap"));
    let output = command.args(["serve", "--help"]).output().unwrap();
    // Wherever the lines break.
    let text = String::from_utf8_lossy(&output.stdout);
    let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
    for option in [
        "--data-dir",
        "--pg-port",
        "--flight-port",
        "--http-port",
        "--config",
    ] {
        assert!(text.contains(option), "{option} is not in {text}");
    }
    assert!(text.contains("[default: 5433]"), "{text}");
}
