//! Each arrow rule accepts the picture and refuses what is not in it.

use super::*;
use crate::tree::{Dependency, SourceFile};

fn workspace(folder: &str, manifest: &str, dependencies: &[(&str, bool)]) -> Tree {
    let dependencies = dependencies
        .iter()
        .map(|(name, dev)| Dependency {
            name: (*name).to_owned(),
            dev: *dev,
        })
        .collect();
    Tree {
        files: vec![SourceFile {
            path: format!("{folder}/Cargo.toml"),
            text: manifest.to_owned(),
        }],
        crates: vec![Crate {
            name: format!("rtsap-{folder}"),
            folder: folder.to_owned(),
            dependencies,
        }],
    }
}

#[test]
fn arrows_of_the_picture_pass_and_others_do_not() {
    let cases: &[(&str, &str, bool, Option<&str>)] = &[
        ("planner", "plan", false, None),
        (
            "planner",
            "runtime",
            false,
            Some("The plan is the contract"),
        ),
        (
            "runtime",
            "catalog",
            false,
            Some("knows its plan, not the names"),
        ),
        ("engine", "connectors", true, None),
        (
            "engine",
            "connectors",
            false,
            Some("The registry is injected"),
        ),
        (
            "connectors",
            "plan",
            false,
            Some("A connector author needs"),
        ),
        ("connectors", "plan", true, Some("A connector author needs")),
        (
            "pgwire-server",
            "runtime",
            false,
            Some("Protocols see only the engine"),
        ),
        ("engine", "server", true, Some("is a leaf")),
        ("stream", "catalog", false, Some("A new arrow needs an ADR")),
    ];
    for (folder, target, dev, expected) in cases {
        let name = format!("rtsap-{target}");
        let tree = workspace(folder, "", &[(&name, *dev)]);
        let mends: Vec<_> = arrows(&tree)
            .into_iter()
            .map(|finding| finding.mend)
            .collect();
        match expected {
            None => assert!(mends.is_empty(), "{folder} → {target}: {mends:?}"),
            Some(reason) => assert!(mends[0].contains(reason), "{folder} → {target}: {mends:?}"),
        }
    }
}

#[test]
fn an_arrow_is_found_on_its_line() {
    let manifest = "[dependencies]\nrtsap-plan.workspace = true\nrtsap-runtime.workspace = true\n";
    let tree = workspace(
        "planner",
        manifest,
        &[("rtsap-plan", false), ("rtsap-runtime", false)],
    );
    let findings = arrows(&tree);
    assert_eq!((findings.len(), findings[0].line), (1, 3));
    assert_eq!(findings[0].path, "planner/Cargo.toml");
}

#[test]
fn unknown_crates_and_misnamed_packages_are_found() {
    let mut tree = workspace("drawer", "", &[]);
    assert!(arrows(&tree)[0].message.contains("has no layer"));
    tree.crates[0].folder = "stream".to_owned();
    assert!(arrows(&tree)[0].mend.contains("rtsap-stream"));
}

#[test]
fn heavy_dependencies_stay_behind_their_fence() {
    let cases = [
        ("connectors", "datafusion", false, 1),
        ("connectors", "datafusion-expr", false, 1),
        ("stream", "datafusion", false, 1),
        ("planner", "datafusion", false, 0),
        ("engine", "rdkafka", false, 1),
        ("engine", "tonic", false, 1),
        ("server", "tokio-postgres", false, 1),
        ("server", "tokio-postgres", true, 0),
        ("flight-server", "pgwire", false, 1),
    ];
    for (folder, package, dev, expected) in cases {
        let tree = workspace(folder, "", &[(package, dev)]);
        assert_eq!(fences(&tree).len(), expected, "{folder} → {package}");
    }
}

#[test]
fn versions_stand_only_in_the_root() {
    let manifest = "[package]\nversion.workspace = true\n[dependencies]\nserde.workspace = true\n\
                    bytes = \"1\"\nx = { workspace = true }\ny = { path = \"../y\" }\n\
                    [dev-dependencies]\nz = { version = \"2\" }\n[[bin]]\nname = \"a\"\n";
    let lines: Vec<_> = versions(&workspace("plan", manifest, &[]))
        .iter()
        .map(|finding| finding.line)
        .collect();
    assert_eq!(lines, [5, 7, 9]);
}
