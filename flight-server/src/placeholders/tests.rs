//! Which `?` are placeholders.

use super::numbered;

#[track_caller]
fn check(sql: &str, expected: &str) {
    assert_eq!(numbered(sql), expected);
}

#[test]
fn placeholders_are_numbered_in_order() {
    check("SELECT 1", "SELECT 1");
    check(
        "SELECT a WHERE b = ? AND c < ?",
        "SELECT a WHERE b = $1 AND c < $2",
    );
    check(
        "INSERT INTO t VALUES (?, ?), (?,?)",
        "INSERT INTO t VALUES ($1, $2), ($3,$4)",
    );
    check("SELECT '€', ?", "SELECT '€', $1");
}

#[test]
fn quotes_and_comments_keep_their_question_marks() {
    check("SELECT '?', ?", "SELECT '?', $1");
    check(
        "SELECT 'it''s ?', \"a?\"\"b?\", ?",
        "SELECT 'it''s ?', \"a?\"\"b?\", $1",
    );
    check("SELECT E'\\'?', ?", "SELECT E'\\'?', $1");
    check("SELECT se'\\', ?", "SELECT se'\\', $1");
    check("SELECT ? -- ?\n, ?", "SELECT $1 -- ?\n, $2");
    check("SELECT /* ? /* ? */ ? */ ?", "SELECT /* ? /* ? */ ? */ $1");
    check(
        "SELECT $$ ? $$, $a$ ? $$ $a$, ?",
        "SELECT $$ ? $$, $a$ ? $$ $a$, $1",
    );
    check("SELECT $1 + $2, '?'", "SELECT $1 + $2, '?'");
    check("SELECT '?", "SELECT '?");
}
