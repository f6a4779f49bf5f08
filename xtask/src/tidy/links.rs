//! Links of Markdown documents to files of the project, and the files that the architecture names.

#[cfg(test)]
mod tests;

use std::collections::BTreeSet;

use crate::finding::Finding;
use crate::tree::{Tree, resolve};

/// The document whose code spans name files by their path from the root.
const MAP: &str = "ARCHITECTURE.md";

/// Checks that every relative link leads to a file or folder, and every path in the code map
/// exists.
pub fn links(tree: &Tree) -> Vec<Finding> {
    let places = places(tree);
    let mut findings = Vec::new();
    for file in tree.files.iter().filter(|file| file.path.ends_with(".md")) {
        let mut in_fence = false;
        for (index, line) in file.text.lines().enumerate() {
            in_fence ^= line.trim_start().starts_with("```");
            if in_fence {
                continue;
            }
            let linked = targets(line).map(|target| resolve(&file.path, target));
            let named = (file.path == MAP)
                .then(|| named_paths(line))
                .into_iter()
                .flatten();
            for path in linked.chain(named.map(str::to_owned)) {
                if !places.contains(path.as_str()) {
                    let message = format!("there is no \"{path}\"");
                    let mend = "Mend the link, or write the document it promises.";
                    findings.push(Finding::new("links", &file.path, index + 1, message, mend));
                }
            }
        }
    }
    findings
}

/// Every file and every folder above one.
fn places(tree: &Tree) -> BTreeSet<&str> {
    let mut places = BTreeSet::from([""]);
    for file in &tree.files {
        let slashes = file.path.match_indices('/').map(|(at, _)| at);
        places.extend(slashes.filter_map(|at| file.path.get(..at)));
        places.insert(&file.path);
    }
    places
}

/// The relative targets of the links in `line`, without their anchors.
fn targets(line: &str) -> impl Iterator<Item = &str> {
    line.split("](").skip(1).filter_map(|rest| {
        let target = rest.split([')', ' ', '#']).next()?;
        let is_outside = target.contains("://") || target.starts_with("mailto:");
        (!target.is_empty() && !is_outside).then_some(target)
    })
}

/// The code spans of `line` that are paths of Rust files.
fn named_paths(line: &str) -> impl Iterator<Item = &str> {
    let spans = line.split('`').skip(1).step_by(2);
    spans.filter(|span| {
        span.contains('/') && span.ends_with(".rs") && !span.contains([' ', '*', '{', '<'])
    })
}
