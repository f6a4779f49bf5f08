//! How files are named, opened and bounded.

#[cfg(test)]
mod tests;

use crate::finding::Finding;
use crate::tree::{Tree, is_test_path};

/// A product file: what one sitting can proofread.
const LINES_MAX: usize = 500;
/// A test file: cases are data and read faster than code.
const TEST_LINES_MAX: usize = 800;

/// Names that admit everything and so say nothing.
const DRAWERS: &[&str] = &[
    "common", "core", "util", "utils", "helper", "helpers", "misc", "base", "types", "manager",
];
/// The drawers that stay drawers with a subject in front: `time_utils`.
const DRAWER_WORDS: &[&str] = &[
    "common", "util", "utils", "helper", "helpers", "misc", "manager", "managers",
];

/// Paths in which such a word is a term of the glossary, each with what it means there.
const TERMS: &[(&str, &str)] = &[(
    "runtime/src/core",
    "the core: the one thread that runs all operators (ADR 0002)",
)];

/// Checks that no crate, source file or source folder is called after nothing, and that none is
/// `mod.rs`.
pub fn names(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    for file in &tree.files {
        let Some((stem, extension)) = file.path.rsplit_once('.') else {
            continue;
        };
        if !matches!(extension, "rs" | "py" | "sh") {
            continue;
        }
        if stem.ends_with("/mod") && extension == "rs" {
            let folder = stem.trim_end_matches("/mod");
            let mend = format!("Move it to {folder}.rs, so that file names stay unique.");
            findings.push(Finding::new(
                "names",
                &file.path,
                1,
                "a file named mod.rs",
                mend,
            ));
        }
        let term = TERMS.iter().find_map(|(term, _)| stem.strip_prefix(term));
        let unnamed = term.unwrap_or(stem).split('/').find(|part| is_drawer(part));
        if let Some(part) = unnamed {
            let message = format!("\"{part}\" is a name that admits everything");
            let mend = "Ask which crate or file owns the concept, and name it after that.";
            findings.push(Finding::new("names", &file.path, 1, message, mend));
        }
    }
    for member in tree
        .crates
        .iter()
        .filter(|member| is_drawer(&member.folder))
    {
        let path = format!("{}/Cargo.toml", member.folder);
        let message = format!("\"{}\" is a name that admits everything", member.folder);
        let mend = "Ask which crate owns each concept in it, and move it there.";
        findings.push(Finding::new("names", &path, 1, message, mend));
    }
    findings
}

/// Checks that every Rust file opens with its own documentation.
pub fn opening(tree: &Tree) -> Vec<Finding> {
    let mend = "Open with `//!`: what this file is, what it owns, what it never does.";
    let bare = tree
        .rust_files()
        .filter(|file| !file.text.starts_with("//! "));
    bare.map(|file| Finding::new("opening", &file.path, 1, "does not open with `//!`", mend))
        .collect()
}

/// Checks that no Rust file is too long to be read in one sitting.
pub fn file_length(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    for file in tree.rust_files() {
        let max = if is_test_path(&file.path) {
            TEST_LINES_MAX
        } else {
            LINES_MAX
        };
        let count = file.text.lines().count();
        if count > max {
            let message = format!("{count} lines, more than {max}");
            let mend = "Split it by subject, not by size.";
            findings.push(Finding::new(
                "file-length",
                &file.path,
                max + 1,
                message,
                mend,
            ));
        }
    }
    findings
}

fn is_drawer(part: &str) -> bool {
    let subject = part.strip_prefix("rtsap-").unwrap_or(part);
    DRAWERS.contains(&subject)
        || subject
            .split(['_', '-'])
            .any(|word| DRAWER_WORDS.contains(&word))
}
