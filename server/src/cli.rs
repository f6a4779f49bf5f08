//! The command line.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

/// Streaming SQL for market data: views over Kafka topics, served over the PostgreSQL wire and
/// Arrow Flight.
#[derive(Debug, Parser)]
#[command(name = "rtsap", version, about, max_term_width = 100)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run the server.
    Serve(ServeArgs),
    /// Run the server with a market of its own: an in-process Kafka broker, generated trades and
    /// quotes, four views.
    Demo(DemoArgs),
}

/// What `serve` and `demo` have in common.
#[derive(Clone, Debug, Default, Args)]
pub struct CommonArgs {
    /// Directory for catalog, checkpoints and table logs [default: ./rtsap-data].
    #[arg(long, env = "RTSAP_DATA_DIR", value_name = "DIR")]
    pub data_dir: Option<PathBuf>,
    /// Port for PostgreSQL clients, on loopback; 0 picks a free one [default: 5433].
    #[arg(long, env = "RTSAP_PG_PORT", value_name = "PORT")]
    pub pg_port: Option<u16>,
    /// Port for Arrow Flight clients, on loopback; 0 picks a free one [default: 8815].
    #[arg(long, env = "RTSAP_FLIGHT_PORT", value_name = "PORT")]
    pub flight_port: Option<u16>,
    /// Port for probes, metrics and the status page, on loopback; 0 picks a free one [default:
    /// 8090].
    #[arg(long, env = "RTSAP_HTTP_PORT", value_name = "PORT")]
    pub http_port: Option<u16>,
    /// Log filter, such as `info` or `rtsap_runtime=debug` [default: info].
    #[arg(long, env = "RTSAP_LOG", value_name = "FILTER")]
    pub log: Option<String>,
}

/// `rtsap serve`.
#[derive(Clone, Debug, Default, Args)]
pub struct ServeArgs {
    /// Configuration file (TOML). Arguments and environment go before it.
    #[arg(long, env = "RTSAP_CONFIG", value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Ports and directories.
    #[command(flatten)]
    pub common: CommonArgs,
    /// Address for PostgreSQL clients; `--pg-port` replaces its port [default: 127.0.0.1:5433].
    #[arg(long, env = "RTSAP_PG_LISTEN", value_name = "IP:PORT")]
    pub pg_listen: Option<SocketAddr>,
    /// Address for Arrow Flight clients [default: 127.0.0.1:8815].
    #[arg(long, env = "RTSAP_FLIGHT_LISTEN", value_name = "IP:PORT")]
    pub flight_listen: Option<SocketAddr>,
    /// Address for probes, metrics and the status page [default: 127.0.0.1:8090].
    #[arg(long, env = "RTSAP_HTTP_LISTEN", value_name = "IP:PORT")]
    pub http_listen: Option<SocketAddr>,
    /// Where checkpoints go: file:///dir or s3://bucket/prefix [default: the data directory].
    #[arg(long, env = "RTSAP_CHECKPOINT_URL", value_name = "URL")]
    pub checkpoint_url: Option<String>,
    /// Listen on other than loopback addresses without TLS and without passwords: for closed
    /// networks only.
    #[arg(long, env = "RTSAP_INSECURE_LISTEN")]
    pub insecure_listen: bool,
}

/// `rtsap demo`.
#[derive(Clone, Debug, Args)]
pub struct DemoArgs {
    /// Ports and directories. The demo's data directory is a new temporary one unless it is given.
    #[command(flatten)]
    pub common: CommonArgs,
    /// Trades a second; quotes come at twice the rate.
    #[arg(long, default_value_t = 500, value_name = "N")]
    #[arg(value_parser = clap::value_parser!(u32).range(1..=50_000))]
    pub trades_per_second: u32,
    /// Symbols that are traded.
    #[arg(long, default_value_t = 100, value_name = "N")]
    #[arg(value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub symbols: u32,
    /// Seed of the market: the same seed gives the same prices at the same times.
    #[arg(long, default_value_t = 42)]
    pub seed: u64,
}
