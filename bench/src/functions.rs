//! Rows a CPU-second of each function in a streaming view, beside the same query with `avg`.
//!
//! The queries are the examples of the function reference, over generated trades, quotes and bars
//! of the same names, so every function that the server lists is measured without a list here;
//! names of one function that share an example are measured once. Aggregates that keep every row
//! are measured in windows of a minute. What a view refuses is named, with its reason.
//!
//! A few functions at a time are measured in rounds, and in each of them the queries that they are
//! compared with: what else the machine does meets both.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde::Serialize;
use serde_json::json;

use crate::Failure;
use crate::cli::{FunctionsArgs, Setting};
use crate::process;
use crate::report::Report;
use crate::server::Server;

/// How many functions are measured side by side, with what they are compared with.
const SIDE_BY_SIDE: usize = 8;

/// One tick of the clock of `/proc`: less than that is not told apart from nothing.
const CPU_SECONDS_LEAST: f64 = 0.01;

/// A moment for the server to come to rest before it is measured.
const REST: Duration = Duration::from_millis(100);

/// A function with its example.
struct Function {
    name: String,
    kind: String,
    example: String,
    /// Whether a function of one row reads what an aggregate gives.
    reads_aggregate: bool,
}

impl Function {
    /// What its query is: `scalar`, `aggregate` or `window`.
    fn form(&self) -> &str {
        match self.kind.as_str() {
            "scalar" if self.reads_aggregate => "aggregate",
            kind => kind,
        }
    }
}

/// What one function came to.
#[derive(Debug, Serialize)]
struct Figure {
    name: String,
    kind: String,
    rows_per_cpu_second: f64,
    /// Rows a CPU-second over those of `avg` in the same form.
    ratio: f64,
}

/// `rtsap-bench functions`.
///
/// # Errors
/// If something does not run, or a view does not see all rows.
pub fn run(setting: &Setting, args: &FunctionsArgs) -> Result<(), Failure> {
    let mut report = Report::begin("functions");
    let server = Server::start(setting)?;
    define(&server, args)?;
    let functions = listed(&server, args)?;
    report.progress(&format!(
        "{} functions, {} rows each",
        functions.len(),
        args.rows
    ));
    let (mut figures, mut refused) = (Vec::new(), BTreeMap::new());
    let mut done = 0;
    for group in functions.chunks(SIDE_BY_SIDE) {
        figures.extend(side_by_side(&server, group, args, &mut refused)?);
        done += group.len();
        report.progress(&format!("{done} of {}", functions.len()));
    }
    table(&mut report, &figures, &refused);
    let figures = json!({ "rows": args.rows, "figures": figures, "refused": refused });
    report.end(setting, figures)
}

/// Measures some functions in rounds, and what they are compared with in each round.
fn side_by_side(
    server: &Server,
    functions: &[Function],
    args: &FunctionsArgs,
    refused: &mut BTreeMap<String, String>,
) -> Result<Vec<Figure>, Failure> {
    let mut runs: Vec<(&Function, String, String)> = Vec::new();
    for function in functions {
        let mut queries = (function.example.clone(), baseline(function));
        let mut tried = refusal(server, &queries.0)?;
        if tried.is_some() && function.form() == "aggregate" {
            queries = (windowed(&queries.0), windowed(&queries.1));
            tried = refusal(server, &queries.0)?;
        }
        match tried {
            Some(reason) => {
                refused.insert(function.name.clone(), reason);
            }
            None => runs.push((function, queries.0, queries.1)),
        }
    }
    // CPU-seconds by query: the best of the rounds, which other work can only make worse.
    let mut best: BTreeMap<&str, f64> = BTreeMap::new();
    for _ in 0..args.rounds {
        let mut seen = BTreeSet::new();
        for (function, query, yardstick) in &runs {
            for query in [query, yardstick] {
                if seen.insert(query) {
                    let seconds = measured(server, query, function.form(), args)?;
                    let least = best.entry(query).or_insert(f64::INFINITY);
                    *least = least.min(seconds);
                }
            }
        }
    }
    let seconds = |query: &String| best.get(query.as_str()).copied().unwrap_or(f64::NAN);
    let figures = runs.iter().map(|(function, query, yardstick)| Figure {
        name: function.name.clone(),
        kind: function.kind.clone(),
        rows_per_cpu_second: args.rows as f64 / seconds(query),
        ratio: seconds(yardstick) / seconds(query),
    });
    Ok(figures.collect())
}

/// Sources and bars under the names of the examples.
fn define(server: &Server, args: &FunctionsArgs) -> Result<(), Failure> {
    let source = |name: &str, columns: &str, kind: &str| {
        format!(
            "CREATE SOURCE {name} (symbol TEXT NOT NULL, {columns}, \
             ts TIMESTAMP(6) WITH TIME ZONE NOT NULL, \
             WATERMARK FOR ts AS ts - INTERVAL '1' SECOND) WITH ('connector' = 'datagen', \
             'kind' = '{kind}', 'symbols' = '20', 'rows-per-second' = '1000', \
             'number-of-rows' = '{}', 'start-time' = '2026-03-02T14:30:00Z', 'pace' = 'none')",
            args.rows
        )
    };
    server.execute(&source(
        "trades",
        "price DOUBLE PRECISION, size BIGINT, side TEXT",
        "trades",
    ))?;
    let quotes = "bid DOUBLE PRECISION, ask DOUBLE PRECISION, bid_size BIGINT, ask_size BIGINT";
    server.execute(&source("quotes", quotes, "quotes"))?;
    // A bar a trade: as many rows as the others have.
    server.execute(
        "CREATE STREAMING VIEW bars AS SELECT symbol, ts, \
         candlestick(ts, price, price + 0.5, price - 0.5, price, CAST(size AS DOUBLE PRECISION)) \
         AS candle FROM trades",
    )?;
    let rows = i64::try_from(args.rows)?;
    server.wait_for(
        "SELECT used FROM rtsap_catalog.ledger WHERE view = 'bars'",
        rows,
    )
}

/// The functions of ours, each once under its shortest name.
fn listed(server: &Server, args: &FunctionsArgs) -> Result<Vec<Function>, Failure> {
    let rows = server.query(
        "SELECT name, kind, example FROM rtsap_catalog.functions WHERE example LIKE '%FROM %' \
         ORDER BY kind, length(name), name",
    )?;
    let mut functions: Vec<Function> = Vec::new();
    let mut seen = BTreeSet::new();
    for row in &rows {
        let (name, kind): (String, String) = (row.try_get(0)?, row.try_get(1)?);
        let example: String = row.try_get(2)?;
        let wanted = args.only.is_empty() || args.only.contains(&name);
        if wanted && seen.insert((kind.clone(), example.clone())) {
            functions.push(Function {
                name,
                kind,
                example,
                reads_aggregate: false,
            });
        }
    }
    functions.sort_by(|a, b| (&a.kind, &a.name).cmp(&(&b.kind, &b.name)));
    let aggregates =
        server.query("SELECT name FROM rtsap_catalog.functions WHERE kind = 'aggregate'")?;
    for row in &aggregates {
        let call = format!("{}(", row.try_get::<_, String>(0)?);
        for function in &mut functions {
            let begins = |(at, _): (usize, &str)| !is_word(&function.example[..at]);
            let calls = function.example.match_indices(&call).any(begins);
            // vwap(candle) reads a field of a bar.
            function.reads_aggregate |= calls && !function.example.ends_with("FROM bars");
        }
    }
    Ok(functions.into_iter().step_by(args.every.get()).collect())
}

/// Whether a text ends inside of a word.
fn is_word(text: &str) -> bool {
    text.ends_with(|c: char| c.is_alphanumeric() || c == '_')
}

/// The same query with `avg`, or without a call for functions of one row.
fn baseline(function: &Function) -> String {
    let table = ["bars", "quotes"]
        .into_iter()
        .find(|table| function.example.contains(&format!("FROM {table}")));
    let (table, column) = match table {
        Some("bars") => ("bars", "open(candle)"),
        Some(quotes) => (quotes, "bid"),
        None => ("trades", "price"),
    };
    match function.form() {
        "window" => format!(
            "SELECT symbol, ts, avg({column}) OVER (PARTITION BY symbol ORDER BY ts) FROM {table}"
        ),
        "aggregate" => format!("SELECT symbol, avg({column}) FROM {table} GROUP BY symbol"),
        _ => format!("SELECT symbol, {column} FROM {table}"),
    }
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

/// Why a view of this query is refused, if it is.
fn refusal(server: &Server, query: &str) -> Result<Option<String>, Failure> {
    let create = format!("CREATE STREAMING VIEW measured AS {query}");
    if let Err(refusal) = server.execute(&create) {
        let text = refusal.to_string();
        let reason = text.strip_prefix(&create).unwrap_or(&text);
        let reason = reason.trim_start_matches(": ").lines().next();
        return Ok(Some(reason.unwrap_or_default().to_owned()));
    }
    server.execute("DROP STREAMING VIEW measured")?;
    Ok(None)
}

/// CPU-seconds of the server from the view's creation until it has seen all rows.
///
/// # Errors
/// If the view does not see all rows.
fn measured(
    server: &Server,
    query: &str,
    form: &str,
    args: &FunctionsArgs,
) -> Result<f64, Failure> {
    let rows = i64::try_from(args.rows)?;
    std::thread::sleep(REST);
    let before = process::cpu_seconds(server.id())?;
    server.execute(&format!("CREATE STREAMING VIEW measured AS {query}"))?;
    server.wait_for(
        "SELECT rows_in FROM rtsap_catalog.ledger WHERE view = 'measured'",
        rows,
    )?;
    if form == "window" {
        server.wait_for("SELECT count(*) FROM measured", rows)?;
    }
    let seconds = process::cpu_seconds(server.id())? - before;
    server.execute("DROP STREAMING VIEW measured")?;
    Ok(seconds.max(CPU_SECONDS_LEAST))
}

fn table(report: &mut Report, figures: &[Figure], refused: &BTreeMap<String, String>) {
    report.line(format!(
        "{:<24} {:<10} {:>14} {:>8}",
        "function", "kind", "rows/CPU-s", "/ avg"
    ));
    for figure in figures {
        report.line(format!(
            "{:<24} {:<10} {:>14.0} {:>8.2}",
            figure.name, figure.kind, figure.rows_per_cpu_second, figure.ratio
        ));
    }
    let mut ratios: Vec<f64> = figures.iter().map(|figure| figure.ratio).collect();
    ratios.sort_by(f64::total_cmp);
    let at = |share: f64| {
        let place = (share * ratios.len().saturating_sub(1) as f64).round() as usize;
        ratios.get(place).copied().unwrap_or(f64::NAN)
    };
    report.line(format!(
        "{} functions: ratio to avg {:.2} at the median, {:.2} at the tenth of the slowest",
        figures.len(),
        at(0.5),
        at(0.1)
    ));
    let names: Vec<&str> = refused.keys().map(String::as_str).collect();
    report.line(format!(
        "{} are refused in views: {}",
        names.len(),
        names.join(", ")
    ));
}
