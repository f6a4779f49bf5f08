//! The options that every source takes, whatever its connector: how errors are treated and how
//! event time moves. They are checked here and applied by the engine and the runtime.

use std::time::Duration;

use rtsap_stream::error::ConnectorError;

use super::OptionReader;

/// What happens to a payload that cannot be decoded.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnError {
    /// It becomes a row of `<source>$errors`.
    #[default]
    DeadLetter,
    /// The source stops.
    Fail,
    /// It is counted and forgotten.
    Drop,
}

/// Options of any source.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SourceOptions {
    /// `on_error`.
    pub on_error: OnError,
    /// `scan.watermark.idle-timeout`: how long a silent split holds the watermark back.
    pub idle_timeout: Option<Duration>,
    /// `scan.watermark.alignment.group`: sources of one group wait for each other.
    pub alignment_group: Option<String>,
    /// `scan.watermark.alignment.max-drift`: how far one may run ahead.
    pub alignment_drift_max: Option<Duration>,
    /// `max_future_skew`: how far in the future an event time may lie.
    pub future_skew_max: Option<Duration>,
}

impl SourceOptions {
    /// Reads them.
    ///
    /// # Errors
    /// `Invalid` for a value that cannot be read, and for a drift without a group or the reverse.
    pub fn read(reader: &mut OptionReader<'_>) -> Result<Self, ConnectorError> {
        let on_error = reader.choice(
            "on_error",
            &[
                ("dead_letter", OnError::DeadLetter),
                ("fail", OnError::Fail),
                ("drop", OnError::Drop),
            ],
        )?;
        let group = reader
            .text("scan.watermark.alignment.group")
            .map(str::to_owned);
        let drift = reader.duration("scan.watermark.alignment.max-drift")?;
        if group.is_some() != drift.is_some() {
            let (given, missing) = if group.is_some() {
                (
                    "scan.watermark.alignment.group",
                    "scan.watermark.alignment.max-drift",
                )
            } else {
                (
                    "scan.watermark.alignment.max-drift",
                    "scan.watermark.alignment.group",
                )
            };
            return Err(reader.invalid(given, &format!("needs \"{missing}\" as well")));
        }
        Ok(Self {
            on_error: on_error.unwrap_or_default(),
            idle_timeout: reader.duration("scan.watermark.idle-timeout")?,
            alignment_group: group,
            alignment_drift_max: drift,
            future_skew_max: reader.duration("max_future_skew")?,
        })
    }
}
