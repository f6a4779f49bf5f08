//! Functions that give rows, in FROM and in the list of a SELECT, as the elements of lists:
//! `jsonb_each(doc)` as `UNNEST(jsonb_keys(doc), jsonb_values(doc)) AS jsonb_each (key, value)`.

use datafusion::sql::sqlparser::ast::{
    Expr, Ident, ObjectName, ObjectNamePart, Select, SelectItem, TableFactor,
};

use crate::logical::function_spelling::call;
use crate::logical::spelling::folded;
use crate::logical::walk::outside_subqueries;

/// What the rows of a call are made of.
pub(super) struct Rows {
    /// Lists whose elements are the columns.
    pub(super) lists: Vec<Expr>,
    /// The names of the columns; none if the one column is called as the relation.
    pub(super) columns: &'static [&'static str],
}

/// A function: its name, how many arguments it takes, its lists, its columns.
type Known = (
    &'static str,
    [usize; 2],
    &'static [&'static str],
    &'static [&'static str],
);

const VALUE: &[&str] = &["value"];
const PAIR: &[&str] = &["key", "value"];

const KNOWN: [Known; 14] = [
    ("generate_series", [2, 3], &["series_list"], &[]),
    ("regexp_matches", [2, 3], &["regexp_match_rows"], &[]),
    (
        "regexp_split_to_table",
        [2, 3],
        &["regexp_split_to_array"],
        &[],
    ),
    ("string_to_table", [2, 3], &["string_to_array"], &[]),
    ("json_array_elements", [1, 1], &["json_elements"], VALUE),
    ("jsonb_array_elements", [1, 1], &["jsonb_elements"], VALUE),
    (
        "json_array_elements_text",
        [1, 1],
        &["json_elements_text"],
        VALUE,
    ),
    (
        "jsonb_array_elements_text",
        [1, 1],
        &["jsonb_elements_text"],
        VALUE,
    ),
    ("json_object_keys", [1, 1], &["json_keys"], &[]),
    ("jsonb_object_keys", [1, 1], &["jsonb_keys"], &[]),
    ("json_each", [1, 1], &["json_keys", "json_values"], PAIR),
    ("jsonb_each", [1, 1], &["jsonb_keys", "jsonb_values"], PAIR),
    (
        "json_each_text",
        [1, 1],
        &["json_keys", "json_values_text"],
        PAIR,
    ),
    (
        "jsonb_each_text",
        [1, 1],
        &["jsonb_keys", "jsonb_values_text"],
        PAIR,
    ),
];

fn known(name: &ObjectName) -> Option<&'static Known> {
    let [.., ObjectNamePart::Identifier(name)] = name.0.as_slice() else {
        return None;
    };
    KNOWN
        .iter()
        .find(|(known, ..)| name.value.eq_ignore_ascii_case(known))
}

/// The name of a function that gives rows.
pub(super) fn name_of(name: &ObjectName) -> Option<&'static str> {
    known(name).map(|(name, ..)| *name)
}

/// What a call is made of; `None` for another function.
pub(super) fn rows_of(name: &ObjectName, args: &[Expr]) -> Option<Rows> {
    let (_, [least, most], lists, columns) = *known(name)?;
    if !(least..=most).contains(&args.len()) {
        return None;
    }
    let lists = lists.iter().map(|list| call(list, args.to_vec()));
    Some(Rows {
        lists: lists.collect(),
        columns,
    })
}

/// The name of a relation that stands for its one column, `value`, where it is used as a value:
/// `FROM jsonb_array_elements(doc) AS e` may be read as `e` and as `e.value`.
pub(super) fn spell_whole_rows(select: &mut Select) {
    let mut whole = Vec::new();
    for from in &select.from {
        let joined = from.joins.iter().map(|join| &join.relation);
        for factor in std::iter::once(&from.relation).chain(joined) {
            let (name, alias) = match factor {
                TableFactor::Table {
                    name,
                    args: Some(_),
                    alias,
                    ..
                }
                | TableFactor::Function { name, alias, .. } => (name, alias),
                _ => continue,
            };
            let one = known(name).is_some_and(|(_, _, _, columns)| *columns == VALUE);
            if let (true, Some(alias)) = (one, alias)
                && alias.columns.is_empty()
                && folded(&alias.name) != "value"
            {
                whole.push(alias.name.clone());
            }
        }
    }
    if whole.is_empty() {
        return;
    }
    let is_whole = |name: &Ident| whole.iter().any(|whole| folded(whole) == folded(name));
    for item in &mut select.projection {
        if let SelectItem::UnnamedExpr(Expr::Identifier(name)) = item
            && is_whole(name)
        {
            *item = SelectItem::ExprWithAlias {
                expr: Expr::Identifier(name.clone()),
                alias: name.clone(),
            };
        }
    }
    outside_subqueries(select, |expr| {
        if let Expr::Identifier(name) = expr
            && is_whole(name)
        {
            *expr = Expr::CompoundIdentifier(vec![name.clone(), Ident::new("value")]);
        }
    });
}
