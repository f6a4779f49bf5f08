//! Fragments fold into a release, and what cannot fold is refused.

use super::*;

const CHANGELOG: &str = "# Changelog\n\n## [Unreleased]\n\nSee changelog.d.\n\n\
                         ## [0.1.0] - 2026-01-01\n\n### Added\n\n- All.\n";

fn fragment(name: &str, text: &str) -> Fragment {
    Fragment::parse(&format!("{FOLDER}{name}"), text).unwrap()
}

#[test]
fn a_release_stands_between_the_note_and_the_last_one() {
    let fragments = [
        fragment("b.fix.md", "Fixed b.\n"),
        fragment("a.fix.md", "Fixed a.\nLong.\n"),
        fragment("c.breaking.md", "Renamed c."),
    ];
    let folded = fold(CHANGELOG, &fragments, "0.2.0", "2026-02-01").unwrap();
    let expected = "# Changelog\n\n## [Unreleased]\n\nSee changelog.d.\n\n\
                    ## [0.2.0] - 2026-02-01\n\n### Breaking\n\n- Renamed c.\n\n\
                    ### Fixed\n\n- Fixed a.\n  Long.\n- Fixed b.\n\n\
                    ## [0.1.0] - 2026-01-01\n\n### Added\n\n- All.\n";
    assert_eq!(folded, expected);
}

#[test]
fn the_first_release_stands_at_the_end() {
    let folded = fold(
        "## [Unreleased]\n",
        &[fragment("a.feature.md", "A.")],
        "1.0.0",
        "d",
    );
    assert_eq!(
        folded.unwrap(),
        "## [Unreleased]\n\n## [1.0.0] - d\n\n### Added\n\n- A.\n"
    );
}

#[test]
fn what_cannot_fold_is_refused() {
    let one = [fragment("a.fix.md", "A.")];
    assert_eq!(
        fold(CHANGELOG, &[], "0.2.0", "d"),
        Err(ChangelogError::Nothing)
    );
    assert_eq!(
        fold("# x\n", &one, "0.2.0", "d"),
        Err(ChangelogError::NoUnreleased)
    );
    let released = ChangelogError::Released {
        version: "0.1.0".to_owned(),
    };
    assert_eq!(fold(CHANGELOG, &one, "0.1.0", "d"), Err(released));
}
