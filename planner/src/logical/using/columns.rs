//! The names of the columns of a relation in FROM, as far as they can be known without planning it.

use std::collections::HashMap;

use datafusion::sql::sqlparser::ast::{
    Ident, ObjectName, Query, Select, SelectItem, SetExpr, TableFactor,
};
use rtsap_catalog::snapshot::CatalogSnapshot;

use crate::logical::spelling::{column_of, folded};

/// How deep queries are looked through.
const DEPTH_MAX: usize = 32;

/// Where relations are found.
pub(super) struct Columns<'a> {
    pub(super) catalog: &'a CatalogSnapshot,
    /// The queries of `WITH`.
    pub(super) named: HashMap<String, Query>,
}

impl Columns<'_> {
    /// The columns of a relation; `None` if they are not known.
    pub(super) fn of_factor(&self, factor: &TableFactor, depth: usize) -> Option<Vec<String>> {
        if depth > DEPTH_MAX {
            return None;
        }
        let (columns, alias) = match factor {
            TableFactor::Table {
                name,
                args: None,
                alias,
                ..
            } => (self.of_table(name, depth), alias),
            TableFactor::Derived {
                subquery, alias, ..
            } => (self.of_query(subquery, depth + 1), alias),
            _ => return None,
        };
        let renamed = alias.as_ref().map_or(&[][..], |alias| &alias.columns);
        let mut columns = columns?;
        for (column, new) in columns.iter_mut().zip(renamed) {
            *column = folded(&new.name);
        }
        Some(columns)
    }

    fn of_table(&self, name: &ObjectName, depth: usize) -> Option<Vec<String>> {
        let last = folded(name.0.last()?.as_ident()?);
        if let Some(query) = self.named.get(&last).filter(|_| name.0.len() == 1) {
            return self.of_query(query, depth + 1);
        }
        let relation = self.catalog.resolve(&last)?.relation.as_ref()?;
        let fields = relation.schema.fields().iter();
        Some(fields.map(|field| field.name().clone()).collect())
    }

    fn of_query(&self, query: &Query, depth: usize) -> Option<Vec<String>> {
        self.of_body(&query.body, depth)
    }

    fn of_body(&self, body: &SetExpr, depth: usize) -> Option<Vec<String>> {
        match body {
            SetExpr::Select(select) => self.of_select(select, depth),
            SetExpr::Query(query) => self.of_query(query, depth),
            SetExpr::SetOperation { left, .. } => self.of_body(left, depth),
            SetExpr::Values(values) => {
                let count = values.rows.first()?.len();
                Some(
                    (1..=count)
                        .map(|column| format!("column{column}"))
                        .collect(),
                )
            }
            _ => None,
        }
    }

    fn of_select(&self, select: &Select, depth: usize) -> Option<Vec<String>> {
        let mut names = Vec::with_capacity(select.projection.len());
        for item in &select.projection {
            match item {
                SelectItem::ExprWithAlias { alias, .. } => names.push(folded(alias)),
                SelectItem::UnnamedExpr(expr) => names.push(column_of(expr)?),
                SelectItem::Wildcard(_) => {
                    let [from] = select.from.as_slice() else {
                        return None;
                    };
                    if !from.joins.is_empty() {
                        return None;
                    }
                    names.extend(self.of_factor(&from.relation, depth + 1)?);
                }
                _ => return None,
            }
        }
        Some(names)
    }
}

/// The name that columns of a relation are qualified by.
pub(super) fn name_of(factor: &TableFactor) -> Option<ObjectName> {
    let alias = match factor {
        TableFactor::Table { name, alias, .. } => {
            if alias.is_none() {
                return Some(name.clone());
            }
            alias
        }
        TableFactor::Derived { alias, .. }
        | TableFactor::TableFunction { alias, .. }
        | TableFactor::Function { alias, .. }
        | TableFactor::UNNEST { alias, .. }
        | TableFactor::NestedJoin { alias, .. } => alias,
        _ => return None,
    };
    let alias: &Ident = &alias.as_ref()?.name;
    Some(ObjectName::from(vec![alias.clone()]))
}
