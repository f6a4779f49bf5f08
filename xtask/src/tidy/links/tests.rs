//! Links that lead somewhere pass; others do not.

use super::*;

fn messages(path: &str, text: &str) -> Vec<String> {
    let tree = Tree::of(&[
        (path, text),
        ("docs/adr/0001-a.md", ""),
        ("stream/src/time.rs", ""),
    ]);
    links(&tree)
        .into_iter()
        .map(|finding| finding.message)
        .collect()
}

#[test]
fn relative_links_lead_to_files_and_folders() {
    for (path, text) in [
        ("docs/a.md", "[x](adr/0001-a.md) [y](../stream/src/time.rs)"),
        (
            "docs/a.md",
            "[x](adr/0001-a.md#decision) [y](#here) [z](https://example.org/b.md)",
        ),
        ("a.md", "[x](docs/adr)"),
        ("a.md", "```text\n[x](nowhere.md)\n```"),
    ] {
        assert!(
            messages(path, text).is_empty(),
            "{text}: {:?}",
            messages(path, text)
        );
    }
    assert_eq!(
        messages("docs/a.md", "[x](0001-a.md)"),
        ["there is no \"docs/0001-a.md\""]
    );
}

#[test]
fn the_code_map_names_files_that_exist() {
    assert!(messages(MAP, "`stream/src/time.rs`, `lib.rs` and `rtsap serve`").is_empty());
    assert_eq!(messages(MAP, "`stream/src/clock.rs`").len(), 1);
    assert!(messages("docs/style.md", "`stream/src/clock.rs`").is_empty());
}
