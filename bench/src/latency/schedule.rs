//! When each message is due, and which of them have been seen.

use std::collections::HashMap;

use crate::cli::LatencyArgs;
use crate::histogram::{Histogram, Percentiles};
use crate::trades::{Activity, Trades};

/// What messages are kept apart by: those of one partition, or of one symbol, are seen in order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum By {
    /// The partition's number.
    Partition,
    /// The symbol.
    Symbol,
}

/// When the messages of each key are due, in microseconds after the first one.
pub struct Schedule {
    due_us: Vec<Vec<i64>>,
    key_of: HashMap<String, usize>,
    warmup_us: i64,
    /// Messages in all.
    pub messages: u64,
}

/// Which messages have been seen so far.
pub struct Watch<'s> {
    schedule: &'s Schedule,
    seen: Vec<usize>,
    left: u64,
    histogram: Histogram,
}

/// When message `number` is due, in microseconds after the first one.
pub fn due_us(number: u64, rate: u64) -> i64 {
    let us = u128::from(number) * 1_000_000 / u128::from(rate.max(1));
    i64::try_from(us).unwrap_or(i64::MAX)
}

/// How many messages a run has.
pub fn messages(args: &LatencyArgs) -> u64 {
    args.rate * (args.seconds + args.warmup_seconds)
}

/// The partition of a symbol's messages.
pub fn partition(symbol: usize, partitions: i32) -> i32 {
    i32::try_from(symbol).unwrap_or(0) % partitions.max(1)
}

impl Schedule {
    /// The messages of `args`, kept apart by `by`.
    pub fn new(args: &LatencyArgs, by: By) -> Self {
        let mut market = Trades::new(args.symbols, Activity::Zipf);
        let keys = match by {
            By::Partition => usize::try_from(args.partitions).unwrap_or(1),
            By::Symbol => args.symbols,
        };
        let name = |key: usize| match by {
            By::Partition => key.to_string(),
            By::Symbol => market.name(key).to_owned(),
        };
        let key_of = (0..keys).map(|key| (name(key), key)).collect();
        let messages = messages(args);
        let mut due = vec![Vec::new(); keys];
        for number in 0..messages {
            let symbol = market.next(0).symbol;
            let key = match by {
                By::Partition => usize::try_from(partition(symbol, args.partitions)).unwrap_or(0),
                By::Symbol => symbol,
            };
            due[key].push(due_us(number, args.rate));
        }
        Self {
            due_us: due,
            key_of,
            warmup_us: due_us(args.rate * args.warmup_seconds, args.rate),
            messages,
        }
    }

    /// Nothing seen yet.
    pub fn watch(&self) -> Watch<'_> {
        Watch {
            schedule: self,
            seen: vec![0; self.due_us.len()],
            left: self.messages,
            histogram: Histogram::default(),
        }
    }
}

impl Watch<'_> {
    /// Notes that at `now_us` all messages of `key` were visible that were due at `last_us` or
    /// earlier; both count from the first message.
    pub fn see(&mut self, key: &str, last_us: i64, now_us: i64) {
        let Some(key) = self.schedule.key_of.get(key) else {
            return;
        };
        let due = &self.schedule.due_us[*key];
        let seen = &mut self.seen[*key];
        while let Some(due_us) = due.get(*seen).filter(|due| **due <= last_us) {
            if *due_us >= self.schedule.warmup_us {
                self.histogram.record(now_us - due_us);
            }
            *seen += 1;
            self.left -= 1;
        }
    }

    /// How many messages have not been seen.
    pub fn left(&self) -> u64 {
        self.left
    }

    /// The latencies of those that were.
    pub fn percentiles(&self) -> Percentiles {
        self.histogram.percentiles()
    }
}

#[cfg(test)]
mod tests;
