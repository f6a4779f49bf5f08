//! Functions in SQL: bodies, types, what is refused, and what becomes of a call.

use expect_test::{Expect, expect};
use rtsap_catalog::name::ObjectName;
use rtsap_catalog::object::{ObjectDef, ObjectKind};
use rtsap_catalog::snapshot::{CatalogChange, CatalogSnapshot};

use super::bind_function;
use crate::functions::Functions;
use crate::parse;
use crate::statement::StatementKind;

/// The catalog with the function of a statement, or why there is none.
fn with(catalog: &CatalogSnapshot, sql: &str) -> Result<CatalogSnapshot, String> {
    let shown = |error: crate::PlanError| {
        let position = error.position().map_or(0, |position| position as usize);
        format!("{error} at {position}")
    };
    let parsed = parse(sql).map_err(shown)?;
    let [statement] = parsed.as_slice() else {
        return Err("not one statement".to_owned());
    };
    let StatementKind::CreateFunction(create) = &statement.kind else {
        return Err("not a function".to_owned());
    };
    let bound = bind_function(create, catalog, &Functions::default()).map_err(shown)?;
    let def = ObjectDef {
        id: catalog.next_id(),
        name: ObjectName::from_folded(&create.name.name).unwrap(),
        sql: sql.to_owned(),
        depends_on: bound.depends_on,
        kind: ObjectKind::Function(bound.def),
        comment: None,
    };
    catalog
        .apply(&CatalogChange::Create(def))
        .map_err(|error| error.to_string())
}

fn check(sql: &str, expected: Expect) {
    let made = with(&CatalogSnapshot::default(), sql);
    let shown = made.map(|catalog| {
        let objects = catalog.objects();
        let shown = objects.map(|object| match &object.def.kind {
            ObjectKind::Function(def) => {
                format!("{} = {}", def.signature(&object.def.name), def.body)
            }
            _ => String::new(),
        });
        shown.collect::<String>()
    });
    expected.assert_eq(&shown.unwrap_or_else(|error| error));
}

#[test]
fn bodies_are_read_in_every_spelling() {
    check(
        "CREATE FUNCTION mid2(a DOUBLE PRECISION, b DOUBLE PRECISION) RETURNS DOUBLE PRECISION \
         LANGUAGE SQL IMMUTABLE AS 'SELECT (a + b) / 2'",
        expect![
            "mid2(a double precision, b double precision) -> double precision = SELECT (a + b) / 2"
        ],
    );
    check(
        "CREATE OR REPLACE FUNCTION twice(integer) RETURNS bigint AS $$ SELECT $1 * 2; $$ LANGUAGE \
         sql",
        expect!["twice(integer) -> bigint =  SELECT $1 * 2; "],
    );
    check(
        "CREATE FUNCTION half(x NUMERIC(10,2)) RETURNS NUMERIC(10,2) RETURN x / 2",
        expect!["half(x numeric(10,2)) -> numeric(10,2) = x / 2"],
    );
}

#[test]
fn refusals_point_at_the_place() {
    check(
        "CREATE FUNCTION f(a INT) RETURNS INT LANGUAGE SQL AS 'SELECT b'",
        expect![[r#"column "b" does not exist at 62"#]],
    );
    check(
        "CREATE FUNCTION f(a INT, a INT) RETURNS INT LANGUAGE SQL AS 'SELECT a'",
        expect![[r#"parameter name "a" used more than once at 26"#]],
    );
    check(
        "CREATE FUNCTION f(a INT) RETURNS INT LANGUAGE plpgsql AS 'BEGIN'",
        expect!["LANGUAGE plpgsql is not supported in this version at 47"],
    );
    check(
        "CREATE FUNCTION f(a INT) RETURNS INT LANGUAGE SQL AS 'SELECT sum(a)'",
        expect!["a function in SQL that aggregates is not supported in this version at 55"],
    );
    check(
        "CREATE FUNCTION f(a INT) RETURNS INT LANGUAGE SQL AS 'SELECT a FROM t'",
        expect![
            "a function whose body is more than one expression is not supported in this version at \
             55"
        ],
    );
    check(
        "CREATE FUNCTION f(a INT) RETURNS INT LANGUAGE SQL AS 'SELECT f(a)'",
        expect![[r#"function "f" does not exist at 62"#]],
    );
    check(
        "CREATE FUNCTION f(a INT) RETURNS INT LANGUAGE SQL",
        expect!["syntax error at end of input at 50"],
    );
}

#[test]
fn a_view_depends_on_the_functions_it_calls_directly_or_not() {
    let catalog = CatalogSnapshot::default();
    let catalog = with(
        &catalog,
        "CREATE FUNCTION one(a DOUBLE PRECISION) RETURNS DOUBLE PRECISION RETURN a + 1",
    )
    .unwrap();
    let catalog = with(
        &catalog,
        "CREATE FUNCTION two(a DOUBLE PRECISION) RETURNS DOUBLE PRECISION RETURN one(one(a))",
    )
    .unwrap();
    let two = catalog.function("two").unwrap();
    let one = catalog.function("one").unwrap();
    assert_eq!(two.def.depends_on, [one.def.id]);
    assert_eq!(catalog.dependents(one.def.id).len(), 1);
    let refused = catalog.apply(&CatalogChange::Drop(vec![one.def.id]));
    assert!(
        refused
            .unwrap_err()
            .to_string()
            .contains("cannot drop function \"one\"")
    );
}
