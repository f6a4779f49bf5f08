//! A producer that keeps a steady pace, whoever can or cannot follow.

use std::sync::atomic::Ordering;
use std::time::Duration;

use rdkafka::producer::Producer;

use crate::Failure;
use crate::cli::LatencyArgs;
use crate::topic::{self, Broker, Topic, now_us};
use crate::trades::{Activity, Trades};

use super::schedule::{due_us, messages, partition};
use super::{DRAIN_MAX, Pace};

/// Rest between two looks at what is due.
const REST: Duration = Duration::from_micros(500);

/// How long messages wait for others: batches of some hundred at 100,000 messages a second.
const LINGER_MS: u32 = 1;

/// Sends each message when it is due, or as soon after as can be.
///
/// # Errors
/// If a message cannot be delivered.
pub fn produce(
    broker: &Broker,
    topic: &Topic<'_>,
    args: &LatencyArgs,
    pace: &Pace,
) -> Result<(), Failure> {
    let (sender, deliveries) = broker.sender(LINGER_MS)?;
    let mut market = Trades::new(args.symbols, Activity::Zipf);
    let total = messages(args);
    let start_us = now_us() + 100_000;
    pace.start_us.store(start_us, Ordering::Release);
    let mut line = Vec::new();
    let mut sent = 0;
    while sent < total && !pace.stopped() {
        let elapsed_us = now_us() - start_us;
        while sent < total && due_us(sent, args.rate) <= elapsed_us {
            let trade = market.next(start_us + due_us(sent, args.rate));
            line.clear();
            market.write_json(&trade, &mut line);
            let partition = partition(trade.symbol, topic.partitions);
            topic::send(&sender, &topic.name, partition, &line)?;
            sent += 1;
        }
        std::thread::sleep(REST);
    }
    sender.flush(DRAIN_MAX)?;
    deliveries.check()
}
