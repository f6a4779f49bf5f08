//! Rows a CPU-second of each function in a streaming view, beside the same query with `avg`.
//!
//! The queries are the examples of the function reference, over generated trades, quotes and bars
//! of the same names, so every function that the server lists is measured without a list here.
//! Aggregates that keep every row are measured in windows of a minute. What a view refuses is
//! counted, with its reason.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Serialize;
use serde_json::json;

use crate::Failure;
use crate::cli::{FunctionsArgs, Setting};
use crate::process;
use crate::report::Report;
use crate::server::Server;

/// What is measured once in so many functions, to follow the machine's mood.
const BASELINE_EVERY: usize = 25;

/// One tick of the clock of `/proc`: less than that is not told apart from nothing.
const CPU_SECONDS_LEAST: f64 = 0.01;

/// A moment for the server to come to rest before it is measured.
const REST: Duration = Duration::from_millis(300);

/// A function with its example.
struct Function {
    name: String,
    kind: String,
    example: String,
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
    let mut baselines: BTreeMap<String, f64> = BTreeMap::new();
    let (mut figures, mut refused) = (Vec::new(), BTreeMap::new());
    for (index, function) in functions.iter().enumerate() {
        if index % BASELINE_EVERY == 0 {
            baselines.clear();
        }
        let mut queries = (baseline(function), function.example.clone());
        let mut found = measured(&server, &queries.1, &function.kind, args)?;
        if found.is_err() && function.kind == "aggregate" {
            queries = (windowed(&queries.0), windowed(&queries.1));
            found = measured(&server, &queries.1, &function.kind, args)?;
        }
        let seconds = match found {
            Ok(seconds) => seconds,
            Err(reason) => {
                refused.insert(function.name.clone(), reason);
                continue;
            }
        };
        if !baselines.contains_key(&queries.0) {
            let yardstick = measured(&server, &queries.0, &function.kind, args)?;
            baselines.insert(queries.0.clone(), yardstick?);
        }
        figures.push(Figure {
            name: function.name.clone(),
            kind: function.kind.clone(),
            rows_per_cpu_second: args.rows as f64 / seconds,
            ratio: baselines.get(&queries.0).copied().unwrap_or(f64::NAN) / seconds,
        });
    }
    table(&mut report, &figures, refused.len());
    let figures = json!({ "rows": args.rows, "figures": figures, "refused": refused });
    report.end(setting, figures)
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

/// The functions of ours, each once.
fn listed(server: &Server, args: &FunctionsArgs) -> Result<Vec<Function>, Failure> {
    let rows = server.query(
        "SELECT name, kind, example FROM rtsap_catalog.functions WHERE example IS NOT NULL \
         AND name NOT LIKE 'ta\\_%' AND example LIKE '%FROM %' ORDER BY kind, name",
    )?;
    let mut functions = Vec::new();
    for row in &rows {
        let function = Function {
            name: row.try_get(0)?,
            kind: row.try_get(1)?,
            example: row.try_get(2)?,
        };
        let wanted = args.only.is_empty() || args.only.contains(&function.name);
        if wanted {
            functions.push(function);
        }
    }
    Ok(functions.into_iter().step_by(args.every.get()).collect())
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
    match function.kind.as_str() {
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

/// CPU-seconds of the server from the view's creation until it has seen all rows; the best of some
/// rounds, which other work on the machine can only make worse. The reason if the view is refused.
///
/// # Errors
/// If the view does not see all rows.
fn measured(
    server: &Server,
    query: &str,
    kind: &str,
    args: &FunctionsArgs,
) -> Result<Result<f64, String>, Failure> {
    let mut best = f64::INFINITY;
    let rows = i64::try_from(args.rows)?;
    let create = format!("CREATE STREAMING VIEW measured AS {query}");
    for _ in 0..args.rounds {
        std::thread::sleep(REST);
        let before = process::cpu_seconds(server.id())?;
        if let Err(refusal) = server.execute(&create) {
            let text = refusal.to_string();
            let reason = text.strip_prefix(&create).unwrap_or(&text);
            let reason = reason.trim_start_matches(": ").lines().next();
            return Ok(Err(reason.unwrap_or_default().to_owned()));
        }
        server.wait_for(
            "SELECT rows_in FROM rtsap_catalog.ledger WHERE view = 'measured'",
            rows,
        )?;
        if kind == "window" {
            server.wait_for("SELECT count(*) FROM measured", rows)?;
        }
        let seconds = process::cpu_seconds(server.id())? - before;
        best = best.min(seconds.max(CPU_SECONDS_LEAST));
        server.execute("DROP STREAMING VIEW measured")?;
    }
    Ok(Ok(best))
}

fn table(report: &mut Report, figures: &[Figure], refused: usize) {
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
        "{} functions: ratio to avg {:.2} at the median, {:.2} at the tenth of the slowest; \
         {refused} are refused in views",
        figures.len(),
        at(0.5),
        at(0.1)
    ));
}
