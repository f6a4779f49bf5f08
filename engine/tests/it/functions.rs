//! Every documented function in a streaming view: over rows that come in pieces, with a restart
//! between them, it shows what a `SELECT` computes over all rows at once.
//!
//! The views are the examples of the function reference, so a new function is in here by having
//! one.

use std::collections::{BTreeMap, BTreeSet};

use rtsap_udfs::{FunctionDoc, FunctionKind, FunctionRegistry};

use crate::harness::{Client, Harness};

/// The relations of the examples.
const RELATIONS: [&str; 3] = [
    "CREATE TABLE trades (symbol TEXT, ts TIMESTAMP(6), price DOUBLE PRECISION, \
     size DOUBLE PRECISION, WATERMARK FOR ts AS ts)",
    "CREATE TABLE quotes (symbol TEXT, ts TIMESTAMP(6), bid DOUBLE PRECISION, \
     ask DOUBLE PRECISION, bid_size DOUBLE PRECISION, ask_size DOUBLE PRECISION, \
     WATERMARK FOR ts AS ts)",
    "CREATE STREAMING VIEW bars AS SELECT symbol, ts, candlestick(ts, price, price + 0.5, \
     price - 0.5, price, size) AS candle FROM trades",
];

/// Rows of each table: more than any example needs before its first value.
const ROWS: usize = 260;

/// Views that one engine runs.
const VIEWS_MAX: usize = 130;

/// Rows after all others, without values: they move the watermark past them.
const LAST: [&str; 2] = ["2030-01-01T00:00:00", "2031-01-01T00:00:00"];

/// What an example becomes.
struct View {
    name: &'static str,
    query: String,
}

/// Each example once, under its shortest name.
fn examples() -> Vec<FunctionDoc> {
    let mut docs = FunctionRegistry::with_builtins().docs;
    docs.sort_by_key(|doc| (doc.name.len(), doc.name));
    let mut seen = BTreeSet::new();
    docs.retain(|doc| seen.insert(doc.example));
    docs.sort_by_key(|doc| doc.name);
    docs
}

/// The same query in windows of a minute.
fn windowed(query: &str) -> String {
    let mut query = query.replacen("SELECT ", "SELECT window_start, window_end, ", 1);
    for table in ["trades", "quotes", "bars"] {
        let window = format!("FROM TUMBLE(TABLE {table}, DESCRIPTOR(ts), INTERVAL '1' MINUTE)");
        query = query.replace(&format!("FROM {table}"), &window);
    }
    match query.contains("GROUP BY ") {
        true => query.replace("GROUP BY ", "GROUP BY window_start, window_end, "),
        false => format!("{query} GROUP BY window_start, window_end"),
    }
}

/// A value, or none of the ways not to have one.
fn number(row: usize, salt: usize, value: f64) -> String {
    match (row * 31 + salt * 17) % 53 {
        0 => "NULL".to_owned(),
        1 => "CAST('NaN' AS DOUBLE PRECISION)".to_owned(),
        2 => "CAST('Infinity' AS DOUBLE PRECISION)".to_owned(),
        _ => format!("{value:?}"),
    }
}

/// Rows `from..to` of both tables.
async fn insert(client: &mut Client, from: usize, to: usize) {
    let (mut trades, mut quotes) = (Vec::new(), Vec::new());
    for row in from..to {
        let (at, symbol) = (row as f64, ["A", "B"][row % 7 % 2]);
        let ts = format!(
            "'2026-03-02 15:{:02}:{:02}.{:06}'",
            row / 60,
            row % 60,
            row * 7 % 1_000_000
        );
        let price = 10.0 + 2.0 * (at * 0.37).sin() + (row % 5) as f64 * 0.01;
        let size = (1 + row % 7) as f64;
        trades.push(format!(
            "('{symbol}', {ts}, {}, {})",
            number(row, 0, price),
            number(row, 1, size)
        ));
        quotes.push(format!(
            "('{symbol}', {ts}, {}, {}, {}, {})",
            number(row, 2, price - 0.05),
            number(row, 3, price + 0.05 + (row % 3) as f64 * 0.01),
            number(row, 4, size + 1.0),
            number(row, 5, (2 + row % 4) as f64)
        ));
    }
    let trades = trades.join(", ");
    client
        .ok(&format!("INSERT INTO trades VALUES {trades}"))
        .await;
    let quotes = quotes.join(", ");
    client
        .ok(&format!("INSERT INTO quotes VALUES {quotes}"))
        .await;
    client.ok("FLUSH").await;
}

/// The rows of a query in order, without the last ones.
async fn rows(client: &mut Client, query: &str) -> Vec<String> {
    let answer = client.ok(query).await;
    let is_last = |line: &str| LAST.iter().any(|last| line.contains(&last[..16]));
    let lines = answer.lines().filter(|line| !is_last(line));
    let mut lines: Vec<String> = lines.map(str::to_owned).collect();
    lines.sort_unstable();
    lines
}

/// Whether two rows say the same: numbers up to a billionth.
fn same(found: &str, expected: &str) -> bool {
    let cells = |line: &str| -> Vec<String> {
        let cells = line.split(|c: char| "|,{}[]() ".contains(c));
        cells.map(str::to_owned).collect()
    };
    let (found, expected) = (cells(found), cells(expected));
    let same = |(a, b): (&String, &String)| match (a.parse::<f64>(), b.parse::<f64>()) {
        _ if a == b => true,
        (Ok(a), Ok(b)) => (a - b).abs() <= 1e-9 * a.abs().max(b.abs()).max(1e-2),
        _ => false,
    };
    found.len() == expected.len() && found.iter().zip(&expected).all(same)
}

/// Creates the views of some examples; those that are refused go into `refused`.
async fn create(
    client: &mut Client,
    docs: &[FunctionDoc],
    refused: &mut BTreeMap<&'static str, String>,
) -> Vec<View> {
    let mut views: Vec<View> = Vec::new();
    for doc in docs {
        let mut query = doc.example.to_owned();
        let create = |query: &str| format!("CREATE STREAMING VIEW f{} AS {query}", views.len());
        let mut made = client.run(&create(&query)).await;
        // Over a whole table what is no number makes some of them null, which says nothing.
        if made.is_ok() && client.ok(&query).await.is_empty() {
            client
                .ok(&format!("DROP STREAMING VIEW f{}", views.len()))
                .await;
            made = client.run("a view of nothing").await;
        }
        if made.is_err() && doc.kind != FunctionKind::Window {
            query = windowed(&query);
            made = client.run(&create(&query)).await;
        }
        match made {
            Ok(_) => views.push(View {
                name: doc.name,
                query,
            }),
            Err(error) => {
                refused.insert(doc.name, error.to_string());
            }
        }
    }
    views
}

/// Feeds rows in pieces, restarts, and compares; what differs goes into `failures`.
async fn check(
    docs: &[FunctionDoc],
    refused: &mut BTreeMap<&'static str, String>,
    failures: &mut Vec<String>,
) -> usize {
    let harness = Harness::new().await;
    let mut client = harness.session();
    for relation in RELATIONS {
        client.ok(relation).await;
    }
    insert(&mut client, 0, 40).await;
    let views = create(&mut client, docs, refused).await;
    insert(&mut client, 40, 41).await;
    insert(&mut client, 41, 130).await;
    drop(client);
    let harness = harness.restart().await;
    let mut client = harness.session();
    insert(&mut client, 130, 200).await;
    insert(&mut client, 200, ROWS).await;
    for last in LAST {
        let trade = format!("INSERT INTO trades VALUES ('A', '{last}', NULL, NULL)");
        client.ok(&trade).await;
        let quote = format!("INSERT INTO quotes VALUES ('A', '{last}', NULL, NULL, NULL, NULL)");
        client.ok(&quote).await;
        client.ok("FLUSH").await;
    }
    for (index, view) in views.iter().enumerate() {
        let found = rows(&mut client, &format!("SELECT * FROM f{index}")).await;
        let expected = rows(&mut client, &view.query).await;
        let (name, query) = (view.name, &view.query);
        let count = client.ok(&format!("SELECT count(*) FROM f{index}")).await;
        if found.is_empty() && expected.is_empty() && count == "1" {
            // Both are one row, which is null.
            continue;
        }
        if expected.is_empty() || found.len() != expected.len() {
            let (found, expected) = (found.len(), expected.len());
            failures.push(format!("{name}: {found} rows, not {expected}: {query}"));
            continue;
        }
        let mut pairs = found.iter().zip(&expected);
        if let Some((found, expected)) = pairs.find(|(found, expected)| !same(found, expected)) {
            failures.push(format!("{name}: {found}\n  not {expected}: {query}"));
        }
    }
    views.len()
}

#[tokio::test]
async fn every_function_gives_in_a_view_what_it_gives_over_all_rows() {
    let examples = examples();
    let (mut refused, mut failures, mut compared) = (BTreeMap::new(), Vec::new(), 0);
    for docs in examples.chunks(VIEWS_MAX) {
        compared += check(docs, &mut refused, &mut failures).await;
    }
    let count = failures.len();
    assert!(
        count == 0,
        "{count} of {compared} functions:\n{}",
        failures.join("\n")
    );
    // Over tables, whose rows are kept anyway, even those run that look at all rows before.
    assert!(refused.is_empty(), "{refused:#?}");
    assert_eq!(compared, examples.len());
}

/// What no view over a stream can run: its value depends on rows that come later, or on all rows
/// before.
const REFUSED_OVER_STREAMS: &[&str] = &[
    "crsi",
    "fisher",
    "frama",
    "ht_dcperiod",
    "ht_dcphase",
    "ht_phasor",
    "ht_sine",
    "ht_trendline",
    "ht_trendmode",
    "interpolate",
    "kvo",
    "mama",
    "mcgd",
    "sarext",
    "stc",
    "swak_bp",
    "vidya",
    "zigzag",
];

#[tokio::test]
async fn what_streams_refuse_is_known_by_name() {
    let harness = Harness::new().await;
    let mut client = harness.session();
    for relation in RELATIONS {
        let kind = match relation.contains("bid") {
            true => "quotes",
            false => "trades",
        };
        let source = relation.replace("CREATE TABLE", "CREATE SOURCE");
        let source = match source.starts_with("CREATE SOURCE") {
            true => format!(
                "{source} WITH ('connector' = 'datagen', 'kind' = '{kind}', \
                 'number-of-rows' = '1', 'pace' = 'none')"
            ),
            false => source,
        };
        client.ok(&source).await;
    }
    let mut refused = BTreeSet::new();
    for doc in examples() {
        if doc.kind != FunctionKind::Window {
            continue;
        }
        let view = format!("CREATE STREAMING VIEW over_stream AS {}", doc.example);
        if client.run(&view).await.is_ok() {
            client.ok("DROP STREAMING VIEW over_stream").await;
        } else {
            refused.insert(doc.name);
        }
    }
    let refused: Vec<&str> = refused.into_iter().collect();
    assert_eq!(refused, REFUSED_OVER_STREAMS);
}
