//! One manifest against the typed API: a field that does not survive the round trip is unknown.

use k8s_openapi::api::apps::v1::StatefulSet;
use k8s_openapi::api::core::v1::{
    ConfigMap, Namespace, PersistentVolumeClaim, Secret, Service, ServiceAccount,
};
use k8s_openapi::api::networking::v1::NetworkPolicy;
use k8s_openapi::api::policy::v1::PodDisruptionBudget;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_yaml_ng::Value;

use crate::finding::Finding;
use crate::tree::SourceFile;

/// A document of a YAML file.
pub struct Document<'a> {
    /// Its text.
    pub text: &'a str,
    /// The line it starts on, counted from 1.
    pub line: usize,
}

struct Kind {
    api_version: &'static str,
    name: &'static str,
    round_trip: fn(Value) -> Result<Value, serde_yaml_ng::Error>,
}

/// The kinds that RTSAP deploys. Another kind is refused: nothing here could check it.
const KINDS: &[Kind] = &[
    kind::<ConfigMap>(),
    kind::<Namespace>(),
    kind::<NetworkPolicy>(),
    kind::<PersistentVolumeClaim>(),
    kind::<PodDisruptionBudget>(),
    kind::<Secret>(),
    kind::<Service>(),
    kind::<ServiceAccount>(),
    kind::<StatefulSet>(),
];

/// Checks every document of `file`. Patches pass too: a typed object may lack any field.
pub fn check(file: &SourceFile) -> Vec<Finding> {
    let mut findings = Vec::new();
    for document in documents(&file.text) {
        let mut found = |line: usize, message: String, mend: &str| {
            findings.push(Finding::new("manifests", &file.path, line, message, mend));
        };
        let value: Value = match serde_yaml_ng::from_str(document.text) {
            Ok(Value::Null) => continue,
            Ok(value) => value,
            Err(error) => {
                let offset = error
                    .location()
                    .map_or(0, |place| place.line().saturating_sub(1));
                found(
                    document.line + offset,
                    error.to_string(),
                    "Write valid YAML.",
                );
                continue;
            }
        };
        let Some(kind) = kind_of(&value) else {
            let message = format!(
                "unknown object {} {}",
                text(&value, "apiVersion"),
                text(&value, "kind")
            );
            found(
                document.line,
                message,
                "Add the kind to xtask/src/manifests/object.rs.",
            );
            continue;
        };
        match (kind.round_trip)(value.clone()) {
            Err(error) => {
                let message = format!("not a {}: {error}", kind.name);
                found(
                    document.line,
                    message,
                    "Give the field the type that the API has.",
                );
            }
            Ok(returned) => {
                for path in differences(&value, &returned) {
                    let line = line_of_path(&document, &path);
                    let message = format!(
                        "{} has no such field or value: {}",
                        kind.name,
                        path.join(".")
                    );
                    found(
                        line,
                        message,
                        "Spell it as the API does, at the place where it has it.",
                    );
                }
            }
        }
    }
    findings
}

/// The documents of a YAML text.
pub fn documents(text: &str) -> Vec<Document<'_>> {
    let mut documents = Vec::new();
    let (mut start, mut start_line, mut at) = (0, 1, 0);
    for (index, line) in text.split_inclusive('\n').enumerate() {
        if line.trim_end() == "---" {
            documents.push(Document {
                text: text.get(start..at).unwrap_or_default(),
                line: start_line,
            });
            start = at + line.len();
            start_line = index + 2;
        }
        at += line.len();
    }
    documents.push(Document {
        text: text.get(start..).unwrap_or_default(),
        line: start_line,
    });
    documents
}

const fn kind<T>() -> Kind
where
    T: k8s_openapi::Resource + Serialize + DeserializeOwned,
{
    Kind {
        api_version: T::API_VERSION,
        name: T::KIND,
        round_trip: round_trip::<T>,
    }
}

fn round_trip<T: Serialize + DeserializeOwned>(
    value: Value,
) -> Result<Value, serde_yaml_ng::Error> {
    let typed: T = serde_yaml_ng::from_value(value)?;
    serde_yaml_ng::to_value(typed)
}

fn kind_of(value: &Value) -> Option<&'static Kind> {
    let (api_version, name) = (text(value, "apiVersion"), text(value, "kind"));
    KINDS
        .iter()
        .find(|kind| kind.api_version == api_version && kind.name == name)
}

fn text<'a>(value: &'a Value, key: &str) -> &'a str {
    value.get(key).and_then(Value::as_str).unwrap_or("?")
}

/// The paths of `original` that `returned` lacks or has otherwise.
fn differences(original: &Value, returned: &Value) -> Vec<Vec<String>> {
    let below = |name: String, original: &Value, returned: Option<&Value>| match returned {
        None => vec![vec![name]],
        Some(returned) => {
            let paths = differences(original, returned).into_iter();
            paths
                .map(|path| [vec![name.clone()], path].concat())
                .collect()
        }
    };
    match (original, returned) {
        (Value::Mapping(fields), Value::Mapping(_)) => fields
            .iter()
            .flat_map(|(key, field)| {
                let name = key
                    .as_str()
                    .map_or_else(|| format!("{key:?}"), str::to_owned);
                below(name, field, returned.get(key))
            })
            .collect(),
        (Value::Sequence(items), Value::Sequence(kept)) => items
            .iter()
            .enumerate()
            .flat_map(|(index, item)| below(index.to_string(), item, kept.get(index)))
            .collect(),
        _ if original == returned => Vec::new(),
        _ => vec![Vec::new()],
    }
}

/// The line on which the field at `path` stands, as far as a search by keys can tell.
fn line_of_path(document: &Document<'_>, path: &[String]) -> usize {
    let lines: Vec<&str> = document.text.lines().collect();
    let mut at = 0;
    for key in path.iter().filter(|part| part.parse::<usize>().is_err()) {
        let starts = |line: &&str| {
            let bare = line.trim_start().trim_start_matches("- ").trim_start();
            bare.strip_prefix(key.as_str())
                .is_some_and(|rest| rest.starts_with(':'))
        };
        let rest = lines.get(at..).unwrap_or_default();
        at += rest.iter().position(starts).unwrap_or(0);
    }
    document.line + at
}
