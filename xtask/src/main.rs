//! The command line of the project's checks. Exit code 1: findings; 2: could not check.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use rtsap_xtask::changelog::{self, Fragment};
use rtsap_xtask::finding::Finding;
use rtsap_xtask::tree::Tree;
use rtsap_xtask::{manifests, tidy, wrap};

/// Checks of the RTSAP project.
#[derive(Parser)]
#[command(name = "xtask")]
struct Arguments {
    #[command(subcommand)]
    task: Task,
}

#[derive(Subcommand)]
enum Task {
    /// Checks the house rules on every file and the arrows between crates.
    Tidy,
    /// Checks the Kubernetes manifests only.
    Manifests,
    /// Breaks comments of Rust files that are wider than a line.
    Wrap {
        /// Only files whose paths start so, from the root: `stream/`.
        paths: Vec<String>,
    },
    /// Folds changelog.d/ into CHANGELOG.md as a release, and removes the fragments.
    Changelog {
        /// The version that is released: 0.2.0.
        version: String,
        /// Its day: 2026-11-22.
        date: String,
    },
}

type Failure = Box<dyn std::error::Error>;

fn main() -> ExitCode {
    match run(&Arguments::parse().task) {
        Ok(code) => code,
        Err(failure) => {
            let mut text = format!("xtask: {failure}");
            let mut cause = failure.source();
            while let Some(source) = cause {
                text.push_str(&format!(": {source}"));
                cause = source.source();
            }
            // A closed standard error cannot be told to anybody.
            let _ = writeln!(std::io::stderr(), "{text}");
            ExitCode::from(2)
        }
    }
}

fn run(task: &Task) -> Result<ExitCode, Failure> {
    let root = workspace_root()?;
    let tree = Tree::read(&root)?;
    match task {
        Task::Tidy => report(&tidy::run(&tree)),
        Task::Manifests => report(&manifests::manifests(&tree)),
        Task::Wrap { paths } => wrap_files(&root, &tree, paths),
        Task::Changelog { version, date } => fold(&root, &tree, version, date),
    }
}

fn report(findings: &[Finding]) -> Result<ExitCode, Failure> {
    let mut out = std::io::stdout().lock();
    for finding in findings {
        writeln!(out, "{finding}")?;
    }
    match findings.len() {
        0 => {
            writeln!(out, "no findings")?;
            Ok(ExitCode::SUCCESS)
        }
        count => {
            writeln!(out, "{count} findings")?;
            Ok(ExitCode::from(1))
        }
    }
}

fn wrap_files(root: &Path, tree: &Tree, paths: &[String]) -> Result<ExitCode, Failure> {
    let chosen = |path: &str| paths.is_empty() || paths.iter().any(|start| path.starts_with(start));
    for file in tree.rust_files().filter(|file| chosen(&file.path)) {
        let wrapped = wrap::wrap(&file.text);
        if wrapped != file.text {
            std::fs::write(root.join(&file.path), wrapped)?;
            writeln!(std::io::stdout(), "wrapped {}", file.path)?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn fold(root: &Path, tree: &Tree, version: &str, date: &str) -> Result<ExitCode, Failure> {
    let is_fragment =
        |path: &str| path.starts_with(changelog::FOLDER) && !path.ends_with("/README.md");
    let files: Vec<_> = tree
        .files
        .iter()
        .filter(|file| is_fragment(&file.path))
        .collect();
    let fragments: Result<Vec<_>, _> = files
        .iter()
        .map(|file| Fragment::parse(&file.path, &file.text))
        .collect();
    let current = tree.file("CHANGELOG.md").ok_or("no CHANGELOG.md")?;
    let folded = changelog::fold(&current.text, &fragments?, version, date)?;
    std::fs::write(root.join(&current.path), folded)?;
    for file in files {
        std::fs::remove_file(root.join(&file.path))?;
    }
    Ok(ExitCode::SUCCESS)
}

/// The nearest folder upwards that holds the lock file.
fn workspace_root() -> Result<PathBuf, Failure> {
    let start = std::env::current_dir()?;
    let root = start
        .ancestors()
        .find(|folder| folder.join("Cargo.lock").is_file());
    Ok(root
        .ok_or("cannot find the workspace: no Cargo.lock here or above")?
        .to_owned())
}
