//! Strings, comments and lifetimes do not confuse the splitter.

use super::*;

#[test]
fn comments_and_strings_leave_the_code() {
    let text = RustText::new("let a = \"{ // no\"; // { yes\n/* { /* nested */ */ let b = 'x';");
    assert_eq!(text.code.matches('{').count(), 0, "{}", text.code);
    assert!(text.comments.contains("{ yes") && text.comments.contains("nested"));
    assert!(!text.comments.contains("no"));
    assert!(text.code.contains("let b = ' ';"), "{}", text.code);
}

#[test]
fn raw_strings_end_at_their_own_fence() {
    let text = RustText::new("let a = r#\"quote \" { \"#; let b = br\"\\\"; let c = 1;");
    assert_eq!(text.code.matches('{').count(), 0);
    assert!(
        text.code.contains("let b") && text.code.contains("let c = 1;"),
        "{}",
        text.code
    );
}

#[test]
fn an_identifier_that_ends_in_r_opens_no_raw_string() {
    let text = RustText::new("x!(bar\"\\\"{\"); let c = 1;");
    assert!(text.code.contains("let c = 1;"), "{}", text.code);
}

#[test]
fn lifetimes_and_character_literals_are_told_apart() {
    for literal in ["'{'", "'\\''", "'\\u{7b}'", "'é'", "b'{'", "'\"'", "'\\\\'"] {
        let text = RustText::new(&format!(
            "fn f<'a>(x: &'a str) {{ let c = {literal}; }} // end"
        ));
        assert_eq!(
            text.code.matches('{').count(),
            1,
            "{literal}: {}",
            text.code
        );
        assert!(text.comments.contains("end"), "{literal}");
        assert_eq!(text.code.len(), text.comments.len());
    }
}

#[test]
fn lines_of_long_strings_are_marked() {
    let text = RustText::new("a\nlet s = \"one\ntwo\nthree\"; b\nc");
    assert_eq!(text.in_long_string, [false, true, true, true, false]);
}

#[test]
fn functions_are_measured_from_fn_to_brace() {
    let code = "fn a(x: [u8; 4]) -> [u8; 2]\nwhere\n{\n    if x { y }\n}\n\
                trait T { fn b(); fn c() {} }\ntype F = fn(u8) -> u8;\n\
                #[tokio::test]\nasync fn d() {\n}\n";
    let found = RustText::new(code).functions();
    let brief: Vec<_> = found
        .iter()
        .map(|f| (f.name.as_str(), f.line, f.line_count, f.is_test))
        .collect();
    assert_eq!(
        brief,
        [("a", 1, 5, false), ("c", 6, 1, false), ("d", 9, 2, true)]
    );
}

#[test]
fn words_are_whole_words() {
    let text = RustText::new("unsafe_code\nunsafe { }\n// unsafe\n\"unsafe\"");
    assert_eq!(text.lines_with_word("unsafe"), [2]);
}
