//! Each privacy rule finds what is private and lets public names pass. The private names are put
//! together here so that this file passes the rules itself.

use super::*;

#[test]
fn absolute_paths_of_one_machine_are_found() {
    let cases = [
        ("see {}work/main/x", 1),
        ("\"{}root/.cargo\"", 1),
        ("--dir={}home/me", 1),
        ("https://example.org{}work/x", 0),
        ("target{}work/x", 0),
        ("$HOME{}work/x", 0),
        ("{}var/lib/rtsap", 0),
        ("{}workspace/x", 0),
    ];
    for (pattern, expected) in cases {
        let line = pattern.replace("{}", "/");
        let found = machine_paths(&Tree::of(&[("scripts/a.sh", &line)])).len();
        assert_eq!(found, expected, "{pattern}");
    }
}

#[test]
fn private_mirrors_are_found() {
    let cases = [
        ("https://{}/simple", "pypi.internal", 1),
        ("http://{}:8081/repository", "nexus", 1),
        ("http://u:p@{}/x", "npm-proxy.corp", 1),
        ("http://{}:8080/x", "10.1.2.3", 1),
        ("http://{}:8080/x", "127.0.0.1", 0),
        ("https://{}/x", "registry.npmjs.org", 0),
        ("https://{}/x", "crates.io", 0),
        ("http://{}:8081/subjects", "schema-registry", 0),
        ("http://{}:8090/live", "rtsap", 0),
        ("http://{}:8090/live", "localhost", 0),
    ];
    for (pattern, host, expected) in cases {
        let line = pattern.replace("{}", host);
        let found = registries(&Tree::of(&[("scripts/a.sh", &line)])).len();
        assert_eq!(found, expected, "{line}");
    }
}

#[test]
fn the_lock_file_names_the_public_registry_only() {
    let public = "source = \"registry+https://github.com/rust-lang/crates.io-index\"\n";
    let other = "source = \"registry+https://example.org/index\"\n";
    assert_eq!(registries(&Tree::of(&[("Cargo.lock", public)])).len(), 0);
    assert_eq!(registries(&Tree::of(&[("Cargo.lock", other)])).len(), 1);
}
