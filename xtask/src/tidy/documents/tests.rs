//! Each document rule accepts documents in step and refuses those that fell behind.

use super::*;

const PAGE: &str = "# RT1001: unknown relation\n\n## What happened\n\nx\n\n## What to do\n\ny\n";

#[test]
fn a_code_needs_a_page_and_a_page_a_code() {
    let code = (
        "engine/src/error.rs",
        "//! x\nconst A: &str = \"RT1001\";\n",
    );
    let page = ("docs/errors/RT1001.md", PAGE);
    let index = ("docs/errors/README.md", "[RT1001](RT1001.md)\n");
    assert_eq!(error_pages(&Tree::of(&[code, page, index])), []);

    let missing = error_pages(&Tree::of(&[code, index]));
    assert_eq!((missing.len(), missing[0].line), (1, 2));
    assert!(missing[0].message.contains("RT1001 has no page"));
    assert!(
        error_pages(&Tree::of(&[page, index]))[0]
            .message
            .contains("no code names")
    );
    assert!(
        error_pages(&Tree::of(&[code, page]))[0]
            .message
            .contains("not in the index")
    );
    let bare = ("docs/errors/RT1001.md", "# RT1001\n");
    assert!(
        error_pages(&Tree::of(&[code, bare, index]))[0]
            .message
            .contains("lacks")
    );
}

#[test]
fn only_whole_words_are_codes() {
    for text in [
        "PORT1001",
        "RT10011",
        "RT100",
        "RTX",
        "aRT1001",
        "RT1001_x",
        "// RT1001",
    ] {
        assert_eq!(error_pages(&Tree::of(&[("a.rs", text)])), [], "{text}");
    }
}

#[test]
fn a_metric_is_explained_where_an_operator_looks() {
    let code = (
        "runtime/src/metrics.rs",
        "pub const A: &str = \"rtsap_runtime_rows_in_total\";\n",
    );
    let page = (
        "docs/operations.md",
        "| `rtsap_runtime_rows_in_total` | x |\n",
    );
    assert_eq!(metrics(&Tree::of(&[code, page])), []);
    assert_eq!(metrics(&Tree::of(&[code])).len(), 1);
    let other = (
        "runtime/src/a.rs",
        "const CATALOG: &str = \"rtsap_catalog\";\n",
    );
    assert_eq!(metrics(&Tree::of(&[other])), []);
}

#[test]
fn fragments_are_named_by_slug_and_kind() {
    let cases = [
        ("changelog.d/first-view.feature.md", "Views run.\n", 0),
        ("changelog.d/README.md", "", 0),
        ("changelog.d/first-view.news.md", "Views run.\n", 1),
        ("changelog.d/First View.fix.md", "Views run.\n", 1),
        ("changelog.d/first-view.md", "Views run.\n", 1),
        ("changelog.d/first-view.fix.txt", "Views run.\n", 1),
        ("changelog.d/empty.fix.md", " \n", 1),
    ];
    for (path, text, expected) in cases {
        assert_eq!(
            fragments(&Tree::of(&[(path, text)])).len(),
            expected,
            "{path}"
        );
    }
}

#[test]
fn decisions_are_numbered_and_complete() {
    let text = "# x\n\n## Context\n\na\n\n## Decision\n\nb\n\n## Consequences\n\nc\n";
    let (one, two) = ("docs/adr/0001-a.md", "docs/adr/0002-b.md");
    assert_eq!(decisions(&Tree::of(&[(one, text), (two, text)])), []);
    assert_eq!(decisions(&Tree::of(&[(two, text)])).len(), 1);
    assert_eq!(
        decisions(&Tree::of(&[(one, text), ("docs/adr/0001-b.md", text)])).len(),
        1
    );
    assert_eq!(
        decisions(&Tree::of(&[(one, "# x\n\n## Context\n")])).len(),
        2
    );
}
