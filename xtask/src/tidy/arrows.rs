//! Which crate may name which: the layers of the architecture, checked from the manifests.

#[cfg(test)]
mod tests;

use crate::finding::Finding;
use crate::tree::{Crate, Tree};

/// What one crate may name of the workspace.
struct Layer {
    folder: &'static str,
    /// In `[dependencies]`.
    normal: &'static [&'static str],
    /// In `[dev-dependencies]`, besides `normal`.
    dev: &'static [&'static str],
}

const LAYERS: &[Layer] = &[
    Layer {
        folder: "stream",
        normal: &[],
        dev: &[],
    },
    Layer {
        folder: "plan",
        normal: &["stream"],
        dev: &[],
    },
    Layer {
        folder: "catalog",
        normal: &["stream"],
        dev: &[],
    },
    Layer {
        folder: "udfs",
        normal: &[],
        dev: &[],
    },
    Layer {
        folder: "planner",
        normal: &["plan", "catalog", "udfs", "stream"],
        dev: &[],
    },
    Layer {
        folder: "runtime",
        normal: &["plan", "stream"],
        dev: &["udfs"],
    },
    Layer {
        folder: "connectors",
        normal: &["stream"],
        dev: &[],
    },
    Layer {
        folder: "engine",
        normal: &["planner", "runtime", "catalog", "plan", "udfs", "stream"],
        dev: &["connectors"],
    },
    Layer {
        folder: "pgwire-server",
        normal: &["engine", "stream"],
        dev: &["connectors"],
    },
    Layer {
        folder: "flight-server",
        normal: &["engine", "stream"],
        dev: &["connectors"],
    },
    Layer {
        folder: "server",
        normal: &[
            "engine",
            "connectors",
            "pgwire-server",
            "flight-server",
            "udfs",
            "stream",
        ],
        dev: &[],
    },
    Layer {
        folder: "sqllogictest",
        normal: &["engine", "connectors", "pgwire-server"],
        dev: &[],
    },
    Layer {
        folder: "differential",
        normal: &["engine", "stream"],
        dev: &[],
    },
    Layer {
        folder: "bench",
        normal: &["engine", "connectors", "server", "stream"],
        dev: &[],
    },
    Layer {
        folder: "xtask",
        normal: &[],
        dev: &[],
    },
];

/// Arrows that somebody is likely to want, each with the reason why not. `*` stands for every
/// crate.
const REASONS: &[(&str, &str, &str)] = &[
    (
        "planner",
        "runtime",
        "The plan is the contract: plan goldens must not compile the runtime.",
    ),
    (
        "runtime",
        "planner",
        "The plan is the contract: operator tests must not need SQL.",
    ),
    (
        "runtime",
        "catalog",
        "A dataflow knows its plan, not the names: a rename cannot touch it.",
    ),
    (
        "connectors",
        "*",
        "A connector author needs `stream` and Arrow only, and builds in seconds.",
    ),
    (
        "engine",
        "connectors",
        "The registry is injected; only the engine's tests may name it.",
    ),
    (
        "pgwire-server",
        "flight-server",
        "Protocols are peers and see only the engine.",
    ),
    (
        "flight-server",
        "pgwire-server",
        "Protocols are peers and see only the engine.",
    ),
    ("pgwire-server", "*", "Protocols see only the engine."),
    ("flight-server", "*", "Protocols see only the engine."),
    ("*", "server", "The binary wires everything and is a leaf."),
    ("*", "xtask", "The project's checks are a leaf."),
    ("*", "sqllogictest", "The language tests are a leaf."),
    ("*", "differential", "The differential tests are a leaf."),
    ("*", "bench", "The benchmarks are a leaf."),
];

/// A dependency from outside that only some crates may name.
struct Fence {
    /// The package, or with `*` at the end every package that starts so.
    package: &'static str,
    allowed: &'static [&'static str],
    reason: &'static str,
}

const FENCES: &[Fence] = &[
    Fence {
        package: "datafusion*",
        allowed: &["plan", "planner", "runtime", "udfs", "engine"],
        reason: "Connectors, servers and contracts build without DataFusion; reach it by the \
                 engine.",
    },
    Fence {
        package: "rdkafka*",
        allowed: &["connectors", "server", "bench"],
        reason: "librdkafka stays behind `connectors`; the server has it for the demo's broker \
                 only.",
    },
    Fence {
        package: "tokio-postgres",
        allowed: &["connectors", "bench", "sqllogictest"],
        reason: "The PostgreSQL client stays behind the sink; elsewhere it is a test's client.",
    },
    Fence {
        package: "tonic*",
        allowed: &["flight-server"],
        reason: "Only `flight-server` knows gRPC.",
    },
    Fence {
        package: "arrow-flight",
        allowed: &["flight-server"],
        reason: "Only `flight-server` knows Flight.",
    },
    Fence {
        package: "pgwire",
        allowed: &["pgwire-server"],
        reason: "Only `pgwire-server` knows the PostgreSQL wire protocol.",
    },
    Fence {
        package: "axum*",
        allowed: &["server"],
        reason: "HTTP is served by the binary only.",
    },
];

/// Checks that every crate names only crates that its layer allows.
pub fn arrows(tree: &Tree) -> Vec<Finding> {
    tree.crates
        .iter()
        .flat_map(|member| crate_arrows(tree, member))
        .collect()
}

/// Checks that heavy dependencies stay behind the crate that fences them. Tests may name any
/// client.
pub fn fences(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    for member in &tree.crates {
        for dependency in member
            .dependencies
            .iter()
            .filter(|dependency| !dependency.dev)
        {
            let fence = FENCES.iter().find(|fence| fence.holds(&dependency.name));
            let Some(fence) = fence else { continue };
            if !fence.allowed.contains(&member.folder.as_str()) {
                let message = format!("{} names {}", member.folder, dependency.name);
                findings.push(at_dependency(
                    tree,
                    member,
                    &dependency.name,
                    "fences",
                    message,
                    fence.reason,
                ));
            }
        }
    }
    findings
}

/// Checks that versions stand once, in the root manifest.
pub fn versions(tree: &Tree) -> Vec<Finding> {
    let mend = "Write `name.workspace = true` here and the version in the root `Cargo.toml`.";
    let mut findings = Vec::new();
    for member in &tree.crates {
        let path = format!("{}/Cargo.toml", member.folder);
        let Some(file) = tree.file(&path) else {
            continue;
        };
        let mut in_dependencies = false;
        for (index, line) in file.text.lines().map(str::trim).enumerate() {
            if line.starts_with('[') {
                in_dependencies = line.contains("dependencies");
            } else if in_dependencies
                && !line.is_empty()
                && !line.starts_with('#')
                && (!line.contains("workspace = true") || line.contains("version"))
            {
                let message = format!("`{line}` does not inherit from the workspace");
                findings.push(Finding::new("versions", &path, index + 1, message, mend));
            }
        }
    }
    findings
}

impl Fence {
    fn holds(&self, package: &str) -> bool {
        match self.package.strip_suffix('*') {
            Some(start) => package.starts_with(start),
            None => package == self.package,
        }
    }
}

fn crate_arrows(tree: &Tree, member: &Crate) -> Vec<Finding> {
    let path = format!("{}/Cargo.toml", member.folder);
    let expected = format!("rtsap-{}", member.folder);
    let mut findings = Vec::new();
    if member.name != expected {
        let message = format!("package {} lives in folder {}", member.name, member.folder);
        let mend = format!("Call the package `{expected}`.");
        findings.push(Finding::new("arrows", &path, 1, message, mend));
    }
    let Some(layer) = LAYERS.iter().find(|layer| layer.folder == member.folder) else {
        let message = format!("crate {} has no layer", member.folder);
        let mend = "A new crate needs an ADR, and then a line in xtask/src/tidy/arrows.rs.";
        findings.push(Finding::new("arrows", &path, 1, message, mend));
        return findings;
    };
    for dependency in &member.dependencies {
        let Some(target) = dependency.name.strip_prefix("rtsap-") else {
            continue;
        };
        let allowed =
            layer.normal.contains(&target) || (dependency.dev && layer.dev.contains(&target));
        if !allowed {
            let message = format!(
                "{} → {target} is not an arrow of the picture",
                member.folder
            );
            let mend = reason(&member.folder, target);
            findings.push(at_dependency(
                tree,
                member,
                &dependency.name,
                "arrows",
                message,
                mend,
            ));
        }
    }
    findings
}

fn reason(from: &str, to: &str) -> &'static str {
    let fits = |pattern: &str, folder: &str| pattern == "*" || pattern == folder;
    REASONS
        .iter()
        .find(|(source, target, _)| fits(source, from) && fits(target, to))
        .map_or(
            "A new arrow needs an ADR, and then xtask/src/tidy/arrows.rs.",
            |(.., why)| *why,
        )
}

fn at_dependency(
    tree: &Tree,
    member: &Crate,
    dependency: &str,
    rule: &'static str,
    message: String,
    mend: &str,
) -> Finding {
    let path = format!("{}/Cargo.toml", member.folder);
    let text = tree
        .file(&path)
        .map(|file| file.text.as_str())
        .unwrap_or_default();
    let line = text.lines().position(|line| {
        let rest = line.trim_start().strip_prefix(dependency);
        rest.is_some_and(|rest| rest.starts_with(['.', ' ', '=']))
    });
    Finding::new(
        rule,
        &path,
        line.map_or(1, |index| index + 1),
        message,
        mend,
    )
}
