//! Each line rule accepts a good line and refuses a bad one.

use super::*;

#[test]
fn width_counts_characters_and_spares_addresses() {
    let wide = "x".repeat(101);
    let accents = "é".repeat(100);
    let address = format!("// see https://example.org/{wide}");
    for (line, expected) in [
        (wide.as_str(), 1),
        (accents.as_str(), 0),
        (address.as_str(), 0),
    ] {
        assert_eq!(
            line_width(&Tree::of(&[("a/src/b.rs", line)])).len(),
            expected,
            "{line}"
        );
    }
}

#[test]
fn goldens_of_tests_may_be_wide_but_their_code_may_not() {
    let golden = format!("expect![[r#\"\n{}\n\"#]];\n", "x".repeat(150));
    assert_eq!(line_width(&Tree::of(&[("a/tests/b.rs", &golden)])).len(), 0);
    assert_eq!(line_width(&Tree::of(&[("a/src/b.rs", &golden)])).len(), 1);
    let code = format!("let a = {};\n", "x".repeat(150));
    assert_eq!(line_width(&Tree::of(&[("a/tests/b.rs", &code)])).len(), 1);
}

#[test]
fn pictures_in_comments_may_be_wide() {
    let wide = "x".repeat(110);
    let picture = format!("//! ```text\n//! {wide}\n//! ```\n");
    assert_eq!(line_width(&Tree::of(&[("a/src/b.rs", &picture)])).len(), 0);
    let after = format!("//! ```text\n//! ```\n//! {wide}\n");
    assert_eq!(line_width(&Tree::of(&[("a/src/b.rs", &after)])).len(), 1);
}

#[test]
fn open_ends_need_an_issue() {
    let cases = [
        ("a.rs", "// TODO(#57): spill", 0),
        ("a.rs", "// TODO: spill", 1),
        ("a.rs", "// TODO(me): spill", 1),
        ("a.rs", "// TODO(#): spill", 1),
        ("a.rs", "/* FIXME(#57) */", 1),
        ("a.rs", "let a = \"TODO\";", 0),
        ("a.rs", "fn f() {} // TODOS are not", 0),
        ("a.sh", "echo # TODO later", 1),
        ("Makefile", "# FIXME", 1),
        ("a.yaml", "key: TODO", 0),
        ("a.md", "TODO", 0),
    ];
    for (path, line, expected) in cases {
        assert_eq!(
            open_ends(&Tree::of(&[(path, line)])).len(),
            expected,
            "{path}: {line}"
        );
    }
}
