//! What a measurement leaves: a table for people, and JSON with all that is needed to judge and
//! repeat it.

use std::fs::read_to_string;
use std::io::Write;
use std::process::Command;
use std::time::{SystemTime, UNIX_EPOCH};

use serde::Serialize;
use serde_json::{Value, json};

use crate::Failure;
use crate::cli::Setting;
use crate::process;

/// A measurement in progress.
pub struct Report {
    name: &'static str,
    load_before: String,
    lines: Vec<String>,
}

/// The machine, as far as it matters.
#[derive(Debug, Serialize)]
struct Machine {
    processor: String,
    processors: usize,
    memory_gib: u64,
    kernel: String,
}

impl Report {
    /// Begins; notes what else the machine is doing.
    pub fn begin(name: &'static str) -> Self {
        Self {
            name,
            load_before: process::load(),
            lines: Vec::new(),
        }
    }

    /// Says at once what is going on.
    pub fn progress(&self, text: &str) {
        // Nobody who reads it is no reason to stop.
        let _ = writeln!(std::io::stderr(), "==> {}: {text}", self.name);
    }

    /// Adds a line to the table.
    pub fn line(&mut self, text: impl Into<String>) {
        self.lines.push(text.into());
    }

    /// Prints the table and writes the JSON.
    ///
    /// # Errors
    /// If one of them cannot be written.
    pub fn end(self, setting: &Setting, figures: Value) -> Result<(), Failure> {
        let machine = Machine::here();
        let (commit, load_after) = (commit(), process::load());
        let mut out = std::io::stdout();
        writeln!(out, "\n{}", self.name)?;
        for line in &self.lines {
            writeln!(out, "  {line}")?;
        }
        writeln!(
            out,
            "  {} x {}, {} GiB; commit {commit}; load {} before, {load_after} after",
            machine.processors, machine.processor, machine.memory_gib, self.load_before
        )?;
        let Some(results) = &setting.results else {
            return Ok(());
        };
        let seconds = seconds_now();
        let command: Vec<String> = std::env::args().skip(1).collect();
        let whole = json!({
            "benchmark": self.name,
            "at_unix_seconds": seconds,
            "command": command,
            "commit": commit,
            "profile": if cfg!(debug_assertions) { "dev" } else { "release" },
            "machine": machine,
            "load_before": self.load_before,
            "load_after": load_after,
            "figures": figures,
        });
        std::fs::create_dir_all(results)?;
        let path = results.join(format!("{}-{seconds}.json", self.name));
        std::fs::write(&path, serde_json::to_vec_pretty(&whole)?)?;
        writeln!(out, "  written to {}", path.display())?;
        Ok(())
    }
}

impl Machine {
    fn here() -> Self {
        let field = |path: &str, name: &str| {
            let text = read_to_string(path).unwrap_or_default();
            let line = text.lines().find(|line| line.starts_with(name));
            let value = line.and_then(|line| line.split_once(':'));
            value.map_or_else(String::new, |(_, value)| value.trim().to_owned())
        };
        let kib = field("/proc/meminfo", "MemTotal");
        let kib: u64 = kib.trim_end_matches(" kB").parse().unwrap_or(0);
        let kernel = read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
        Self {
            processor: field("/proc/cpuinfo", "model name"),
            processors: std::thread::available_parallelism().map_or(0, usize::from),
            memory_gib: kib.div_ceil(1 << 20),
            kernel: kernel.trim().to_owned(),
        }
    }
}

/// The commit that the working directory is at, with a mark if it was changed since.
fn commit() -> String {
    let git = |arguments: &[&str]| {
        let output = Command::new("git").args(arguments).output().ok()?;
        let text = String::from_utf8(output.stdout).ok()?;
        output.status.success().then(|| text.trim().to_owned())
    };
    let Some(commit) = git(&["rev-parse", "--short=12", "HEAD"]) else {
        return "unknown".to_owned();
    };
    match git(&["status", "--porcelain"]) {
        Some(changes) if changes.is_empty() => commit,
        _ => format!("{commit} with changes"),
    }
}

fn seconds_now() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0, |since| since.as_secs())
}
