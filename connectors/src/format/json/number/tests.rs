//! Numbers of every shape, against exact expectations.

use proptest::prelude::*;

use super::Number;

fn scan(text: &str) -> Option<Number<'_>> {
    Number::scan(text.as_bytes(), 0).filter(|number| number.text.len() == text.len())
}

#[test]
fn only_the_grammar_of_json_is_taken_bare() {
    for text in [
        "0", "-0", "12", "1.5", "0.5", "1e3", "1E+3", "-1.25e-2", "0e0",
    ] {
        assert!(scan(text).is_some(), "{text}");
    }
    for text in [
        "", "-", "+1", "01", "-01", ".5", "5.", "1e", "1e+", "0x1", "1_0", "--1", "NaN",
    ] {
        assert!(scan(text).is_none(), "{text}");
    }
}

#[test]
fn loose_spellings_are_taken_in_quotes() {
    for (text, expected) in [
        (" 12 ", Some(12)),
        ("+7", Some(7)),
        ("007", Some(7)),
        ("5.", Some(5)),
        ("-3", Some(-3)),
        ("", None),
        (".", None),
        ("+", None),
        ("1 2", None),
        ("1e", None),
    ] {
        let number = Number::from_text(text.as_bytes()).and_then(Number::to_i64);
        assert_eq!(number, expected, "{text:?}");
    }
}

#[test]
fn whole_numbers_are_exact_or_refused() {
    for (text, expected) in [
        ("0", Some(0)),
        ("-0", Some(0)),
        ("9223372036854775807", Some(i64::MAX)),
        ("-9223372036854775808", Some(i64::MIN)),
        ("9223372036854775808", None),
        ("-9223372036854775809", None),
        ("12.0", Some(12)),
        ("12.5", None),
        ("1e3", Some(1_000)),
        ("1200e-2", Some(12)),
        ("1e-1", None),
        ("0e-999999999999", Some(0)),
        ("0e999999999999", Some(0)),
        ("1e999999999999", None),
        (
            "12.00000000000000000000000000000000000000000000000000",
            Some(12),
        ),
        (
            "12.00000000000000000000000000000000000000000000000001",
            None,
        ),
        ("123456789012345678901234567890123456789012345", None),
        ("922337203685477580.7e1", Some(i64::MAX)),
    ] {
        assert_eq!(scan(text).and_then(Number::to_i64), expected, "{text}");
    }
}

#[test]
fn decimals_round_half_away_from_zero() {
    for (text, scale, expected) in [
        ("12.34", 2, Some(1_234)),
        ("12.34", 8, Some(1_234_000_000)),
        ("12.345", 2, Some(1_235)),
        ("-12.345", 2, Some(-1_235)),
        ("12.344999", 2, Some(1_234)),
        ("0.5", 0, Some(1)),
        ("0.49", 0, Some(0)),
        ("1e-400", 8, Some(0)),
        ("1e400", 8, None),
        ("1e-8", 8, Some(1)),
        ("15", -1, Some(2)),
        (
            "99999999999999999999999999999999999999",
            0,
            Some(10_i128.pow(38) - 1),
        ),
        (
            "0.99999999999999999999999999999999999999",
            38,
            Some(10_i128.pow(38) - 1),
        ),
        (
            "0.123456789012345678901234567890123456785",
            38,
            Some(12345678901234567890123456789012345679),
        ),
        (
            "0.123456789012345678901234567890123456784",
            38,
            Some(12345678901234567890123456789012345678),
        ),
        (
            "1234567890123456789012345678.901234567850",
            10,
            Some(12345678901234567890123456789012345679),
        ),
    ] {
        assert_eq!(
            scan(text).and_then(|n| n.to_scaled(scale)),
            expected,
            "{text} at {scale}"
        );
    }
}

#[test]
fn floats_are_the_nearest_ones() {
    for text in [
        "0",
        "-0.0",
        "0.1",
        "123.456",
        "1e22",
        "1e23",
        "9007199254740993",
        "5e-324",
        "1.7976931348623157e308",
    ] {
        let expected: f64 = text.parse().unwrap();
        let found = scan(text).and_then(Number::to_f64).unwrap();
        assert_eq!(found.to_bits(), expected.to_bits(), "{text}");
    }
    assert_eq!(scan("1e999").and_then(Number::to_f64), None);
    assert_eq!(scan("3.4028236e38").and_then(Number::to_f32), None);
}

proptest! {
    #[test]
    fn any_float_survives_its_text(value in any::<f64>().prop_filter("finite", |v| v.is_finite())) {
        for text in [format!("{value}"), format!("{value:e}")] {
            let found = scan(&text).and_then(Number::to_f64).unwrap();
            prop_assert_eq!(found.to_bits(), value.to_bits(), "{}", text);
        }
    }

    #[test]
    fn any_whole_number_survives_its_text(value in any::<i64>()) {
        let text = value.to_string();
        prop_assert_eq!(scan(&text).and_then(Number::to_i64), Some(value));
    }

    #[test]
    fn any_decimal_survives_its_text(value in any::<i64>(), scale in 0_usize..12) {
        let digits = format!("{:0>width$}", value.unsigned_abs(), width = scale + 1);
        let (whole, fraction) = digits.split_at(digits.len() - scale);
        let sign = if value < 0 { "-" } else { "" };
        let dot = if scale > 0 { "." } else { "" };
        let text = format!("{sign}{whole}{dot}{fraction}");
        let scaled = scan(&text).and_then(|n| n.to_scaled(i32::try_from(scale).unwrap()));
        prop_assert_eq!(scaled, Some(i128::from(value)), "{}", text);
    }
}
