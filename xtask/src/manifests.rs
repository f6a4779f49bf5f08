//! Kubernetes manifests, read into the typed objects of the API so that a misspelt field is found
//! here and not silently dropped by a cluster.

pub mod kustomization;
pub mod object;
pub mod workload;

#[cfg(test)]
mod tests;

use crate::finding::Finding;
use crate::tree::{SourceFile, Tree};

/// Where manifests live.
pub const FOLDER: &str = "k8s/";

/// The name that kustomize looks for in a folder.
const KUSTOMIZATION: &str = "kustomization.yaml";

/// Checks every YAML file below `k8s/`: fields, references between files, and how pods are
/// hardened.
pub fn manifests(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    for file in yaml_files(tree) {
        if file.path.ends_with(KUSTOMIZATION) {
            findings.extend(kustomization::check(tree, file));
        } else {
            findings.extend(object::check(file));
            if !kustomization::is_listed(tree, &file.path) {
                let mend = format!("List it in the {KUSTOMIZATION} of its folder, or delete it.");
                let message = "no kustomization names this file";
                findings.push(Finding::new("manifests", &file.path, 1, message, mend));
            }
        }
    }
    findings.extend(workload::check(tree));
    findings
}

fn yaml_files(tree: &Tree) -> impl Iterator<Item = &SourceFile> {
    tree.files.iter().filter(|file| {
        file.path.starts_with(FOLDER)
            && (file.path.ends_with(".yaml") || file.path.ends_with(".yml"))
    })
}
