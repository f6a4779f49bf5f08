//! DuckDB over the same bytes in a file, in a process of its own.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::Command;

use serde::Deserialize;

use crate::Failure;
use crate::bare::Reading;
use crate::trades::{Candle, Candles};

/// Runs the candle query and says what it took.
const SCRIPT: &str = include_str!("duckdb/candles.py");

/// What the script says.
#[derive(Debug, Deserialize)]
struct Said {
    version: String,
    #[serde(flatten)]
    reading: Reading,
}

/// What DuckDB found and what it took.
pub struct Answer {
    /// Its version.
    pub version: String,
    /// What it took.
    pub reading: Reading,
    /// The candles.
    pub candles: Candles,
}

/// Asks DuckDB, with one thread, for the candles of the JSON lines in `file`.
///
/// # Errors
/// If Python or DuckDB fails.
pub fn measure(python: &Path, file: &Path, scratch: &Path) -> Result<Answer, Failure> {
    let out = scratch.join("duckdb.csv");
    let output = Command::new(python)
        .args(["-c", SCRIPT])
        .args([file, &out])
        .stderr(std::process::Stdio::inherit())
        .output()?;
    if !output.status.success() {
        return Err("DuckDB failed".into());
    }
    let Said { version, reading } = serde_json::from_slice(&output.stdout)?;
    let mut candles = Candles::new();
    for line in BufReader::new(std::fs::File::open(&out)?).lines().skip(1) {
        let line = line?;
        let (key, candle) = parse(&line).ok_or_else(|| format!("bad line {line:?} of DuckDB"))?;
        candles.insert(key, candle);
    }
    Ok(Answer {
        version,
        reading,
        candles,
    })
}

/// `window_us,symbol,open,high,low,close,volume,vwap,trades`.
fn parse(line: &str) -> Option<((i64, String), Candle)> {
    let fields: Vec<&str> = line.split(',').collect();
    let [window, symbol, open, high, low, close, volume, vwap, trades] = fields[..] else {
        return None;
    };
    let candle = Candle {
        open: open.parse().ok()?,
        high: high.parse().ok()?,
        low: low.parse().ok()?,
        close: close.parse().ok()?,
        volume: volume.parse().ok()?,
        vwap: vwap.parse().ok()?,
        trades: trades.parse().ok()?,
    };
    Some(((window.parse().ok()?, symbol.to_owned()), candle))
}
