//! The command line.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

/// Measures the server beside a bare Kafka consumer and DuckDB. Prints a table and writes JSON.
#[derive(Debug, Parser)]
#[command(name = "rtsap-bench", version, about, max_term_width = 100)]
pub struct Cli {
    /// What every measurement needs.
    #[command(flatten)]
    pub setting: Setting,
    /// What to measure.
    #[command(subcommand)]
    pub command: Command,
}

/// Where things are.
#[derive(Debug, Args)]
pub struct Setting {
    /// The server's binary.
    #[arg(long, env = "RTSAP_BENCH_SERVER", value_name = "FILE")]
    pub server: Option<PathBuf>,
    /// Brokers of a real Apache Kafka; without it librdkafka's mock broker runs in this process,
    /// which keeps no more than some hundred thousand messages.
    #[arg(long, env = "RTSAP_TEST_KAFKA", value_name = "HOST:PORT")]
    pub brokers: Option<String>,
    /// Use the mock broker even if there is a real one.
    #[arg(long)]
    pub mock: bool,
    /// A Python with the package duckdb; without it DuckDB is left out.
    #[arg(long, env = "RTSAP_TEST_PYTHON", value_name = "FILE")]
    pub python: Option<PathBuf>,
    /// Where messages and data directories go while it runs [default: the system's].
    #[arg(long, value_name = "DIR")]
    pub work_dir: Option<PathBuf>,
    /// Where the JSON goes; without it none is written.
    #[arg(long, env = "RTSAP_BENCH_RESULTS", value_name = "DIR")]
    pub results: Option<PathBuf>,
}

/// What to measure.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// One-second candles from a topic, in rounds beside a bare consumer and DuckDB.
    Candles(CandlesArgs),
    /// Memory of the server with many keys in one open window.
    Memory(MemoryArgs),
    /// From the start of a killed server until it answers from a large state.
    Recovery(RecoveryArgs),
    /// From producing a message at a steady pace to seeing it in a client.
    Latency(LatencyArgs),
    /// Each function in a streaming view, beside the same query with avg.
    Functions(FunctionsArgs),
    /// Counts a topic and prints what it took, as JSON: the bare consumer's own process.
    #[command(hide = true)]
    Count(CountArgs),
}

/// `candles`.
#[derive(Debug, Args)]
pub struct CandlesArgs {
    /// Messages in the topic.
    #[arg(long, default_value_t = 4_000_000)]
    pub rows: u64,
    /// Symbols, traded by Zipf's law.
    #[arg(long, default_value_t = 1_000)]
    pub symbols: usize,
    /// Partitions of the topic.
    #[arg(long, default_value_t = 2)]
    pub partitions: i32,
    /// Rounds; each runs everything once, in another order than the one before.
    #[arg(long, default_value_t = 5)]
    pub rounds: usize,
    /// When candles show.
    #[arg(long, value_enum, default_value_t = Emit::Changes)]
    pub emit: Emit,
}

/// When the rows of a window show.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Emit {
    /// As they change.
    Changes,
    /// Once, when the window closes.
    Close,
}

/// `memory`.
#[derive(Debug, Args)]
pub struct MemoryArgs {
    /// Messages; each key gets as many.
    #[arg(long, default_value_t = 3_000_000)]
    pub rows: u64,
    /// Keys of the large run.
    #[arg(long, default_value_t = 1_000_000)]
    pub keys: usize,
    /// Keys of the run that it is compared with.
    #[arg(long, default_value_t = 1_000)]
    pub few_keys: usize,
    /// Partitions of the topic.
    #[arg(long, default_value_t = 2)]
    pub partitions: i32,
}

/// `recovery`.
#[derive(Debug, Args)]
pub struct RecoveryArgs {
    /// Messages; each key gets as many.
    #[arg(long, default_value_t = 4_000_000)]
    pub rows: u64,
    /// Keys in the open window: the default is about a gigabyte of state and rows.
    #[arg(long, default_value_t = 3_500_000)]
    pub keys: usize,
    /// Partitions of the topic.
    #[arg(long, default_value_t = 2)]
    pub partitions: i32,
    /// How often the server is killed.
    #[arg(long, default_value_t = 3)]
    pub rounds: usize,
}

/// `latency`.
#[derive(Debug, Args)]
pub struct LatencyArgs {
    /// Messages a second.
    #[arg(long, default_value_t = 100_000)]
    pub rate: u64,
    /// How long each way of looking is measured.
    #[arg(long, default_value_t = 60)]
    pub seconds: u64,
    /// How long before that, to warm up.
    #[arg(long, default_value_t = 5)]
    pub warmup_seconds: u64,
    /// Symbols, traded by Zipf's law.
    #[arg(long, default_value_t = 1_000)]
    pub symbols: usize,
    /// Partitions of the topic.
    #[arg(long, default_value_t = 2)]
    pub partitions: i32,
    /// Rest between two polls of the polling client.
    #[arg(long, default_value_t = 2)]
    pub poll_gap_ms: u64,
}

/// `functions`.
#[derive(Debug, Args)]
pub struct FunctionsArgs {
    /// Rows that each view reads.
    #[arg(long, default_value_t = 100_000)]
    pub rows: u64,
    /// Rounds; the best one counts.
    #[arg(long, default_value_t = 2)]
    pub rounds: usize,
    /// Only these functions.
    #[arg(long, value_name = "NAME", value_delimiter = ',')]
    pub only: Vec<String>,
    /// Only each nth of them, for a look that takes seconds.
    #[arg(long, value_name = "N", default_value_t = std::num::NonZeroUsize::MIN)]
    pub every: std::num::NonZeroUsize,
}

/// `count`.
#[derive(Debug, Args)]
pub struct CountArgs {
    /// Messages to wait for.
    #[arg(long)]
    pub rows: u64,
    /// The topic.
    #[arg(long)]
    pub topic: String,
    /// The brokers.
    #[arg(long)]
    pub servers: String,
}
