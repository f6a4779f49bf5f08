//! What a process has used, from `/proc`.

use std::fs::read_to_string;

use crate::Failure;

/// Clock ticks a second in `/proc/<pid>/stat`: the same on every Linux of our architectures.
const TICKS_PER_SECOND: f64 = 100.0;

/// CPU-seconds that process `id` has used so far, in user and system mode, all threads.
///
/// # Errors
/// If the process is gone.
pub fn cpu_seconds(id: u32) -> Result<f64, Failure> {
    let path = format!("/proc/{id}/stat");
    let text = read_to_string(&path)?;
    // The second field is the name, in parentheses, and may have spaces.
    let fields: Vec<&str> = text
        .rsplit_once(')')
        .map(|(_, rest)| rest.split_whitespace().collect())
        .unwrap_or_default();
    let ticks = |index: usize| {
        fields
            .get(index)
            .and_then(|field| field.parse::<f64>().ok())
    };
    match (ticks(11), ticks(12)) {
        (Some(user), Some(system)) => Ok((user + system) / TICKS_PER_SECOND),
        _ => Err(format!("cannot read CPU times from {path}").into()),
    }
}

/// Resident memory of a process in bytes: now, and the most it ever was.
#[derive(Clone, Copy, Debug)]
pub struct Resident {
    /// Now.
    pub now: u64,
    /// The most so far.
    pub peak: u64,
}

/// The resident memory of process `id`.
///
/// # Errors
/// If the process is gone.
pub fn resident(id: u32) -> Result<Resident, Failure> {
    let path = format!("/proc/{id}/status");
    let text = read_to_string(&path)?;
    let field = |name: &str| {
        let line = text.lines().find_map(|line| line.strip_prefix(name))?;
        let kib: u64 = line.split_whitespace().next()?.parse().ok()?;
        Some(kib * 1_024)
    };
    match (field("VmRSS:"), field("VmHWM:")) {
        (Some(now), Some(peak)) => Ok(Resident { now, peak }),
        _ => Err(format!("cannot read memory from {path}").into()),
    }
}

/// The load averages of one, five and fifteen minutes, as the system writes them.
pub fn load() -> String {
    let text = read_to_string("/proc/loadavg").unwrap_or_default();
    let averages: Vec<&str> = text.split_whitespace().take(3).collect();
    averages.join(" ")
}
