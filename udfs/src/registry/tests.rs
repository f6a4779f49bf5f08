//! Tests of the registry: everything registered is documented, and every example runs.

use std::collections::{BTreeMap, BTreeSet};

use datafusion::arrow::array::RecordBatch;
use datafusion::logical_expr::Signature;

use super::{FunctionKind, FunctionRegistry};
use crate::arguments::argument_names;
use crate::scalar::statistic;
use crate::trial::{lines, rows, run, session};
use crate::window;

#[test]
fn everything_registered_is_documented_once() {
    let registry = FunctionRegistry::with_builtins();
    // Called through the aggregates of their names.
    let shared = statistic::shared().chain(["vwap"]);
    let shared = shared.map(|name| (name.to_owned(), FunctionKind::Scalar));
    let mut names: BTreeSet<_> = shared.collect();
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

/// Returns the arguments of every call of `name` in a query, as written.
fn calls<'a>(name: &str, sql: &'a str) -> Vec<(std::ops::Range<usize>, Vec<&'a str>)> {
    let mut found = Vec::new();
    let opening = format!("{name}(");
    let begins = sql.match_indices(&opening).filter(|(at, _)| {
        let before = sql[..*at].chars().next_back();
        !before.is_some_and(|c| c.is_alphanumeric() || c == '_')
    });
    for (at, text) in begins {
        let start = at + text.len();
        let (mut depth, mut quoted, mut from) = (0, false, start);
        let mut arguments = Vec::new();
        for (place, c) in sql[start..].char_indices() {
            let place = start + place;
            match c {
                '\'' => quoted = !quoted,
                _ if quoted => {}
                '(' | '[' => depth += 1,
                ',' if depth == 0 => {
                    arguments.push(sql[from..place].trim());
                    from = place + 1;
                }
                ')' if depth == 0 => {
                    arguments.push(sql[from..place].trim());
                    found.push((start..place, arguments));
                    break;
                }
                ')' | ']' => depth -= 1,
                _ => {}
            }
        }
    }
    found
}

/// Returns the names of the arguments of every function, aliases included.
fn parameters(registry: &FunctionRegistry) -> BTreeMap<(String, FunctionKind), Vec<String>> {
    let mut known: BTreeMap<(String, FunctionKind), Vec<String>> = BTreeMap::new();
    let mut add = |names: Vec<String>, kind, signature: &Signature| {
        let parameters = signature.parameter_names.clone().unwrap_or_default();
        known.extend(
            names
                .into_iter()
                .map(|name| ((name, kind), parameters.clone())),
        );
    };
    let all = |name: &str, aliases: &[String]| [&[name.to_owned()], aliases].concat();
    for f in &registry.scalars {
        add(
            all(f.name(), f.aliases()),
            FunctionKind::Scalar,
            f.signature(),
        );
    }
    for f in &registry.aggregates {
        add(
            all(f.name(), f.aliases()),
            FunctionKind::Aggregate,
            f.signature(),
        );
    }
    for f in &registry.windows {
        add(
            all(f.name(), f.aliases()),
            FunctionKind::Window,
            f.signature(),
        );
    }
    known
}

#[test]
fn every_documented_argument_may_be_named() {
    let registry = FunctionRegistry::with_builtins();
    let known = parameters(&registry);
    let ctx = session();
    let mut ran = 0;
    // PostgreSQL's functions have the names of PostgreSQL's, which are none for most.
    let ours = registry
        .docs
        .iter()
        .filter(|doc| doc.reference != "PostgreSQL 15");
    for doc in ours {
        let names = argument_names(doc.signature);
        // The accessor `vwap` is called through the aggregate of the name.
        let Some(found) = known.get(&(doc.name.to_owned(), doc.kind)) else {
            continue;
        };
        assert!(found.len() >= names.len(), "{}: {found:?}", doc.signature);
        assert_eq!(found[..names.len()], names, "{}", doc.signature);
        let calls = calls(doc.name, doc.example);
        // Of a function with two forms the names are those of the first.
        let calls = calls.iter().filter(|(_, a)| a.len() <= names.len());
        let Some((place, arguments)) = calls.max_by_key(|(_, a)| a.len()) else {
            continue;
        };
        let named = names
            .iter()
            .zip(arguments)
            .map(|(name, argument)| format!("{name} => {argument}"));
        let named = named.collect::<Vec<_>>().join(", ");
        let mut sql = doc.example.to_owned();
        sql.replace_range(place.clone(), &named);
        let found = run(&ctx, &sql).unwrap_or_else(|error| panic!("{sql}: {error}"));
        let expected = run(&ctx, doc.example).unwrap();
        let sorted = |batches: &[RecordBatch]| {
            let mut lines = lines(batches);
            lines.sort();
            lines
        };
        assert_eq!(sorted(&found), sorted(&expected), "{sql}");
        ran += 1;
    }
    assert!(ran > 400, "only {ran}");
}

#[test]
fn constants_are_named_after_the_arguments_that_are_not() {
    let by_name = "SELECT realized_vol(price, ts, annualization => 252), parkinson_vol(price + 1, \
                   price, annualization => 12), twap(price, ts, start => TIMESTAMP \
                   '2026-03-02 09:30:05', end => TIMESTAMP '2026-03-02 09:32:00'), \
                   amihud(price, size, scale => 1e6) FROM trades";
    let by_place = "SELECT realized_vol(price, ts, 252), parkinson_vol(price + 1, price, 12), \
                    twap(price, ts, TIMESTAMP '2026-03-02 09:30:05', TIMESTAMP \
                    '2026-03-02 09:32:00'), amihud(price, size, 1e6) FROM trades";
    assert_eq!(rows(by_name), rows(by_place));
    let unknown = run(
        &session(),
        "SELECT realized_vol(price, ts, factor => 252) FROM trades",
    );
    let unknown = unknown.unwrap_err().to_string();
    assert!(
        unknown.contains("Unknown parameter name 'factor'"),
        "{unknown}"
    );
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
