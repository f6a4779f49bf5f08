//! The tree of this very workspace is read as it stands.

use super::*;

impl Tree {
    /// A tree of the given paths and texts and no crate: what the tests of all rules start from.
    pub(crate) fn of(files: &[(&str, &str)]) -> Self {
        let files = files
            .iter()
            .map(|(path, text)| SourceFile {
                path: (*path).to_owned(),
                text: (*text).to_owned(),
            })
            .collect();
        Self {
            files,
            crates: Vec::new(),
        }
    }
}

#[test]
fn this_workspace_is_read_with_its_files_and_arrows() {
    let tree = Tree::read(&Path::new(env!("CARGO_MANIFEST_DIR")).join("..")).unwrap();
    assert!(tree.file("xtask/src/tree.rs").is_some());
    assert!(
        tree.files
            .iter()
            .all(|file| !file.path.starts_with("target/"))
    );
    let xtask = tree
        .crates
        .iter()
        .find(|member| member.folder == "xtask")
        .unwrap();
    assert_eq!(xtask.name, "rtsap-xtask");
    assert!(
        xtask
            .dependencies
            .iter()
            .any(|dependency| dependency.name == "cargo_metadata")
    );
}

#[test]
fn a_folder_that_is_no_clone_is_refused() {
    let error = Tree::read(Path::new("/")).unwrap_err();
    assert!(
        error.to_string().starts_with("cannot list the files of /"),
        "{error}"
    );
}

#[test]
fn test_paths_are_told_from_product_paths() {
    for path in [
        "stream/src/change/tests.rs",
        "xtask/tests/tidy.rs",
        "runtime/tests/operator/x.rs",
    ] {
        assert!(is_test_path(path), "{path}");
    }
    for path in [
        "stream/src/change.rs",
        "sqllogictest/src/main.rs",
        "x/src/tests_of.rs",
    ] {
        assert!(!is_test_path(path), "{path}");
    }
}
