//! The bare consumer, in a process of its own, so that its CPU time is its own.

use std::io::Write;
use std::process::Command;
use std::time::{Duration, Instant};

use rtsap_connectors::kafka::bare::BareCounter;
use serde::{Deserialize, Serialize};

use crate::Failure;
use crate::cli::CountArgs;
use crate::process;

/// One look into the queue.
const LOOK: Duration = Duration::from_millis(100);

/// How long nothing may come before the count is given up.
const STILL_MAX: Duration = Duration::from_secs(30);

/// What a reading of the whole topic took.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct Reading {
    /// Messages or rows.
    pub rows: u64,
    /// CPU-seconds of the process, all threads.
    pub cpu_seconds: f64,
    /// From the first request to the last message.
    pub wall_seconds: f64,
}

/// Counts a topic in a child process.
///
/// # Errors
/// If it cannot be counted.
pub fn measure(servers: &str, topic: &str, rows: u64) -> Result<Reading, Failure> {
    let output = Command::new(std::env::current_exe()?)
        .args(["count", "--servers", servers, "--topic", topic, "--rows"])
        .arg(rows.to_string())
        .stderr(std::process::Stdio::inherit())
        .output()?;
    if !output.status.success() {
        return Err("the bare consumer failed".into());
    }
    Ok(serde_json::from_slice(&output.stdout)?)
}

/// `rtsap-bench count`.
///
/// # Errors
/// If fewer messages come than there must be.
pub fn count(args: &CountArgs) -> Result<(), Failure> {
    let id = std::process::id();
    let cpu_before = process::cpu_seconds(id)?;
    let start = Instant::now();
    let mut counter = BareCounter::open(&args.servers, &args.topic)?;
    let (mut last, mut moved) = (0, Instant::now());
    loop {
        let counted = counter.poll(LOOK);
        if counted.messages >= args.rows {
            break;
        }
        if counted.messages > last {
            (last, moved) = (counted.messages, Instant::now());
        }
        if moved.elapsed() > STILL_MAX {
            return Err(format!("{} messages came, {} were to come", last, args.rows).into());
        }
    }
    let reading = Reading {
        rows: counter.poll(Duration::ZERO).messages,
        wall_seconds: start.elapsed().as_secs_f64(),
        cpu_seconds: process::cpu_seconds(id)? - cpu_before,
    };
    if reading.rows != args.rows {
        return Err(format!("{} messages came instead of {}", reading.rows, args.rows).into());
    }
    let mut out = std::io::stdout();
    serde_json::to_writer(&mut out, &reading)?;
    out.flush()?;
    Ok(())
}
