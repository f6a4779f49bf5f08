//! Each hazard passes where it is allowed and is refused elsewhere.

use super::*;

#[test]
fn unsafe_stands_in_one_file_only() {
    let text = "//! x\n// SAFETY: sound.\nlet a = unsafe { f() };\n";
    assert_eq!(unsafe_code(&Tree::of(&[(UNSAFE_ALLOWED, text)])).len(), 0);
    assert_eq!(
        unsafe_code(&Tree::of(&[("stream/src/lib.rs", text)])).len(),
        1
    );
    let harmless = "//! unsafe\n#![expect(unsafe_code)]\nlet a = \"unsafe\";\n";
    assert_eq!(
        unsafe_code(&Tree::of(&[("stream/src/lib.rs", harmless)])).len(),
        0
    );
}

#[test]
fn unsafe_needs_its_reason_right_above() {
    let cases = [
        (
            "// SAFETY: sound,\n// because.\nlet a =\n    unsafe { f() };",
            0,
        ),
        ("/// As f.\n#[inline]\nunsafe fn g() {}", 0),
        (
            "/// As f.\npub unsafe extern \"C\" fn g() {\n    unsafe { f() }\n}",
            1,
        ),
        ("// SAFETY: owned.\nunsafe impl Send for A {}", 0),
        ("unsafe impl Send for A {}", 1),
        ("let a = unsafe { f() };", 1),
        (
            "// SAFETY: of another.\nlet b = 1;\nlet a = unsafe { f() };",
            1,
        ),
        ("// SAFETY: far away.\n\nlet a = unsafe { f() };", 1),
        ("// Only a comment.\nlet a = unsafe { f() };", 1),
        ("// SAFETY: one.\nunsafe { f() };\nunsafe { g() };", 1),
    ];
    for (text, expected) in cases {
        let found = unsafe_code(&Tree::of(&[(UNSAFE_ALLOWED, text)])).len();
        assert_eq!(found, expected, "{text}");
    }
}

#[test]
fn clocks_are_read_in_named_places_only() {
    let text = "//! x\nlet a = Instant::now();\nlet b = std::time::SystemTime::now();\n";
    let cases = [
        ("runtime/src/clock.rs", 0),
        ("runtime/src/dataflow.rs", 2),
        ("runtime/src/dataflow/tests.rs", 0),
        ("connectors/src/kafka/consumer.rs", 0),
        ("planner/src/lib.rs", 2),
    ];
    for (path, expected) in cases {
        assert_eq!(clock(&Tree::of(&[(path, text)])).len(), expected, "{path}");
    }
    let comment = "//! Never calls Instant::now.\n";
    assert_eq!(
        clock(&Tree::of(&[("planner/src/lib.rs", comment)])).len(),
        0
    );
}
