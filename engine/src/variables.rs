//! Session variables: what `SET`, `SHOW`, `RESET` and `current_setting` speak of.
//!
//! Values that would change how results look or mean are accepted only where that is really done;
//! the rest of PostgreSQL's variables that clients set by habit are kept and shown, and have no
//! effect.

use std::collections::BTreeMap;
use std::time::Duration;

use rtsap_catalog::snapshot::nearest;

use crate::error::EngineError;

mod known;

pub(crate) use known::{KNOWN, Rule};

/// The version of PostgreSQL whose behaviour clients may expect, as `server_version` reports it.
pub const SERVER_VERSION: &str = "17.5";

/// Variables of one session. Names are looked up in any case.
#[derive(Clone, Debug)]
pub(crate) struct Variables {
    /// Values that differ from the default, by lowercase name.
    session: BTreeMap<String, String>,
    /// `SET LOCAL`: gone with the transaction block.
    local: BTreeMap<String, String>,
    /// What `RESET` goes back to where that is not the built-in default: the client's startup
    /// packet.
    start: BTreeMap<String, String>,
}

impl Variables {
    /// The variables of a new session with the values its client gave at the start.
    ///
    /// Returns with them what could not be taken over.
    pub(crate) fn new(given: &[(String, String)]) -> (Self, Vec<EngineError>) {
        let empty = BTreeMap::new;
        let mut this = Self {
            session: empty(),
            local: empty(),
            start: empty(),
        };
        let mut refused = Vec::new();
        for (name, value) in given {
            if let Err(error) = this.set(name, Some(value), false) {
                refused.push(error);
            }
        }
        this.start = this.session.clone();
        (this, refused)
    }

    /// The value of `name`, if there is such a variable.
    pub(crate) fn get(&self, name: &str) -> Option<String> {
        let lower = name.to_ascii_lowercase();
        let own = self.local.get(&lower).or_else(|| self.session.get(&lower));
        own.cloned()
            .or_else(|| known::find(&lower).map(|known| known.default.to_owned()))
    }

    /// All variables with their values and descriptions, in order of their names.
    pub(crate) fn all(&self) -> Vec<(String, String, &'static str)> {
        let value = |name: &str| self.get(name).unwrap_or_default();
        let mut all: Vec<_> = KNOWN
            .iter()
            .map(|known| (known.name.to_owned(), value(known.name), known.description))
            .collect();
        let own = self
            .session
            .keys()
            .filter(|name| known::find(name).is_none());
        all.extend(own.map(|name| (name.clone(), value(name), "Variable of the client's own.")));
        all.sort();
        all
    }

    /// Sets `name`; `None` goes back to the session's start.
    pub(crate) fn set(
        &mut self,
        name: &str,
        value: Option<&str>,
        local: bool,
    ) -> Result<(), EngineError> {
        let lower = name.to_ascii_lowercase();
        let value = match value {
            Some(value) => Some(check(name, &lower, value)?),
            None if known::find(&lower).is_some() || lower.contains('.') => {
                self.start.get(&lower).cloned()
            }
            None => return Err(unknown(name)),
        };
        let scope = if local {
            &mut self.local
        } else {
            &mut self.session
        };
        match value {
            Some(value) => scope.insert(lower, value),
            None => scope.remove(&lower),
        };
        Ok(())
    }

    /// `RESET ALL`.
    pub(crate) fn reset_all(&mut self) {
        self.session = self.start.clone();
        self.local.clear();
    }

    /// Ends a transaction block: what was `SET LOCAL` is gone.
    pub(crate) fn end_block(&mut self) {
        self.local.clear();
    }

    /// How long a statement may run; `None` for any time.
    pub(crate) fn statement_timeout(&self) -> Option<Duration> {
        let text = self.get("statement_timeout")?;
        let limit = duration(&text).unwrap_or_default();
        (!limit.is_zero()).then_some(limit)
    }

    /// Whether reads see the last durable checkpoint instead of the last publish.
    pub(crate) fn reads_committed(&self) -> bool {
        self.get("rtsap.read_consistency")
            .is_some_and(|value| value == "committed")
    }
}

/// Checks a value and brings it into the form in which it is shown.
fn check(name: &str, lower: &str, value: &str) -> Result<String, EngineError> {
    let Some(known) = known::find(lower) else {
        // As in PostgreSQL a name with a dot is the client's own; those with our prefix are ours.
        let own = lower.contains('.') && !lower.starts_with("rtsap.");
        return if own {
            Ok(value.to_owned())
        } else {
            Err(unknown(name))
        };
    };
    let bad = || {
        EngineError::invalid(
            "RT0511",
            format!("invalid value for parameter \"{name}\": \"{value}\""),
        )
        .sqlstate("22023")
    };
    match known.rule {
        Rule::Free => Ok(value.to_owned()),
        Rule::Fixed => {
            if value.eq_ignore_ascii_case(known.default) {
                return Ok(known.default.to_owned());
            }
            let message = format!("parameter \"{name}\" cannot be changed");
            Err(EngineError::invalid("RT0512", message).sqlstate("55P02"))
        }
        Rule::Boolean => boolean(value).map(str::to_owned).ok_or_else(bad),
        Rule::OneOf(values) => {
            let found = values
                .iter()
                .find(|one| one.eq_ignore_ascii_case(value.trim()));
            let hint = format!("Possible values: {}.", values.join(", "));
            found
                .map(|one| (*one).to_owned())
                .ok_or_else(|| bad().hint(hint))
        }
        Rule::Duration => duration(value)
            .map(|_| value.trim().to_owned())
            .ok_or_else(bad),
        Rule::Encoding => {
            let plain: String = value.chars().filter(char::is_ascii_alphanumeric).collect();
            match plain.to_ascii_lowercase().as_str() {
                "utf8" | "unicode" => Ok("UTF8".to_owned()),
                _ => Err(bad().hint("Text is always UTF8.")),
            }
        }
        Rule::DateStyle => {
            let first = value.split(',').next().unwrap_or_default().trim();
            let iso = first.eq_ignore_ascii_case("iso") || is_order(first);
            let hint = "Dates are always shown in ISO style.";
            if iso {
                Ok("ISO, MDY".to_owned())
            } else {
                Err(bad().hint(hint))
            }
        }
        Rule::TimeZone => time_zone(value).ok_or_else(bad),
    }
}

fn is_order(word: &str) -> bool {
    ["mdy", "dmy", "ymd", "us", "european"]
        .iter()
        .any(|order| order.eq_ignore_ascii_case(word))
}

fn boolean(value: &str) -> Option<&'static str> {
    match value.trim().to_ascii_lowercase().as_str() {
        "on" | "true" | "yes" | "1" | "t" | "y" => Some("on"),
        "off" | "false" | "no" | "0" | "f" | "n" => Some("off"),
        _ => None,
    }
}

/// The name of a time zone as it is spelled in the tz database; `UTC` and fixed offsets too.
fn time_zone(value: &str) -> Option<String> {
    let value = value.trim();
    match value.to_ascii_lowercase().as_str() {
        "utc" | "gmt" | "z" | "default" | "local" | "etc/utc" => return Some("UTC".to_owned()),
        _ => {}
    }
    let exact = value.parse::<chrono_tz::Tz>().ok();
    let any_case = || {
        chrono_tz::TZ_VARIANTS
            .iter()
            .copied()
            .find(|zone| zone.name().eq_ignore_ascii_case(value))
    };
    let zone = exact.or_else(any_case).map(|zone| zone.name().to_owned());
    zone.or_else(|| is_offset(value).then(|| value.to_owned()))
}

/// Whether `value` is an offset as Arrow reads it: `+02:00`.
fn is_offset(value: &str) -> bool {
    let digit = |index: usize| value.as_bytes().get(index).is_some_and(u8::is_ascii_digit);
    let [1, 2, 4, 5] = [1, 2, 4, 5].map(|index| if digit(index) { index } else { 0 }) else {
        return false;
    };
    value.len() == 6 && value.starts_with(['+', '-']) && value.as_bytes()[3] == b':'
}

/// A duration as PostgreSQL writes it: milliseconds, or a number with `us`, `ms`, `s`, `min`, `h`,
/// `d`.
pub(crate) fn duration(text: &str) -> Option<Duration> {
    let text = text.trim();
    let split = text
        .find(|c: char| c.is_ascii_alphabetic())
        .unwrap_or(text.len());
    let number: f64 = text[..split].trim().parse().ok()?;
    let unit = match text[split..].trim() {
        "" | "ms" => 1e-3,
        "us" => 1e-6,
        "s" => 1.0,
        "min" => 60.0,
        "h" => 3_600.0,
        "d" => 86_400.0,
        _ => return None,
    };
    Duration::try_from_secs_f64(number * unit).ok()
}

pub(crate) fn unknown(name: &str) -> EngineError {
    let error = EngineError::invalid(
        "RT0510",
        format!("unrecognized configuration parameter \"{name}\""),
    )
    .sqlstate("42704");
    let near = nearest(
        &name.to_ascii_lowercase(),
        KNOWN.iter().map(|known| known.name),
    );
    match near {
        Some(near) => error.hint(format!("Perhaps you meant \"{near}\".")),
        None => error,
    }
}

#[cfg(test)]
mod tests;
