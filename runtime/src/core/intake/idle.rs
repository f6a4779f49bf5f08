//! Which splits are left out of the watermark because they bring nothing.
//!
//! Silence says that a split has nothing only while the others are heard. When all of a source have
//! been silent, as when the broker or this process was away, the one that is heard first afterwards
//! says nothing about the others: they get their time anew. Else their rows would all come late.

use std::collections::BTreeMap;
use std::time::Duration;

use rtsap_stream::source::SplitId;

use super::Split;

/// A silence of all splits that may have been an outage.
const OUTAGE_MIN: Duration = Duration::from_secs(1);

/// Rows of `heard` came at `now`; `last` is when rows of any split had come before, in this
/// process.
pub(super) fn hear(
    splits: &mut BTreeMap<SplitId, Split>,
    heard: &SplitId,
    last: Option<Duration>,
    now: Duration,
    timeout: Duration,
) {
    let outage = timeout.min(OUTAGE_MIN);
    if last.is_none_or(|last| now.saturating_sub(last) >= outage) {
        for split in splits.values_mut() {
            split.idle = false;
            split.last_rows = now;
            split.unheard = true;
        }
    }
    let split = splits.entry(heard.clone()).or_default();
    split.idle = false;
    split.unheard = false;
    split.last_rows = now;
}

/// Leaves out the splits that have been silent for `timeout`; returns whether there were any. Where
/// none would be left, those go first that were not heard since all were silent: so the others,
/// before they go too, bring the watermark where they have come.
pub(super) fn expire(
    splits: &mut BTreeMap<SplitId, Split>,
    now: Duration,
    timeout: Duration,
) -> bool {
    let awake = |split: &&mut Split| !split.idle && !split.ended;
    let silent = |split: &Split| now.saturating_sub(split.last_rows) >= timeout;
    let mut all_go = true;
    let mut unheard_go = false;
    for split in splits.values_mut().filter(awake) {
        all_go &= silent(split);
        unheard_go |= silent(split) && split.unheard;
    }
    let unheard_only = all_go && unheard_go;
    let mut found = false;
    for split in splits.values_mut().filter(awake) {
        if silent(split) && (split.unheard || !unheard_only) {
            split.idle = true;
            found = true;
        }
    }
    found
}

#[cfg(test)]
mod tests;
