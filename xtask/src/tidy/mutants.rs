//! Bugs that are kept as patches, for the simulation to notice: each says what it breaks, and still
//! fits the tree. Whether it is noticed only `scripts/mutants.sh` can say.

#[cfg(test)]
mod tests;

use crate::finding::Finding;
use crate::tree::{SourceFile, Tree, is_test_path};

/// Where they lie.
const FOLDER: &str = "engine/tests/simulation/mutants/";

/// A hunk of a patch.
struct Hunk<'a> {
    /// Its line in the patch, counted from 1.
    line: usize,
    /// The file that it changes.
    path: &'a str,
    /// The lines that it must find there.
    before: Vec<&'a str>,
    /// How many they must be.
    length: usize,
}

/// Checks that every patch says what it breaks, changes the product, and fits one place only: one
/// that fits two may one day be applied at the other.
pub fn mutants(tree: &Tree) -> Vec<Finding> {
    let patches = tree
        .files
        .iter()
        .filter(|file| file.path.starts_with(FOLDER));
    patches.flat_map(|patch| faults(tree, patch)).collect()
}

fn faults(tree: &Tree, patch: &SourceFile) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut found = |line: usize, message: String, mend: &str| {
        findings.push(Finding::new("mutants", &patch.path, line, message, mend));
    };
    let says = patch.text.starts_with("# ") && patch.path.ends_with(".patch");
    let hunks = hunks(&patch.text);
    if !says || hunks.is_empty() {
        let mend = "Name it NAME.patch; write `# What is broken.`, and `git diff -U2` behind it.";
        found(1, "not a planted bug".to_owned(), mend);
    }
    for hunk in hunks {
        let path = hunk.path;
        if is_test_path(path) || !path.ends_with(".rs") {
            let mend = "Plant it in the product: a broken world is a flaw of `mutants.rs`.";
            found(hunk.line, format!("changes \"{path}\""), mend);
        }
        let text = tree.file(path).map_or("", |file| file.text.as_str());
        let lines: Vec<&str> = text.lines().collect();
        // A hunk has lines around it, so its length is not 0.
        let windows = lines.windows(hunk.length.max(1));
        let places = windows.filter(|lines| *lines == hunk.before).count();
        if places != 1 {
            let mend =
                "Plant the bug anew in the code as it is, with `-U3` where `-U2` leaves it open.";
            let message = format!("fits {places} places of \"{path}\"");
            found(hunk.line, message, mend);
        }
    }
    findings
}

fn hunks(patch: &str) -> Vec<Hunk<'_>> {
    let mut hunks: Vec<Hunk<'_>> = Vec::new();
    let mut path = "";
    // How many lines of the hunk are still to come, of those before and of those after the change.
    let mut left = (0, 0);
    for (index, line) in patch.lines().enumerate() {
        if left == (0, 0) {
            if let Some(changed) = line.strip_prefix("--- a/") {
                path = changed;
            } else if let Some(lengths) = lengths(line) {
                left = lengths;
                hunks.push(Hunk {
                    line: index + 1,
                    path,
                    before: Vec::new(),
                    length: left.0,
                });
            }
            continue;
        }
        let added = line.starts_with('+');
        let removed = line.starts_with('-');
        left.0 -= usize::from(!added && left.0 > 0);
        left.1 -= usize::from(!removed && left.1 > 0);
        if let Some(hunk) = hunks.last_mut().filter(|_| !added) {
            hunk.before.push(line.get(1..).unwrap_or_default());
        }
    }
    hunks
}

/// How many lines a hunk that begins with `line` has before and after the change:
/// `@@ -12,7 +12,9 @@`.
fn lengths(line: &str) -> Option<(usize, usize)> {
    let mut ranges = line.strip_prefix("@@ ")?.split(' ');
    let mut length = |sign: char| {
        let range = ranges.next()?.strip_prefix(sign)?;
        match range.split_once(',') {
            Some((_, length)) => length.parse().ok(),
            None => Some(1),
        }
    };
    Some((length('-')?, length('+')?))
}
