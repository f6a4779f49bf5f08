//! What belongs to one machine and never into the project: its paths and its package mirrors.

#[cfg(test)]
mod tests;

use std::net::Ipv4Addr;

use crate::finding::Finding;
use crate::tree::{SourceFile, Tree};

/// Top folders that exist on a developer's machine only, without their slashes so as not to name
/// them here.
const FOLDERS: &[&str] = &["work", "root", "home", "Users"];

/// Words by which package mirrors are called.
const MIRROR_WORDS: &[&str] = &[
    "artifactory",
    "cache",
    "crates",
    "index",
    "mirror",
    "nexus",
    "npm",
    "proxy",
    "pypi",
    "registry",
    "verdaccio",
];

/// Endings of names that mean something on one network only.
const PRIVATE_ENDINGS: &[&str] = &[
    ".local",
    ".internal",
    ".lan",
    ".corp",
    ".intranet",
    ".home.arpa",
];

/// Checks that no file names an absolute path of one machine.
pub fn machine_paths(tree: &Tree) -> Vec<Finding> {
    let mend = "Write the path relative to the project, or take it from an option or $HOME.";
    let mut findings = Vec::new();
    for (file, index, line) in all_lines(tree) {
        if let Some(folder) = FOLDERS.iter().find(|folder| names_folder(line, folder)) {
            let message = format!("an absolute path below the folder \"{folder}\" of one machine");
            findings.push(Finding::new(
                "machine-paths",
                &file.path,
                index + 1,
                message,
                mend,
            ));
        }
    }
    findings
}

/// Checks that no file names a package mirror of one network, and the lock file only the public
/// registry.
pub fn registries(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (file, index, line) in all_lines(tree) {
        let is_lock_source = file.path.ends_with("Cargo.lock") && line.starts_with("source = ");
        if is_lock_source && !line.contains("https://github.com/rust-lang/crates.io-index") {
            let mend = "Lock against crates.io, without a source replacement.";
            let message = "a package from another registry";
            findings.push(Finding::new(
                "registries",
                &file.path,
                index + 1,
                message,
                mend,
            ));
        }
        if let Some(host) = hosts(line).find(|host| is_private_mirror(host)) {
            let message = format!("the host \"{host}\" looks like a package mirror of one network");
            let mend = "Leave mirrors to the machine's own configuration.";
            findings.push(Finding::new(
                "registries",
                &file.path,
                index + 1,
                message,
                mend,
            ));
        }
    }
    findings
}

fn all_lines(tree: &Tree) -> impl Iterator<Item = (&SourceFile, usize, &str)> {
    tree.files.iter().flat_map(|file| {
        file.text
            .lines()
            .enumerate()
            .map(move |(index, line)| (file, index, line))
    })
}

/// Whether `line` has `/folder/x` where a path can start.
fn names_folder(line: &str, folder: &str) -> bool {
    let start = format!("/{folder}/");
    line.match_indices(&start).any(|(at, _)| {
        let before = line.get(..at).and_then(|text| text.chars().next_back());
        let after = line
            .get(at + start.len()..)
            .and_then(|text| text.chars().next());
        let starts = before.is_none_or(|c| !(c.is_alphanumeric() || "._-/~}$*)".contains(c)));
        starts && after.is_some_and(|c| c.is_alphanumeric() || "._".contains(c))
    })
}

/// The hosts of the addresses in `line`.
fn hosts(line: &str) -> impl Iterator<Item = &str> {
    ["http://", "https://"]
        .into_iter()
        .flat_map(|scheme| line.split(scheme).skip(1))
        .map(|rest| {
            let end = rest.find(|c: char| !(c.is_ascii_alphanumeric() || "._-@:".contains(c)));
            let authority = rest.get(..end.unwrap_or(rest.len())).unwrap_or_default();
            let host = authority.rsplit('@').next().unwrap_or_default();
            host.split(':').next().unwrap_or_default()
        })
}

fn is_private_mirror(host: &str) -> bool {
    if let Ok(address) = host.parse::<Ipv4Addr>() {
        return address.is_private();
    }
    let is_private = !host.contains('.') || PRIVATE_ENDINGS.iter().any(|end| host.ends_with(end));
    let is_schema_registry = host.contains("schema");
    let names_mirror = host
        .split(['.', '-'])
        .any(|word| MIRROR_WORDS.contains(&word));
    is_private && names_mirror && !is_schema_registry
}
