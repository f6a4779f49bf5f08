//! Tables of our own: columns that writes give, and columns that are computed from them.

use std::sync::Arc;

use datafusion::arrow::datatypes::{Field, FieldRef, Schema};
use rtsap_catalog::object::{ColumnDef, ColumnKind, Relation, TableDef};

use super::computed::ComputedColumns;
use super::{BoundTable, check_names, key_indices, mode, physical_columns, watermark};
use crate::error::PlanError;
use crate::functions::Functions;
use crate::statement::TableBody;

/// Binds a table.
pub(super) fn bind(body: &TableBody, functions: &Functions) -> Result<BoundTable, PlanError> {
    check_names(&body.columns)?;
    let key = key_indices(body)?;
    refuse(body, &key)?;
    let (fields, _) = physical_columns(body, &key)?;
    let given = Arc::new(Schema::new(fields));
    let mut computed = ComputedColumns::new(Arc::clone(&given), functions)?;
    let (mut physical, mut places) = (Vec::new(), Vec::new());
    let mut fields: Vec<FieldRef> = Vec::with_capacity(body.columns.len());
    let mut columns = Vec::with_capacity(body.columns.len());
    for (index, column) in body.columns.iter().enumerate() {
        let sql_type = if let ColumnKind::Computed(text) = &column.kind {
            let bound = computed.add(column, text)?;
            places.push(index);
            // Rows come without it, and get it before they are written.
            fields.push(Arc::new(Field::clone(&bound.field).with_nullable(true)));
            bound.sql_type.to_string()
        } else {
            fields.push(Arc::clone(&given.fields()[physical.len()]));
            physical.push(index);
            column.sql_type.clone().unwrap_or_default()
        };
        columns.push(ColumnDef {
            name: column.name.clone(),
            sql_type,
            nullable: fields.last().is_none_or(|field| field.is_nullable()),
            kind: column.kind.clone(),
            default: column.default.clone(),
        });
    }
    let schema = Arc::new(Schema::new(fields));
    let watermark = watermark(body, &schema)?;
    // Event time goes on only where no row of the past changes.
    let append_only = key.is_empty() && (body.append_only || watermark.is_some());
    let def = TableDef {
        append_only,
        columns,
        watermark: body
            .watermark
            .as_ref()
            .map(|(watermark, _)| watermark.clone()),
        primary_key: body
            .primary_key
            .iter()
            .map(|(name, _)| name.clone())
            .collect(),
    };
    let relation = Relation {
        schema,
        mode: mode(&key, append_only),
        key,
        event_time: watermark.map(|watermark| watermark.column),
    };
    let expressions = computed.finish().into_iter().map(|(_, expr)| expr);
    Ok(BoundTable {
        def,
        relation,
        watermark,
        physical,
        computed: places.into_iter().zip(expressions).collect(),
    })
}

/// What only a source can have.
fn refuse(body: &TableBody, key: &[usize]) -> Result<(), PlanError> {
    for (index, column) in body.columns.iter().enumerate() {
        let (what, hint) = match column.kind {
            ColumnKind::Metadata(_) => (
                "METADATA in a table without a connector",
                "Write the values with INSERT.",
            ),
            ColumnKind::Computed(_) if key.contains(&index) => (
                "a computed column in a table's PRIMARY KEY",
                "Name the columns that it is computed from.",
            ),
            _ => continue,
        };
        let error = PlanError::unsupported(what).at(column.position);
        return Err(error.hint(hint));
    }
    Ok(())
}
