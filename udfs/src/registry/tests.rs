//! Tests of the registry: everything registered is documented, and every example runs.

use std::collections::BTreeSet;

use super::{FunctionKind, FunctionRegistry};
use crate::trial::{run, session};
use crate::window;

#[test]
fn everything_registered_is_documented_once() {
    let registry = FunctionRegistry::with_builtins();
    let mut names = BTreeSet::from([("vwap".to_owned(), FunctionKind::Scalar)]);
    let mut add = |name: &str, aliases: &[String], kind| {
        for name in std::iter::once(name).chain(aliases.iter().map(String::as_str)) {
            assert!(
                names.insert((name.to_owned(), kind)),
                "{name} is registered twice"
            );
        }
    };
    for function in &registry.scalars {
        add(function.name(), function.aliases(), FunctionKind::Scalar);
    }
    for function in &registry.aggregates {
        add(function.name(), function.aliases(), FunctionKind::Aggregate);
    }
    for function in &registry.windows {
        add(function.name(), function.aliases(), FunctionKind::Window);
    }
    let documented: Vec<_> = registry
        .docs
        .iter()
        .map(|doc| (doc.name.to_owned(), doc.kind))
        .collect();
    assert_eq!(documented, names.into_iter().collect::<Vec<_>>());
}

#[test]
fn every_example_runs() {
    let ctx = session();
    let mut seen = BTreeSet::new();
    for doc in &FunctionRegistry::with_builtins().docs {
        if !seen.insert(doc.example) {
            continue;
        }
        let batches = run(&ctx, doc.example);
        let batches = batches.unwrap_or_else(|error| panic!("{}: {error}", doc.example));
        assert!(
            batches.iter().any(|batch| batch.num_rows() > 0),
            "{}",
            doc.example
        );
    }
}

#[test]
fn a_name_finds_its_documentation() {
    let registry = FunctionRegistry::with_builtins();
    let kinds: Vec<_> = registry
        .docs_of("VWAP")
        .map(|doc| doc.kind.as_str())
        .collect();
    assert_eq!(kinds, ["scalar", "aggregate"]);
    assert_eq!(registry.docs_of("no_such_function").count(), 0);
}

#[test]
fn the_reference_is_what_the_code_says() {
    let page = FunctionRegistry::with_builtins().reference();
    expect_test::expect_file!["../../../docs/functions.md"].assert_eq(&page);
}

#[test]
fn datafusion_knows_what_each_function_does() {
    let registry = FunctionRegistry::with_builtins();
    for function in &registry.aggregates {
        assert!(function.documentation().is_some(), "{}", function.name());
    }
    for function in &registry.windows {
        assert!(function.documentation().is_some(), "{}", function.name());
    }
    for function in &registry.scalars {
        assert!(function.documentation().is_some(), "{}", function.name());
    }
}

#[test]
fn aggregates_that_keep_rows_say_so() {
    for name in ["twap", "realized_vol", "value_at_risk", "vpin", "asap"] {
        assert!(super::keeps_rows(name, &[]), "{name}");
    }
    for name in ["vwap", "sharpe_ratio", "candlestick_agg", "volume_profile"] {
        assert!(!super::keeps_rows(name, &[]), "{name}");
    }
}

/// `window::partition` tries those of the tables, `window::position` its own: no function of rows
/// comes from elsewhere.
#[test]
fn every_window_function_is_tried_as_it_runs_along() {
    let tried = window::all().iter().map(|entry| entry.definition.name);
    let positions = ["position_avg", "position_fifo", "position_lifo"];
    let tried: BTreeSet<&str> = tried.chain(positions).collect();
    let registry = FunctionRegistry::with_builtins();
    let registered: BTreeSet<&str> = registry.windows.iter().map(|f| f.name()).collect();
    assert_eq!(registered, tried);
}
