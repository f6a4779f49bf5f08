//! A planted bug that fits passes; one that has rotted, says nothing or breaks a test is refused.

use super::*;

const CODE: &str = "\
fn add(list: &mut Vec<u64>, value: u64) {
    list.push(value);
}

fn pay(list: &mut Vec<u64>, value: u64) {
    if value > 0 {
        list.push(value);
    }
}
";

const PATCH: &str = "\
# What is 0 is paid too.
diff --git a/bank/src/pay.rs b/bank/src/pay.rs
--- a/bank/src/pay.rs
+++ b/bank/src/pay.rs
@@ -5,5 +5,5 @@ fn add(
 fn pay(list: &mut Vec<u64>, value: u64) {
-    if value > 0 {
+    if value < u64::MAX {
         list.push(value);
     }
 }
";

/// The messages about a patch, in order.
fn check(name: &str, patch: &str, code: &str, expected: &[&str]) {
    let path = format!("{FOLDER}{name}");
    let tree = Tree::of(&[(&path, patch), ("bank/src/pay.rs", code)]);
    let messages = mutants(&tree).into_iter().map(|finding| finding.message);
    assert_eq!(messages.collect::<Vec<_>>(), expected, "{patch}");
}

#[test]
fn a_planted_bug_says_what_it_breaks_and_fits_one_place() {
    check("pays-nothing.patch", PATCH, CODE, &[]);
    // Elsewhere in the file.
    check("pays-nothing.patch", PATCH, &format!("\n\n{CODE}"), &[]);
    let (_, silent) = PATCH.split_once('\n').unwrap();
    check("pays-nothing.patch", silent, CODE, &["not a planted bug"]);
    check("pays-nothing.diff", PATCH, CODE, &["not a planted bug"]);
    check("pays-nothing.patch", "# x\n", CODE, &["not a planted bug"]);
}

#[test]
fn a_planted_bug_that_has_rotted_is_refused() {
    let none = &["fits 0 places of \"bank/src/pay.rs\""];
    check("a.patch", PATCH, &CODE.replace("> 0", ">= 1"), none);
    check("a.patch", PATCH, "", none);
    let two = &["fits 2 places of \"bank/src/pay.rs\""];
    check("a.patch", PATCH, &format!("{CODE}{CODE}"), two);
    let cut_short = PATCH.replace(" }\n", "");
    check("a.patch", &cut_short, CODE, none);
}

#[test]
fn two_hunks_are_told_apart_by_their_lengths() {
    let second = "\
--- a/bank/src/pay.rs
+++ b/bank/src/pay.rs
@@ -2 +2 @@
-    list.push(value);
+    list.push(value + 1);
--- a/bank/tests/pay.rs
+++ b/bank/tests/pay.rs
@@ -1,2 +1 @@
 fn pay() {
-    pay();
";
    let both = format!("{PATCH}{second}");
    let expected = [
        "changes \"bank/tests/pay.rs\"",
        "fits 0 places of \"bank/tests/pay.rs\"",
    ];
    check("a.patch", &both, CODE, &expected);
}
