//! How long a server that was killed takes until it answers again, by the size of its state: from
//! the start of the new process to the first right answer over all rows.

use std::path::Path;
use std::time::{Duration, Instant};

use serde::Serialize;
use serde_json::json;

use crate::Failure;
use crate::cli::{RecoveryArgs, Setting};
use crate::memory::{Size, check, filled};
use crate::report::Report;
use crate::server;
use crate::topic::Broker;

/// Bytes of a megabyte.
const MB: f64 = 1e6;

/// A kill at once after a checkpoint is the best case; a little later there is something to read
/// again.
const ALIVE: Duration = Duration::from_millis(1_500);

/// One recovery, in seconds from the start of the process.
#[derive(Clone, Copy, Debug, Serialize)]
struct Recovery {
    /// Until it said that it is ready, and took a connection.
    ready: f64,
    /// Until it had answered with the count of all rows.
    answer: f64,
}

/// `rtsap-bench recovery`.
///
/// # Errors
/// If something does not run, or a row is missing after a kill.
pub fn run(setting: &Setting, args: &RecoveryArgs) -> Result<(), Failure> {
    let mut report = Report::begin("recovery");
    let broker = Broker::start(setting)?;
    let scratch = server::directory(setting)?;
    let size = Size {
        rows: args.rows,
        keys: args.keys,
        partitions: args.partitions,
    };
    report.progress(&format!("{} trades of {} symbols", size.rows, size.keys));
    let (mut server, _) = filled(setting, &broker, scratch.path(), size)?;
    let held = "SELECT state_bytes + served_bytes FROM rtsap_catalog.views";
    let state = server.number(held)?;
    let saved = bytes_under(server.data())?;
    let mut recoveries = Vec::new();
    for round in 1..=args.rounds {
        report.progress(&format!("kill {round} of {}", args.rounds));
        std::thread::sleep(ALIVE);
        let started = Instant::now();
        server = server.restart(setting)?;
        let ready = started.elapsed().as_secs_f64();
        check(&server, size)?;
        let answer = started.elapsed().as_secs_f64();
        recoveries.push(Recovery { ready, answer });
    }
    let (state_mb, saved_mb) = (state as f64 / MB, saved as f64 / MB);
    report.line(format!(
        "{} keys in one open window, {state_mb:.0} MB of state and rows, {saved_mb:.0} MB on disk",
        args.keys
    ));
    report.line(format!(
        "{:<8} {:>10} {:>16}",
        "kill", "ready s", "first answer s"
    ));
    for (round, recovery) in recoveries.iter().enumerate() {
        let (ready, answer) = (recovery.ready, recovery.answer);
        report.line(format!("{:<8} {ready:>10.2} {answer:>16.2}", round + 1));
    }
    let figures = json!({
        "rows": args.rows,
        "keys": args.keys,
        "state_bytes": state,
        "saved_bytes": saved,
        "kills": recoveries,
    });
    report.end(setting, figures)
}

fn bytes_under(folder: &Path) -> Result<u64, Failure> {
    let mut bytes = 0;
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        // What the server deletes in the meantime is not counted.
        let Ok(found) = entry.metadata() else {
            continue;
        };
        bytes += match found.is_dir() {
            true => bytes_under(&entry.path())?,
            false => found.len(),
        };
    }
    Ok(bytes)
}
