//! The gate: every house rule holds on this very workspace.

use std::path::Path;

use rtsap_xtask::tidy;
use rtsap_xtask::tree::Tree;

#[test]
fn the_workspace_is_tidy() {
    let tree = Tree::read(&Path::new(env!("CARGO_MANIFEST_DIR")).join("..")).unwrap();
    assert!(
        tree.crates.len() >= 13 && tree.files.len() > 50,
        "the tree was not read"
    );
    let findings = tidy::run(&tree);
    let listing: Vec<String> = findings.iter().map(ToString::to_string).collect();
    assert!(
        findings.is_empty(),
        "{} findings:\n{}",
        findings.len(),
        listing.join("\n")
    );
}
