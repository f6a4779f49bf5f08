//! The generator's options: as written, then as validated.

use std::collections::BTreeMap;
use std::time::Duration;

use arrow::compute::kernels::cast_utils::string_to_timestamp_nanos;
use rtsap_stream::error::ConnectorError;
use rtsap_stream::registry::SourceRequest;

use super::market::MarketConfig;
use crate::options::{OptionReader, SourceOptions, nearest};

/// Flink's default.
const ROWS_PER_SECOND: u64 = 10_000;
/// A laptop makes about this many rows a second and core; more would only be a wrong promise.
const ROWS_PER_SECOND_MAX: u64 = 10_000_000;
/// Every split costs a turn of the reader.
const SPLITS_MAX: u32 = 256;
/// Each symbol holds a walk of some 300 bytes.
const SYMBOLS_MAX: usize = 100_000;
/// One row in twenty is out of order unless the option says otherwise.
const DISORDER_SHARE: f64 = 0.05;
/// The moment of row 0: an opening of the New York market. Not the wall clock, which no replay
/// could repeat.
const START_TIME: &str = "2024-01-02T14:30:00Z";

/// What the rows are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Trades of the market.
    Trades,
    /// Quotes of the market.
    Quotes,
    /// Only what the options `fields.<name>.…` say.
    Fields,
}

/// Options of the generator, checked.
#[derive(Clone, Debug)]
pub struct GeneratorOptions {
    /// What the rows are.
    pub kind: Kind,
    /// Seed and symbols.
    pub market: MarketConfig,
    /// Rows per second of all splits together: of event time, and of the wall clock if paced.
    pub rows_per_second: u64,
    /// How many rows there are in all splits together; `None` for no end.
    pub rows_max: Option<u64>,
    /// Event time of row 0, in nanoseconds since the Unix epoch.
    pub start_ns: i64,
    /// How much too old a disordered row may be, in nanoseconds; 0 for none.
    pub disorder_ns: u64,
    /// The share of rows that are disordered, from 0 to 1.
    pub disorder_share: f64,
    /// How many splits the rows are dealt to.
    pub splits: u32,
    /// Whether reading keeps to the wall clock.
    pub paced: bool,
    /// Rules by column name.
    pub fields: BTreeMap<String, FieldRule>,
}

/// What `fields.<name>.…` says, as written.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FieldRule {
    /// `kind`: a sequence, or random values.
    pub sequence: bool,
    /// `min`.
    pub min: Option<String>,
    /// `max`.
    pub max: Option<String>,
    /// `start`.
    pub start: Option<i64>,
    /// `end`, itself included.
    pub end: Option<i64>,
    /// `length`, in characters.
    pub length: Option<usize>,
    /// `max-past`, in nanoseconds.
    pub past_ns_max: Option<u64>,
}

impl GeneratorOptions {
    /// Reads the options of `request`.
    ///
    /// # Errors
    /// `Invalid` for an unknown option or a bad value.
    pub fn read(request: &SourceRequest) -> Result<Self, ConnectorError> {
        let mut reader =
            OptionReader::new(format!("source \"{}\"", request.name), &request.options);
        reader.accept(&["connector"]);
        SourceOptions::read(&mut reader)?;
        let kinds = [
            ("trades", Kind::Trades),
            ("quotes", Kind::Quotes),
            ("fields", Kind::Fields),
        ];
        let defaults = MarketConfig::default();
        let mut options = Self {
            kind: reader.choice("kind", &kinds)?.unwrap_or(Kind::Fields),
            market: MarketConfig {
                seed: reader.number("seed")?.unwrap_or(defaults.seed),
                symbols: within(&mut reader, "symbols", 1, SYMBOLS_MAX, defaults.symbols)?,
            },
            rows_per_second: within(
                &mut reader,
                "rows-per-second",
                1,
                ROWS_PER_SECOND_MAX,
                ROWS_PER_SECOND,
            )?,
            rows_max: reader.number("number-of-rows")?,
            start_ns: start_time(&mut reader)?,
            disorder_ns: nanos(reader.duration("disorder")?.unwrap_or_default()),
            disorder_share: disorder_share(&mut reader)?,
            splits: within(&mut reader, "splits", 1, SPLITS_MAX, 1)?,
            paced: reader
                .choice("pace", &[("wall-clock", true), ("none", false)])?
                .unwrap_or(true),
            fields: field_rules(&mut reader, request)?,
        };
        reader.finish()?;
        options.end_with_sequences()?;
        Ok(options)
    }

    /// A sequence with an end bounds the source, as in Flink.
    fn end_with_sequences(&mut self) -> Result<(), ConnectorError> {
        for (name, rule) in self.fields.iter().filter(|(_, rule)| rule.sequence) {
            let Some(end) = rule.end else { continue };
            let start = rule.start.unwrap_or(0);
            let rows = i128::from(end) - i128::from(start) + 1;
            let rows = u64::try_from(rows).map_err(|_| {
                ConnectorError::invalid(format!(
                    "option \"fields.{name}.end\" is {end}, below the start {start}"
                ))
            })?;
            self.rows_max = Some(self.rows_max.map_or(rows, |limit| limit.min(rows)));
        }
        Ok(())
    }
}

fn within<T>(
    reader: &mut OptionReader<'_>,
    key: &str,
    min: T,
    max: T,
    default: T,
) -> Result<T, ConnectorError>
where
    T: std::str::FromStr + PartialOrd + std::fmt::Display,
{
    let value = reader.number(key)?.unwrap_or(default);
    if value < min || value > max {
        return Err(reader.invalid(
            key,
            &format!("cannot be {value}: it must be from {min} to {max}"),
        ));
    }
    Ok(value)
}

fn start_time(reader: &mut OptionReader<'_>) -> Result<i64, ConnectorError> {
    let text = reader.text("start-time").unwrap_or(START_TIME);
    string_to_timestamp_nanos(text.trim()).map_err(|error| {
        reader
            .invalid(
                "start-time",
                &format!("cannot be \"{text}\": a timestamp is expected"),
            )
            .with_hint(format!("Write it as '{START_TIME}'."))
            .with_source(error)
    })
}

fn disorder_share(reader: &mut OptionReader<'_>) -> Result<f64, ConnectorError> {
    let share = reader.number("disorder-share")?.unwrap_or(DISORDER_SHARE);
    if !(0.0..=1.0).contains(&share) {
        return Err(reader.invalid("disorder-share", "must be from 0 to 1"));
    }
    Ok(share)
}

fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

fn field_rules(
    reader: &mut OptionReader<'_>,
    request: &SourceRequest,
) -> Result<BTreeMap<String, FieldRule>, ConnectorError> {
    let mut rules: BTreeMap<String, FieldRule> = BTreeMap::new();
    for (rest, value) in reader.prefixed("fields.") {
        let key = format!("fields.{rest}");
        let Some((name, what)) = rest.rsplit_once('.') else {
            return Err(reader
                .invalid(&key, "names no column and property")
                .with_hint("Write 'fields.<column>.kind'."));
        };
        let names = || {
            request
                .columns
                .schema
                .fields()
                .iter()
                .map(|field| field.name().as_str())
        };
        let Some(column) = names().find(|column| column.eq_ignore_ascii_case(name)) else {
            let error = reader.invalid(&key, &format!("is about no column: \"{name}\""));
            return Err(match nearest(name, names()) {
                Some(name) => error.with_hint(format!("Did you mean the column \"{name}\"?")),
                None => error,
            });
        };
        let rule = rules.entry(column.to_owned()).or_default();
        set(rule, what, value).map_err(|problem| reader.invalid(&key, &problem))?;
    }
    Ok(rules)
}

fn set(rule: &mut FieldRule, what: &str, value: &str) -> Result<(), String> {
    fn number<T: std::str::FromStr>(value: &str) -> Result<Option<T>, String> {
        let number = value.trim().parse();
        number
            .map(Some)
            .map_err(|_| format!("cannot be \"{value}\": a number is expected"))
    }
    match what {
        "kind" => {
            rule.sequence = match value {
                "sequence" => true,
                "random" => false,
                _ => return Err(format!("cannot be \"{value}\": 'random' or 'sequence'")),
            }
        }
        "min" => rule.min = Some(value.to_owned()),
        "max" => rule.max = Some(value.to_owned()),
        "start" => rule.start = number(value)?,
        "end" => rule.end = number(value)?,
        "length" => rule.length = number(value)?,
        "max-past" => {
            let past = crate::options::parse_duration(value);
            let past = past.ok_or_else(|| format!("cannot be \"{value}\": a length of time"))?;
            rule.past_ns_max = Some(nanos(past));
        }
        _ => return Err("is unknown: kind, min, max, start, end, length or max-past".to_owned()),
    }
    Ok(())
}
