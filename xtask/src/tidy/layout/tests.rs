//! Each layout rule accepts what is well laid out and refuses the rest.

use super::*;

#[test]
fn drawers_are_refused_and_subjects_pass() {
    let cases = [
        ("stream/src/time.rs", 0),
        ("stream/src/time_utils.rs", 1),
        ("stream/src/types.rs", 1),
        ("stream/src/column_types.rs", 0),
        ("common/src/lib.rs", 1),
        ("runtime/src/util/clock.rs", 1),
        ("connectors/src/database.rs", 0),
        ("runtime/src/core.rs", 0),
        ("runtime/src/core/attach.rs", 0),
        ("runtime/src/core/utils.rs", 1),
        ("engine/src/core.rs", 1),
        ("scripts/helpers.py", 1),
        ("k8s/base/service.yaml", 0),
        ("plan/src/window/mod.rs", 1),
        ("plan/src/mode.rs", 0),
    ];
    for (path, expected) in cases {
        assert_eq!(
            names(&Tree::of(&[(path, "//! x\n")])).len(),
            expected,
            "{path}"
        );
    }
}

#[test]
fn a_crate_named_after_nothing_is_refused() {
    let member = crate::tree::Crate {
        name: "rtsap-core".to_owned(),
        folder: "core".to_owned(),
        dependencies: Vec::new(),
    };
    let tree = Tree {
        files: Vec::new(),
        crates: vec![member],
    };
    assert_eq!(names(&tree).len(), 1);
}

#[test]
fn a_file_without_opening_is_refused() {
    let tree = Tree::of(&[
        ("a.rs", "//! What a is.\n"),
        ("b.rs", "use x;\n"),
        ("c.md", "text"),
    ]);
    let findings = opening(&tree);
    assert_eq!(findings.len(), 1);
    assert_eq!(findings[0].path, "b.rs");
}

#[test]
fn length_has_one_limit_for_code_and_one_for_tests() {
    let cases = [
        ("a/src/b.rs", 500, 0),
        ("a/src/b.rs", 501, 1),
        ("a/src/b/tests.rs", 800, 0),
        ("a/src/b/tests.rs", 801, 1),
        ("a/tests/b.rs", 501, 0),
        ("a.yaml", 5000, 0),
    ];
    for (path, count, expected) in cases {
        let text = "//! x\n".repeat(count);
        assert_eq!(
            file_length(&Tree::of(&[(path, &text)])).len(),
            expected,
            "{path} {count}"
        );
    }
}
