//! The shipped manifests pass, and each planted mistake in them is found.

use std::path::Path;

use super::*;

fn shipped() -> Tree {
    let mut tree = Tree::read(&Path::new(env!("CARGO_MANIFEST_DIR")).join("..")).unwrap();
    tree.files.retain(|file| file.path.starts_with(FOLDER));
    assert!(tree.file("k8s/base/statefulset.yaml").is_some());
    tree
}

/// The messages after `old` in `path` has become `new`.
fn messages_after(path: &str, old: &str, new: &str) -> Vec<String> {
    let mut tree = shipped();
    let file = tree
        .files
        .iter_mut()
        .find(|file| file.path == path)
        .unwrap();
    assert!(file.text.contains(old), "{path} has no {old:?}");
    file.text = file.text.replacen(old, new, 1);
    manifests(&tree)
        .into_iter()
        .map(|finding| finding.to_string())
        .collect()
}

#[test]
fn the_shipped_manifests_pass() {
    let findings = manifests(&shipped());
    assert!(findings.is_empty(), "{findings:#?}");
}

#[test]
fn planted_mistakes_are_found_with_their_line() {
    let set = "k8s/base/statefulset.yaml";
    let cases = [
        (
            set,
            "readOnlyRootFilesystem:",
            "readOnlyRootFileSystem:",
            "readOnlyRootFileSystem",
        ),
        (
            set,
            "serviceName: rtsap-headless",
            "serviceName: rtsap-x",
            "governing service",
        ),
        (set, "  replicas: 1", "  replica: 1", "spec.replica"),
        (
            set,
            "drop: [ALL]",
            "drop: [NET_RAW]",
            "lacks capabilities.drop",
        ),
        (
            set,
            "mountPath: /etc/rtsap",
            "mountpath: /etc/rtsap",
            "volumeMounts.1.mountpath",
        ),
        (
            set,
            "name: data\n              mountPath",
            "name: date\n              mountPath",
            "no volume \"date\"",
        ),
        (set, "replicas: 1", "replicas: one", "not a StatefulSet"),
        (set, "path: /live", "pathh: /live", "httpGet.pathh"),
        (
            set,
            "kind: StatefulSet",
            "kind: StatefulSets",
            "unknown object",
        ),
        (
            "k8s/base/service.yaml",
            "targetPort: flight",
            "targetPort: fligth",
            "unknown port",
        ),
        (
            "k8s/base/networkpolicy.yaml",
            "podSelector:",
            "podselector:",
            "spec.podselector",
        ),
        (
            "k8s/base/poddisruptionbudget.yaml",
            "selector:",
            "selectors:",
            "spec.selectors",
        ),
        (
            "k8s/base/kustomization.yaml",
            "resources:",
            "resource:",
            "unknown field `resource`",
        ),
        (
            "k8s/base/kustomization.yaml",
            "service.yaml",
            "services.yaml",
            "no file k8s/base/services.yaml",
        ),
        (
            "k8s/base/kustomization.yaml",
            "  - service.yaml\n",
            "",
            "no kustomization names",
        ),
        (
            "k8s/base/service.yaml",
            "kind: Service",
            "kind: Service\nkind: Service",
            "duplicate",
        ),
    ];
    for (path, old, new, expected) in cases {
        let messages = messages_after(path, old, new);
        assert!(
            messages.iter().any(|one| one.contains(expected)),
            "{new:?}: {messages:#?}"
        );
    }
}

#[test]
fn an_unknown_field_is_found_on_its_line() {
    let text = "apiVersion: v1\nkind: Namespace\nmetadata:\n  name: a\n---\n\
                apiVersion: v1\nkind: Service\nmetadata:\n  name: b\nspec:\n  ports:\n  - port: 1\n    prot: 2\n";
    let tree = Tree::of(&[("k8s/base/a.yaml", text)]);
    let findings = object::check(tree.file("k8s/base/a.yaml").unwrap());
    assert_eq!((findings.len(), findings[0].line), (1, 13), "{findings:?}");
    assert!(findings[0].message.contains("spec.ports.0.prot"));
}
