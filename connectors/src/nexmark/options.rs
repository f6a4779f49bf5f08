//! The options of a Nexmark source: as written, then as validated.

use arrow::compute::kernels::cast_utils::string_to_timestamp_nanos;
use rtsap_stream::error::ConnectorError;
use rtsap_stream::registry::SourceRequest;

use super::event::Kind;
use crate::options::{OptionReader, SourceOptions};

/// The rate of the benchmark's descriptions.
const EVENTS_PER_SECOND: u64 = 10_000;
/// Events are a nanosecond apart at least.
const EVENTS_PER_SECOND_MAX: u64 = 1_000_000_000;
/// Every split costs a turn of the reader.
const SPLITS_MAX: u32 = 256;
/// A group is permuted as a whole; larger ones would only be disorder without a bound.
const GROUP_MAX: u64 = 1_000_000;
/// The moment of event 0, that of the generated market. Not the wall clock, which no replay could
/// repeat.
const START_TIME: &str = "2024-01-02T14:30:00Z";
/// The seed where none is given.
const SEED: u64 = 42;

/// Options of a source, checked.
#[derive(Clone, Debug)]
pub struct NexmarkOptions {
    /// Which events.
    pub kind: Kind,
    /// Same seed, same events.
    pub seed: u64,
    /// Events of all types a second: of event time, and of the wall clock if paced.
    pub events_per_second: u64,
    /// How many events of all types there are; `None` for no end.
    pub events_max: Option<u64>,
    /// Event time of event 0, in nanoseconds since the Unix epoch.
    pub start_ns: i64,
    /// Rows of so many are permuted among themselves; 1 for none.
    pub group: u64,
    /// How many splits the rows are dealt to.
    pub splits: u32,
    /// Whether reading keeps to the wall clock.
    pub paced: bool,
}

impl NexmarkOptions {
    /// Reads the options of `request`.
    ///
    /// # Errors
    /// `Invalid` for an unknown option or a bad value.
    pub fn read(request: &SourceRequest) -> Result<Self, ConnectorError> {
        let subject = format!("source \"{}\"", request.name);
        let mut reader = OptionReader::new(subject, &request.options);
        reader.accept(&["connector"]);
        SourceOptions::read(&mut reader)?;
        let options = Self {
            kind: kind(&mut reader)?,
            seed: reader.number("seed")?.unwrap_or(SEED),
            events_per_second: within(
                &mut reader,
                "events-per-second",
                EVENTS_PER_SECOND_MAX,
                EVENTS_PER_SECOND,
            )?,
            events_max: reader.number("number-of-events")?,
            start_ns: start_time(&mut reader)?,
            group: within(&mut reader, "out-of-order-group-size", GROUP_MAX, 1)?,
            splits: within(&mut reader, "splits", SPLITS_MAX, 1)?,
            paced: reader
                .choice("pace", &[("wall-clock", true), ("none", false)])?
                .unwrap_or(true),
        };
        reader.finish()?;
        Ok(options)
    }
}

/// `table.type`, also as other systems spell it.
fn kind(reader: &mut OptionReader<'_>) -> Result<Kind, ConnectorError> {
    let kinds = [
        ("person", Kind::Person),
        ("auction", Kind::Auction),
        ("bid", Kind::Bid),
    ];
    let other = reader.choice("nexmark.table.type", &kinds)?;
    match (reader.choice("table.type", &kinds)?, other) {
        (Some(kind), None) | (None, Some(kind)) => Ok(kind),
        (Some(_), Some(_)) => {
            Err(reader.invalid("nexmark.table.type", "says again what \"table.type\" says"))
        }
        // The words of a missing option.
        (None, None) => reader.required("table.type").map(|_| Kind::Bid),
    }
}

/// A number from 1 to `max`.
fn within<T>(
    reader: &mut OptionReader<'_>,
    key: &str,
    max: T,
    default: T,
) -> Result<T, ConnectorError>
where
    T: std::str::FromStr + PartialOrd + std::fmt::Display + From<u8>,
{
    let value = reader.number(key)?.unwrap_or(default);
    if value < T::from(1) || value > max {
        let problem = format!("cannot be {value}: it must be from 1 to {max}");
        return Err(reader.invalid(key, &problem));
    }
    Ok(value)
}

fn start_time(reader: &mut OptionReader<'_>) -> Result<i64, ConnectorError> {
    let text = reader.text("start-time").unwrap_or(START_TIME);
    string_to_timestamp_nanos(text.trim()).map_err(|error| {
        let problem = format!("cannot be \"{text}\": a timestamp is expected");
        reader
            .invalid("start-time", &problem)
            .with_hint(format!("Write it as '{START_TIME}'."))
            .with_source(error)
    })
}
