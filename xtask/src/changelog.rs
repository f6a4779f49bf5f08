//! Changelog fragments, and folding them into `CHANGELOG.md` at a release. Pure; `main.rs` writes.

#[cfg(test)]
mod tests;

use std::fmt::Write as _;

/// Where fragments live until a release folds them.
pub const FOLDER: &str = "changelog.d/";

/// The line in `CHANGELOG.md` below which a release is inserted.
const UNRELEASED: &str = "## [Unreleased]";

/// What a change means to somebody who upgrades, in the order a release lists it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// Something that worked must be changed by the user.
    Breaking,
    /// A weakness is closed.
    Security,
    /// Something new can be done.
    Feature,
    /// Something works as described now.
    Fix,
}

/// One user-visible change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fragment {
    /// What the change means.
    pub kind: Kind,
    /// Short name, in small letters with dashes.
    pub slug: String,
    /// What a user reads, in full sentences.
    pub text: String,
}

/// Why fragments cannot be read or folded.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum ChangelogError {
    /// The file's name has another shape.
    #[error("cannot read fragment \"{name}\": the name is not <slug>.<kind>.md")]
    Name {
        /// The file's name.
        name: String,
    },
    /// The kind is none of the four.
    #[error("cannot read fragment \"{name}\": kind is none of breaking, security, feature, fix")]
    UnknownKind {
        /// The file's name.
        name: String,
    },
    /// There is no text.
    #[error("cannot read fragment \"{name}\": it is empty")]
    Empty {
        /// The file's name.
        name: String,
    },
    /// The changelog has no place for a release.
    #[error("cannot fold into the changelog: it has no line \"{UNRELEASED}\"")]
    NoUnreleased,
    /// There is nothing to fold.
    #[error("cannot fold into the changelog: {FOLDER} holds no fragment")]
    Nothing,
    /// The version stands there already.
    #[error("cannot fold into the changelog: version {version} is released already")]
    Released {
        /// Which.
        version: String,
    },
}

impl Kind {
    const ALL: [Self; 4] = [Self::Breaking, Self::Security, Self::Feature, Self::Fix];

    fn of(word: &str) -> Option<Self> {
        match word {
            "breaking" => Some(Self::Breaking),
            "security" => Some(Self::Security),
            "feature" => Some(Self::Feature),
            "fix" => Some(Self::Fix),
            _ => None,
        }
    }

    /// The heading, a word of Keep a Changelog where it has one.
    const fn heading(self) -> &'static str {
        match self {
            Self::Breaking => "Breaking",
            Self::Security => "Security",
            Self::Feature => "Added",
            Self::Fix => "Fixed",
        }
    }
}

impl Fragment {
    /// Reads the fragment at `path` (`changelog.d/<slug>.<kind>.md`).
    ///
    /// # Errors
    /// [`ChangelogError`] `Name`, `UnknownKind` or `Empty`.
    pub fn parse(path: &str, text: &str) -> Result<Self, ChangelogError> {
        let name = path.strip_prefix(FOLDER).unwrap_or(path);
        let wrong_name = || ChangelogError::Name {
            name: name.to_owned(),
        };
        let stem = name.strip_suffix(".md").ok_or_else(wrong_name)?;
        let (slug, kind) = stem.split_once('.').ok_or_else(wrong_name)?;
        let is_slug = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
        if slug.is_empty() || !slug.chars().all(is_slug) {
            return Err(wrong_name());
        }
        let unknown = || ChangelogError::UnknownKind {
            name: name.to_owned(),
        };
        let kind = Kind::of(kind).ok_or_else(unknown)?;
        let text = text.trim();
        if text.is_empty() {
            return Err(ChangelogError::Empty {
                name: name.to_owned(),
            });
        }
        Ok(Self {
            kind,
            slug: slug.to_owned(),
            text: text.to_owned(),
        })
    }
}

/// Returns `changelog` with `fragments` as release `version` of `date` (`YYYY-MM-DD`).
///
/// # Errors
/// [`ChangelogError`] `Nothing`, `NoUnreleased` or `Released`.
pub fn fold(
    changelog: &str,
    fragments: &[Fragment],
    version: &str,
    date: &str,
) -> Result<String, ChangelogError> {
    if fragments.is_empty() {
        return Err(ChangelogError::Nothing);
    }
    if changelog.contains(&format!("\n## [{version}]")) {
        return Err(ChangelogError::Released {
            version: version.to_owned(),
        });
    }
    let at = changelog
        .find(UNRELEASED)
        .ok_or(ChangelogError::NoUnreleased)?;
    let (before, after) = changelog.split_at(at + UNRELEASED.len());
    // What stands below the heading and above the next release belongs to no release: a note for
    // readers.
    let note_length = after.find("\n## ").unwrap_or(after.len());
    let (note, releases) = after.split_at(note_length);
    let release = release_text(fragments, version, date);
    let releases = releases.trim_start_matches('\n');
    let gap = if releases.is_empty() { "" } else { "\n" };
    Ok(format!(
        "{before}{}\n\n{release}{gap}{releases}",
        note.trim_end()
    ))
}

fn release_text(fragments: &[Fragment], version: &str, date: &str) -> String {
    let mut text = format!("## [{version}] - {date}\n");
    for kind in Kind::ALL {
        let mut of_kind: Vec<_> = fragments.iter().filter(|one| one.kind == kind).collect();
        if of_kind.is_empty() {
            continue;
        }
        of_kind.sort_by(|a, b| a.slug.cmp(&b.slug));
        // Writing to a String cannot fail.
        let _ = writeln!(text, "\n### {}\n", kind.heading());
        for fragment in of_kind {
            let _ = writeln!(text, "- {}", fragment.text.replace('\n', "\n  "));
        }
    }
    text
}
