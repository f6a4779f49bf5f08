//! Which files a path means: one file, all files below a directory, or those that match a pattern.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use rtsap_stream::error::{ConnectorError, ErrorKind};
use rtsap_stream::source::SplitId;

use super::file_error;

/// A directory with more files than this is a mistyped path.
const FILES_MAX: usize = 100_000;
/// Deeper directories are a loop of links.
const DEPTH_MAX: usize = 32;
/// Endings of compressed files, which are not read.
const COMPRESSED: [&str; 6] = ["gz", "bz2", "zst", "xz", "lz4", "zip"];

/// A path as written in `path`: a root, and a pattern below it if it has wildcards.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PathPattern {
    /// As written, for messages.
    pub text: String,
    /// The longest part without wildcards.
    root: PathBuf,
    /// Patterns of the components below the root; empty without wildcards.
    below: Vec<String>,
}

impl PathPattern {
    /// Reads a path: `*` and `?` stand for characters within a name, `**` for any directories.
    ///
    /// # Errors
    /// In words, for another scheme than `file://`.
    pub fn parse(text: &str) -> Result<Self, String> {
        let path = text.strip_prefix("file://").unwrap_or(text);
        if let Some((scheme, _)) = path.split_once("://") {
            return Err(format!(
                "names \"{scheme}://\": only local paths can be read"
            ));
        }
        let wild = |name: &str| name.contains(['*', '?']);
        let parts: Vec<&str> = path.split('/').collect();
        let first_wild = parts
            .iter()
            .position(|name| wild(name))
            .unwrap_or(parts.len());
        let (root, below) = parts.split_at(first_wild);
        let mut root = root.join("/");
        if root.is_empty() {
            root = if path.starts_with('/') {
                "/".to_owned()
            } else {
                ".".to_owned()
            };
        }
        Ok(Self {
            text: text.to_owned(),
            root: PathBuf::from(root),
            below: below
                .iter()
                .filter(|name| !name.is_empty())
                .map(|n| (*n).to_owned())
                .collect(),
        })
    }

    /// Where `split` is on the disk.
    pub fn file(&self, split: &SplitId) -> PathBuf {
        if self.below.is_empty() && self.root.is_file() {
            return self.root.clone();
        }
        self.root.join(split.as_str())
    }

    fn matches(&self, relative: &str) -> bool {
        let names: Vec<&str> = relative.split('/').collect();
        let patterns: Vec<&str> = self.below.iter().map(String::as_str).collect();
        patterns.is_empty() || components_match(&patterns, &names)
    }
}

fn components_match(patterns: &[&str], names: &[&str]) -> bool {
    match (patterns, names) {
        ([], []) => true,
        (["**", rest @ ..], _) => {
            components_match(rest, names)
                || names
                    .split_first()
                    .is_some_and(|(_, tail)| components_match(patterns, tail))
        }
        ([pattern, patterns @ ..], [name, names @ ..]) => {
            name_matches(pattern.as_bytes(), name.as_bytes()) && components_match(patterns, names)
        }
        _ => false,
    }
}

/// Linear wildcard matching: a failed attempt goes back to the last `*` only.
fn name_matches(pattern: &[u8], name: &[u8]) -> bool {
    let (mut p, mut n) = (0, 0);
    let mut star: Option<(usize, usize)> = None;
    while n < name.len() {
        match pattern.get(p) {
            Some(b'*') => {
                star = Some((p, n));
                p += 1;
            }
            Some(b'?') => (p, n) = (p + 1, n + 1),
            Some(byte) if *byte == name[n] => (p, n) = (p + 1, n + 1),
            _ => match star {
                Some((at, from)) => {
                    star = Some((at, from + 1));
                    (p, n) = (at + 1, from + 1);
                }
                None => return false,
            },
        }
    }
    pattern[p..].iter().all(|byte| *byte == b'*')
}

/// The files of `pattern` by split, in the order of their names. Names that start with `.` or `_`
/// are left out (they are being written, by convention).
///
/// # Errors
/// `Invalid` if the root does not exist and `must_exist`, or a file is compressed or its name is
/// not UTF-8; `Exhausted` for too many files.
pub fn list(
    pattern: &PathPattern,
    must_exist: bool,
) -> Result<BTreeMap<SplitId, PathBuf>, ConnectorError> {
    let mut files = BTreeMap::new();
    if pattern.below.is_empty() && pattern.root.is_file() {
        let name = pattern
            .root
            .file_name()
            .and_then(|name| name.to_str())
            .unwrap_or_default();
        refuse_compressed(&pattern.root)?;
        files.insert(SplitId::new(name), pattern.root.clone());
        return Ok(files);
    }
    if !pattern.root.is_dir() {
        if !must_exist {
            return Ok(files);
        }
        return Err(ConnectorError::invalid(format!(
            "cannot read \"{}\": \"{}\" does not exist",
            pattern.text,
            pattern.root.display()
        )));
    }
    walk(pattern, &pattern.root, "", 0, &mut files)?;
    Ok(files)
}

fn walk(
    pattern: &PathPattern,
    directory: &Path,
    prefix: &str,
    depth: usize,
    files: &mut BTreeMap<SplitId, PathBuf>,
) -> Result<(), ConnectorError> {
    if depth > DEPTH_MAX || files.len() > FILES_MAX {
        return Err(ConnectorError::new(
            ErrorKind::Exhausted,
            format!(
                "cannot read \"{}\": too many files or too deep",
                pattern.text
            ),
        )
        .with_detail(format!(
            "At most {FILES_MAX} files, {DEPTH_MAX} directories deep."
        )));
    }
    let entries =
        std::fs::read_dir(directory).map_err(|error| file_error("list", directory, error))?;
    for entry in entries {
        let entry = entry.map_err(|error| file_error("list", directory, error))?;
        let path = entry.path();
        let name = entry.file_name();
        let Some(name) = name.to_str() else {
            return Err(ConnectorError::invalid(format!(
                "cannot read file \"{}\": its name is not UTF-8",
                path.display()
            )));
        };
        if name.starts_with(['.', '_']) {
            continue;
        }
        let relative = if prefix.is_empty() {
            name.to_owned()
        } else {
            format!("{prefix}/{name}")
        };
        if path.is_dir() {
            walk(pattern, &path, &relative, depth + 1, files)?;
        } else if pattern.matches(&relative) {
            refuse_compressed(&path)?;
            files.insert(SplitId::new(relative), path);
        }
    }
    Ok(())
}

fn refuse_compressed(path: &Path) -> Result<(), ConnectorError> {
    let ending = path
        .extension()
        .and_then(|ending| ending.to_str())
        .unwrap_or_default();
    if COMPRESSED.contains(&ending) {
        return Err(ConnectorError::invalid(format!(
            "cannot read file \"{}\": compressed files are not supported",
            path.display()
        ))
        .with_hint("Unpack it, or name the files to read with a pattern such as '*.csv'."));
    }
    Ok(())
}
