//! One-second candles from a topic (workload W1): the server's rows per CPU-second beside those of
//! a bare consumer of the same topic and of DuckDB over the same bytes, in alternating rounds.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;
use std::time::{Instant, UNIX_EPOCH};

use serde_json::{Value, json};

use crate::Failure;
use crate::bare::{self, Reading};
use crate::cli::{CandlesArgs, Setting};
use crate::duckdb;
use crate::report::Report;
use crate::server::{self, Server};
use crate::statistics::Spread;
use crate::topic::{Broker, Topic};
use crate::trades::{self, Activity, Candle, Candles, START_US, Trades};

mod compare;

use compare::compare;

/// Event time between two trades: 100,000 trades are a second.
const STEP_US: i64 = 10;

/// What the rounds run on.
struct Material<'a> {
    setting: &'a Setting,
    args: &'a CandlesArgs,
    broker: &'a Broker,
    topic: &'a Topic<'a>,
    lines: &'a Path,
    scratch: &'a Path,
    expected: &'a Candles,
}

/// What all rounds took, each in order.
#[derive(Default)]
struct Readings {
    server: Vec<Reading>,
    bare: Vec<Reading>,
    duckdb: Vec<Reading>,
    duckdb_version: Option<String>,
}

/// `rtsap-bench candles`.
///
/// # Errors
/// If something does not run, or gives other candles than the oracle.
pub fn run(setting: &Setting, args: &CandlesArgs) -> Result<(), Failure> {
    let mut report = Report::begin("candles");
    let broker = Broker::start(setting)?;
    let scratch = server::directory(setting)?;
    let lines = scratch.path().join("trades.json");
    report.progress(&format!("writing {} trades", args.rows));
    let (expected, partition_of) = write_trades(args, &lines)?;
    let topic = broker.create("candles", args.partitions)?;
    let loaded = topic.load(&lines, &partition_of)?;
    if loaded != args.rows {
        return Err(format!("{loaded} of {} trades were produced", args.rows).into());
    }
    let material = Material {
        setting,
        args,
        broker: &broker,
        topic: &topic,
        lines: &lines,
        scratch: scratch.path(),
        expected: &expected,
    };
    let mut readings = Readings::default();
    for round in 0..args.rounds {
        report.progress(&format!("round {} of {}", round + 1, args.rounds));
        // Each is first, second and last in turn.
        for place in 0..3 {
            match (round + place) % 3 {
                0 => readings.server.push(material.server()?),
                1 => readings.bare.push(material.bare()?),
                _ => material.duckdb(&mut readings)?,
            }
        }
    }
    let bytes = std::fs::metadata(&lines)?.len();
    describe(&mut report, &material, &readings, bytes);
    report.end(setting, figures(&material, &readings, bytes))
}

/// Writes the trades as lines; returns their candles and the partition of each.
fn write_trades(args: &CandlesArgs, lines: &Path) -> Result<(Candles, Vec<i32>), Failure> {
    let mut out = BufWriter::with_capacity(1 << 20, File::create(lines)?);
    let mut market = Trades::new(args.symbols, Activity::Zipf);
    let mut expected = Candles::new();
    let mut partition_of = Vec::new();
    let mut line = Vec::new();
    for number in 0..args.rows {
        let ts_us = START_US + i64::try_from(number)? * STEP_US;
        let trade = market.next(ts_us);
        line.clear();
        market.write_json(&trade, &mut line);
        line.push(b'\n');
        out.write_all(&line)?;
        trades::add(&mut expected, market.name(trade.symbol), &trade);
        partition_of.push(i32::try_from(trade.symbol)? % args.partitions);
    }
    out.flush()?;
    trades::finish(&mut expected);
    Ok((expected, partition_of))
}

impl Material<'_> {
    /// A new server reads the topic once, from `CREATE STREAMING VIEW` until every trade is seen.
    fn server(&self) -> Result<Reading, Failure> {
        let server = Server::start(self.setting)?;
        server.execute(&server::source(
            &self.broker.servers,
            &self.topic.name,
            true,
        ))?;
        let rows = i64::try_from(self.args.rows)?;
        let (cpu, wall) = (server.cpu_seconds()?, Instant::now());
        server.execute(&server::candle_view("'1' SECOND", "", self.args.emit))?;
        server.wait_for("SELECT rows FROM rtsap_catalog.sources", rows)?;
        server.wait_for("SELECT CAST(sum(trades) AS BIGINT) FROM candles", rows)?;
        let reading = Reading {
            rows: self.args.rows,
            cpu_seconds: server.cpu_seconds()? - cpu,
            wall_seconds: wall.elapsed().as_secs_f64(),
        };
        compare("the server", self.expected, &answer(&server)?)?;
        Ok(reading)
    }

    fn bare(&self) -> Result<Reading, Failure> {
        bare::measure(&self.broker.servers, &self.topic.name, self.args.rows)
    }

    fn duckdb(&self, readings: &mut Readings) -> Result<(), Failure> {
        let Some(python) = &self.setting.python else {
            return Ok(());
        };
        let answer = duckdb::measure(python, self.lines, self.scratch)?;
        compare("DuckDB", self.expected, &answer.candles)?;
        readings.duckdb.push(answer.reading);
        readings.duckdb_version = Some(answer.version);
        Ok(())
    }
}

/// The candles that the server serves.
fn answer(server: &Server) -> Result<Candles, Failure> {
    let rows = server.query(
        "SELECT window_start, symbol, open, high, low, close, CAST(volume AS BIGINT), vwap, \
         trades FROM candles",
    )?;
    let mut candles = Candles::new();
    for row in rows {
        let start: std::time::SystemTime = row.try_get(0)?;
        let window_us = i64::try_from(start.duration_since(UNIX_EPOCH)?.as_micros())?;
        let candle = Candle {
            open: row.try_get(2)?,
            high: row.try_get(3)?,
            low: row.try_get(4)?,
            close: row.try_get(5)?,
            volume: row.try_get(6)?,
            vwap: row.try_get(7)?,
            trades: row.try_get(8)?,
        };
        candles.insert((window_us, row.try_get(1)?), candle);
    }
    Ok(candles)
}

fn rows_per_cpu_second(reading: &Reading) -> f64 {
    // Times are counted in hundredths of a second.
    reading.rows as f64 / reading.cpu_seconds.max(0.01)
}

/// By round, how many times as many rows per CPU-second `ours` has as `theirs`.
fn ratio(ours: &[Reading], theirs: &[Reading]) -> Spread {
    let pairs = ours.iter().zip(theirs);
    Spread::of(pairs.map(|(a, b)| rows_per_cpu_second(a) / rows_per_cpu_second(b)))
}

fn describe(report: &mut Report, material: &Material<'_>, readings: &Readings, bytes: u64) {
    let args = material.args;
    report.line(format!(
        "{} trades of {} bytes, {} symbols by Zipf, {} partitions, {}, {} rounds, {:?}",
        args.rows,
        bytes / args.rows.max(1),
        args.symbols,
        args.partitions,
        material.broker.description(),
        args.rounds,
        args.emit,
    ));
    report.line(format!(
        "{:<26} {:>12} {:>12} {:>14} {:>14}",
        "", "rows/CPU-s", "us CPU/row", "rows/s (wall)", "CPU-s"
    ));
    let named = [
        ("server", &readings.server),
        ("R0 bare consumer", &readings.bare),
        ("R2 DuckDB, one thread", &readings.duckdb),
    ];
    for (name, readings) in named.iter().filter(|(_, readings)| !readings.is_empty()) {
        let rate = Spread::of(readings.iter().map(rows_per_cpu_second));
        let wall = Spread::of(readings.iter().map(|r| r.rows as f64 / r.wall_seconds));
        let cpu = Spread::of(readings.iter().map(|r| r.cpu_seconds));
        report.line(format!(
            "{name:<26} {:>12.0} {:>12.3} {:>14.0} {:>14.2}",
            rate.median,
            1e6 / rate.median,
            wall.median,
            cpu.median
        ));
    }
    for (name, theirs) in named
        .iter()
        .skip(1)
        .filter(|(_, theirs)| !theirs.is_empty())
    {
        let Spread { median, min, max } = ratio(&readings.server, theirs);
        report.line(format!(
            "rows per CPU-second, server / {name}: {median:.3} ({min:.3} to {max:.3})"
        ));
    }
}

fn figures(material: &Material<'_>, readings: &Readings, bytes: u64) -> Value {
    let args = material.args;
    json!({
        "rows": args.rows,
        "bytes": bytes,
        "symbols": args.symbols,
        "partitions": args.partitions,
        "emit": format!("{:?}", args.emit),
        "broker": material.broker.description(),
        "candles": material.expected.len(),
        "server": readings.server,
        "bare_consumer": readings.bare,
        "duckdb": readings.duckdb,
        "duckdb_version": readings.duckdb_version,
        "server_by_bare_consumer": ratio(&readings.server, &readings.bare),
        "server_by_duckdb": ratio(&readings.server, &readings.duckdb),
    })
}
