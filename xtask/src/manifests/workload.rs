//! What the objects of `k8s/base` say about each other, and how its pods are hardened.

use std::collections::BTreeMap;

use k8s_openapi::api::apps::v1::StatefulSet;
use k8s_openapi::api::core::v1::{Container, PodSpec, Probe, Service};
use k8s_openapi::api::networking::v1::NetworkPolicy;
use k8s_openapi::api::policy::v1::PodDisruptionBudget;
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use serde::de::DeserializeOwned;

use super::object::documents;
use super::yaml_files;
use crate::finding::Finding;
use crate::tree::Tree;

const BASE: &str = "k8s/base/";

type Labels = BTreeMap<String, String>;

/// A complaint: what is wrong and how to mend it.
type Complaint = (String, &'static str);

/// Checks the stateful sets of the base with everything that speaks about their pods.
pub fn check(tree: &Tree) -> Vec<Finding> {
    let sets: Vec<(String, StatefulSet)> = read(tree, "StatefulSet");
    let mut findings = Vec::new();
    for (path, set) in &sets {
        let complaints = complaints_about(tree, set).into_iter();
        findings.extend(
            complaints.map(|(message, mend)| Finding::new("manifests", path, 1, message, mend)),
        );
    }
    findings
}

fn complaints_about(tree: &Tree, set: &StatefulSet) -> Vec<Complaint> {
    let spec = &set.spec;
    let labels = spec
        .template
        .metadata
        .as_ref()
        .and_then(|meta| meta.labels.clone());
    let labels = labels.unwrap_or_default();
    let mut complaints = Vec::new();
    if !selects(spec.selector.match_labels.as_ref(), &labels) {
        complaints.push((
            "the stateful set does not select its own pods".to_owned(),
            "Repeat the pod template's labels in `selector.matchLabels`.",
        ));
    }
    if let Some(pod) = &spec.template.spec {
        let claims = spec.volume_claim_templates.iter().flatten();
        let mut volumes: Vec<&str> = claims
            .filter_map(|claim| claim.metadata.name.as_deref())
            .collect();
        volumes.extend(
            pod.volumes
                .iter()
                .flatten()
                .map(|volume| volume.name.as_str()),
        );
        for container in &pod.containers {
            complaints.extend(probe_complaints(container));
            complaints.extend(mount_complaints(container, &volumes));
            complaints.extend(hardening_complaints(pod, container));
        }
        complaints.extend(service_complaints(
            tree,
            spec.service_name.as_deref(),
            pod,
            &labels,
        ));
    }
    complaints.extend(selector_complaints(tree, &labels));
    complaints
}

fn service_complaints(
    tree: &Tree,
    governing: Option<&str>,
    pod: &PodSpec,
    labels: &Labels,
) -> Vec<Complaint> {
    let services: Vec<(String, Service)> = read(tree, "Service");
    let mut complaints = Vec::new();
    let names_governing = |service: &Service| service.metadata.name.as_deref() == governing;
    if governing.is_none() || !services.iter().any(|(_, service)| names_governing(service)) {
        complaints.push((
            "the governing service does not exist".to_owned(),
            "Name a headless service of the base in `serviceName`.",
        ));
    }
    for (path, service) in &services {
        let Some(spec) = &service.spec else { continue };
        if !selects(spec.selector.as_ref(), labels) {
            let mend = "Select by labels that the pod template has.";
            complaints.push((format!("{path} selects no pod of the stateful set"), mend));
        }
        for port in spec.ports.iter().flatten() {
            let target = match &port.target_port {
                Some(IntOrString::String(name)) => name,
                _ => continue,
            };
            if !pod
                .containers
                .iter()
                .any(|container| has_port(container, target))
            {
                let mend = "Name a port of the container in `targetPort`.";
                complaints.push((
                    format!("{path} targets the unknown port \"{target}\""),
                    mend,
                ));
            }
        }
    }
    complaints
}

fn selector_complaints(tree: &Tree, labels: &Labels) -> Vec<Complaint> {
    let budgets: Vec<(String, PodDisruptionBudget)> = read(tree, "PodDisruptionBudget");
    let policies: Vec<(String, NetworkPolicy)> = read(tree, "NetworkPolicy");
    let budgets = budgets
        .into_iter()
        .map(|(path, budget)| (path, budget.spec.and_then(|s| s.selector)));
    let policies = policies
        .into_iter()
        .map(|(path, policy)| (path, policy.spec.and_then(|s| s.pod_selector)));
    budgets
        .chain(policies)
        .filter(|(_, selector)| {
            let selected = selector
                .as_ref()
                .and_then(|selector| selector.match_labels.as_ref());
            !selects(selected, labels)
        })
        .map(|(path, _)| {
            let mend = "Select by labels that the pod template has.";
            (format!("{path} selects no pod of the stateful set"), mend)
        })
        .collect()
}

fn probe_complaints(container: &Container) -> Vec<Complaint> {
    let probes = [
        ("startupProbe", &container.startup_probe),
        ("livenessProbe", &container.liveness_probe),
        ("readinessProbe", &container.readiness_probe),
    ];
    let mut complaints = Vec::new();
    for (name, probe) in probes {
        match probe.as_ref().map(|probe| probed_port(probe)) {
            None => {
                let mend = "Probe /live and /ready, so that a stuck process is seen.";
                complaints.push((format!("container {} has no {name}", container.name), mend));
            }
            Some(Some(port)) if !has_port(container, port) => {
                let mend = "Name a port of the container in the probe.";
                complaints.push((format!("{name} asks the unknown port \"{port}\""), mend));
            }
            Some(_) => {}
        }
    }
    complaints
}

fn probed_port(probe: &Probe) -> Option<&str> {
    match &probe.http_get.as_ref()?.port {
        IntOrString::String(name) => Some(name),
        IntOrString::Int(_) => None,
    }
}

fn mount_complaints(container: &Container, volumes: &[&str]) -> Vec<Complaint> {
    let mounts = container.volume_mounts.iter().flatten();
    let missing = mounts.filter(|mount| !volumes.contains(&mount.name.as_str()));
    let mend = "Add the volume to the pod or a claim template, or take the mount out.";
    missing
        .map(|mount| (format!("no volume \"{}\" for its mount", mount.name), mend))
        .collect()
}

fn hardening_complaints(pod: &PodSpec, container: &Container) -> Vec<Complaint> {
    let of_pod = pod.security_context.as_ref();
    let own = container.security_context.as_ref();
    let seccomp = of_pod.and_then(|context| context.seccomp_profile.as_ref());
    let dropped = own
        .and_then(|context| context.capabilities.as_ref())
        .and_then(|capabilities| capabilities.drop.as_ref());
    let memory_limit = container
        .resources
        .as_ref()
        .and_then(|resources| resources.limits.as_ref())
        .is_some_and(|limits| limits.contains_key("memory"));
    let holds = [
        (
            of_pod.and_then(|context| context.run_as_non_root) == Some(true),
            "runAsNonRoot: true",
        ),
        (
            seccomp.is_some_and(|profile| profile.type_ == "RuntimeDefault"),
            "seccompProfile.type: RuntimeDefault",
        ),
        (
            own.and_then(|context| context.allow_privilege_escalation) == Some(false),
            "allowPrivilegeEscalation: false",
        ),
        (
            own.and_then(|context| context.read_only_root_filesystem) == Some(true),
            "readOnlyRootFilesystem: true",
        ),
        (
            dropped.is_some_and(|names| names.iter().any(|name| name == "ALL")),
            "capabilities.drop: [ALL]",
        ),
        (memory_limit, "resources.limits.memory"),
        (
            pod.automount_service_account_token == Some(false),
            "automountServiceAccountToken: false",
        ),
    ];
    let missing = holds.into_iter().filter(|(holds, _)| !holds);
    let mend = "Write it: the base is deployed as it stands.";
    missing
        .map(|(_, what)| (format!("container {} lacks {what}", container.name), mend))
        .collect()
}

fn has_port(container: &Container, name: &str) -> bool {
    container
        .ports
        .iter()
        .flatten()
        .any(|port| port.name.as_deref() == Some(name))
}

/// Whether `selector` names at least one label and `labels` has all it names.
fn selects(selector: Option<&Labels>, labels: &Labels) -> bool {
    selector.is_some_and(|selector| {
        !selector.is_empty()
            && selector
                .iter()
                .all(|(key, value)| labels.get(key) == Some(value))
    })
}

/// The objects of `kind` in the base, each with its file. What cannot be read is `object::check`'s
/// finding.
fn read<T: DeserializeOwned>(tree: &Tree, kind: &str) -> Vec<(String, T)> {
    let mut objects = Vec::new();
    for file in yaml_files(tree).filter(|file| file.path.starts_with(BASE)) {
        for document in documents(&file.text) {
            let is_kind = document
                .text
                .lines()
                .any(|line| line == format!("kind: {kind}"));
            if is_kind && let Ok(object) = serde_yaml_ng::from_str(document.text) {
                objects.push((file.path.clone(), object));
            }
        }
    }
    objects
}
