//! Latencies counted in buckets of ten microseconds.

use serde::Serialize;

/// Width of a bucket.
const BUCKET_US: i64 = 10;

/// Twenty seconds: what took longer stands in the last bucket, and its length in `max`.
const BUCKETS: usize = 2_000_000;

/// How many latencies of each length there were.
pub struct Histogram {
    counts: Vec<u32>,
    total: u64,
    max_us: i64,
}

/// The percentiles of a histogram, in milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Percentiles {
    /// Messages.
    pub messages: u64,
    /// Half of all were at most this late.
    pub p50_ms: f64,
    /// 99 of 100.
    pub p99_ms: f64,
    /// 999 of 1,000.
    pub p999_ms: f64,
    /// The last one.
    pub max_ms: f64,
}

impl Default for Histogram {
    fn default() -> Self {
        Self {
            counts: vec![0; BUCKETS],
            total: 0,
            max_us: 0,
        }
    }
}

impl Histogram {
    /// Counts one latency. A clock that was set back counts as none.
    pub fn record(&mut self, us: i64) {
        let us = us.max(0);
        let bucket = usize::try_from(us / BUCKET_US).unwrap_or(BUCKETS);
        self.counts[bucket.min(BUCKETS - 1)] += 1;
        self.total += 1;
        self.max_us = self.max_us.max(us);
    }

    /// The percentiles, each the upper end of its bucket.
    pub fn percentiles(&self) -> Percentiles {
        Percentiles {
            messages: self.total,
            p50_ms: self.at(0.5),
            p99_ms: self.at(0.99),
            p999_ms: self.at(0.999),
            max_ms: self.max_us as f64 / 1_000.0,
        }
    }

    fn at(&self, share: f64) -> f64 {
        let wanted = (self.total as f64 * share).ceil() as u64;
        let mut seen = 0;
        for (bucket, count) in self.counts.iter().enumerate() {
            seen += u64::from(*count);
            if seen >= wanted && seen > 0 {
                let end_us = (bucket as i64 + 1) * BUCKET_US;
                return end_us as f64 / 1_000.0;
            }
        }
        0.0
    }
}

#[cfg(test)]
mod tests;
