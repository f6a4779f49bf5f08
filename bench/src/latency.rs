//! From producing a message to seeing it in a client, at a steady pace (workload W9), beside the
//! broker's own floor: a bare consumer that receives the same messages at the same moment.
//!
//! Every message is measured against the time at which it was to be sent, not at which it was, so a
//! producer that falls behind hides nothing (Gil Tene's coordinated omission).

use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::time::Duration;

use serde::Serialize;
use serde_json::json;

use crate::Failure;
use crate::cli::{Emit, LatencyArgs, Setting};
use crate::histogram::Percentiles;
use crate::report::Report;
use crate::server::{self, Server};
use crate::topic::Broker;

mod floor;
mod paced;
mod schedule;
mod watch;

use schedule::{By, Schedule};

/// How long the last messages may take to be seen.
pub const DRAIN_MAX: Duration = Duration::from_secs(30);

/// How long a server rests before messages come: its checkpoint of the definitions is not measured.
const SETTLE: Duration = Duration::from_secs(2);

/// How the client looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
enum Look {
    /// `SELECT`, again and again.
    Poll,
    /// `SUBSCRIBE`.
    Subscribe,
}

/// What one way of looking gave.
#[derive(Debug, Serialize)]
struct Seen {
    look: Look,
    /// The bare consumer, in the same moments.
    floor: Percentiles,
    /// The client.
    visible: Percentiles,
    /// Processors that the server used on average.
    server_processors: f64,
}

/// What all threads of one run share.
pub struct Pace {
    /// When the first message was due, in microseconds since the Unix epoch; 0 before.
    start_us: AtomicI64,
    /// Set when somebody has failed.
    stop: AtomicBool,
}

impl Pace {
    /// When the first message was due, once that is known.
    pub fn start_us(&self) -> Option<i64> {
        Some(self.start_us.load(Ordering::Acquire)).filter(|us| *us > 0)
    }

    /// Stops all if `done` is a failure.
    fn guard<T>(&self, done: Result<T, Failure>) -> Result<T, Failure> {
        if done.is_err() {
            self.stop.store(true, Ordering::Release);
        }
        done
    }

    /// Whether somebody has failed.
    pub fn stopped(&self) -> bool {
        self.stop.load(Ordering::Acquire)
    }
}

/// `rtsap-bench latency`.
///
/// # Errors
/// If something does not run, or a message is never seen.
pub fn run(setting: &Setting, args: &LatencyArgs) -> Result<(), Failure> {
    let mut report = Report::begin("latency");
    let broker = Broker::start(setting)?;
    let mut seen = Vec::new();
    for look in [Look::Poll, Look::Subscribe] {
        report.progress(&format!(
            "{look:?}: {} messages a second for {} s",
            args.rate, args.seconds
        ));
        seen.push(look_on(setting, args, &broker, look)?);
    }
    report.line(format!(
        "{} messages a second for {} s, {} symbols, {} partitions, {}",
        args.rate,
        args.seconds,
        args.symbols,
        args.partitions,
        broker.description()
    ));
    report.line(format!(
        "{:<24} {:>9} {:>9} {:>9} {:>9}",
        "milliseconds", "p50", "p99", "p99.9", "max"
    ));
    for Seen {
        look,
        floor,
        visible,
        server_processors,
    } in &seen
    {
        let name = match look {
            Look::Poll => "polling SELECT",
            Look::Subscribe => "SUBSCRIBE",
        };
        for (name, found) in [(name, visible), ("  bare consumer beside", floor)] {
            report.line(format!(
                "{name:<24} {:>9.2} {:>9.2} {:>9.2} {:>9.2}",
                found.p50_ms, found.p99_ms, found.p999_ms, found.max_ms
            ));
        }
        report.line(format!(
            "  added                  {:>9.2} {:>9.2} {:>9.2}   server: {server_processors:.2} CPU",
            visible.p50_ms - floor.p50_ms,
            visible.p99_ms - floor.p99_ms,
            visible.p999_ms - floor.p999_ms
        ));
    }
    let figures = json!({
        "rate": args.rate,
        "seconds": args.seconds,
        "symbols": args.symbols,
        "partitions": args.partitions,
        "poll_gap_ms": args.poll_gap_ms,
        "broker": broker.description(),
        "looks": seen,
    });
    report.end(setting, figures)
}

fn look_on(
    setting: &Setting,
    args: &LatencyArgs,
    broker: &Broker,
    look: Look,
) -> Result<Seen, Failure> {
    let topic = broker.create("latency", args.partitions)?;
    let server = Server::start(setting)?;
    server.execute(&server::source(&broker.servers, &topic.name, false))?;
    server.execute(&server::candle_view(
        "'1' SECOND",
        ", max(ts) AS last_ts",
        Emit::Changes,
    ))?;
    server.execute(
        "CREATE STREAMING VIEW progress AS SELECT split, max(ts) AS last_ts FROM trades \
         GROUP BY split",
    )?;
    let pace = Pace {
        start_us: AtomicI64::new(0),
        stop: AtomicBool::new(false),
    };
    let address = server.address().to_owned();
    let gap = Duration::from_millis(args.poll_gap_ms);
    let watched = match look {
        Look::Poll => Schedule::new(args, By::Partition),
        Look::Subscribe => Schedule::new(args, By::Symbol),
    };
    let floor = Schedule::new(args, By::Partition);
    let (servers, name) = (broker.servers.as_str(), topic.name.as_str());
    std::thread::sleep(SETTLE);
    let (found, floor, cpu) = std::thread::scope(|scope| {
        let floor = scope.spawn(|| pace.guard(floor::receive(servers, name, &floor, &pace)));
        let watch = scope.spawn(|| {
            pace.guard(match look {
                Look::Poll => watch::poll(&address, gap, &watched, &pace),
                Look::Subscribe => watch::subscribe(&address, &watched, &pace),
            })
        });
        std::thread::sleep(SETTLE);
        let cpu_before = server.cpu_seconds();
        let produced = pace.guard(paced::produce(broker, &topic, args, &pace));
        let used = server.cpu_seconds();
        let (found, floor) = (joined(watch), joined(floor));
        produced?;
        Ok::<_, Failure>((found?, floor?, used? - cpu_before?))
    })?;
    let seconds = (args.seconds + args.warmup_seconds) as f64;
    Ok(Seen {
        look,
        floor,
        visible: found,
        server_processors: cpu / seconds,
    })
}

fn joined<T>(thread: std::thread::ScopedJoinHandle<'_, Result<T, Failure>>) -> Result<T, Failure> {
    match thread.join() {
        Ok(done) => done,
        Err(_) => Err("a thread of the benchmark panicked".into()),
    }
}
