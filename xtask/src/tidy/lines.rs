//! What a single line may be: how wide, and never an open end without an issue.

#[cfg(test)]
mod tests;

use crate::finding::Finding;
use crate::rust_text::RustText;
use crate::tree::{SourceFile, Tree, is_test_path};

/// Two files side by side on a laptop.
pub const COLUMNS_MAX: usize = 100;

/// The mark of work put off, allowed with the number of an issue. Put together so as not to stand
/// here itself.
const LATER: &str = concat!("TO", "DO");
/// The mark of a known fault, never allowed.
const BROKEN: &str = concat!("FIX", "ME");

/// Checks the width of Rust lines. Addresses, long strings of tests (goldens) and pictures in
/// comments cannot be broken.
pub fn line_width(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    for file in tree.rust_files() {
        let long_strings = match is_test_path(&file.path) {
            true => RustText::new(&file.text).in_long_string,
            false => Vec::new(),
        };
        let mut in_picture = false;
        for (index, line) in file.text.lines().enumerate() {
            let comment = line.trim_start();
            in_picture = match comment.starts_with("//") {
                true => {
                    in_picture
                        ^ comment
                            .trim_start_matches(['/', '!', ' '])
                            .starts_with("```")
                }
                false => false,
            };
            let width = line.chars().count();
            let is_golden = long_strings.get(index).copied().unwrap_or(false);
            if width > COLUMNS_MAX && !is_golden && !in_picture && !line.contains("://") {
                let message = format!("{width} columns, more than {COLUMNS_MAX}");
                let mend = "Run `cargo xtask wrap` and `cargo fmt`, or name a part of the line.";
                findings.push(Finding::new(
                    "line-width",
                    &file.path,
                    index + 1,
                    message,
                    mend,
                ));
            }
        }
    }
    findings
}

/// Checks that comments leave no open end: work put off has an issue's number, a known fault is
/// mended.
pub fn open_ends(tree: &Tree) -> Vec<Finding> {
    tree.files.iter().flat_map(file_open_ends).collect()
}

fn file_open_ends(file: &SourceFile) -> Vec<Finding> {
    let name = file.path.rsplit('/').next().unwrap_or_default();
    let extension = name.rsplit_once('.').map(|(_, extension)| extension);
    let comments = match extension {
        Some("rs") => RustText::new(&file.text).comments,
        Some("sh" | "py" | "toml" | "yaml" | "yml") => hash_comments(&file.text),
        None => hash_comments(&file.text),
        _ => return Vec::new(),
    };
    let mut findings = Vec::new();
    for (index, line) in comments.lines().enumerate() {
        let message = if has_word(line, BROKEN) {
            "a known fault"
        } else if has_word(line, LATER) && !has_issue(line) {
            "work put off without an issue"
        } else {
            continue;
        };
        let mend =
            "Do it now, or file an issue and write `TODO(#n): what, and what holds until then`.";
        findings.push(Finding::new(
            "open-ends",
            &file.path,
            index + 1,
            message,
            mend,
        ));
    }
    findings
}

/// The text with everything but `#` comments removed.
fn hash_comments(text: &str) -> String {
    let comments = text
        .lines()
        .map(|line| line.find('#').and_then(|at| line.get(at..)));
    comments
        .map(Option::unwrap_or_default)
        .collect::<Vec<_>>()
        .join("\n")
}

fn has_word(line: &str, word: &str) -> bool {
    line.split(|c: char| !c.is_alphanumeric())
        .any(|candidate| candidate == word)
}

/// Whether the number of an issue follows every mark of the line: `(#57)`.
fn has_issue(line: &str) -> bool {
    line.split(LATER).skip(1).all(|rest| {
        let number = rest
            .strip_prefix("(#")
            .and_then(|rest| rest.split(')').next());
        number.is_some_and(|digits| {
            !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit())
        })
    })
}
