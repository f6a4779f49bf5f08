//! What `SHOW FUNCTIONS` says about each function. Every example runs in a test.

mod market;

use super::FunctionKind::{Aggregate, Scalar};
use super::{FunctionDoc, FunctionKind};

/// Returns the documentation of every builtin, aliases included.
pub(super) fn builtins() -> Vec<FunctionDoc> {
    let mut docs = vec![TIME_BUCKET];
    docs.extend(AGGREGATES);
    docs.extend(accessors());
    docs.extend(market::AGGREGATES);
    for (alias, name) in ALIASES {
        let named = docs
            .iter()
            .find(|doc| doc.name == name && doc.kind != Scalar)
            .copied();
        docs.extend(named.map(|doc| FunctionDoc { name: alias, ..doc }));
    }
    docs
}

/// Other names of the same functions.
const ALIASES: [(&str, &str); 3] = [
    ("min_by", "arg_min"),
    ("max_by", "arg_max"),
    ("realized_volatility", "realized_vol"),
];

const TIME_BUCKET: FunctionDoc = FunctionDoc {
    name: "time_bucket",
    kind: Scalar,
    signature: "time_bucket(width interval, ts timestamp [, timezone text] [, origin timestamp | \
                offset interval]) -> timestamp",
    description: "The start of the bucket of the given width that a time falls into.",
    formula: "origin + floor((ts - origin) / width) * width; origin is Monday 2000-01-03 for days \
              and less, 2000-01-01 for months and years; a timestamp with time zone is put into \
              buckets in UTC, or with a timezone by what the clocks there show, origin and offset \
              too: a bucket begins at the first instant at which they show its start or more, so \
              that an hour that comes twice is one; the result has the type of ts",
    reference: "TimescaleDB time_bucket",
    example: "SELECT time_bucket('1 minute', ts) AS minute, count(*) FROM trades GROUP BY minute",
};

const AGGREGATES: [FunctionDoc; 6] = [
    FunctionDoc {
        name: "vwap",
        kind: Aggregate,
        signature: "vwap(price, size) -> price",
        description: "The volume-weighted average price.",
        formula: "sum(price * size) / sum(size) over rows with size > 0; null without such a row; \
                  two decimals are summed exactly and rounded once, half away from zero, to 16 \
                  digits after the point or those of the price; otherwise double precision",
        reference: "standard",
        example: "SELECT symbol, vwap(price, size) FROM trades GROUP BY symbol",
    },
    FunctionDoc {
        name: "first",
        kind: Aggregate,
        signature: "first(value any, time timestamp | number) -> value",
        description: "The value at the smallest time.",
        formula: "rows whose value or time is null, NaN or infinite do not count; equal times: the \
                  first arrival",
        reference: "TimescaleDB first",
        example: "SELECT symbol, first(price, ts) AS open FROM trades GROUP BY symbol",
    },
    FunctionDoc {
        name: "last",
        kind: Aggregate,
        signature: "last(value any, time timestamp | number) -> value",
        description: "The value at the largest time.",
        formula: "rows whose value or time is null, NaN or infinite do not count; equal times: the \
                  last arrival",
        reference: "TimescaleDB last",
        example: "SELECT symbol, last(price, ts) AS close FROM trades GROUP BY symbol",
    },
    FunctionDoc {
        name: "arg_min",
        kind: Aggregate,
        signature: "arg_min(value any, key timestamp | number) -> value",
        description: "The value of the row with the smallest key.",
        formula: "rows whose value or key is null, NaN or infinite do not count; equal keys: the \
                  first arrival",
        reference: "DuckDB arg_min",
        example: "SELECT symbol, arg_min(ts, price) AS time_of_low FROM trades GROUP BY symbol",
    },
    FunctionDoc {
        name: "arg_max",
        kind: Aggregate,
        signature: "arg_max(value any, key timestamp | number) -> value",
        description: "The value of the row with the largest key.",
        formula: "rows whose value or key is null, NaN or infinite do not count; equal keys: the \
                  first arrival",
        reference: "DuckDB arg_max",
        example: "SELECT symbol, arg_max(ts, price) AS time_of_high FROM trades GROUP BY symbol",
    },
    FunctionDoc {
        name: "candlestick_agg",
        kind: Aggregate,
        signature: "candlestick_agg(ts timestamp, price [, volume]) -> struct(open, high, low, \
                    close, volume, vwap, open_time, high_time, low_time, close_time, trades)",
        description: "A bar of open, high, low and close with volume and average price.",
        formula: "open and close by time, equal times by arrival; high_time and low_time are the \
                  earliest; volume adds what is not null and not negative; vwap is \
                  sum(price * volume) / sum(volume)",
        reference: "TimescaleDB toolkit candlestick_agg",
        example: "SELECT time_bucket('1 minute', ts) AS minute, symbol, \
                  candlestick_agg(ts, price, size) AS candle FROM trades GROUP BY minute, symbol",
    },
];

/// Makes the documentation of one accessor.
macro_rules! accessor {
    ($name:literal, $field:literal, $description:literal) => {
        FunctionDoc {
            name: $name,
            kind: FunctionKind::Scalar,
            signature: concat!($name, "(candlestick) -> ", $field),
            description: $description,
            formula: concat!("the field ", $field, "; null for a null bar"),
            reference: "TimescaleDB toolkit candlestick accessors",
            example: concat!("SELECT symbol, ts, ", $name, "(candle) FROM bars"),
        }
    };
}

fn accessors() -> [FunctionDoc; 12] {
    [
        accessor!("open", "open", "The first price of a bar."),
        accessor!("high", "high", "The highest price of a bar."),
        accessor!("low", "low", "The lowest price of a bar."),
        accessor!("close", "close", "The last price of a bar."),
        accessor!("volume", "volume", "The volume of a bar."),
        accessor!(
            "vwap",
            "vwap",
            "The volume-weighted average price of a bar."
        ),
        accessor!("candlestick_vwap", "vwap", "The same as vwap(candlestick)."),
        accessor!("open_time", "open_time", "The time of a bar's first price."),
        accessor!(
            "high_time",
            "high_time",
            "The earliest time of a bar's highest price."
        ),
        accessor!(
            "low_time",
            "low_time",
            "The earliest time of a bar's lowest price."
        ),
        accessor!(
            "close_time",
            "close_time",
            "The time of a bar's last price."
        ),
        accessor!("trades", "trades", "The number of ticks in a bar."),
    ]
}
