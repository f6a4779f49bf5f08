//! Folding, quoting and refusing names.

use super::*;

fn check(text: &str, expected: Option<&str>) {
    let name = ObjectName::parse(text).ok();
    assert_eq!(name.as_ref().map(ObjectName::as_str), expected, "{text}");
}

#[test]
fn names_fold_as_in_postgresql() {
    check("Trades", Some("trades"));
    check("public.Trades", Some("trades"));
    check("rtsap.public.t", Some("t"));
    check("\"Trades\"", Some("Trades"));
    check("\"a\"\"b\"", Some("a\"b"));
    check("public . \"X.y\"", Some("X.y"));
    check("ÄB", Some("Äb"));
}

#[test]
fn bad_names_are_refused() {
    check("", None);
    check("\"", None);
    check("\"a\"b", None);
    check("other.t", None);
    check(&"x".repeat(64), None);
}

#[test]
fn quoting_is_undone_by_parsing() {
    for name in ["t", "v$late", "Mixed", "with space", "q\"q", "1st", "a.b"] {
        let name = ObjectName::from_folded(name).unwrap();
        assert_eq!(ObjectName::parse(&name.quoted()).unwrap(), name);
    }
}
