//! The limit holds for product functions and not for tests.

use super::*;

fn function(attribute: &str, body_lines: usize) -> String {
    format!(
        "//! x\n{attribute}\npub fn long() {{\n{}}}\n",
        "    let brace = \"}\";\n".repeat(body_lines)
    )
}

#[test]
fn a_function_of_seventy_lines_passes_and_of_seventy_one_does_not() {
    for (path, attribute, body_lines, expected) in [
        ("a/src/b.rs", "", 68, 0),
        ("a/src/b.rs", "", 69, 1),
        ("a/src/b.rs", "#[inline]", 69, 1),
        ("a/src/b.rs", "#[test]", 69, 0),
        ("a/tests/b.rs", "", 69, 0),
    ] {
        let text = function(attribute, body_lines);
        let findings = function_length(&Tree::of(&[(path, &text)]));
        assert_eq!(findings.len(), expected, "{path} {attribute} {body_lines}");
        assert!(findings.iter().all(|finding| finding.line == 3));
    }
}
