//! `timezone(zone, time)`, which is `time AT TIME ZONE zone`, and `date_trunc` by the clocks of a
//! place.

use std::sync::Arc;

use chrono::{DateTime, Datelike, Days, NaiveDate};
use datafusion::arrow::array::{
    Array, ArrayRef, AsArray, PrimitiveArray, TimestampMicrosecondArray,
};
use datafusion::arrow::compute::cast;
use datafusion::arrow::datatypes::{
    DataType, Int64Type, IntervalMonthDayNanoType, TimeUnit, TimestampMicrosecondType,
};
use datafusion::common::{Result, internal_err};

use super::{Entry, INTERVAL, TIMESTAMP, Types, is_text, rows, timestamptz};
use crate::error::FunctionError;
use crate::postgres::cast::instants;
use crate::postgres::format::moment::per_unit;
use crate::postgres::zone::Zone;

pub(super) const ALL: [Entry; 3] = [
    Entry {
        name: "timezone",
        signature: "timezone(zone text | interval, time timestamp | timestamptz) -> timestamptz | \
                    timestamp",
        description: "What clocks show in a zone at an instant, or the instant at which they show \
                      a time: the same as time AT TIME ZONE zone.",
        example: "SELECT timezone('America/New_York', ts), ts AT TIME ZONE 'Europe/Berlin' FROM \
                  trades",
        parameters: &[],
        types: timezone_types,
        compute: timezone,
    },
    Entry {
        name: "instant_shown",
        signature: "instant_shown(value text, zone text) -> timestamptz",
        description: "The instant that a text says; without a zone in it, the one at which clocks \
                      in the zone show it: what a text is cast by in a session with a time zone.",
        example: "SELECT instant_shown('2024-03-05 14:05', 'Europe/Berlin') FROM trades",
        parameters: &[],
        types: |types| match types {
            [value, zone] if is_text(value) && is_text(zone) => {
                Some((vec![DataType::Utf8; 2], timestamptz()))
            }
            _ => None,
        },
        compute: shown,
    },
    Entry {
        name: "date_trunc_zone",
        signature: "date_trunc_zone(unit text, time timestamptz, zone text) -> timestamptz",
        description: "The beginning of the unit in which an instant lies, by the clocks of a \
                      zone: what date_trunc(unit, time, zone) is planned as.",
        example: "SELECT date_trunc_zone('hour', CAST(ts AS TIMESTAMP WITH TIME ZONE), \
                  'Asia/Kolkata') FROM trades",
        parameters: &[],
        types: trunc_types,
        compute: trunc,
    },
];

fn shown(columns: &[ArrayRef], _result: &DataType) -> Result<ArrayRef> {
    let (texts, zones) = (columns[0].as_string::<i32>(), columns[1].as_string::<i32>());
    // Mostly all rows have the same zone.
    let first = zones.iter().flatten().next().unwrap_or("UTC");
    if zones.iter().flatten().all(|zone| zone == first) && zones.null_count() == 0 {
        return instants(texts, first);
    }
    let each = rows(columns, |row| {
        let one = instants(&texts.slice(row, 1), zones.value(row))?;
        Ok(one.as_primitive::<TimestampMicrosecondType>().value(0))
    })?;
    let each: TimestampMicrosecondArray = each.into_iter().collect();
    Ok(Arc::new(each.with_timezone("UTC")))
}

fn timezone_types(types: &[DataType]) -> Option<Types> {
    let [zone, time] = types else {
        return None;
    };
    let zone = match zone {
        DataType::Interval(_) => INTERVAL,
        zone if is_text(zone) => DataType::Utf8,
        _ => return None,
    };
    let (time, result) = match time {
        DataType::Timestamp(unit, None) => {
            (time.clone(), DataType::Timestamp(*unit, Some("UTC".into())))
        }
        DataType::Timestamp(unit, Some(_)) => (time.clone(), DataType::Timestamp(*unit, None)),
        // As in PostgreSQL a text is an instant, and a date the instant at which it begins.
        DataType::Utf8 | DataType::Null | DataType::Date32 => (timestamptz(), TIMESTAMP),
        _ => return None,
    };
    Some((vec![zone, time], result))
}

fn timezone(columns: &[ArrayRef], result: &DataType) -> Result<ArrayRef> {
    let (zones, times) = (Zones::new(&columns[0]), &columns[1]);
    let DataType::Timestamp(unit, zone) = times.data_type() else {
        return internal_err!("timezone of {}", times.data_type());
    };
    let nanos = per_unit(*unit);
    let per_second = i64::try_from(1_000_000_000 / nanos).unwrap_or(1);
    let is_instant = zone.is_some();
    let counts = cast(times, &DataType::Int64)?;
    let counts = counts.as_primitive::<Int64Type>();
    let mut zones = zones?;
    let moved = rows(columns, |row| {
        let zone = zones.get(row)?;
        let count = counts.value(row);
        let second = count.div_euclid(per_second);
        let ahead = match is_instant {
            true => zone.ahead(second),
            false => zone.ahead_when_shown(second).map(|ahead| -ahead),
        };
        let moved = ahead.and_then(|ahead| count.checked_add(ahead.checked_mul(per_second)?));
        Ok(moved.ok_or_else(out_of_range)?)
    })?;
    let moved: ArrayRef = Arc::new(PrimitiveArray::<Int64Type>::from(moved));
    Ok(cast(&moved, result)?)
}

fn out_of_range() -> FunctionError {
    FunctionError::value("22008", "timestamp out of range".to_owned())
}

/// Zones row by row; a name is looked up once while it stays the same.
enum Zones<'a> {
    Names(&'a ArrayRef, Option<(String, Zone)>),
    Distances(&'a ArrayRef),
}

impl<'a> Zones<'a> {
    fn new(column: &'a ArrayRef) -> Result<Self> {
        Ok(match column.data_type() {
            DataType::Interval(_) => Self::Distances(column),
            _ => Self::Names(column, None),
        })
    }

    fn get(&mut self, row: usize) -> Result<Zone, FunctionError> {
        match self {
            Self::Distances(column) => {
                let distance = column.as_primitive::<IntervalMonthDayNanoType>().value(row);
                let seconds = i32::try_from(distance.nanoseconds / 1_000_000_000).ok();
                let whole = seconds.filter(|_| distance.months == 0 && distance.days == 0);
                whole.map(Zone::Ahead).ok_or_else(|| {
                    let message = "interval time zone must not include months or days".to_owned();
                    FunctionError::value("22023", message)
                })
            }
            Self::Names(column, last) => {
                let name = column.as_string::<i32>().value(row);
                if let Some((known, zone)) = last
                    && known == name
                {
                    return Ok(*zone);
                }
                let zone = Zone::named(name)?;
                *last = Some((name.to_owned(), zone));
                Ok(zone)
            }
        }
    }
}

fn trunc_types(types: &[DataType]) -> Option<Types> {
    let [unit, time, zone] = types else {
        return None;
    };
    let is_time = is_text(time) || matches!(time, DataType::Timestamp(..) | DataType::Date32);
    (is_text(unit) && is_text(zone) && is_time).then(|| {
        let arguments = vec![DataType::Utf8, timestamptz(), DataType::Utf8];
        (arguments, timestamptz())
    })
}

fn trunc(columns: &[ArrayRef], result: &DataType) -> Result<ArrayRef> {
    const SECOND: i64 = 1_000_000;
    let units = columns[0].as_string::<i32>();
    let times = columns[1].as_primitive::<TimestampMicrosecondType>();
    let mut zones = Zones::new(&columns[2])?;
    let starts = rows(columns, |row| {
        let zone = zones.get(row)?;
        let time = times.value(row);
        let ahead = zone
            .ahead(time.div_euclid(SECOND))
            .ok_or_else(out_of_range)?;
        let local = time.checked_add(ahead * SECOND).ok_or_else(out_of_range)?;
        let unit = units.value(row).to_ascii_lowercase();
        if let Some(size) = within_day(&unit) {
            return Ok(local - local.rem_euclid(size) - ahead * SECOND);
        }
        let date = DateTime::from_timestamp(local.div_euclid(SECOND), 0);
        let date = date.ok_or_else(out_of_range)?.date_naive();
        let first = first_day(&unit, date).ok_or_else(|| {
            let message = format!("timestamp with time zone units \"{unit}\" not recognized");
            FunctionError::value("22023", message)
        })?;
        let shown = first.and_time(chrono::NaiveTime::MIN).and_utc().timestamp();
        let ahead = zone.ahead_when_shown(shown).ok_or_else(out_of_range)?;
        Ok((shown - ahead)
            .checked_mul(SECOND)
            .ok_or_else(out_of_range)?)
    })?;
    let starts = TimestampMicrosecondArray::from(starts).with_timezone("UTC");
    debug_assert!(matches!(
        result,
        DataType::Timestamp(TimeUnit::Microsecond, _)
    ));
    Ok(Arc::new(starts))
}

/// Microseconds of a unit of at most an hour.
fn within_day(unit: &str) -> Option<i64> {
    Some(match unit.trim_end_matches('s') {
        "microsecond" | "u" => 1,
        "millisecond" | "m" => 1_000,
        "second" | "" => 1_000_000,
        "minute" => 60_000_000,
        "hour" => 3_600_000_000,
        _ => return None,
    })
}

/// The first day of the unit that `date` lies in.
fn first_day(unit: &str, date: NaiveDate) -> Option<NaiveDate> {
    let year = date.year();
    let january = |year: i32| NaiveDate::from_ymd_opt(year, 1, 1);
    match unit.trim_end_matches('s') {
        "day" => Some(date),
        "week" => {
            let since = u64::from(date.weekday().num_days_from_monday());
            date.checked_sub_days(Days::new(since))
        }
        "month" => date.with_day(1),
        "quarter" => NaiveDate::from_ymd_opt(year, date.month0() / 3 * 3 + 1, 1),
        "year" => january(year),
        "decade" => january(year.div_euclid(10) * 10),
        "century" | "centurie" => january((year - 1).div_euclid(100) * 100 + 1),
        "millennium" | "millennia" => january((year - 1).div_euclid(1000) * 1000 + 1),
        _ => None,
    }
}
