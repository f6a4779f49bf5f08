//! Errors of DataFusion in the words of PostgreSQL.

use super::*;

fn check(error: DataFusionError, text: &str, expected: (&str, &str, Option<u32>)) {
    let catalog = CatalogSnapshot::default();
    let found = diagnose(
        error,
        Scene {
            text,
            catalog: &catalog,
        },
    );
    let (sqlstate, message, position) = expected;
    assert_eq!(
        (found.sqlstate_hint, found.message.as_str()),
        (Some(sqlstate), message)
    );
    assert_eq!(found.position, position, "{message}");
}

#[test]
fn planning_errors_read_like_postgresql() {
    let plan = |text: &str| DataFusionError::Plan(text.to_owned());
    check(
        plan("table 'rtsap.public.candls' not found"),
        "SELECT * FROM candls",
        ("42P01", "relation \"candls\" does not exist", Some(15)),
    );
    check(
        plan("Invalid function 'vwapp'.\nDid you mean 'vwap'?"),
        "SELECT 'vwapp', vwapp(1)",
        ("42883", "function vwapp does not exist", Some(17)),
    );
    check(
        DataFusionError::NotImplemented("Window over x.".to_owned()),
        "",
        ("0A000", "not supported: window over x", None),
    );
}

#[test]
fn a_missing_column_names_the_nearest() {
    let field = Box::new(Column::from_name("pirce"));
    let valid_fields = vec![
        Column::new(Some("v"), "price"),
        Column::new(Some("v"), "size"),
    ];
    let error = SchemaError::FieldNotFound {
        field,
        valid_fields,
    };
    let error = DataFusionError::SchemaError(Box::new(error), Box::new(None));
    let catalog = CatalogSnapshot::default();
    let found = diagnose(
        error,
        Scene {
            text: "SELECT pirce FROM v",
            catalog: &catalog,
        },
    );
    assert_eq!(found.message, "column \"pirce\" does not exist");
    let hint = "Perhaps you meant to reference the column \"v.price\".";
    assert_eq!(
        (found.hint.as_deref(), found.position),
        (Some(hint), Some(8))
    );
}

#[test]
fn division_by_zero_is_its_own_error() {
    let error = DataFusionError::ArrowError(Box::new(ArrowError::DivideByZero), None);
    check(error, "", ("22012", "division by zero", None));
}

#[test]
fn locating_skips_strings_and_parts_of_words() {
    assert_eq!(locate("SELECT 'x', ax, x", "x"), Some(17));
    assert_eq!(locate("SELECT ä, x", "x"), Some(11));
    assert_eq!(locate("SELECT y", "x"), None);
}

#[test]
fn what_a_function_refuses_is_no_internal_error() {
    let refusal = FunctionError::OutOfRange {
        function: "rsi",
        argument: "timeperiod",
        value: "1".to_owned(),
        range: "an integer from 2 to 100000".into(),
    };
    let catalog = CatalogSnapshot::default();
    let scene = Scene {
        text: "",
        catalog: &catalog,
    };
    let wrapped = DataFusionError::from(refusal).context("simplify");
    let found = diagnose(wrapped, scene);
    assert_eq!((found.code, found.sqlstate_hint), ("RT0535", Some("22023")));
    let hint = "Choose timeperiod as an integer from 2 to 100000.";
    assert_eq!(found.hint.as_deref(), Some(hint));
}
