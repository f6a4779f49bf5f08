//! The grammar of JSON, and parts of documents.

use super::scan;
use super::{Step, at};

#[test]
fn only_json_is_json() {
    for good in [
        "1",
        "-0.5e+3",
        "\"a\\u00e4\\n\"",
        "null",
        " [ ] ",
        "{\"a\":[1,{\"b\":true}]}",
        "\"\"",
    ] {
        assert!(scan::whole(good), "{good}");
    }
    for bad in [
        "",
        "01",
        "+1",
        ".5",
        "1.",
        "1e",
        "'a'",
        "\"a",
        "\"\\x\"",
        "\"\\u12\"",
        "[1,]",
        "{\"a\"}",
        "{a:1}",
        "nul",
        "1 2",
        "\"\u{1}\"",
        "{\"a\":1,}",
        "[1 2]",
        "tru",
        "-",
    ] {
        assert!(!scan::whole(bad), "{bad}");
    }
    let deep = "[".repeat(100_000);
    assert!(!scan::whole(&deep));
}

#[test]
fn parts_are_found_as_they_were_written() {
    let text = r#" {"a": {"b" : [1, "x\u00e4", {"c": 1.50}]}, "a": [ 2 ,3 ]} "#;
    let key = |key: &str| Step::Key(key.to_owned());
    assert_eq!(at(text, &[key("a")]), Ok(Some("[ 2 ,3 ]")));
    assert_eq!(at(text, &[key("a"), Step::Index(-1)]), Ok(Some("3")));
    assert_eq!(at(text, &[key("a"), Step::Index(-3)]), Ok(None));
    assert_eq!(at(text, &[key("z")]), Ok(None));
    assert_eq!(at("[1", &[Step::Index(0)]), Err(()));
    assert_eq!(
        scan::unquoted(r#""x\u00e4\ud83d\ude00\"""#).as_deref(),
        Some("xä😀\"")
    );
    assert_eq!(scan::unquoted(r#""\ud83d""#), None);
}
