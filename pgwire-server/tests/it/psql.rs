//! psql itself, where it is installed: its commands that read the catalog, and its errors.

use std::process::Command;

use crate::harness::Harness;

/// What psql prints for `input`, errors after answers; `None` without psql.
async fn psql(harness: &Harness, input: &'static str) -> Option<String> {
    let port = harness.address.port().to_string();
    let run = move || {
        Command::new("psql")
            .args([
                "-X",
                "-h",
                "127.0.0.1",
                "-p",
                &port,
                "-U",
                "rtsap",
                "-d",
                "rtsap",
                "-c",
                input,
            ])
            .output()
    };
    let Ok(output) = tokio::task::spawn_blocking(run).await.unwrap() else {
        eprintln!("SKIPPED: psql is not installed");
        return None;
    };
    let text = [output.stdout, output.stderr].concat();
    Some(String::from_utf8(text).unwrap())
}

/// Each command answers with its words, and without an error.
async fn shows(harness: &Harness, wanted: &[(&'static str, &[&str])]) {
    for (command, words) in wanted {
        let Some(answer) = psql(harness, command).await else {
            return;
        };
        for word in *words {
            assert!(answer.contains(word), "{command} without {word}:\n{answer}");
        }
        assert!(!answer.contains("ERROR"), "{command}:\n{answer}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn psql_describes_what_there_is() {
    let harness = Harness::new().await;
    let client = harness.client().await;
    client
        .batch_execute("CREATE TABLE trades (symbol TEXT NOT NULL, price DOUBLE PRECISION)")
        .await
        .unwrap();
    let view =
        "CREATE STREAMING VIEW counts AS SELECT symbol, count(*) AS n FROM trades GROUP BY symbol";
    client.batch_execute(view).await.unwrap();
    let wanted: [(&'static str, &[&str]); 6] = [
        ("\\d", &["trades", "counts"]),
        ("\\dt", &["trades"]),
        (
            "\\d trades",
            &["symbol", "text", "not null", "double precision"],
        ),
        ("\\d counts", &["symbol", "n", "bigint"]),
        ("\\l", &["rtsap"]),
        ("\\conninfo", &["rtsap"]),
    ];
    shows(&harness, &wanted).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn psql_lists_functions() {
    let harness = Harness::new().await;
    let client = harness.client().await;
    let function = "CREATE FUNCTION half_spread(bid DOUBLE PRECISION, ask DOUBLE PRECISION) \
                    RETURNS DOUBLE PRECISION LANGUAGE SQL AS 'SELECT (ask - bid) / 2'; \
                    COMMENT ON FUNCTION half_spread IS 'Half of what lies between bid and ask.'";
    client.batch_execute(function).await.unwrap();
    let wanted: [(&'static str, &[&str]); 9] = [
        ("\\df", &["half_spread", "vwap", "rsi", "kyle_lambda"]),
        (
            "\\df half_spread",
            &[
                "public",
                "double precision",
                "bid double precision, ask double precision",
                "func",
                "(1 row)",
            ],
        ),
        (
            "\\df+ half_spread",
            &[
                "Half of what lies between bid and ask.",
                "SELECT (ask - bid) / 2",
                "sql",
                "immutable",
            ],
        ),
        // Of an aggregate and a window function: signature, description and formula.
        ("\\df vwap", &["agg", "func", "price, size", "(2 rows)"]),
        (
            "\\df+ rsi",
            &[
                "window",
                "value [, timeperiod = 14]",
                "Relative Strength Index.",
                "TA-Lib RSI over the rows with values",
            ],
        ),
        (
            "\\df stddev_*",
            &["stddev_x", "stddev_y", "method = 'sample'"],
        ),
        ("\\dfa kyle*", &["kyle_lambda", "agg", "(1 row)"]),
        ("\\dfw rs?", &["rsi", "window", "(1 row)"]),
        (
            "SHOW FUNCTIONS LIKE 'half_s%'",
            &["half_spread", "CREATE FUNCTION", "(1 row)"],
        ),
    ];
    shows(&harness, &wanted).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn psql_points_at_the_mistake() {
    let harness = Harness::new().await;
    let client = harness.client().await;
    client
        .batch_execute("CREATE TABLE trades (symbol TEXT, price DOUBLE PRECISION)")
        .await
        .unwrap();
    let Some(answer) = psql(&harness, "SELECT prize FROM trades").await else {
        return;
    };
    assert!(
        answer.contains("LINE 1: SELECT prize FROM trades\n               ^"),
        "{answer}"
    );
    assert!(answer.contains("HINT:"), "{answer}");
}
