//! Measures the server: candles from a Kafka topic beside a bare consumer and DuckDB, memory by
//! keys, the time from a kill to the first answer, and from producing a message to seeing it.
//!
//! Every figure is taken side by side with its yardstick in one run, and every run checks its
//! results against an oracle, so that a wrong answer is never measured. What the figures mean:
//! docs/benchmarks.md.

use std::error::Error;
use std::io::Write;
use std::process::ExitCode;

use clap::Parser;

mod bare;
mod candles;
mod cli;
mod duckdb;
mod functions;
mod histogram;
mod latency;
mod memory;
mod process;
mod recovery;
mod report;
mod server;
mod statistics;
mod topic;
mod trades;

use cli::{Cli, Command};

/// What everything here may fail with: a benchmark only says why it stopped.
type Failure = Box<dyn Error + Send + Sync>;

fn main() -> ExitCode {
    let cli = Cli::parse();
    let result = match &cli.command {
        Command::Candles(args) => candles::run(&cli.setting, args),
        Command::Memory(args) => memory::run(&cli.setting, args),
        Command::Recovery(args) => recovery::run(&cli.setting, args),
        Command::Latency(args) => latency::run(&cli.setting, args),
        Command::Functions(args) => functions::run(&cli.setting, args),
        Command::Count(args) => bare::count(args),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // Nowhere else is left to say it.
            let _ = writeln!(std::io::stderr(), "rtsap-bench: {error}");
            ExitCode::from(2)
        }
    }
}
