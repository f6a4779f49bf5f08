//! Tests of TA-Lib's functions as a family: all are there, their names are free, structs have
//! TA-Lib's names. The numbers are compared with the C library in `tests/talib_oracle.rs`.

use std::collections::BTreeSet;

use datafusion::execution::SessionStateDefaults;

use super::{PREFIXED, definitions};
use crate::registry::FunctionRegistry;
use crate::trial::{refusal_text, rows};

#[test]
fn every_function_of_the_library_is_there() {
    let names: BTreeSet<_> = definitions()
        .filter(|definition| definition.reference.starts_with("TA-Lib "))
        .map(|definition| definition.alias.unwrap_or(definition.name))
        .collect();
    assert_eq!(names.len(), 237);
    assert!(names.iter().all(|name| name.starts_with("ta_")));
}

#[test]
fn bare_names_collide_with_nothing() {
    let ours = FunctionRegistry::with_builtins();
    let mut taken = BTreeSet::new();
    let scalars = SessionStateDefaults::default_scalar_functions();
    for function in scalars.iter().chain(&ours.scalars) {
        taken.insert(function.name().to_owned());
        taken.extend(function.aliases().iter().cloned());
    }
    // An aggregate of the name would be what a call with OVER means.
    let aggregates = SessionStateDefaults::default_aggregate_functions();
    for function in aggregates.iter().chain(&ours.aggregates) {
        taken.insert(function.name().to_owned());
        taken.extend(function.aliases().iter().cloned());
    }
    for function in SessionStateDefaults::default_window_functions() {
        taken.insert(function.name().to_owned());
        taken.extend(function.aliases().iter().cloned());
    }
    for definition in definitions() {
        assert!(!taken.contains(definition.name), "{}", definition.name);
    }
    assert!(PREFIXED.is_sorted_by_key(|name| *name));
}

fn warm(call: &str) -> Vec<String> {
    let sql = format!(
        "SELECT {call} AS x FROM (SELECT value, value + 1.0 AS high, value - 1.0 AS low FROM \
         generate_series(1, 40)) WINDOW w AS (ORDER BY value) ORDER BY value DESC LIMIT 1"
    );
    rows(&sql)
}

#[test]
fn several_outputs_are_a_struct_with_ta_libs_names() {
    assert_eq!(warm("(bbands(value, 5) OVER w)['middleband']"), ["38.0"]);
    assert_eq!(
        warm("(ta_bbands(value, 5, 2, nbdevdn => 2, matype => 'ema') OVER w)['upperband'] > 38"),
        ["true"]
    );
    assert_eq!(warm("(aroon(high, low, 14) OVER w)['aroonup']"), ["100.0"]);
    assert_eq!(warm("(minmaxindex(value, 3) OVER w)['minidx']"), ["37"]);
    assert_eq!(warm("(macd(value) OVER w) IS NULL"), ["false"]);
    assert_eq!(warm("(macd(value, 12, 26, 30) OVER w) IS NULL"), ["true"]);
}

/// Our aggregate of the name is found first.
#[test]
fn kurtosis_has_its_prefix() {
    assert_eq!(warm("ta_kurtosis(value, 4) OVER w IS NULL"), ["false"]);
    let message = refusal_text("SELECT kurtosis(price, 4) OVER (ORDER BY ts) FROM trades");
    assert_eq!(
        message,
        "cannot call kurtosis with 2 arguments, expected kurtosis(x)"
    );
}

#[test]
fn null_stands_for_a_default() {
    assert_eq!(
        warm("(bbands(value, 5, NULL, NULL, NULL) OVER w)['middleband']"),
        ["38.0"]
    );
    assert_eq!(warm("ma(value, 5, NULL) OVER w"), ["38.0"]);
}

#[test]
fn what_is_not_finite_is_null() {
    assert_eq!(warm("ta_ln(value - 41) OVER w IS NULL"), ["true"]);
    assert_eq!(warm("ta_acos(value) OVER w IS NULL"), ["true"]);
}

#[test]
fn refusals_name_the_range() {
    let message = refusal_text("SELECT ma(price, 5, 99) OVER (ORDER BY ts) FROM trades");
    assert!(message.starts_with("cannot use 99 as argument matype of ma, expected one of 0 (SMA)"));
    let message = refusal_text("SELECT ma(price, 5, 'abc') OVER (ORDER BY ts) FROM trades");
    assert!(message.starts_with("cannot use abc as argument matype of ma"));
    assert_eq!(
        refusal_text("SELECT alma(price, 9, 6, 7.0) OVER (ORDER BY ts) FROM trades"),
        "cannot use 7 as argument offset of alma, expected a number from 0e0 to 1e0"
    );
}
