//! What PostgreSQL has not; the rest is asked of PostgreSQL itself in `sqllogictest/pg_compat`.

use crate::postgres::format::template::Template;
use crate::postgres::zone::Zone;
use crate::trial::{refusal_text, rows};

/// The one value of a query without a table.
fn value(expression: &str) -> String {
    rows(&format!("SELECT {expression} AS v")).join("|")
}

#[test]
fn java_and_strftime_patterns_write_times() {
    let time = "TIMESTAMP '2024-03-05 14:05:06.789'";
    let java = format!("date_format({time}, 'yyyy-MM-dd''T''HH:mm:ss.SSS EEE d MMM h a')");
    assert_eq!(value(&java), "2024-03-05T14:05:06.789 Tue 5 Mar 2 PM");
    let strftime = format!("to_char({time}, '%Y/%m/%d %H:%M')");
    assert_eq!(value(&strftime), "2024/03/05 14:05");
    assert_eq!(
        refusal_text(&format!("SELECT date_format({time}, 'yyyy-nn')")),
        "unknown pattern \"nn\" of a date format"
    );
}

#[test]
fn java_patterns_are_known_by_their_minutes() {
    for java in ["yyyy-MM-dd HH:mm:ss", "HH:mm", "dd/MM/yyyy hh:mm a"] {
        assert!(Template::is_java(java), "{java}");
    }
    for postgres in [
        "YYYY-MM-DD HH24:MI:SS",
        "yyyy-mm-dd hh24:mi",
        "yyyy-mm-dd",
        "YYYY-MM-DD",
    ] {
        assert!(!Template::is_java(postgres), "{postgres}");
    }
    assert_eq!(
        value("to_timestamp('2024-03-05 14:05:06', 'yyyy-MM-dd HH:mm:ss')"),
        "2024-03-05T14:05:06Z"
    );
    assert_eq!(value("to_date('05.03.2024', '%d.%m.%Y')"), "2024-03-05");
}

#[test]
fn zones_are_names_abbreviations_and_hours_to_the_west() {
    for (name, seconds) in [
        ("EST", -18_000),
        ("+02", -7_200),
        ("utc-3", 10_800),
        ("Z", 0),
    ] {
        assert_eq!(Zone::named(name), Ok(Zone::Ahead(seconds)), "{name}");
    }
    assert!(matches!(Zone::named("europe/BERLIN"), Ok(Zone::Place(_))));
    assert!(Zone::named("Europe/Nowhere").is_err());
}

#[test]
fn wrong_arguments_are_refused_in_the_words_of_postgres() {
    assert_eq!(
        refusal_text("SELECT age(1, 2)"),
        "function age(bigint, bigint) does not exist"
    );
}

#[test]
fn units_count_whole_ones_between_times() {
    let (from, to) = (
        "TIMESTAMP '2024-01-31 10:00:00'",
        "TIMESTAMP '2024-03-30 09:59:59'",
    );
    assert_eq!(value(&format!("timestampdiff('month', {from}, {to})")), "1");
    assert_eq!(
        value(&format!("timestampdiff('month', {to}, {from})")),
        "-1"
    );
    assert_eq!(value(&format!("timestampdiff('day', {from}, {to})")), "58");
    assert_eq!(
        value(&format!("timestampadd('month', 1, {from})")),
        "2024-02-29T10:00:00"
    );
}
