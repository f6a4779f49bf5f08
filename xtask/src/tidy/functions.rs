//! How long a function may be.

#[cfg(test)]
mod tests;

use crate::finding::Finding;
use crate::rust_text::RustText;
use crate::tree::{Tree, is_test_path};

/// One screen (TigerBeetle's limit and reason).
const LINES_MAX: usize = 70;

/// Checks that every function outside tests fits one screen.
pub fn function_length(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    for file in tree.rust_files().filter(|file| !is_test_path(&file.path)) {
        for function in RustText::new(&file.text).functions() {
            if function.line_count > LINES_MAX && !function.is_test {
                let message = format!(
                    "function {} has {} lines, more than {LINES_MAX}",
                    function.name, function.line_count
                );
                let mend = "Push ifs up and fors down: give each arm or loop body a function.";
                let path = &file.path;
                findings.push(Finding::new(
                    "function-length",
                    path,
                    function.line,
                    message,
                    mend,
                ));
            }
        }
    }
    findings
}
