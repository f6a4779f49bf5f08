//! `INSERT … ON CONFLICT`: the rows that are new, and what becomes of those whose key is there.

use std::fmt::Write as _;

use datafusion::sql::sqlparser::ast::{
    ConflictTarget, Expr, Ident, Insert, OnConflict, OnConflictAction, OnInsert, SetExpr, Statement,
};

use super::{Target, assignments, fields, parsed};
use crate::error::EngineError;
use crate::query::names::folded;
use crate::show::type_name;

/// The query for the rows that `insert` writes.
///
/// # Errors
/// `RT0502` for clauses that are known and refused, `RT0202` for an unknown column.
pub(super) fn merged(insert: &Insert, target: &Target) -> Result<Statement, EngineError> {
    let Some(OnInsert::OnConflict(conflict)) = &insert.on else {
        return Err(EngineError::unsupported("INSERT … ON DUPLICATE KEY")
            .hint("Write ON CONFLICT (key) DO UPDATE SET …."));
    };
    check_key(conflict, target)?;
    let name = match &insert.table_alias {
        Some(alias) => quoted(&alias.alias),
        None => insert.table.to_string(),
    };
    let relation = match &insert.table_alias {
        Some(_) => format!("{} AS {name}", insert.table),
        None => name.clone(),
    };
    let columns = columns(insert, target)?;
    let source = source(insert, target, &columns)?;
    let names: Vec<String> = columns.iter().map(|at| column(target, *at)).collect();
    let keys = target.key.iter().map(|key| column(target, *key));
    let keys: Vec<String> = keys.collect();
    let pairs = keys
        .iter()
        .map(|key| format!("{name}.{key} = excluded.{key}"));
    let pairs: Vec<String> = pairs.collect();
    let there = keys.first().map(|key| format!("{name}.{key} IS NOT NULL"));
    let there = there.unwrap_or_default();
    let mut text = String::from("SELECT ");
    let given = |at: usize| match columns.contains(&at) {
        true => format!("excluded.{}", column(target, at)),
        false => "NULL".to_owned(),
    };
    let mut items = Vec::with_capacity(target.schema.fields().len());
    let condition = match &conflict.action {
        OnConflictAction::DoNothing => {
            let on = keys.iter().map(|key| format!("excluded.{key}"));
            let _ = write!(text, "DISTINCT ON ({}) ", on.collect::<Vec<_>>().join(", "));
            items.extend((0..target.schema.fields().len()).map(given));
            format!("NOT ({there})")
        }
        OnConflictAction::DoUpdate(update) => {
            let assigned = assignments(&update.assignments, target)?;
            for (at, value) in assigned.iter().enumerate() {
                let kept = format!("{name}.{}", column(target, at));
                let replaced = value.as_ref().map_or(kept, Expr::to_string);
                items.push(format!(
                    "CASE WHEN {there} THEN {replaced} ELSE {} END",
                    given(at)
                ));
            }
            match &update.selection {
                Some(selection) => format!("NOT ({there}) OR ({selection})"),
                None => "true".to_owned(),
            }
        }
    };
    for (at, item) in items.iter_mut().enumerate() {
        let _ = write!(item, " AS \"set {at}\"");
    }
    let _ = write!(
        text,
        "{} FROM ({source}) AS excluded ({}) LEFT JOIN {relation} ON {} WHERE {condition}",
        items.join(", "),
        names.join(", "),
        pairs.join(" AND "),
    );
    parsed(&text)
}

/// The columns named after `ON CONFLICT` must be the key: nothing else is unique.
fn check_key(conflict: &OnConflict, target: &Target) -> Result<(), EngineError> {
    let named = match &conflict.conflict_target {
        None if conflict.action == OnConflictAction::DoNothing => return Ok(()),
        None => {
            let message = "ON CONFLICT DO UPDATE requires the columns of the key";
            return Err(EngineError::invalid("RT0502", message)
                .sqlstate("42601")
                .hint("Write ON CONFLICT (key) DO UPDATE SET …."));
        }
        Some(ConflictTarget::OnConstraint(_)) => {
            return Err(EngineError::unsupported("ON CONFLICT ON CONSTRAINT")
                .hint("Name the columns of the key: ON CONFLICT (key)."));
        }
        Some(ConflictTarget::Columns(columns)) => columns,
    };
    let mut named = named
        .iter()
        .map(|name| place(name, target))
        .collect::<Result<Vec<_>, _>>()?;
    let mut key = target.key.clone();
    named.sort_unstable();
    key.sort_unstable();
    if named == key {
        return Ok(());
    }
    let message = "there is no unique constraint matching the ON CONFLICT specification";
    Err(EngineError::invalid("RT0502", message)
        .sqlstate("42P10")
        .hint("Name the columns of the PRIMARY KEY, and no others."))
}

/// The columns that get a value, in order.
fn columns(insert: &Insert, target: &Target) -> Result<Vec<usize>, EngineError> {
    if insert.columns.is_empty() {
        return Ok((0..target.schema.fields().len()).collect());
    }
    let names = insert.columns.iter().map(|name| {
        let last = name.0.last().and_then(|part| part.as_ident());
        place(last.unwrap_or(&Ident::new("")), target)
    });
    names.collect()
}

fn place(name: &Ident, target: &Target) -> Result<usize, EngineError> {
    let wanted = folded(name);
    fields(target)
        .position(|field| field == wanted)
        .ok_or_else(|| {
            let message = format!("column \"{wanted}\" of relation does not exist");
            EngineError::invalid("RT0202", message).sqlstate("42703")
        })
}

fn column(target: &Target, at: usize) -> String {
    quoted(&Ident::new(target.schema.field(at).name()))
}

fn quoted(name: &Ident) -> String {
    match name.quote_style {
        Some(_) => name.to_string(),
        None => Ident::with_quote('"', &name.value).to_string(),
    }
}

/// The rows that are given; values in the types of their columns, parameters included.
fn source(insert: &Insert, target: &Target, columns: &[usize]) -> Result<String, EngineError> {
    let Some(source) = &insert.source else {
        return Err(EngineError::unsupported(
            "INSERT … DEFAULT VALUES with ON CONFLICT",
        ));
    };
    let SetExpr::Values(values) = source.body.as_ref() else {
        return Ok(source.to_string());
    };
    let mut rows = Vec::with_capacity(values.rows.len());
    for row in &values.rows {
        if row.len() != columns.len() {
            let message = format!(
                "INSERT has {} columns and {} values",
                columns.len(),
                row.len()
            );
            return Err(EngineError::invalid("RT0209", message).sqlstate("42601"));
        }
        let items = row.iter().zip(columns).map(|(value, at)| {
            let wanted = type_name(target.schema.field(*at).data_type());
            format!("CAST({value} AS {wanted})")
        });
        rows.push(format!("({})", items.collect::<Vec<_>>().join(", ")));
    }
    Ok(format!("VALUES {}", rows.join(", ")))
}
