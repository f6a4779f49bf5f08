//! Typed reading of `WITH` options. Owns how a value is spelt (durations, flags, choices) and how a
//! wrong key is answered: every key must be asked for by somebody, and [`OptionReader::finish`]
//! refuses the rest.

use std::collections::BTreeSet;
use std::str::FromStr;
use std::time::Duration;

use rtsap_stream::error::ConnectorError;
use rtsap_stream::registry::Options;

mod source;

pub use source::{OnError, SourceOptions};

/// Reads options by key and remembers which keys exist.
///
/// Use: read every option the connector knows, then call [`OptionReader::finish`].
///
/// ```
/// # use rtsap_connectors::options::OptionReader;
/// # use rtsap_stream::registry::Options;
/// let options = Options([("topic".to_owned(), "trades".to_owned())].into());
/// let mut reader = OptionReader::new("source \"trades\"", &options);
/// assert_eq!(reader.required("topic").unwrap(), "trades");
/// reader.finish().unwrap();
/// ```
pub struct OptionReader<'a> {
    subject: String,
    options: &'a Options,
    known: BTreeSet<String>,
    prefixes: Vec<&'static str>,
}

impl<'a> OptionReader<'a> {
    /// A reader of `options` of `subject` (`source "trades"`), which error messages name.
    pub fn new(subject: impl Into<String>, options: &'a Options) -> Self {
        Self {
            subject: subject.into(),
            options,
            known: BTreeSet::new(),
            prefixes: Vec::new(),
        }
    }

    /// What the options belong to, for messages.
    pub fn subject(&self) -> &str {
        &self.subject
    }

    /// The text of `key`, if given.
    pub fn text(&mut self, key: &str) -> Option<&'a str> {
        if !self.known.contains(key) {
            self.known.insert(key.to_owned());
        }
        self.options.get(key)
    }

    /// The text of `key`.
    ///
    /// # Errors
    /// `Invalid` if it is missing or blank.
    pub fn required(&mut self, key: &str) -> Result<&'a str, ConnectorError> {
        match self.text(key) {
            Some(value) if !value.trim().is_empty() => Ok(value),
            Some(_) => Err(self.invalid(key, "must not be empty")),
            None => Err(ConnectorError::invalid(format!(
                "option \"{key}\" of {} is missing",
                self.subject
            ))
            .with_hint(format!("Add '{key}' = '…' to the WITH clause."))),
        }
    }

    /// The value of `key` as `true` or `false`, if given.
    ///
    /// # Errors
    /// `Invalid` for anything else.
    pub fn flag(&mut self, key: &str) -> Result<Option<bool>, ConnectorError> {
        self.choice(
            key,
            &[
                ("true", true),
                ("false", false),
                ("on", true),
                ("off", false),
            ],
        )
    }

    /// The value of `key` as a number, if given.
    ///
    /// # Errors
    /// `Invalid` if it is not a number of that type.
    pub fn number<T: FromStr>(&mut self, key: &str) -> Result<Option<T>, ConnectorError> {
        let Some(text) = self.text(key) else {
            return Ok(None);
        };
        match text.trim().replace('_', "").parse() {
            Ok(number) => Ok(Some(number)),
            Err(_) => {
                Err(self.invalid(key, &format!("cannot be \"{text}\": a number is expected")))
            }
        }
    }

    /// The value of `key` as a length of time, if given: `500 ms`, `5s`, `1 min`, `2 hours`,
    /// `1 day`.
    ///
    /// # Errors
    /// `Invalid` if it is not a number with a unit.
    pub fn duration(&mut self, key: &str) -> Result<Option<Duration>, ConnectorError> {
        let Some(text) = self.text(key) else {
            return Ok(None);
        };
        match parse_duration(text) {
            Some(duration) => Ok(Some(duration)),
            None => Err(self
                .invalid(
                    key,
                    &format!("cannot be \"{text}\": a length of time is expected"),
                )
                .with_hint("Write a number and a unit, such as '500 ms', '5 s' or '1 min'.")),
        }
    }

    /// The value of `key` as one of the named choices, if given. Upper and lower case do not
    /// matter.
    ///
    /// # Errors
    /// `Invalid`, with the choices, for anything else.
    pub fn choice<T: Copy>(
        &mut self,
        key: &str,
        choices: &[(&str, T)],
    ) -> Result<Option<T>, ConnectorError> {
        let Some(text) = self.text(key) else {
            return Ok(None);
        };
        let wanted = text.trim();
        let found = choices
            .iter()
            .find(|(name, _)| name.eq_ignore_ascii_case(wanted));
        if let Some((_, value)) = found {
            return Ok(Some(*value));
        }
        let names: Vec<&str> = choices.iter().map(|(name, _)| *name).collect();
        let hint = match nearest(wanted, names.iter().copied()) {
            Some(name) => format!(
                "Did you mean '{name}'? Possible values: {}.",
                names.join(", ")
            ),
            None => format!("Possible values: {}.", names.join(", ")),
        };
        Err(self
            .invalid(key, &format!("cannot be \"{text}\""))
            .with_hint(hint))
    }

    /// All options whose key starts with `prefix`, as (rest of the key, value).
    pub fn prefixed(&mut self, prefix: &'static str) -> Vec<(&'a str, &'a str)> {
        self.prefixes.push(prefix);
        let found = self.options.0.iter();
        found
            .filter_map(|(key, value)| Some((key.strip_prefix(prefix)?, value.as_str())))
            .collect()
    }

    /// Declares keys that somebody else reads.
    pub fn accept(&mut self, keys: &[&str]) {
        self.known.extend(keys.iter().map(|key| (*key).to_owned()));
    }

    /// An error about the value of `key`: `option "k" of source "s" <problem>`.
    pub fn invalid(&self, key: &str, problem: &str) -> ConnectorError {
        ConnectorError::invalid(format!("option \"{key}\" of {} {problem}", self.subject))
    }

    /// Checks that every option given has been asked for.
    ///
    /// # Errors
    /// `Invalid` for the first key that nobody knows, with the nearest known one as a hint.
    pub fn finish(self) -> Result<(), ConnectorError> {
        let unknown = self.options.0.keys().find(|key| {
            !self.known.contains(*key) && !self.prefixes.iter().any(|p| key.starts_with(p))
        });
        let Some(key) = unknown else { return Ok(()) };
        let known: Vec<&str> = self.known.iter().map(String::as_str).collect();
        let error =
            ConnectorError::invalid(format!("unknown option \"{key}\" of {}", self.subject));
        Err(match nearest(key, known.iter().copied()) {
            Some(name) => error.with_hint(format!("Did you mean '{name}'?")),
            None => error.with_hint(format!("Known options: {}.", known.join(", "))),
        })
    }
}

/// The candidate that looks most like `word`, if one is close enough to be meant.
pub fn nearest<'c>(word: &str, candidates: impl IntoIterator<Item = &'c str>) -> Option<&'c str> {
    /// Below this similarity a suggestion confuses more than it helps.
    const SIMILARITY_MIN: f64 = 0.6;
    let word = word.to_lowercase();
    let best = candidates
        .into_iter()
        .map(|name| {
            (
                strsim::normalized_damerau_levenshtein(&word, &name.to_lowercase()),
                name,
            )
        })
        .max_by(|a, b| a.0.total_cmp(&b.0))?;
    (best.0 >= SIMILARITY_MIN).then_some(best.1)
}

/// A length of time: a number and a unit, with or without a space. `0` needs no unit.
pub fn parse_duration(text: &str) -> Option<Duration> {
    let text = text.trim();
    let digits_end = text
        .find(|c: char| !c.is_ascii_digit() && c != '.')
        .unwrap_or(text.len());
    let (number, unit) = text.split_at(digits_end);
    let number: f64 = number.parse().ok()?;
    let seconds = match unit.trim().to_ascii_lowercase().as_str() {
        "ns" | "nanosecond" | "nanoseconds" => 1e-9,
        "us" | "µs" | "microsecond" | "microseconds" => 1e-6,
        "ms" | "millisecond" | "milliseconds" => 1e-3,
        "s" | "sec" | "second" | "seconds" => 1.0,
        "m" | "min" | "minute" | "minutes" => 60.0,
        "h" | "hour" | "hours" => 3_600.0,
        "d" | "day" | "days" => 86_400.0,
        "" if number == 0.0 => 1.0,
        _ => return None,
    };
    Duration::try_from_secs_f64(number * seconds).ok()
}

#[cfg(test)]
mod tests;
