//! Wide comments are broken where a reader would, and nothing else changes.

use super::*;

/// `word` repeated to fill `count` columns, a blank after every fourth.
fn filler(count: usize) -> String {
    "abc "
        .repeat(count.div_ceil(4))
        .chars()
        .take(count)
        .collect()
}

fn check(before: &str, after: &str) {
    assert_eq!(wrap(before), after);
    assert_eq!(wrap(after), after, "not stable");
}

#[test]
fn a_wide_line_flows_into_the_next_of_its_paragraph() {
    let head = filler(95);
    check(
        &format!("    /// {head} one two\n    /// three.\n    pub a: u8,\n"),
        &format!(
            "    /// {}\n    /// abc one two three.\n    pub a: u8,\n",
            filler(92).trim_end()
        ),
    );
}

#[test]
fn a_paragraph_ends_at_a_blank_line_an_item_and_code() {
    for next in [
        "//!",
        "//! - item",
        "use x;",
        "//! # Errors",
        "//! ```text",
        "//! | a |",
        "// b",
    ] {
        let before = format!("//! {} one two\n{next}\n", filler(95).trim_end());
        let after = format!("//! {}\n//! one two\n{next}\n", filler(95).trim_end());
        check(&before, &after);
    }
}

#[test]
fn items_hang() {
    let before = format!("/// - {} one\n///   two\n", filler(94).trim_end());
    check(
        &before,
        &format!("/// - {}\n///   one two\n", filler(94).trim_end()),
    );
    let numbered = format!("// 1. {} one\n", filler(94).trim_end());
    check(
        &numbered,
        &format!("// 1. {}\n//    one\n", filler(94).trim_end()),
    );
}

#[test]
fn very_wide_lines_break_as_often_as_needed() {
    let wrapped = wrap(&format!("// {}end\n", filler(400)));
    assert!(
        wrapped
            .lines()
            .all(|line| line.chars().count() <= COLUMNS_MAX && line.starts_with("// abc"))
    );
    assert_eq!(wrapped.lines().count(), 5);
    assert_eq!(
        wrapped
            .split_whitespace()
            .filter(|word| *word == "abc")
            .count(),
        100
    );
}

#[test]
fn code_spans_stay_whole_and_no_item_is_made() {
    let head = filler(88);
    check(
        &format!("// {head}`a b c d e f`\n"),
        &format!("// {}\n// `a b c d e f`\n", head.trim_end()),
    );
    check(
        &format!("// {head}abcd - efgh ijkl\n"),
        &format!("// {head}abcd -\n// efgh ijkl\n"),
    );
}

#[test]
fn what_is_no_prose_stays() {
    let wide = filler(120);
    for text in [
        format!("//! ```text\n//! {wide}\n//! ```\n"),
        format!("//! | {wide} |\n"),
        format!("let a = r\"{wide}\";\n"),
        format!("let a = \"{}\";\n", "x".repeat(120)),
        format!("let a = r\"\n// {wide}\n\";\n"),
        format!("let a = 1; // {wide}\n"),
        format!("// https://example.org/ {wide}\n"),
        format!("//! {}\n", "x".repeat(120)),
        format!("//!      {wide}\n"),
        "no end of line".to_owned(),
    ] {
        assert_eq!(wrap(&text), text);
    }
}

#[test]
fn a_wide_string_goes_on_in_the_next_line() {
    let head = filler(80);
    check(
        &format!("    let a = f(\"{head}one two three\", b);\n"),
        &format!("    let a = f(\"{head}one \\\n               two three\", b);\n"),
    );
    let wrapped = wrap(&format!("    f(\"é{}end\", \"short one\");\n", filler(300)));
    assert!(
        wrapped
            .lines()
            .all(|line| line.chars().count() <= COLUMNS_MAX),
        "{wrapped}"
    );
    let words = wrapped
        .split(|c: char| !c.is_alphanumeric())
        .filter(|word| *word == "abc");
    assert_eq!(words.count(), 74, "{wrapped}");
    assert!(
        wrapped.starts_with("    f(\"éabc abc") && wrapped.ends_with("end\", \"short one\");\n")
    );
}
