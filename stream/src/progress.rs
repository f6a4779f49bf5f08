//! What a target remembers of a sink, and what follows from it. Pure: each sink reads and writes
//! its record in its own way, and asks here what it means.
//!
//! A record says which generation owns the sink and which epoch was applied last. It is written in
//! one step with the rows of that epoch, so that it can be believed whatever answers were lost.

use std::fmt;
use std::num::ParseIntError;
use std::str::FromStr;

use crate::error::{ConnectorError, ErrorKind};
use crate::message::{Epoch, Generation};

/// What the record says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    /// Who may write.
    pub generation: u64,
    /// The last epoch applied.
    pub epoch: u64,
}

/// Whose record it is: a sink of a data directory, by numbers that are never given again. A sink of
/// the same name in another directory, or one that was dropped and created again, is another one;
/// its epochs are other rows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Owner {
    /// The data directory.
    pub directory: u64,
    /// The sink in it.
    pub sink: u64,
}

impl fmt::Display for Owner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}-{}", self.directory, self.sink)
    }
}

impl FromStr for Owner {
    type Err = ParseIntError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (directory, sink) = text.split_once('-').unwrap_or((text, ""));
        Ok(Self {
            directory: u64::from_str_radix(directory, 16)?,
            sink: sink.parse()?,
        })
    }
}

/// What is to be done with an epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Move {
    /// Its rows are not there: write them and move the record.
    Apply,
    /// It has been applied before; nothing is to be done.
    AlreadyApplied,
}

/// Whether `generation` may own the sink whose record is `known`, and after which epoch it goes on.
/// `expected` is the last epoch that a checkpoint knows to be applied.
///
/// # Errors
/// `Fenced` if a later generation owns it; `Data` if the record is missing or older although
/// `expected` says what was there.
pub fn claim(
    sink: &str,
    generation: Generation,
    known: Option<Progress>,
    expected: Option<Epoch>,
) -> Result<Epoch, ConnectorError> {
    match (known, expected) {
        (Some(known), _) if known.generation > generation.number() => {
            Err(fenced(sink, generation, known))
        }
        // What is between was forgotten here when the target had confirmed it: it cannot be sent
        // again.
        (Some(known), Some(expected)) if known.epoch < expected.number() => {
            Err(gone_back(sink, known.epoch, expected))
        }
        (Some(known), _) => Ok(Epoch::new(known.epoch)),
        (None, Some(expected)) => Err(missing(sink, expected)),
        (None, None) => Ok(Epoch::ZERO),
    }
}

/// Checks that the record `known`, which names its owner as `found`, belongs to `owner`. Older
/// versions named none: then it is ours if a checkpoint knows so (`expected`), or if nothing was
/// ever written under it.
///
/// # Errors
/// `Data` if it belongs to another sink, or nobody can say that it does not.
pub fn check_owner(
    sink: &str,
    owner: Owner,
    found: Option<Owner>,
    known: Option<Progress>,
    expected: Option<Epoch>,
) -> Result<(), ConnectorError> {
    let Some(known) = known else {
        return Ok(());
    };
    let why = match found {
        Some(found) if found == owner => return Ok(()),
        Some(found) if found.directory == owner.directory => {
            "A sink of this name was dropped here, and what it has written may still be there."
        }
        Some(_) => "A server on another data directory has, or had, a sink of this name.",
        None if expected.is_some() || known.epoch == 0 => return Ok(()),
        None => "Its record is from an older version, and no checkpoint knows of it.",
    };
    Err(ConnectorError::data(format!(
        "cannot write to sink \"{sink}\": the target belongs to another sink of that name"
    ))
    .with_detail(format!(
        "{why} It stands at epoch {} of generation {}.",
        known.epoch, known.generation
    ))
    .with_hint(
        "Drop the sink and create it under another name, on a target of its own; or, if nobody \
         writes there any more, empty the target and delete the record.",
    ))
}

/// What `generation` is to do with `epoch`, whose changes follow those of `previous`.
///
/// A process sends its epochs in order, each until it knows that it is applied. So its own record
/// can be one epoch further than it knows, never more.
///
/// # Errors
/// `Fenced` if a later generation owns the sink; `Data` if the record is missing, of an earlier
/// generation, or stands elsewhere.
pub fn judge(
    sink: &str,
    generation: Generation,
    known: Option<Progress>,
    previous: Epoch,
    epoch: Epoch,
) -> Result<Move, ConnectorError> {
    let Some(known) = known else {
        return Err(missing(sink, previous));
    };
    if known.generation > generation.number() {
        return Err(fenced(sink, generation, known));
    }
    if known.generation < generation.number() {
        return Err(unfenced(sink, generation, known, epoch));
    }
    if known.epoch == epoch.number() {
        return Ok(Move::AlreadyApplied);
    }
    if known.epoch == previous.number() {
        return Ok(Move::Apply);
    }
    if known.epoch > epoch.number() {
        return Err(foreign(sink, known, epoch));
    }
    Err(gap(sink, known, previous, epoch))
}

fn fenced(sink: &str, own: Generation, known: Progress) -> ConnectorError {
    ConnectorError::new(
        ErrorKind::Fenced,
        format!("cannot write to sink \"{sink}\": a newer process owns it"),
    )
    .with_detail(format!(
        "This is generation {own}; generation {} owns it.",
        known.generation
    ))
    .with_hint(
        "If no other process writes there, this one began on a new data directory under the name \
         of an older sink: give the sink another name.",
    )
}

fn unfenced(sink: &str, own: Generation, known: Progress, epoch: Epoch) -> ConnectorError {
    ConnectorError::data(format!(
        "cannot apply epoch {epoch} to sink \"{sink}\": the target has gone back in time"
    ))
    .with_detail(format!(
        "It was fenced for generation {own} and now says {}.",
        known.generation
    ))
    .with_hint("The target was restored or failed over. ALTER SINK … RESUME takes it over anew.")
}

fn gap(sink: &str, known: Progress, previous: Epoch, epoch: Epoch) -> ConnectorError {
    ConnectorError::data(format!(
        "cannot apply epoch {epoch} to sink \"{sink}\": there is a gap"
    ))
    .with_detail(format!(
        "The target stands at epoch {}; the changes follow epoch {previous}.",
        known.epoch
    ))
    .with_hint("The target was restored from an older state, or its record was changed.")
}

fn foreign(sink: &str, known: Progress, epoch: Epoch) -> ConnectorError {
    ConnectorError::data(format!(
        "cannot apply epoch {epoch} to sink \"{sink}\": somebody else writes there under its name"
    ))
    .with_detail(format!(
        "The target stands at epoch {}, which this process has not written.",
        known.epoch
    ))
    .with_hint(
        "A server on another data directory has a sink of this name. Drop one of the two and \
         create it under another name, on a target of its own.",
    )
}

fn gone_back(sink: &str, found: u64, expected: Epoch) -> ConnectorError {
    ConnectorError::data(format!(
        "cannot write to sink \"{sink}\": the target has gone back in time"
    ))
    .with_detail(format!(
        "Epoch {expected} was applied there; its record says {found}."
    ))
    .with_hint(
        "The target was restored from an older state, and what came after it cannot be sent \
         again. Drop the sink and create it anew, under another name, on an empty target.",
    )
}

fn missing(sink: &str, expected: Epoch) -> ConnectorError {
    ConnectorError::data(format!(
        "cannot write to sink \"{sink}\": its progress record is missing"
    ))
    .with_detail(format!(
        "Epoch {expected} was applied there, but there is no record of the sink."
    ))
    .with_hint(
        "This is another target, or the record was deleted. Writing again could duplicate rows; \
         drop the sink and create it anew on an empty target.",
    )
}

#[cfg(test)]
mod tests;
