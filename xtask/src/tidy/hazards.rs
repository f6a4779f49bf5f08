//! What may stand only in named places: `unsafe` and the reading of clocks.

#[cfg(test)]
mod tests;

use crate::finding::Finding;
use crate::rust_text::RustText;
use crate::tree::{SourceFile, Tree, is_test_path};

/// The one file that calls a C library.
const UNSAFE_ALLOWED: &str = "connectors/src/kafka/consumer.rs";

/// Where a clock may be read, each with its reason. A path that ends in `/` stands for all below
/// it.
const CLOCKS_ALLOWED: &[(&str, &str)] = &[
    (
        "runtime/src/clock.rs",
        "the one clock that dataflows are given",
    ),
    ("connectors/", "deadlines and retries of outside systems"),
    ("engine/src/query/guard.rs", "statement timeouts"),
    ("engine/src/cursor.rs", "timeouts of FETCH"),
    ("engine/src/subscribe.rs", "ends of subscriptions"),
    ("pgwire-server/", "deadlines of connections"),
    ("flight-server/", "deadlines of calls"),
    ("server/", "hands the clocks out; times start and shutdown"),
    ("sqllogictest/", "a test tool"),
    ("differential/", "a test tool"),
    ("bench/", "measures"),
    ("xtask/", "a tool"),
];

const CLOCKS: &[&str] = &["SystemTime::now", "Instant::now", "Utc::now", "Local::now"];

/// Checks that `unsafe` stands in one file only, and there each time with its reason.
pub fn unsafe_code(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    for file in tree.rust_files() {
        let text = RustText::new(&file.text);
        for line in text.lines_with_word("unsafe") {
            let (message, mend) = if file.path != UNSAFE_ALLOWED {
                let mend = format!("Only {UNSAFE_ALLOWED} may; find a safe way or move it there.");
                ("`unsafe` outside the file that calls the C library", mend)
            } else if !declares_function(&text, line) && !has_safety_reason(&text, line) {
                let mend =
                    "Say in a `// SAFETY:` comment right above why this is sound.".to_owned();
                ("`unsafe` without its reason", mend)
            } else {
                continue;
            };
            findings.push(Finding::new("unsafe", &file.path, line, message, mend));
        }
    }
    findings
}

/// Checks that clocks are read in named places only, so that replay and simulation see the same
/// time.
pub fn clock(tree: &Tree) -> Vec<Finding> {
    let mend = "Take the time from the clock that was handed in; see docs/style.md, rule 24.";
    let mut findings = Vec::new();
    for file in tree.rust_files().filter(|file| !may_read_clock(file)) {
        let code = RustText::new(&file.text).code;
        for (index, line) in code.lines().enumerate() {
            if let Some(clock) = CLOCKS.iter().find(|clock| line.contains(*clock)) {
                let message = format!("{clock} outside the files that own a clock");
                findings.push(Finding::new("clock", &file.path, index + 1, message, mend));
            }
        }
    }
    findings
}

fn may_read_clock(file: &SourceFile) -> bool {
    let allowed = |path: &str| match path.ends_with('/') {
        true => file.path.starts_with(path),
        false => file.path == path,
    };
    is_test_path(&file.path) || CLOCKS_ALLOWED.iter().any(|(path, _)| allowed(path))
}

/// Whether `line` only declares a function as unsafe: the reasons stand with its callers.
fn declares_function(text: &RustText, line: usize) -> bool {
    let code = text.code.lines().nth(line - 1).unwrap_or_default();
    let after = code.split("unsafe").nth(1).unwrap_or_default().trim_start();
    after.starts_with("fn ") || after.starts_with("extern ")
}

/// Whether a `SAFETY:` comment stands on `line` or right above its statement.
fn has_safety_reason(text: &RustText, line: usize) -> bool {
    let comments: Vec<&str> = text.comments.lines().collect();
    let code: Vec<&str> = text.code.lines().collect();
    for at in (0..line).rev() {
        let comment = comments.get(at).copied().unwrap_or_default();
        let code = code.get(at).copied().unwrap_or_default().trim();
        if comment.contains("SAFETY:") {
            return true;
        }
        let is_blank = code.is_empty() && comment.trim().is_empty();
        let ends_statement = at + 1 != line && code.ends_with([';', '{', '}', ',']);
        if is_blank || ends_statement {
            return false;
        }
    }
    false
}
