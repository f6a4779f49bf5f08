//! Named points at which a test makes a process die, stall or fail: between two effects whose order
//! matters. Nothing happens at any of them unless [`arm`] was called, which only `server` does,
//! once, from the environment variable `RTSAP_FAILPOINTS`.
//!
//! A point that is not armed costs one relaxed load of a flag that never changes; none stands in
//! the loop over rows.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// Every point, by the component that it lies in. The points that a caller can fail by themselves
/// (see [`fails`]) are those that end in `_lost`.
pub const NAMES: &[&str] = &[
    // A reader thread.
    "reader.polled",
    "reader.decoded",
    "reader.handed_over",
    // The core thread.
    "core.batch_taken",
    "core.split_found",
    "core.publish_begun",
    "core.published",
    "core.cut_begun",
    "core.cut_made",
    "core.commit_known",
    "core.commit_adopted",
    "core.reader_opened",
    "core.view_added",
    "core.sink_added",
    "core.rows_inserted",
    "core.objects_dropped",
    "core.sink_applied",
    "core.rebuild_begun",
    "core.cut_over",
    // A checkpoint being written.
    "checkpoint.blob_written",
    "checkpoint.blobs_written",
    "checkpoint.committed",
    "checkpoint.garbage_collected",
    "checkpoint.log_shortened",
    "chain.read",
    "chain.put_begun",
    "chain.put_lost",
    "chain.place_taken",
    "chain.taken_over",
    "chain.objects_deleted",
    "chain.manifest_deleted",
    "chain.orphans_listed",
    // The object store.
    "store.put_begun",
    "store.put_done",
    "store.put_if_absent_begun",
    "store.put_if_absent_done",
    "store.read",
    "store.deleted",
    // The log of table writes.
    "table_log.put_begun",
    "table_log.put_done",
    // A start.
    "boot.state_read",
    "boot.objects_added",
    "boot.log_replayed",
    "boot.cut_over",
    // The task of a sink.
    "sink.fence_begun",
    "sink.fenced",
    "sink.epoch_loaded",
    "sink.applied",
    "sink.forgotten",
    // TimescaleDB and PostgreSQL.
    "timescale.fence_claimed",
    "timescale.fence_committed",
    "timescale.record_advanced",
    "timescale.rows_copied",
    "timescale.rows_merged",
    "timescale.committed",
    "timescale.commit_lost",
    // Kafka.
    "kafka.producer_ready",
    "kafka.progress_read",
    "kafka.session_open",
    "kafka.rows_sent",
    "kafka.record_sent",
    "kafka.committed",
    "kafka.commit_lost",
    // Files.
    "files.data_written",
    "files.record_written",
    "files.record_lost",
    // Definitions.
    "catalog.swap_begun",
    "catalog.swapped",
    "ddl.committed",
    "ddl.attached",
    "alter.level",
    "alter.saved",
    "alter.committed",
];

/// Whether any point is armed.
static ARMED: AtomicBool = AtomicBool::new(false);

static POINTS: Mutex<BTreeMap<&'static str, Point>> = Mutex::new(BTreeMap::new());

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Action {
    /// The process ends as by SIGKILL: nothing is flushed, no destructor runs.
    Abort,
    /// The thread stalls.
    Sleep(Duration),
    /// The caller is told to fail.
    Fail,
}

#[derive(Clone, Copy, Debug)]
struct Point {
    action: Action,
    /// Times that it is passed before it acts.
    passes: u32,
    /// Whether it acts each time from then on.
    always: bool,
}

/// A specification that says nothing.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum ArmError {
    /// No such point.
    #[error("there is no failpoint \"{0}\"")]
    Name(String),
    /// It is not of the form `name=action[@n][+]`.
    #[error("cannot read \"{0}\": name=abort|sleep(ms)|fail, then @n for the n-th time, + for on")]
    Form(String),
}

/// Arms the points in `specification`: `name=action`, separated by `;`, where the action is
/// `abort`, `fail` or `sleep(ms)`; `@3` behind it says the third time (the first is the default),
/// `+` that it acts each time from then on.
///
/// # Errors
/// [`ArmError`] for the first part that cannot be read; then none is armed.
pub fn arm(specification: &str) -> Result<(), ArmError> {
    let parts = specification.split(';').map(str::trim);
    let parts = parts.filter(|part| !part.is_empty()).map(read);
    let points: Vec<(&'static str, Point)> = parts.collect::<Result<_, _>>()?;
    if points.is_empty() {
        return Ok(());
    }
    let mut table = POINTS.lock().unwrap_or_else(PoisonError::into_inner);
    table.extend(points);
    ARMED.store(true, Ordering::Release);
    Ok(())
}

fn read(part: &str) -> Result<(&'static str, Point), ArmError> {
    let form = || ArmError::Form(part.to_owned());
    let (name, rest) = part.split_once('=').ok_or_else(form)?;
    let known = NAMES.iter().find(|known| **known == name.trim());
    let name = known.ok_or_else(|| ArmError::Name(name.trim().to_owned()))?;
    let (rest, always) = match rest.trim().strip_suffix('+') {
        Some(rest) => (rest, true),
        None => (rest.trim(), false),
    };
    let (action, time) = rest.split_once('@').unwrap_or((rest, "1"));
    let time: u32 = time.trim().parse().map_err(|_| form())?;
    let action = match action.trim() {
        "abort" => Action::Abort,
        "fail" => Action::Fail,
        other => {
            let ms = other
                .strip_prefix("sleep(")
                .and_then(|ms| ms.strip_suffix(')'));
            let ms = ms.and_then(|ms| ms.trim().parse().ok()).ok_or_else(form)?;
            Action::Sleep(Duration::from_millis(ms))
        }
    };
    let point = Point {
        action,
        passes: time.checked_sub(1).ok_or_else(form)?,
        always,
    };
    Ok((name, point))
}

/// Passes the point `name`.
#[inline]
pub fn pass(name: &'static str) {
    if ARMED.load(Ordering::Relaxed) {
        act(name);
    }
}

/// Passes the point `name`; whether the caller shall fail as if its answer had been lost.
#[inline]
#[must_use]
pub fn fails(name: &'static str) -> bool {
    ARMED.load(Ordering::Relaxed) && act(name)
}

#[cold]
fn act(name: &'static str) -> bool {
    let action = {
        let mut table = POINTS.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(point) = table.get_mut(name) else {
            return false;
        };
        if point.passes > 0 {
            point.passes -= 1;
            return false;
        }
        let action = point.action;
        if !point.always {
            table.remove(name);
        }
        action
    };
    match action {
        Action::Abort => std::process::abort(),
        Action::Sleep(time) => {
            std::thread::sleep(time);
            false
        }
        Action::Fail => true,
    }
}

#[cfg(test)]
mod tests;
