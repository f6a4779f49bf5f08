//! Every message is seen once, at the first sight that covers it.

use super::*;

fn args() -> LatencyArgs {
    LatencyArgs {
        rate: 1_000,
        seconds: 1,
        warmup_seconds: 1,
        symbols: 10,
        partitions: 2,
        poll_gap_ms: 1,
    }
}

#[test]
fn messages_are_counted_once_and_without_the_warm_up() {
    let schedule = Schedule::new(&args(), By::Partition);
    let mut watch = schedule.watch();
    assert_eq!(watch.left(), 2_000);
    for partition in ["0", "1"] {
        watch.see(partition, 999_999, 1_000_000);
        watch.see(partition, 1_500_000, 1_600_000);
        watch.see(partition, 1_400_000, 9_000_000);
        watch.see(partition, i64::MAX, 2_000_000);
    }
    watch.see("7", i64::MAX, 9_000_000);
    let found = watch.percentiles();
    assert_eq!((watch.left(), found.messages), (0, 1_000));
    // The longest wait is that of the first message after the warm-up.
    assert!((found.max_ms - 600.0).abs() < 1e-9, "{found:?}");
}

#[test]
fn symbols_are_kept_apart() {
    let schedule = Schedule::new(&args(), By::Symbol);
    let mut watch = schedule.watch();
    watch.see("AAAA", i64::MAX, 3_000_000);
    let first = 2_000 - watch.left();
    // By Zipf's law a third of all: 1 / (1 + 1/2 + … + 1/10).
    assert!((600..770).contains(&first), "{first}");
}
