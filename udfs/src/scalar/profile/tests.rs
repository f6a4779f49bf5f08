//! Tests of what is read from profiles that lack something, or that are of one level.

use crate::trial::{refusal_text, rows};

/// What is read of a profile whose levels are these prices and volumes.
fn read(call: &str, levels: &[(&str, &str)]) -> Vec<String> {
    let float = |text: &str| format!("CAST({text} AS DOUBLE)");
    let levels = levels.iter().map(|(price, volume)| {
        format!(
            "named_struct('price', {}, 'volume', {})",
            float(price),
            float(volume)
        )
    });
    let list = levels.collect::<Vec<_>>().join(", ");
    rows(&format!("SELECT {call} FROM (SELECT [{list}] AS p)"))
}

#[test]
fn a_level_without_a_value_makes_null() {
    let good = ("10", "5");
    assert_eq!(read("poc(p)", &[good, ("11", "7")]), ["11.0"]);
    for bad in ["NULL", "'NaN'", "'Infinity'"] {
        for level in [(bad, "7"), ("11", bad)] {
            assert_eq!(
                read("poc(p) IS NULL", &[good, level]),
                ["true"],
                "{level:?}"
            );
            assert_eq!(
                read("value_area(p) IS NULL", &[good, level]),
                ["true"],
                "{level:?}"
            );
        }
        let area = format!("value_area(p, CAST({bad} AS DOUBLE)) IS NULL");
        assert_eq!(read(&area, &[good]), ["true"], "{bad}");
    }
    assert_eq!(read("value_area(p, 1.1) IS NULL", &[good]), ["true"]);
    assert_eq!(read("value_area(p, -0.1) IS NULL", &[good]), ["true"]);
    assert_eq!(
        rows("SELECT poc(NULL) IS NULL, value_area(NULL) IS NULL"),
        ["true true"]
    );
}

#[test]
fn of_one_level_or_none_is_that_or_null() {
    assert_eq!(
        read(
            "value_area(p)['low'], value_area(p)['high']",
            &[("10", "5")]
        ),
        ["10.0 10.0"]
    );
    assert_eq!(
        read("value_area(p, 0)['high']", &[("10", "5"), ("9", "1")]),
        ["10.0"]
    );
    assert_eq!(
        read("value_area(p, 1)['high']", &[("9", "1"), ("10", "0")]),
        ["9.0"]
    );
    let none = "SELECT poc(volume_profile(price, size, 1)) IS NULL FROM trades WHERE size IS NULL";
    assert_eq!(rows(none), ["true"]);
    assert!(refusal_text("SELECT poc([1.0])").starts_with("cannot use List(Float64)"));
}
