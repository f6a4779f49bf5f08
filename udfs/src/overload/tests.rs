//! Tests of names that an aggregate and an accessor share: calls as they are marked.

use std::collections::BTreeSet;

use datafusion::execution::SessionStateDefaults;

use super::{PART, SHARED, is_shared};
use crate::registry::FunctionRegistry;
use crate::trial::{refusal_text, rows, run, session};

/// A query with each of `name(` … `)` marked as whoever plans text marks it.
fn marked(call: &str) -> String {
    format!("{call}['{PART}']")
}

#[test]
fn the_type_of_the_argument_decides() {
    let parts = ["sum", "stddev", "variance", "skewness", "kurtosis", "avg"];
    for name in parts {
        let field = if name == "avg" { "average" } else { name };
        let name = if name == "variance" { "var_samp" } else { name };
        let sql = format!(
            "SELECT {} = s['{field}'] FROM (SELECT stats_agg(price) AS s FROM trades)",
            marked(&format!("{name}(s)"))
        );
        assert_eq!(rows(&sql), ["true"], "{sql}");
        let call = format!("{name}(price)");
        let sql = format!("SELECT {} = {call} FROM trades", marked(&call));
        assert_eq!(rows(&sql), ["true"], "{sql}");
    }
}

#[test]
fn deviations_of_all_rows_and_of_a_sample() {
    let stats = "(SELECT stats_agg(x) AS s, stats_agg(x, y) AS l, stddev_pop(x) AS d, var_pop(x) \
                 AS v, covar_pop(x, y) AS c FROM (VALUES (1.0, 2.0), (4.0, 3.0), (9.0, 10.0)) AS \
                 t(x, y))";
    let sql = format!(
        "SELECT round({}, 9) = round(d, 9), round({}, 9) = round(v, 9), round({}, 9) = round(d, 9), \
         round(variance_y(l, 'population'), 9) = round(v, 9), round(covariance(l, 'pop'), 9) = \
         round(c, 9), {} = s['variance'], covariance(l, 'samp') = covariance(l) FROM {stats}",
        marked("stddev_pop(s)"),
        marked("var_pop(s)"),
        marked("stddev(s, 'Population')"),
        marked("var_samp(s, 'sample')")
    );
    assert_eq!(rows(&sql), ["true true true true true true true"]);
    // One row deviates from itself by nothing, and says nothing about others.
    let one = format!(
        "SELECT {}, {} IS NULL FROM (SELECT stats_agg(x) AS s FROM (VALUES (3.0)) AS t(x))",
        marked("stddev_pop(s)"),
        marked("stddev(s)")
    );
    assert_eq!(rows(&one), ["0.0 true"]);
    let none = format!(
        "SELECT {} IS NULL FROM (SELECT stats_agg(price) AS s FROM trades WHERE price < 0)",
        marked("stddev_pop(s)")
    );
    assert_eq!(rows(&none), ["true"]);
}

#[test]
fn the_column_is_called_as_written() {
    let sql = format!(
        "SELECT {} FROM (SELECT stats_agg(price) AS s FROM trades)",
        marked("stddev_samp(s)")
    );
    let batches = run(&session(), &sql).unwrap();
    assert_eq!(batches[0].schema().field(0).name(), "stddev_samp(s)");
}

#[test]
fn an_aggregate_of_a_summary_is_its_part_without_a_mark() {
    let sql = "SELECT skewness(stats_agg(price)) = stats_agg(price)['skewness'], \
               avg(time_weight('LOCF', ts, price)) = average(time_weight('LOCF', ts, price)), \
               sum(tdigest(10, price)) = sum(price) FROM trades";
    assert_eq!(rows(sql), ["true true true"]);
}

#[test]
fn refusals() {
    let of = |call: &str| {
        let sql = format!(
            "SELECT {} FROM (SELECT stats_agg(price, size) AS s FROM trades)",
            marked(call)
        );
        refusal_text(&sql)
    };
    let message = of("stddev(s)");
    assert!(message.starts_with("cannot use Struct"), "{message}");
    assert!(
        message.ends_with(
            "as argument statistics of stddev, expected the result of stats_agg, of time_weight \
             or a sketch that has this part"
        ),
        "{message}"
    );
    let message = refusal_text(
        "SELECT variance_y(s, 'some') FROM (SELECT stats_agg(price, size) AS s FROM trades)",
    );
    assert_eq!(
        message,
        "cannot use some as argument method of variance_y, expected 'sample' or 'population'"
    );
    let message = of("corr(s, 'sample')");
    assert_eq!(
        message,
        "cannot call corr with 2 arguments, expected corr(statistics)"
    );
}

#[test]
fn every_shared_name_is_an_aggregates() {
    let ours = FunctionRegistry::with_builtins();
    let mut names = BTreeSet::new();
    let defaults = SessionStateDefaults::default_aggregate_functions();
    for function in defaults.iter().chain(&ours.aggregates) {
        names.insert(function.name().to_owned());
        names.extend(function.aliases().iter().cloned());
    }
    for (name, _) in SHARED {
        // The planner renames `variance` first.
        assert!(name == "variance" || names.contains(name), "{name}");
        assert!(is_shared(name));
    }
    assert!(!is_shared("count"));
}
