//! Memory of the server with many keys in one open window, beside that with few keys and as many
//! messages: what is left is what the keys cost.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;
use std::time::{Duration, Instant};

use serde::Serialize;
use serde_json::json;

use crate::Failure;
use crate::cli::{Emit, MemoryArgs, Setting};
use crate::report::Report;
use crate::server::{self, Server};
use crate::topic::Broker;
use crate::trades::{Activity, START_US, Trades};

/// Event time between two trades: all lie in one window of an hour.
const STEP_US: i64 = 10;

/// No checkpoint for so long means that all is saved.
const QUIET: Duration = Duration::from_secs(3);

/// How long that may take.
const QUIET_MAX: Duration = Duration::from_secs(120);

/// Bytes of a megabyte, as the target counts them.
const MB: f64 = 1e6;

/// Memory of one run, in bytes.
#[derive(Clone, Copy, Debug, Serialize)]
struct Held {
    keys: usize,
    /// Before the view was created.
    idle: u64,
    /// After all trades were seen and saved.
    settled: u64,
    /// The most it ever was, checkpoints included.
    peak: u64,
}

/// `rtsap-bench memory`.
///
/// # Errors
/// If something does not run, or a key is missing in the end.
pub fn run(setting: &Setting, args: &MemoryArgs) -> Result<(), Failure> {
    let mut report = Report::begin("memory");
    let broker = Broker::start(setting)?;
    let scratch = server::directory(setting)?;
    let mut held = Vec::new();
    for keys in [args.few_keys, args.keys] {
        report.progress(&format!("{} trades of {keys} symbols", args.rows));
        held.push(hold(setting, args, &broker, scratch.path(), keys)?);
    }
    let [few, many] = held[..] else {
        return Err("two runs were to be made".into());
    };
    let more_keys = (args.keys.saturating_sub(args.few_keys)).max(1) as f64 / 1e6;
    let by_million = |many: u64, few: u64| (many as f64 - few as f64) / more_keys / MB;
    let (settled, peak) = (
        by_million(many.settled, few.settled),
        by_million(many.peak, few.peak),
    );
    report.line(format!(
        "{} trades in one open window, {} partitions, {}, shown as they change",
        args.rows,
        args.partitions,
        broker.description()
    ));
    report.line(format!(
        "{:<12} {:>10} {:>12} {:>10}",
        "keys", "idle MB", "settled MB", "peak MB"
    ));
    for run in &held {
        let mb = |bytes: u64| bytes as f64 / MB;
        report.line(format!(
            "{:<12} {:>10.0} {:>12.0} {:>10.0}",
            run.keys,
            mb(run.idle),
            mb(run.settled),
            mb(run.peak)
        ));
    }
    report.line(format!(
        "a million keys more: {settled:.0} MB settled, {peak:.0} MB at the peak"
    ));
    let figures = json!({
        "rows": args.rows,
        "partitions": args.partitions,
        "broker": broker.description(),
        "runs": held,
        "settled_mb_per_million_keys": settled,
        "peak_mb_per_million_keys": peak,
    });
    report.end(setting, figures)
}

fn hold(
    setting: &Setting,
    args: &MemoryArgs,
    broker: &Broker,
    scratch: &Path,
    keys: usize,
) -> Result<Held, Failure> {
    let size = Size {
        rows: args.rows,
        keys,
        partitions: args.partitions,
    };
    let (server, idle) = filled(setting, broker, scratch, size)?;
    let resident = server.resident()?;
    check(&server, size)?;
    Ok(Held {
        keys,
        idle,
        settled: resident.now,
        peak: resident.peak,
    })
}

/// How many trades of how many symbols.
#[derive(Clone, Copy, Debug)]
pub struct Size {
    pub rows: u64,
    pub keys: usize,
    pub partitions: i32,
}

/// A server that has taken and saved `size` in one open window of candles, with its resident memory
/// before.
///
/// # Errors
/// If something does not run.
pub fn filled(
    setting: &Setting,
    broker: &Broker,
    scratch: &Path,
    size: Size,
) -> Result<(Server, u64), Failure> {
    let lines = scratch.join(format!("{}.json", size.keys));
    let partition_of = write_trades(size, &lines)?;
    let topic = broker.create("memory", size.partitions)?;
    topic.load(&lines, &partition_of)?;
    std::fs::remove_file(&lines)?;
    let server = Server::start(setting)?;
    server.execute(&server::source(&broker.servers, &topic.name, false))?;
    let idle = server.resident()?.now;
    server.execute(&server::candle_view("'1' HOUR", "", Emit::Changes))?;
    // Looked at without a query on the view: what a reader holds is not the view's.
    let rows = i64::try_from(size.rows)?;
    server.wait_for("SELECT used FROM rtsap_catalog.ledger", rows)?;
    wait_until_saved(&server)?;
    Ok((server, idle))
}

/// Checks that no key and no trade is missing.
///
/// # Errors
/// If one is.
pub fn check(server: &Server, size: Size) -> Result<(), Failure> {
    let found = server.number("SELECT count(*) FROM candles")?;
    let trades = server.number("SELECT CAST(sum(trades) AS BIGINT) FROM candles")?;
    if (found, trades) != (i64::try_from(size.keys)?, i64::try_from(size.rows)?) {
        let (keys, rows) = (size.keys, size.rows);
        return Err(format!("{found} keys with {trades} trades, not {keys} with {rows}").into());
    }
    Ok(())
}

/// Writes the trades as lines; returns the partition of each.
fn write_trades(size: Size, lines: &Path) -> Result<Vec<i32>, Failure> {
    let mut out = BufWriter::with_capacity(1 << 20, File::create(lines)?);
    let mut market = Trades::new(size.keys, Activity::InTurn);
    let mut partition_of = Vec::new();
    let mut line = Vec::new();
    for number in 0..size.rows {
        let trade = market.next(START_US + i64::try_from(number)? * STEP_US);
        line.clear();
        market.write_json(&trade, &mut line);
        line.push(b'\n');
        out.write_all(&line)?;
        partition_of.push(i32::try_from(trade.symbol)? % size.partitions);
    }
    out.flush()?;
    Ok(partition_of)
}

fn wait_until_saved(server: &Server) -> Result<(), Failure> {
    let start = Instant::now();
    let (mut epoch, mut since) = (-1, Instant::now());
    while since.elapsed() < QUIET {
        if start.elapsed() > QUIET_MAX {
            return Err("checkpoints do not come to rest".into());
        }
        let found = server.number("SELECT epoch FROM rtsap_catalog.checkpoints")?;
        if found != epoch {
            (epoch, since) = (found, Instant::now());
        }
        std::thread::sleep(QUIET / 10);
    }
    Ok(())
}
