//! Tests of `histogram`: bounds, values beyond them, rows that do not count, refusals. Drawn
//! values are compared with NumPy in `tests/oracle`; any cut is that of all aggregates.

use crate::trial::{refusal_text, rows};

fn check(values: &str, expected: &str) {
    let sql = format!("SELECT histogram(v, 1, 5, 4) FROM (VALUES {values}) AS t(v)");
    assert_eq!(rows(&sql), [expected], "{values}");
}

#[test]
fn a_bound_belongs_to_the_range_that_it_begins() {
    check("(1.0), (2.0), (2.5), (4.999), (5.0)", "[0, 1, 2, 0, 1, 1]");
    check("(0.999), (-7.0), (5.0), (99.0)", "[2, 0, 0, 0, 0, 2]");
    check("(3.0)", "[0, 0, 0, 1, 0, 0]");
}

#[test]
fn rows_without_a_number_do_not_count() {
    check(
        "(NULL), ('NaN'::double), ('Infinity'::double), ('-Infinity'::double), (3.0)",
        "[0, 0, 0, 1, 0, 0]",
    );
    check("(NULL::double)", "");
}

#[test]
fn refusals() {
    let check = |call: &str, message: &str| {
        assert_eq!(refusal_text(&format!("SELECT {call} FROM trades")), message);
    };
    check(
        "histogram(price, 5, 5, 4)",
        "cannot use 5 as argument high of histogram, expected a finite number above low",
    );
    check(
        "histogram(price, 1, 5, 0)",
        "cannot use 0 as argument buckets of histogram, expected an integer from 1 to 100000",
    );
    check(
        "histogram(price, 1, size, 4)",
        "cannot use an expression as argument high of histogram, expected a constant",
    );
    check(
        "histogram(price, 1, 5, 2.5)",
        "cannot use Float64 as argument buckets of histogram, expected an integer",
    );
}
