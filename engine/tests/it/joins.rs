//! Views that join two inputs: sources read by several views at once, late views, restarts.

use crate::harness::{Client, Harness};

const SOURCES: [&str; 2] = [
    "CREATE SOURCE trades (symbol TEXT, price DOUBLE PRECISION, size DOUBLE PRECISION, \
     ts TIMESTAMP(6), WATERMARK FOR ts AS ts - INTERVAL '1' SECOND) \
     WITH ('connector' = 'datagen', 'kind' = 'trades', 'number-of-rows' = '3000', 'seed' = '7', \
           'rows-per-second' = '100', 'symbols' = '5', 'pace' = 'none', 'splits' = '2', 'disorder' = '1s')",
    "CREATE SOURCE quotes (symbol TEXT, bid DOUBLE PRECISION, ask DOUBLE PRECISION, \
     ts TIMESTAMP(6), WATERMARK FOR ts AS ts - INTERVAL '1' SECOND) \
     WITH ('connector' = 'datagen', 'kind' = 'quotes', 'number-of-rows' = '4000', 'seed' = '8', \
           'rows-per-second' = '150', 'symbols' = '5', 'pace' = 'none', 'splits' = '3', 'disorder' = '1s')",
];

const INTERVAL: &str = "SELECT t.symbol, t.ts, t.price, q.bid, q.ts AS quoted \
     FROM t{0} t JOIN t{1} q ON t.symbol = q.symbol \
      AND q.ts BETWEEN t.ts - INTERVAL '200' MILLISECOND AND t.ts";

fn over(query: &str, names: [&str; 2]) -> String {
    query.replace("t{0}", names[0]).replace("t{1}", names[1])
}

/// What the last row before each trade is, said without ASOF.
const LAST_BEFORE: &str = "SELECT t.symbol, t.ts, t.price, max(q.ts) AS quoted \
     FROM all_trades t JOIN all_quotes q ON t.symbol = q.symbol AND q.ts <= t.ts \
     GROUP BY t.symbol, t.ts, t.price";

async fn same(client: &mut Client, a: &str, b: &str) {
    for (one, other) in [(a, b), (b, a)] {
        let sql = format!("SELECT count(*) FROM ({one} EXCEPT ALL {other})");
        assert_eq!(client.ok(&sql).await, "0", "{sql}");
    }
}

#[tokio::test]
async fn a_late_view_of_two_sources_sees_every_row_of_both() {
    let harness = Harness::new().await;
    let mut client = harness.session();
    for source in SOURCES {
        client.ok(source).await;
    }
    // The readers of both sources are under way, or done, when the joins come.
    for name in ["trades", "quotes"] {
        client
            .ok(&format!(
                "CREATE STREAMING VIEW all_{name} AS SELECT * FROM {name}"
            ))
            .await;
    }
    let interval = over(INTERVAL, ["trades", "quotes"]);
    client
        .ok(&format!("CREATE STREAMING VIEW early AS {interval}"))
        .await;
    client.ok("FLUSH").await;
    client
        .ok(&format!("CREATE STREAMING VIEW near AS {interval}"))
        .await;
    client
        .ok(
            "CREATE STREAMING VIEW marked AS SELECT t.symbol, t.ts, t.price, q.ts AS quoted \
             FROM trades t ASOF JOIN quotes q ON t.symbol = q.symbol AND t.ts >= q.ts",
        )
        .await;
    client.ok("FLUSH").await;
    assert_eq!(client.ok("SELECT count(*) FROM all_trades").await, "3000");
    let expected = over(INTERVAL, ["all_trades", "all_quotes"]);
    assert_ne!(client.ok("SELECT count(*) FROM near").await, "0");
    same(&mut client, "SELECT * FROM near", &expected).await;
    same(&mut client, "SELECT * FROM early", &expected).await;
    same(&mut client, "SELECT * FROM marked", LAST_BEFORE).await;
    let ledger = "SELECT count(*) FROM rtsap_catalog.ledger WHERE NOT balances";
    assert_eq!(client.ok(ledger).await, "0");
    assert_eq!(client.ok("SELECT count(*) FROM \"near$late\"").await, "0");
}

#[tokio::test]
async fn a_restart_keeps_rows_that_wait_for_a_partner() {
    let harness = Harness::new().await;
    let mut client = harness.session();
    for sql in [
        "CREATE TABLE l (k BIGINT, ts TIMESTAMP(3), WATERMARK FOR ts AS ts)",
        "CREATE TABLE r (k BIGINT, v BIGINT, ts TIMESTAMP(3), WATERMARK FOR ts AS ts)",
        "CREATE TABLE names (k BIGINT PRIMARY KEY, name TEXT)",
        "CREATE STREAMING VIEW near AS SELECT l.k, r.v FROM l LEFT JOIN r ON l.k = r.k \
         AND r.ts BETWEEN l.ts AND l.ts + INTERVAL '10' SECOND",
        "CREATE STREAMING VIEW marked AS SELECT l.k, r.v FROM l LEFT ASOF JOIN r \
         ON l.k = r.k AND l.ts >= r.ts",
        "CREATE STREAMING VIEW named AS SELECT r.v, n.name FROM r LEFT JOIN names n ON r.k = n.k",
        "INSERT INTO l VALUES (1, '2024-01-02 10:00:00'), (2, '2024-01-02 10:00:05')",
        "INSERT INTO r VALUES (1, 10, '2024-01-02 10:00:00'), (1, 11, '2024-01-02 10:00:02')",
        "INSERT INTO names VALUES (1, 'one')",
        "FLUSH",
    ] {
        client.ok(sql).await;
    }
    drop(client);
    let harness = harness.restart().await;
    let mut client = harness.session();
    for sql in [
        "INSERT INTO r VALUES (2, 20, '2024-01-02 10:00:05'), (1, 12, '2024-01-02 10:00:09')",
        "INSERT INTO names VALUES (1, 'uno'), (2, 'due')",
        "INSERT INTO l VALUES (9, '2024-01-02 10:01:00')",
        "INSERT INTO r VALUES (9, 90, '2024-01-02 10:01:30')",
        "INSERT INTO l VALUES (9, '2024-01-02 10:01:30')",
        "FLUSH",
    ] {
        client.ok(sql).await;
    }
    let near = client.ok("SELECT * FROM near ORDER BY k, v").await;
    assert_eq!(near, "1|10\n1|11\n1|12\n2|20\n9|90\n9|");
    let marked = client.ok("SELECT * FROM marked ORDER BY k, v").await;
    assert_eq!(marked, "1|10\n2|20\n9|");
    let named = client.ok("SELECT * FROM named ORDER BY v").await;
    assert_eq!(named, "10|uno\n11|uno\n12|uno\n20|due\n90|");
}
