//! The workspace as the rules see it: texts and crate arrows, read once.
//!
//! The only file that runs `git` and `cargo metadata`. Never writes.

#[cfg(test)]
mod tests;

use std::path::{Path, PathBuf};
use std::process::Command;

use cargo_metadata::{DependencyKind, MetadataCommand};

/// A file with its text.
#[derive(Clone, Debug)]
pub struct SourceFile {
    /// Path from the root of the workspace, with `/`.
    pub path: String,
    /// The whole text.
    pub text: String,
}

/// A crate of the workspace and what it names in its manifest.
#[derive(Clone, Debug)]
pub struct Crate {
    /// Package name.
    pub name: String,
    /// Folder from the root of the workspace.
    pub folder: String,
    /// Every dependency, of every kind.
    pub dependencies: Vec<Dependency>,
}

/// One arrow out of a crate.
#[derive(Clone, Debug)]
pub struct Dependency {
    /// Package name of the target.
    pub name: String,
    /// Whether it stands in `[dev-dependencies]`.
    pub dev: bool,
}

/// The workspace.
#[derive(Clone, Debug, Default)]
pub struct Tree {
    /// Every text file that is tracked or could be (not ignored), by path.
    pub files: Vec<SourceFile>,
    /// The members.
    pub crates: Vec<Crate>,
}

/// Why the workspace could not be read.
#[derive(Debug, thiserror::Error)]
pub enum TreeError {
    /// `git` is missing or the folder is not a clone.
    #[error("cannot list the files of {root} with git: {reason}")]
    List {
        /// Where.
        root: PathBuf,
        /// What git said.
        reason: String,
    },
    /// A listed file could not be read.
    #[error("cannot read {path}")]
    Read {
        /// Which.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// A manifest is broken.
    #[error("cannot read the crates of {root}")]
    Metadata {
        /// Where.
        root: PathBuf,
        /// What cargo said.
        #[source]
        source: cargo_metadata::Error,
    },
}

impl Tree {
    /// Reads the workspace at `root`.
    ///
    /// # Errors
    /// [`TreeError`] if git cannot list the files, one cannot be read, or cargo rejects a manifest.
    pub fn read(root: &Path) -> Result<Self, TreeError> {
        let mut files = Vec::new();
        for path in listed_files(root)? {
            let full = root.join(&path);
            let bytes = match std::fs::read(&full) {
                Ok(bytes) => bytes,
                // Listed by git but deleted in the work tree.
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => continue,
                Err(source) => return Err(TreeError::Read { path: full, source }),
            };
            // Images and data files are not text and follow no rule here.
            if let Ok(text) = String::from_utf8(bytes) {
                files.push(SourceFile { path, text });
            }
        }
        Ok(Self {
            files,
            crates: crates(root)?,
        })
    }

    /// The file at `path`, if there is one.
    pub fn file(&self, path: &str) -> Option<&SourceFile> {
        self.files.iter().find(|file| file.path == path)
    }

    /// Every Rust file.
    pub fn rust_files(&self) -> impl Iterator<Item = &SourceFile> {
        self.files.iter().filter(|file| file.path.ends_with(".rs"))
    }
}

/// Whether the file at `path` holds tests and nothing else.
pub fn is_test_path(path: &str) -> bool {
    path.split('/')
        .any(|part| part == "tests" || part == "tests.rs")
}

/// The path from the root of what the file at `from` calls `name`.
pub fn resolve(from: &str, name: &str) -> String {
    let mut parts: Vec<&str> = from.split('/').collect();
    parts.pop();
    for part in name.split('/') {
        match part {
            "." | "" => {}
            ".." => {
                parts.pop();
            }
            part => parts.push(part),
        }
    }
    parts.join("/")
}

fn listed_files(root: &Path) -> Result<Vec<String>, TreeError> {
    let failed = |reason: String| TreeError::List {
        root: root.to_owned(),
        reason,
    };
    let output = Command::new("git")
        .args([
            "ls-files",
            "-z",
            "--cached",
            "--others",
            "--exclude-standard",
        ])
        .current_dir(root)
        .output()
        .map_err(|error| failed(error.to_string()))?;
    if !output.status.success() {
        return Err(failed(
            String::from_utf8_lossy(&output.stderr).trim().to_owned(),
        ));
    }
    let listing = String::from_utf8_lossy(&output.stdout);
    let mut paths: Vec<String> = listing
        .split('\0')
        .filter(|path| !path.is_empty())
        .map(str::to_owned)
        .collect();
    paths.sort();
    paths.dedup();
    Ok(paths)
}

fn crates(root: &Path) -> Result<Vec<Crate>, TreeError> {
    // `no_deps`: what the manifests say is enough, and needs neither network nor a resolved lock
    // file.
    let metadata = MetadataCommand::new()
        .current_dir(root)
        .no_deps()
        .exec()
        .map_err(|source| TreeError::Metadata {
            root: root.to_owned(),
            source,
        })?;
    let workspace = metadata.workspace_root.as_path();
    let members = metadata.packages.iter().map(|package| Crate {
        name: package.name.to_string(),
        folder: package
            .manifest_path
            .parent()
            .and_then(|folder| folder.strip_prefix(workspace).ok())
            .map(|folder| folder.as_str().replace('\\', "/"))
            .unwrap_or_default(),
        dependencies: package
            .dependencies
            .iter()
            .map(|dependency| Dependency {
                name: dependency.name.clone(),
                dev: dependency.kind == DependencyKind::Development,
            })
            .collect(),
    });
    Ok(members.collect())
}
