//! The `WITH` options of a streaming view.

use datafusion::arrow::compute::kernels::cast_utils::string_to_timestamp_nanos;

use crate::duration::nanos_of;
use crate::error::{Cause, PlanError, nearest};
use crate::statement::{WithOption, WithOptions};

/// Where a view begins to read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ViewStart {
    /// At the start positions of its sources, and with all rows of the tables and views it reads.
    #[default]
    Beginning,
    /// At what comes from now on.
    Now,
    /// At the rows of this event time, in nanoseconds since 1970-01-01.
    At(i64),
}

/// What a row is late for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LatePolicy {
    /// A window that is closed; it may be in time for another one.
    #[default]
    Window,
    /// Its source, and so for everything: it is below the source's watermark.
    Source,
}

/// Options of a view, checked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ViewOptions {
    /// `start_from`.
    pub start: ViewStart,
    /// `late_policy`.
    pub late: LatePolicy,
    /// `state_ttl`: how long joins keep rows that nothing else bounds, in event time.
    pub state_ttl_nanos: Option<i64>,
    /// `retention`: how long rows are served, in event time; for ever if `None`.
    pub retention_nanos: Option<i64>,
    /// `memory_limit`: bytes of state and served rows beyond which it is suspended; the server's
    /// limit if `None`.
    pub memory_limit_bytes: Option<usize>,
}

/// Checks the options of a view.
///
/// # Errors
/// [`Cause::Option`] for unknown ones, [`Cause::Unsupported`] for known ones that this version does
/// not obey.
pub fn view_options(options: &WithOptions) -> Result<ViewOptions, PlanError> {
    let mut checked = ViewOptions::default();
    for (key, option) in options {
        match key.as_str() {
            "start_from" => checked.start = start(option)?,
            "late_policy" => checked.late = late_policy(option)?,
            "state_ttl" => checked.state_ttl_nanos = Some(some_time(key, option)?),
            "retention" => checked.retention_nanos = Some(some_time(key, option)?),
            "memory_limit" => checked.memory_limit_bytes = Some(some_memory(option)?),
            _ => {
                let known = [
                    "start_from",
                    "late_policy",
                    "state_ttl",
                    "retention",
                    "memory_limit",
                ];
                let message = format!("unknown option \"{key}\" of a streaming view");
                let error = PlanError::new(Cause::Option { message }).at(option.position);
                return Err(error.maybe_hint(nearest(key, known)));
            }
        }
    }
    Ok(checked)
}

fn some_time(key: &str, option: &WithOption) -> Result<i64, PlanError> {
    let nanos = nanos_of(&option.value, None).map_err(|error| error.at(option.position))?;
    if nanos > 0 {
        return Ok(nanos);
    }
    let message = format!("{key} must be longer than nothing");
    let error = PlanError::new(Cause::Option { message }).at(option.position);
    Err(error.hint(format!("Write a duration, such as {key} = '1 hour'.")))
}

/// The units of amounts of memory, as PostgreSQL has them.
const MEMORY_UNITS: [(&str, usize); 5] = [
    ("b", 1),
    ("kb", 1 << 10),
    ("mb", 1 << 20),
    ("gb", 1 << 30),
    ("tb", 1 << 40),
];

fn some_memory(option: &WithOption) -> Result<usize, PlanError> {
    let text = option.value.trim().to_lowercase();
    let digits = text
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(text.len());
    let (number, unit) = (&text[..digits], text[digits..].trim());
    let unit = MEMORY_UNITS.iter().find(|(name, _)| *name == unit);
    let bytes = match (number.parse::<usize>(), unit) {
        (Ok(number), Some((_, unit))) => number.checked_mul(*unit).filter(|bytes| *bytes > 0),
        _ => None,
    };
    bytes.ok_or_else(|| {
        let message = format!("memory_limit = '{}' is no amount of memory", option.value);
        let error = PlanError::new(Cause::Option { message }).at(option.position);
        error.hint("Write a number with B, kB, MB, GB or TB: memory_limit = '512 MB'.")
    })
}

fn start(option: &WithOption) -> Result<ViewStart, PlanError> {
    match option.value.to_lowercase().as_str() {
        "beginning" => Ok(ViewStart::Beginning),
        "now" => Ok(ViewStart::Now),
        _ => {
            let parsed = string_to_timestamp_nanos(&option.value).map_err(|_| {
                let message = format!("start_from = '{}' is no time", option.value);
                let error = PlanError::new(Cause::Option { message }).at(option.position);
                error.hint("Use 'beginning', 'now', or a timestamp: '2026-01-31T09:30:00Z'.")
            })?;
            Ok(ViewStart::At(parsed))
        }
    }
}

fn late_policy(option: &WithOption) -> Result<LatePolicy, PlanError> {
    match option.value.to_lowercase().as_str() {
        "window" => Ok(LatePolicy::Window),
        "source" => Ok(LatePolicy::Source),
        other => {
            let message = format!("late_policy = '{other}'");
            let error = PlanError::new(Cause::Option { message }).at(option.position);
            Err(error.hint("Use 'window' or 'source'."))
        }
    }
}
