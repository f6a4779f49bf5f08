//! Windows on a calendar, by definition and by formula, around changes of clocks.

use std::collections::HashMap;

use chrono::{DateTime, Datelike, NaiveDate, NaiveDateTime, TimeDelta, TimeZone};
use chrono_tz::Tz;

use super::{CalendarWindows, Grid, Step};
use crate::window::{Window, WindowSpec};

const MINUTE: i64 = 60_000_000_000;
const HOUR: i64 = 60 * MINUTE;
const DAY: i64 = 24 * HOUR;

fn at(text: &str) -> i64 {
    let time = DateTime::parse_from_rfc3339(text).unwrap();
    time.timestamp_nanos_opt().unwrap()
}

fn spans(zone: Tz, nanos: i64, offset_nanos: i64) -> Grid {
    let step = Step::Span {
        nanos,
        offset_nanos,
    };
    Grid { zone, step }
}

fn windows(grid: Grid, size: i64, slide: i64, cumulates: bool) -> CalendarWindows {
    CalendarWindows {
        grid,
        size,
        slide,
        offset: 0,
        cumulates,
    }
}

fn days(zone: Tz, days: i64, offset: i64) -> WindowSpec {
    let grid = spans(zone, days * DAY, offset * DAY);
    WindowSpec::Calendar(windows(grid, 1, 1, false))
}

/// Days in New York: 23 hours when clocks are put forward, 25 when they are put back.
#[test]
fn days_in_a_zone_follow_its_clocks() {
    for (time, start, hours) in [
        ("2024-03-10T12:00:00Z", "2024-03-10T05:00:00Z", 23),
        ("2024-03-11T03:59:59Z", "2024-03-10T05:00:00Z", 23),
        ("2024-03-11T04:00:00Z", "2024-03-11T04:00:00Z", 24),
        ("2024-11-03T12:00:00Z", "2024-11-03T04:00:00Z", 25),
        ("1969-12-31T23:00:00Z", "1969-12-31T05:00:00Z", 24),
    ] {
        let spec = days(Tz::America__New_York, 1, 0);
        let found: Vec<Window> = spec.windows_of(at(time)).collect();
        let [window] = found.as_slice() else {
            panic!("{found:?}");
        };
        assert_eq!(window.start, at(start), "{time}");
        assert_eq!(window.end - window.start, hours * HOUR, "{time}");
    }
    // Weeks that begin on a Monday: 1970-01-05 was one.
    let week = days(Tz::America__New_York, 7, 4);
    let found = week.windows_of(at("2024-03-13T12:00:00Z")).next().unwrap();
    assert_eq!(found.start, at("2024-03-11T04:00:00Z"));
    assert_eq!(
        week.to_string(),
        "tumble(7d in America/New_York, offset 4d)"
    );
}

#[test]
fn months_are_as_long_as_they_are() {
    let months = |months, offset| {
        let step = Step::Months { months, offset };
        let zone = Tz::Europe__Berlin;
        WindowSpec::Calendar(windows(Grid { zone, step }, 1, 1, false))
    };
    for (spec, time, start, end) in [
        (
            months(1, 0),
            "2024-02-29T12:00:00Z",
            "2024-01-31T23:00:00Z",
            "2024-02-29T23:00:00Z",
        ),
        (
            months(3, 0),
            "2024-03-31T21:59:59Z",
            "2023-12-31T23:00:00Z",
            "2024-03-31T22:00:00Z",
        ),
        (
            months(12, 3),
            "1969-03-31T22:59:59Z",
            "1968-03-31T23:00:00Z",
            "1969-03-31T23:00:00Z",
        ),
    ] {
        let found: Vec<Window> = spec.windows_of(at(time)).collect();
        let expected = Window {
            start: at(start),
            end: at(end),
        };
        assert_eq!(found, [expected], "{spec}");
    }
    assert_eq!(
        months(12, 3).to_string(),
        "tumble(1y in Europe/Berlin, offset 3mon)"
    );
}

/// On the day without the hour from 02:00 to 03:00 there is no window that would begin or end in
/// that hour.
#[test]
fn no_two_windows_end_together() {
    let grid = spans(Tz::America__New_York, HOUR, 0);
    let time = at("2024-03-10T06:30:00Z");
    let hop = windows(grid, 2, 1, false);
    let found: Vec<Window> = hop.windows_of(time).collect();
    let expected = Window {
        start: at("2024-03-10T05:00:00Z"),
        end: at("2024-03-10T07:00:00Z"),
    };
    assert_eq!(found, [expected], "01:30 is in 00:00 to 02:00 only");
    let cumulate = windows(grid, 24, 1, true);
    assert_eq!(cumulate.windows_of(at("2024-03-10T05:00:00Z")).count(), 23);
    assert_eq!(cumulate.windows_of(at("2024-11-03T04:00:00Z")).count(), 24);
    assert_eq!(
        cumulate.to_string(),
        "cumulate(step 1h, size 1d in America/New_York)"
    );
}

/// When clocks first show a reading, found by looking at them minute by minute.
fn first_shown(zone: Tz, shown: NaiveDateTime) -> i64 {
    let begin = shown.and_utc() - TimeDelta::days(2);
    let mut minutes = (0..4 * 24 * 60).map(|minute| begin + TimeDelta::minutes(minute));
    let found = minutes.find(|time| {
        let clock = zone.from_utc_datetime(&time.naive_utc()).naive_local();
        clock >= shown
    });
    found.unwrap().timestamp_nanos_opt().unwrap()
}

/// The windows of a point by definition: from reading to reading, without those that would begin
/// or end with an empty tick.
fn by_definition(spec: &CalendarWindows, time: i64, known: &mut HashMap<i64, i64>) -> Vec<Window> {
    let zone = spec.grid.zone;
    let clock = DateTime::from_timestamp_nanos(time)
        .with_timezone(&zone)
        .naive_local();
    let near = match spec.grid.step {
        Step::Span {
            nanos,
            offset_nanos,
        } => {
            let since = clock.and_utc().timestamp_nanos_opt().unwrap();
            (since - offset_nanos).div_euclid(nanos)
        }
        Step::Months { months, offset } => {
            let month = i64::from(clock.year() - 1970) * 12 + i64::from(clock.month0());
            (month - offset).div_euclid(months)
        }
    };
    let mut line = |tick: i64| {
        *known.entry(tick).or_insert_with(|| match spec.grid.step {
            Step::Span {
                nanos,
                offset_nanos,
            } => {
                let shown = DateTime::from_timestamp_nanos(tick * nanos + offset_nanos);
                first_shown(zone, shown.naive_utc())
            }
            Step::Months { months, offset } => {
                let month = tick * months + offset;
                let year = i32::try_from(month.div_euclid(12)).unwrap() + 1970;
                let month = u32::try_from(month.rem_euclid(12)).unwrap() + 1;
                let first = NaiveDate::from_ymd_opt(year, month, 1).unwrap();
                first_shown(zone, first.and_hms_opt(0, 0, 0).unwrap())
            }
        })
    };
    let mut found = Vec::new();
    for begin in near - spec.size - 3..=near + 3 {
        let period = if spec.cumulates {
            spec.size
        } else {
            spec.slide
        };
        if (begin - spec.offset).rem_euclid(period) != 0 {
            continue;
        }
        let sizes = match spec.cumulates {
            true => (1..=spec.size / spec.slide)
                .map(|step| step * spec.slide)
                .collect(),
            false => vec![spec.size],
        };
        for size in sizes {
            let (start, end) = (line(begin), line(begin + size));
            let last_is_empty = line(begin + size - 1) >= end;
            let first_is_empty = start >= line(begin + 1);
            if last_is_empty || (first_is_empty && !spec.cumulates) {
                continue;
            }
            if start <= time && time < end {
                found.push(Window { start, end });
            }
        }
    }
    found
}

#[test]
fn windows_agree_with_the_definition() {
    let changes = [
        (Tz::America__New_York, "2024-03-10T07:00:00Z"),
        (Tz::America__New_York, "2024-11-03T06:00:00Z"),
        (Tz::Australia__Lord_Howe, "2024-04-06T15:00:00Z"),
        (Tz::Australia__Lord_Howe, "2024-10-05T15:30:00Z"),
        (Tz::America__Sao_Paulo, "2018-11-04T03:00:00Z"),
        (Tz::America__Sao_Paulo, "2019-02-17T02:00:00Z"),
        (Tz::Asia__Kathmandu, "2024-01-01T00:00:00Z"),
        // No 30th of December.
        (Tz::Pacific__Apia, "2011-12-30T10:00:00Z"),
    ];
    for (zone, change) in changes {
        let months = Step::Months {
            months: 1,
            offset: 0,
        };
        let grids = [
            (
                spans(zone, DAY, 0),
                vec![(1, 1, false), (3, 1, false), (7, 1, true)],
            ),
            (spans(zone, DAY, 18 * HOUR), vec![(1, 1, false)]),
            (
                spans(zone, HOUR, 0),
                vec![(1, 1, false), (4, 1, false), (24, 1, true)],
            ),
            (spans(zone, HOUR, 0), vec![(6, 4, false), (2, 3, false)]),
            (spans(zone, 30 * MINUTE, 10 * MINUTE), vec![(3, 1, false)]),
            (
                Grid { zone, step: months },
                vec![(1, 1, false), (12, 1, true)],
            ),
        ];
        for (grid, shapes) in grids {
            for (size, slide, cumulates) in shapes {
                let spec = windows(grid, size, slide, cumulates);
                let whole = WindowSpec::Calendar(spec);
                let mut known = HashMap::new();
                for minutes in (-40 * 60..40 * 60).step_by(97) {
                    let time = at(change) + i64::from(minutes) * MINUTE;
                    let expected = by_definition(&spec, time, &mut known);
                    let found: Vec<Window> = whole.windows_of(time).collect();
                    assert_eq!(found, expected, "{whole} at {time}");
                    for window in &found {
                        assert_eq!(whole.ending_at(window.end), *window, "{whole} at {time}");
                        let last = window.end - 1;
                        assert_eq!(whole.slice_end(whole.slice_start(last)), window.end);
                        assert_eq!(whole.slice_start(window.start), window.start);
                    }
                    let next = whole.end_after(time);
                    let first = found.first().map_or(next, |first| i128::from(first.end));
                    assert_eq!(next.min(first), next, "{whole} at {time}");
                    assert!(next > i128::from(time), "{whole} at {time}");
                    if slide <= size {
                        assert_eq!(next, first, "{whole} at {time}");
                    }
                }
            }
        }
    }
}
