//! The house rules that a machine can check, each a pure function of the tree.
//!
//! `docs/style.md` says why the rules are as they are; this module only enforces them.

pub mod arrows;
pub mod documents;
pub mod functions;
pub mod hazards;
pub mod layout;
pub mod lines;
pub mod links;
pub mod mutants;
pub mod privacy;

use crate::finding::Finding;
use crate::manifests;
use crate::tree::Tree;

/// A rule: what breaks it in the given tree.
pub type Rule = fn(&Tree) -> Vec<Finding>;

/// Every rule, by name.
pub const RULES: &[(&str, Rule)] = &[
    ("arrows", arrows::arrows),
    ("fences", arrows::fences),
    ("versions", arrows::versions),
    ("names", layout::names),
    ("opening", layout::opening),
    ("file-length", layout::file_length),
    ("line-width", lines::line_width),
    ("open-ends", lines::open_ends),
    ("function-length", functions::function_length),
    ("unsafe", hazards::unsafe_code),
    ("clock", hazards::clock),
    ("error-pages", documents::error_pages),
    ("metrics", documents::metrics),
    ("fragments", documents::fragments),
    ("decisions", documents::decisions),
    ("links", links::links),
    ("mutants", mutants::mutants),
    ("machine-paths", privacy::machine_paths),
    ("registries", privacy::registries),
    ("manifests", manifests::manifests),
];

/// Runs every rule, findings sorted by place.
pub fn run(tree: &Tree) -> Vec<Finding> {
    let mut findings: Vec<Finding> = RULES.iter().flat_map(|(_, rule)| rule(tree)).collect();
    findings.sort();
    findings
}
