//! The sessions of exchanges: read from the texts in `udfs/calendars`, which `scripts/calendars.py`
//! writes, and looked up by time.

use std::collections::HashSet;
use std::sync::LazyLock;

use chrono::{Datelike as _, NaiveDate, NaiveTime, TimeZone as _};
use chrono_tz::Tz;

/// Every exchange with its text.
const TEXTS: [(&str, &str); 11] = [
    ("CMES", include_str!("../../../calendars/CMES.txt")),
    ("XAMS", include_str!("../../../calendars/XAMS.txt")),
    ("XASX", include_str!("../../../calendars/XASX.txt")),
    ("XETR", include_str!("../../../calendars/XETR.txt")),
    ("XHKG", include_str!("../../../calendars/XHKG.txt")),
    ("XLON", include_str!("../../../calendars/XLON.txt")),
    ("XNYS", include_str!("../../../calendars/XNYS.txt")),
    ("XPAR", include_str!("../../../calendars/XPAR.txt")),
    ("XSWX", include_str!("../../../calendars/XSWX.txt")),
    ("XTKS", include_str!("../../../calendars/XTKS.txt")),
    ("XTSE", include_str!("../../../calendars/XTSE.txt")),
];

/// Other names of the same calendars.
const ALIASES: [(&str, &str); 6] = [
    ("XNAS", "XNYS"),
    ("ARCX", "XNYS"),
    ("BATS", "XNYS"),
    ("NYSE", "XNYS"),
    ("LSE", "XLON"),
    ("CME", "CMES"),
];

/// One session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Session {
    /// Its date in days since 1970-01-01.
    pub(super) date: i32,
    /// Opening and closing of its one or two parts, in seconds since 1970-01-01 UTC; the second
    /// part is empty where there is no break.
    pub(super) parts: [(i64, i64); 2],
}

impl Session {
    /// When it opens.
    pub(super) fn open(&self) -> i64 {
        self.parts[0].0
    }

    /// When it closes.
    pub(super) fn close(&self) -> i64 {
        self.parts[0].1.max(self.parts[1].1)
    }

    /// Whether there is trading at a time.
    pub(super) fn is_open(&self, second: i64) -> bool {
        let inside = |(open, close): &(i64, i64)| (*open..*close).contains(&second);
        self.parts.iter().any(inside)
    }
}

/// The sessions of one exchange, in order.
#[derive(Debug)]
pub(super) struct Calendar {
    name: &'static str,
    sessions: Vec<Session>,
}

impl Calendar {
    /// The calendar called `name`, in any case.
    pub(super) fn find(name: &str) -> Option<&'static Self> {
        static ALL: LazyLock<Vec<Calendar>> = LazyLock::new(|| {
            let read = |(name, text): &(&'static str, &str)| Calendar {
                name,
                sessions: read(text).unwrap_or_default(),
            };
            TEXTS.iter().map(read).collect()
        });
        let name = name.to_uppercase();
        let alias = ALIASES.iter().find(|(alias, _)| *alias == name);
        let name = alias.map_or(name.as_str(), |(_, name)| name);
        ALL.iter().find(|calendar| calendar.name == name)
    }

    /// The names there are, for refusals.
    pub(super) fn names() -> String {
        let names: Vec<&str> = TEXTS.iter().map(|(name, _)| *name).collect();
        format!("one of {}", names.join(", "))
    }

    /// The session that is running at a time or opens next; `None` outside of the years that the
    /// calendar knows.
    pub(super) fn session_at(&self, second: i64) -> Option<&Session> {
        let place = self
            .sessions
            .partition_point(|session| session.close() <= second);
        let found = self.sessions.get(place)?;
        // Before the first session nothing is known.
        (place > 0 || found.open() <= second).then_some(found)
    }

    /// The first session that opens after a time.
    pub(super) fn opens_after(&self, second: i64) -> Option<&Session> {
        let place = self
            .sessions
            .partition_point(|session| session.open() <= second);
        (place > 0).then(|| self.sessions.get(place))?
    }
}

/// The lines of a text that matter to one day.
struct Rules {
    zone: Tz,
    first: NaiveDate,
    last: NaiveDate,
    /// Hours from a day on.
    hours: Vec<(NaiveDate, String)>,
    closed: HashSet<NaiveDate>,
    special: Vec<(NaiveDate, String)>,
}

/// Reads a text; `None` if it is not one, which the tests exclude.
fn read(text: &str) -> Option<Vec<Session>> {
    let rules = rules(text)?;
    let mut sessions = Vec::new();
    let mut special = rules.special.iter().peekable();
    for day in rules.first.iter_days().take_while(|day| *day <= rules.last) {
        let own = special.next_if(|(special, _)| *special == day);
        let is_weekend = day.weekday().number_from_monday() > 5;
        if own.is_none() && (is_weekend || rules.closed.contains(&day)) {
            continue;
        }
        let usual = rules.hours.iter().rev().find(|(from, _)| *from <= day)?;
        let hours = own.map_or(&usual.1, |(_, hours)| hours);
        sessions.push(session(day, hours, rules.zone)?);
    }
    Some(sessions)
}

fn rules(text: &str) -> Option<Rules> {
    let (mut zone, mut first, mut last) = (None, None, None);
    let (mut hours, mut closed, mut special) = (Vec::new(), HashSet::new(), Vec::new());
    let date = |text: &str| NaiveDate::parse_from_str(text, "%Y-%m-%d").ok();
    for line in text.lines() {
        let (word, rest) = line.split_once(' ')?;
        match word {
            "zone" => zone = rest.parse::<Tz>().ok(),
            "from" => first = date(rest),
            "to" => last = date(rest),
            "hours" | "special" => {
                let (day, times) = rest.split_once(' ')?;
                let target = if word == "hours" {
                    &mut hours
                } else {
                    &mut special
                };
                target.push((date(day)?, times.to_owned()));
            }
            "closed" => {
                let (year, days) = rest.split_once(' ')?;
                for day in days.split(' ') {
                    closed.insert(date(&format!("{year}-{day}"))?);
                }
            }
            _ => return None,
        }
    }
    Some(Rules {
        zone: zone?,
        first: first?,
        last: last?,
        hours,
        closed,
        special,
    })
}

/// One session: `09:30-16:00`, `eve17:00-17:00`, `09:00-11:30 12:30-15:00`.
fn session(day: NaiveDate, hours: &str, zone: Tz) -> Option<Session> {
    let instant = |text: &str| {
        let (day, time) = match text.strip_prefix("eve") {
            Some(time) => (day.pred_opt()?, time),
            None => (day, text),
        };
        let time = NaiveTime::parse_from_str(time, "%H:%M").ok()?;
        let local = zone.from_local_datetime(&day.and_time(time));
        Some(local.earliest()?.timestamp())
    };
    let mut parts = [(0, 0); 2];
    for (part, text) in parts.iter_mut().zip(hours.split(' ')) {
        let (open, close) = text.split_once('-')?;
        *part = (instant(open)?, instant(close)?);
    }
    let date = day.signed_duration_since(NaiveDate::default()).num_days();
    Some(Session {
        date: i32::try_from(date).ok()?,
        parts,
    })
}
