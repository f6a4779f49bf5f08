//! Percentiles against a sorted list.

use super::*;

#[test]
fn percentiles_are_those_of_the_sorted_latencies() {
    let mut histogram = Histogram::default();
    let mut latencies: Vec<i64> = (0..10_000_i64).map(|n| (n * 7_919) % 50_021).collect();
    for us in &latencies {
        histogram.record(*us);
    }
    latencies.sort_unstable();
    let found = histogram.percentiles();
    assert_eq!(found.messages, 10_000);
    for (ms, index) in [
        (found.p50_ms, 4_999),
        (found.p99_ms, 9_899),
        (found.p999_ms, 9_989),
    ] {
        let exact = latencies[index] as f64 / 1_000.0;
        assert!(ms >= exact && ms <= exact + 0.0101, "{ms} for {exact}");
    }
    assert!((found.max_ms - latencies[9_999] as f64 / 1_000.0).abs() < 1e-9);
}

#[test]
fn what_takes_minutes_is_not_lost() {
    let mut histogram = Histogram::default();
    histogram.record(90_000_000);
    histogram.record(-5);
    let found = histogram.percentiles();
    assert_eq!((found.messages, found.max_ms), (2, 90_000.0));
    assert!((found.p999_ms - 20_000.0).abs() < 1e-9);
}
