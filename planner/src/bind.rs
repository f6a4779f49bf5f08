//! Definitions of sources and tables, checked: types to Arrow, keys, watermarks, computed columns
//! to expressions.
//!
//! Does the same for a statement and for its persisted definition, so that a restart binds what was
//! bound before. Connector options are the connectors' to check.

pub mod computed;
pub mod function;
pub mod plain_view;
mod table;
pub mod view;

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use datafusion::arrow::datatypes::{DataType, Field, FieldRef, Schema};
use datafusion::physical_expr::PhysicalExpr;
use rtsap_catalog::object::{ColumnDef, ColumnKind, Relation, SourceDef, TableDef, WatermarkDef};
use rtsap_stream::change::ChangelogMode;
use rtsap_stream::decode::{ColumnOrigin, DecodeSchema, Metadata};

use crate::bind::computed::ComputedColumns;
use crate::data_type::SqlType;
use crate::error::{Cause, PlanError, nearest};
use crate::functions::Functions;
use crate::statement::{ColumnClause, CreateSource, CreateTable, TableBody};

/// A source, ready to be read.
#[derive(Clone, Debug)]
pub struct BoundSource {
    /// What to persist.
    pub def: SourceDef,
    /// What can be read from it.
    pub relation: Relation,
    /// What a decoder fills: payload fields and metadata.
    pub physical: DecodeSchema,
    /// The columns of [`BoundSource::physical`] that are its primary key.
    pub primary_key: Vec<usize>,
    /// Computed columns: name and expression over all physical columns (never over other computed
    /// ones).
    pub computed: Vec<(String, Arc<dyn PhysicalExpr>)>,
    /// Where each column of the relation comes from.
    pub columns: Vec<BoundColumn>,
    /// Its event time.
    pub watermark: Option<BoundWatermark>,
    /// What the author should know.
    pub notices: Vec<String>,
}

/// Where a column of a source's relation comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BoundColumn {
    /// Field *n* of [`BoundSource::physical`].
    Physical(usize),
    /// Entry *n* of [`BoundSource::computed`].
    Computed(usize),
}

/// The event time of a relation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BoundWatermark {
    /// Index of the timestamp column in the relation.
    pub column: usize,
    /// How far the watermark stays behind the latest row.
    pub delay_nanos: i64,
}

/// A table of our own, ready to be written.
#[derive(Clone, Debug)]
pub struct BoundTable {
    /// What to persist.
    pub def: TableDef,
    /// What can be read from it.
    pub relation: Relation,
    /// Its event time.
    pub watermark: Option<BoundWatermark>,
    /// The columns that a write gives, in order: indices of the relation's.
    pub physical: Vec<usize>,
    /// Computed columns: index in the relation, and expression over the physical columns.
    pub computed: Vec<(usize, Arc<dyn PhysicalExpr>)>,
}

/// Binds a statement.
///
/// # Errors
/// Wrong types, names, metadata, expressions, keys or watermarks, with positions in the statement's
/// text.
pub fn bind_source(
    statement: &CreateSource,
    functions: &Functions,
) -> Result<BoundSource, PlanError> {
    let options = statement
        .options
        .iter()
        .map(|(key, option)| (key.clone(), option.value.clone()));
    bind(&statement.body, options.collect(), functions)
}

/// Binds a persisted definition.
///
/// # Errors
/// As [`bind_source`]; only if the definition was made by another version.
pub fn bind_source_def(def: &SourceDef, functions: &Functions) -> Result<BoundSource, PlanError> {
    let body = body_of(&def.columns, def.watermark.as_ref(), &def.primary_key, true);
    bind(&body, def.options.clone(), functions)
}

/// Binds a statement.
///
/// # Errors
/// As [`bind_source`]; a table has no metadata.
pub fn bind_table(statement: &CreateTable, functions: &Functions) -> Result<BoundTable, PlanError> {
    table::bind(&statement.body, functions)
}

/// Binds a persisted definition.
///
/// # Errors
/// As [`bind_table`]; only if the definition was made by another version.
pub fn bind_table_def(def: &TableDef, functions: &Functions) -> Result<BoundTable, PlanError> {
    let body = body_of(
        &def.columns,
        def.watermark.as_ref(),
        &def.primary_key,
        def.append_only,
    );
    table::bind(&body, functions)
}

/// A persisted definition in the form of a statement, without positions.
fn body_of(
    columns: &[ColumnDef],
    watermark: Option<&WatermarkDef>,
    primary_key: &[String],
    append_only: bool,
) -> TableBody {
    let columns = columns.iter().map(|column| ColumnClause {
        name: column.name.clone(),
        sql_type: match column.kind {
            ColumnKind::Computed(_) => None,
            _ => Some(column.sql_type.clone()),
        },
        nullable: column.nullable,
        kind: column.kind.clone(),
        default: column.default.clone(),
        position: 1,
        expression_offset: 0,
    });
    TableBody {
        columns: columns.collect(),
        watermark: watermark.map(|watermark| (watermark.clone(), 1)),
        primary_key: primary_key.iter().map(|name| (name.clone(), 1)).collect(),
        append_only,
    }
}

fn bind(
    body: &TableBody,
    options: BTreeMap<String, String>,
    functions: &Functions,
) -> Result<BoundSource, PlanError> {
    check_names(&body.columns)?;
    let key = key_indices(body)?;
    let (fields, origins) = physical_columns(body, &key)?;
    let schema = Arc::new(Schema::new(fields));
    let mut computed = ComputedColumns::new(Arc::clone(&schema), functions)?;
    let mut columns = Vec::with_capacity(body.columns.len());
    let mut fields: Vec<FieldRef> = Vec::with_capacity(body.columns.len());
    let mut defs = Vec::with_capacity(body.columns.len());
    let mut physical_index = 0;
    for column in &body.columns {
        let sql_type = if let ColumnKind::Computed(text) = &column.kind {
            let bound = computed.add(column, text)?;
            columns.push(BoundColumn::Computed(bound.index));
            fields.push(bound.field);
            bound.sql_type.to_string()
        } else {
            columns.push(BoundColumn::Physical(physical_index));
            fields.push(Arc::clone(&schema.fields()[physical_index]));
            physical_index += 1;
            column.sql_type.clone().unwrap_or_default()
        };
        let nullable = fields.last().is_none_or(|field| field.is_nullable());
        refuse_default(column)?;
        defs.push(ColumnDef {
            name: column.name.clone(),
            sql_type,
            nullable,
            kind: column.kind.clone(),
            default: None,
        });
    }
    let relation_schema = Arc::new(Schema::new(fields));
    let watermark = watermark(body, &relation_schema)?;
    let primary_key = physical_key(body, &key, &columns)?;
    Ok(BoundSource {
        def: SourceDef {
            columns: defs,
            watermark: body
                .watermark
                .as_ref()
                .map(|(watermark, _)| watermark.clone()),
            primary_key: body
                .primary_key
                .iter()
                .map(|(name, _)| name.clone())
                .collect(),
            options,
        },
        relation: Relation {
            schema: relation_schema,
            mode: mode(&key, true),
            key,
            event_time: watermark.map(|watermark| watermark.column),
        },
        primary_key,
        physical: DecodeSchema {
            schema,
            origins: origins.into(),
        },
        computed: computed.finish(),
        columns,
        watermark,
        notices: Vec::new(),
    })
}

/// A source's rows are given by others, all of each.
fn refuse_default(column: &ColumnClause) -> Result<(), PlanError> {
    if column.default.is_none() {
        return Ok(());
    }
    let error = PlanError::unsupported("DEFAULT of a column of a source");
    let hint = "Write coalesce(…) in the view, or a computed column.";
    Err(error.at(column.position).hint(hint))
}

/// With a primary key rows replace others.
fn mode(key: &[usize], append_only: bool) -> ChangelogMode {
    match (key.is_empty(), append_only) {
        (true, true) => ChangelogMode::Append,
        (true, false) => ChangelogMode::Retract,
        (false, _) => ChangelogMode::Upsert,
    }
}

/// The physical columns of a primary key.
fn physical_key(
    body: &TableBody,
    key: &[usize],
    columns: &[BoundColumn],
) -> Result<Vec<usize>, PlanError> {
    let physical = key
        .iter()
        .zip(&body.primary_key)
        .map(|(index, (_, position))| match columns.get(*index) {
            Some(BoundColumn::Physical(place)) => Ok(*place),
            _ => {
                let error = PlanError::unsupported("a computed column in a source's PRIMARY KEY");
                Err(error
                    .at(*position)
                    .hint("Name the columns that it is computed from."))
            }
        });
    physical.collect()
}

fn check_names(columns: &[ColumnClause]) -> Result<(), PlanError> {
    let mut seen = HashSet::new();
    for column in columns {
        if !seen.insert(&column.name) {
            let name = column.name.clone();
            return Err(PlanError::new(Cause::DuplicateColumn { name }).at(column.position));
        }
    }
    if columns
        .iter()
        .all(|column| matches!(column.kind, ColumnKind::Computed(_)))
    {
        return Err(PlanError::declaration(
            "there is no column that is read from outside",
        ));
    }
    Ok(())
}

fn index_of(body: &TableBody, name: &str, position: u32) -> Result<usize, PlanError> {
    let names = || body.columns.iter().map(|column| column.name.as_str());
    names().position(|column| column == name).ok_or_else(|| {
        let error = PlanError::new(Cause::UnknownColumn {
            name: name.to_owned(),
        })
        .at(position);
        error.maybe_hint(nearest(name, names()))
    })
}

fn key_indices(body: &TableBody) -> Result<Vec<usize>, PlanError> {
    let mut key = Vec::with_capacity(body.primary_key.len());
    for (name, position) in &body.primary_key {
        let index = index_of(body, name, *position)?;
        if key.contains(&index) {
            let name = name.clone();
            return Err(PlanError::new(Cause::DuplicateColumn { name }).at(*position));
        }
        key.push(index);
    }
    Ok(key)
}

/// Fields and origins of the columns that are not computed. A key column is never null.
fn physical_columns(
    body: &TableBody,
    key: &[usize],
) -> Result<(Vec<Field>, Vec<ColumnOrigin>), PlanError> {
    let mut fields = Vec::new();
    let mut origins = Vec::new();
    for (index, column) in body.columns.iter().enumerate() {
        let Some(text) = &column.sql_type else {
            continue;
        };
        let sql_type = SqlType::read(text).map_err(|error| error.at(column.position))?;
        let origin = match &column.kind {
            ColumnKind::Metadata(name) => {
                ColumnOrigin::Metadata(metadata(column, name, &sql_type)?)
            }
            _ => ColumnOrigin::Payload,
        };
        let nullable = column.nullable && !key.contains(&index);
        fields.push(Field::new(&column.name, sql_type.arrow(), nullable));
        origins.push(origin);
    }
    Ok((fields, origins))
}

fn metadata(column: &ColumnClause, name: &str, found: &SqlType) -> Result<Metadata, PlanError> {
    const KNOWN: [&str; 6] = [
        "partition",
        "offset",
        "timestamp",
        "key",
        "topic",
        "headers",
    ];
    let instant = |digits| SqlType::Timestamp { digits, zone: true };
    let header = |value| {
        let fields = vec![
            ("key".to_owned(), SqlType::Text),
            ("value".to_owned(), value),
        ];
        SqlType::Array(Box::new(SqlType::Struct(fields)))
    };
    let (metadata, allowed) = match name {
        "partition" => (Metadata::Partition, vec![SqlType::Integer]),
        "offset" => (Metadata::Offset, vec![SqlType::BigInt]),
        "timestamp" => (Metadata::Timestamp, vec![instant(3), instant(6)]),
        "key" => (Metadata::Key, vec![SqlType::Bytea, SqlType::Text]),
        "topic" => (Metadata::Topic, vec![SqlType::Text]),
        "headers" => (
            Metadata::Headers,
            vec![header(SqlType::Bytea), header(SqlType::Text)],
        ),
        _ => {
            let message = format!("there is no metadata \"{name}\"");
            let hint =
                nearest(name, KNOWN).unwrap_or_else(|| format!("There are {}.", KNOWN.join(", ")));
            return Err(PlanError::declaration(message)
                .at(column.position)
                .hint(hint));
        }
    };
    if !allowed.contains(found) {
        let message = format!("metadata \"{name}\" cannot be of type {found}");
        let names: Vec<String> = allowed.iter().map(ToString::to_string).collect();
        let error = PlanError::new(Cause::Type { message }).at(column.position);
        return Err(error.hint(format!("Declare the column as {}.", names.join(" or "))));
    }
    Ok(metadata)
}

fn watermark(body: &TableBody, schema: &Schema) -> Result<Option<BoundWatermark>, PlanError> {
    let Some((watermark, position)) = &body.watermark else {
        return Ok(None);
    };
    let column = index_of(body, &watermark.column, *position)?;
    let found = schema.field(column).data_type();
    if !matches!(found, DataType::Timestamp(..)) {
        let message = format!(
            "the event-time column \"{}\" is not a timestamp",
            watermark.column
        );
        let error = PlanError::declaration(message).at(*position);
        let hint = "Declare it as TIMESTAMP(3), (6) or (9) WITH TIME ZONE, or compute one: \
                    t AS to_timestamp_millis(ms).";
        return Err(error.detail(format!("It is {found}.")).hint(hint));
    }
    Ok(Some(BoundWatermark {
        column,
        delay_nanos: watermark.delay_nanos,
    }))
}
