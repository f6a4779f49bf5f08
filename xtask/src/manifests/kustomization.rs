//! `kustomization.yaml`: its fields, and that every file it names exists.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_yaml_ng::Value;

use super::KUSTOMIZATION;
use crate::finding::Finding;
use crate::tree::{SourceFile, Tree, resolve};

/// The fields of a kustomization that RTSAP uses; any other is refused as a likely misspelling.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
#[expect(
    dead_code,
    reason = "fields are named so that unknown ones can be refused"
)]
struct Kustomization {
    api_version: String,
    kind: String,
    namespace: Option<String>,
    #[serde(default)]
    resources: Vec<String>,
    #[serde(default)]
    patches: Vec<Patch>,
    #[serde(default)]
    labels: Vec<Labels>,
    #[serde(default)]
    images: Vec<Image>,
    #[serde(default)]
    config_map_generator: Vec<Generator>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(
    dead_code,
    reason = "fields are named so that unknown ones can be refused"
)]
struct Patch {
    path: String,
    target: Option<Target>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(
    dead_code,
    reason = "fields are named so that unknown ones can be refused"
)]
struct Target {
    kind: String,
    name: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
#[expect(
    dead_code,
    reason = "fields are named so that unknown ones can be refused"
)]
struct Labels {
    pairs: BTreeMap<String, String>,
    include_selectors: Option<bool>,
    include_templates: Option<bool>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
#[expect(
    dead_code,
    reason = "fields are named so that unknown ones can be refused"
)]
struct Image {
    name: String,
    new_name: Option<String>,
    new_tag: Option<String>,
    digest: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(
    dead_code,
    reason = "fields are named so that unknown ones can be refused"
)]
struct Generator {
    name: String,
    behavior: Option<Behavior>,
    #[serde(default)]
    files: Vec<String>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Behavior {
    Create,
    Replace,
    Merge,
}

/// Checks the kustomization in `file`.
pub fn check(tree: &Tree, file: &SourceFile) -> Vec<Finding> {
    let finding = |line: usize, message: String, mend: &str| {
        Finding::new("manifests", &file.path, line, message, mend)
    };
    let parsed = match serde_yaml_ng::from_str::<Kustomization>(&file.text) {
        Ok(parsed) => parsed,
        Err(error) => {
            let line = error.location().map_or(1, |place| place.line());
            let mend = "Use the fields that xtask/src/manifests/kustomization.rs names.";
            return vec![finding(line, error.to_string(), mend)];
        }
    };
    let mut findings = Vec::new();
    if parsed.api_version != "kustomize.config.k8s.io/v1beta1" || parsed.kind != "Kustomization" {
        let mend = "Write kustomize.config.k8s.io/v1beta1 and Kustomization.";
        findings.push(finding(1, "not a kustomization".to_owned(), mend));
    }
    for name in named_files(&parsed) {
        let path = resolve(&file.path, name);
        if tree.file(&path).is_none() && tree.file(&format!("{path}/{KUSTOMIZATION}")).is_none() {
            let line = file.text.lines().position(|line| line.contains(name));
            let line = line.map_or(1, |index| index + 1);
            let mend = "Create the file, or take its name out.";
            findings.push(finding(line, format!("no file {path}"), mend));
        }
    }
    findings
}

/// Whether a kustomization names the file at `path`.
pub fn is_listed(tree: &Tree, path: &str) -> bool {
    let kustomizations = tree
        .files
        .iter()
        .filter(|file| file.path.ends_with(KUSTOMIZATION));
    kustomizations
        .filter_map(|file| Some((file, serde_yaml_ng::from_str::<Value>(&file.text).ok()?)))
        .any(|(file, value)| names(&value, &file.path, path))
}

fn names(value: &Value, from: &str, path: &str) -> bool {
    match value {
        Value::String(name) => resolve(from, name) == path,
        Value::Sequence(items) => items.iter().any(|item| names(item, from, path)),
        Value::Mapping(fields) => fields.values().any(|field| names(field, from, path)),
        _ => false,
    }
}

fn named_files(parsed: &Kustomization) -> impl Iterator<Item = &str> {
    let generated = parsed
        .config_map_generator
        .iter()
        .flat_map(|one| &one.files);
    let patches = parsed.patches.iter().map(|patch| &patch.path);
    let files = parsed.resources.iter().chain(patches).chain(generated);
    // A generated file may be renamed: `key=path`.
    files.map(|name| name.split_once('=').map_or(name.as_str(), |(_, path)| path))
}
