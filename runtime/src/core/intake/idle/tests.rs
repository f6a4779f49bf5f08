//! A quiet split is left out; an outage of all makes none of them late.

use std::collections::BTreeMap;
use std::time::Duration;

use rtsap_stream::source::SplitId;

use super::{Split, expire, hear};

const TIMEOUT: Duration = Duration::from_secs(5);

fn at(seconds: f64) -> Duration {
    Duration::from_secs_f64(seconds)
}

struct Source {
    splits: BTreeMap<SplitId, Split>,
    last: Option<Duration>,
}

impl Source {
    fn new() -> Self {
        let split = |name: &str| (SplitId::new(name), Split::default());
        Self {
            splits: ["a", "b"].map(split).into(),
            last: None,
        }
    }

    fn hear(&mut self, name: &str, seconds: f64) {
        let id = SplitId::new(name);
        hear(&mut self.splits, &id, self.last, at(seconds), TIMEOUT);
        self.last = Some(at(seconds));
    }

    fn expire(&mut self, seconds: f64) -> Vec<bool> {
        expire(&mut self.splits, at(seconds), TIMEOUT);
        self.splits.values().map(|split| split.idle).collect()
    }
}

#[test]
fn a_quiet_split_is_left_out_while_the_other_is_heard() {
    let mut source = Source::new();
    for tenth in 0..49 {
        source.hear("a", f64::from(tenth) / 10.0);
    }
    assert_eq!(source.expire(4.9), [false, false]);
    source.hear("a", 4.9);
    assert_eq!(source.expire(5.0), [false, true]);
    source.hear("b", 5.1);
    assert_eq!(source.expire(5.2), [false, false]);
}

#[test]
fn after_an_outage_all_splits_get_their_time_anew() {
    let mut source = Source::new();
    source.hear("a", 0.0);
    source.hear("b", 0.1);
    assert_eq!(source.expire(9.0), [true, true]);
    source.hear("a", 9.1);
    assert_eq!(source.expire(9.2), [false, false], "b may still be read");
    for tenth in 92..150 {
        source.hear("a", f64::from(tenth) / 10.0);
    }
    assert_eq!(source.expire(14.2), [false, true], "but not for ever");
}

#[test]
fn the_split_that_is_heard_now_and_then_moves_the_watermark_before_it_goes() {
    let mut source = Source::new();
    source.hear("a", 0.0);
    assert_eq!(source.expire(5.0), [false, true]);
    assert_eq!(source.expire(5.0), [true, true]);
    source.hear("a", 60.0);
    assert_eq!(source.expire(64.9), [false, false]);
    assert_eq!(source.expire(65.0), [false, true]);
}

#[test]
fn the_first_rows_of_a_process_wake_what_was_idle_before_it() {
    let mut source = Source::new();
    source
        .splits
        .values_mut()
        .for_each(|split| split.idle = true);
    source.hear("a", 0.2);
    assert_eq!(source.expire(0.3), [false, false]);
}
