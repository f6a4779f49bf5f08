//! Names of result columns as PostgreSQL gives them: `count`, `?column?`, not the text of the
//! expression.

use std::sync::Arc;

use arrow::datatypes::{Field, Schema, SchemaRef};
use datafusion::sql::sqlparser::ast::{
    Expr, Ident, Query, SelectItem, SelectItemQualifiedWildcardKind, SetExpr, Statement,
};

/// The names of the result columns of `statement`, or `None` where they cannot be told from the
/// text alone.
pub(crate) fn names(statement: &Statement) -> Option<Vec<String>> {
    match statement {
        Statement::Query(query) => of_query(query),
        _ => None,
    }
}

fn of_query(query: &Query) -> Option<Vec<String>> {
    let mut body = query.body.as_ref();
    loop {
        body = match body {
            SetExpr::Select(select) => {
                return select.projection.iter().map(of_item).collect();
            }
            SetExpr::Query(query) => return of_query(query),
            // A set operation has the names of its first branch.
            SetExpr::SetOperation { left, .. } => left,
            _ => return None,
        };
    }
}

fn of_item(item: &SelectItem) -> Option<String> {
    match item {
        SelectItem::UnnamedExpr(expr) => {
            Some(of_expr(expr).unwrap_or_else(|| "?column?".to_owned()))
        }
        SelectItem::ExprWithAlias { alias, .. } => Some(folded(alias)),
        SelectItem::QualifiedWildcard(SelectItemQualifiedWildcardKind::ObjectName(_), _) => None,
        _ => None,
    }
}

/// The name PostgreSQL derives from an expression (`FigureColname`); `None` for `?column?`.
pub(super) fn of_expr(expr: &Expr) -> Option<String> {
    match expr {
        Expr::Identifier(ident) => Some(folded(ident)),
        Expr::CompoundIdentifier(parts) => parts.last().map(folded),
        Expr::Function(function) => function.name.0.last()?.as_ident().map(folded),
        Expr::Cast {
            expr, data_type, ..
        } => of_expr(expr).or_else(|| cast_name(&data_type.to_string())),
        Expr::Nested(inner) | Expr::Collate { expr: inner, .. } => of_expr(inner),
        Expr::Case { else_result, .. } => {
            let from_else = else_result.as_deref().and_then(of_expr);
            Some(from_else.unwrap_or_else(|| "case".to_owned()))
        }
        Expr::Exists { .. } => Some("exists".to_owned()),
        Expr::Extract { .. } => Some("extract".to_owned()),
        Expr::Substring { .. } => Some("substring".to_owned()),
        Expr::Position { .. } => Some("position".to_owned()),
        Expr::Trim { .. } => Some("btrim".to_owned()),
        Expr::Ceil { .. } => Some("ceil".to_owned()),
        Expr::Floor { .. } => Some("floor".to_owned()),
        Expr::Array(_) => Some("array".to_owned()),
        Expr::Subquery(query) => of_query(query)?.into_iter().next(),
        _ => None,
    }
}

/// The internal name of a type, which PostgreSQL uses.
fn cast_name(sql_type: &str) -> Option<String> {
    let lower = sql_type.to_lowercase();
    let bare = lower
        .split('(')
        .next()
        .unwrap_or_default()
        .trim()
        .rsplit('.')
        .next()?;
    Some(match bare {
        "int" | "integer" => "int4".to_owned(),
        "bigint" => "int8".to_owned(),
        "smallint" => "int2".to_owned(),
        "double precision" | "double" => "float8".to_owned(),
        "real" => "float4".to_owned(),
        "boolean" => "bool".to_owned(),
        "character varying" => "varchar".to_owned(),
        "decimal" => "numeric".to_owned(),
        "timestamp with time zone" => "timestamptz".to_owned(),
        other => other.to_owned(),
    })
}

pub(crate) fn folded(ident: &Ident) -> String {
    match ident.quote_style {
        Some(_) => ident.value.clone(),
        None => ident.value.to_ascii_lowercase(),
    }
}

/// `schema` with its fields called `names`; as it is if their numbers differ.
pub(crate) fn renamed(schema: &SchemaRef, names: Option<&[String]>) -> SchemaRef {
    let Some(names) = names.filter(|names| names.len() == schema.fields().len()) else {
        return Arc::clone(schema);
    };
    if schema
        .fields()
        .iter()
        .zip(names)
        .all(|(field, name)| field.name() == name)
    {
        return Arc::clone(schema);
    }
    let rename = |(field, name): (&Arc<Field>, &String)| field.as_ref().clone().with_name(name);
    let fields: Vec<Field> = schema.fields().iter().zip(names).map(rename).collect();
    Arc::new(Schema::new_with_metadata(fields, schema.metadata().clone()))
}
