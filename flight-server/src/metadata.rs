//! What there is, for clients that browse: schemas, tables and keys, read from the engine's own
//! catalog tables.

use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, Int32Array, StringArray, new_empty_array};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Field, Int64Type, Schema, SchemaRef};
use arrow::record_batch::RecordBatch;
use arrow_flight::sql::{
    CommandGetDbSchemas, CommandGetPrimaryKeys, CommandGetTableTypes, CommandGetTables,
};
use rtsap_engine::Engine;
use rtsap_engine::session::ScalarValue;
use rtsap_engine::session::Session;
use tonic::Status;

use crate::error::broken;
use crate::ingest::name;
use crate::statement::{self, DATABASE, catalog_rows};

mod server;
mod sql_type;

pub(crate) use server::sql_info;
pub(crate) use sql_type::xdbc_type_info;

/// A table written with CREATE TABLE.
const TABLE: &str = "TABLE";
/// A streaming view.
const VIEW: &str = "VIEW";
/// A table that the system fills itself.
const SYSTEM_TABLE: &str = "SYSTEM TABLE";

/// A relation that can be read.
pub(crate) struct Relation {
    /// Its schema: `public`, `rtsap_catalog` or `pg_catalog`.
    pub(crate) schema: String,
    /// Its name.
    pub(crate) name: String,
    kind: &'static str,
}

impl Relation {
    /// The path that a descriptor names it by.
    pub(crate) fn path(&self) -> Vec<String> {
        vec![self.schema.clone(), self.name.clone()]
    }

    /// Whether users made it.
    pub(crate) fn is_public(&self) -> bool {
        self.kind != SYSTEM_TABLE
    }
}

/// All relations whose schema and name match the patterns, in order of their names.
pub(crate) async fn relations(
    session: &mut Session,
    schema: Option<&str>,
    table: Option<&str>,
) -> Result<Vec<Relation>, Status> {
    let sql = "SELECT n.nspname, c.relname, c.relkind \
               FROM pg_catalog.pg_class c \
               JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace \
               WHERE c.relkind IN ('r', 'v') AND n.nspname LIKE $1 AND c.relname LIKE $2 \
               ORDER BY n.nspname, c.relname";
    let values = [schema, table].map(|pattern| ScalarValue::from(pattern.unwrap_or("%")));
    let mut relations = Vec::new();
    for batch in catalog_rows(session, sql, &values).await? {
        let [schemas, names, kinds] = [text(&batch, 0)?, text(&batch, 1)?, text(&batch, 2)?];
        for row in 0..batch.num_rows() {
            let schema = schemas.value(row);
            let kind = match (schema, kinds.value(row)) {
                ("public", "v") => VIEW,
                ("public", _) => TABLE,
                _ => SYSTEM_TABLE,
            };
            relations.push(Relation {
                schema: schema.to_owned(),
                name: names.value(row).to_owned(),
                kind,
            });
        }
    }
    Ok(relations)
}

/// The columns of a relation; `None` if it was dropped meanwhile.
pub(crate) async fn columns(
    session: &Session,
    relation: &Relation,
) -> Result<Option<SchemaRef>, Status> {
    let sql = format!("SELECT * FROM {}", name(&relation.path()));
    match statement::prepare(session, &sql).await {
        Ok(prepared) => Ok(prepared.result),
        Err(status) if status.code() == tonic::Code::NotFound => Ok(None),
        Err(status) => Err(status),
    }
}

/// The answer to GetDbSchemas.
pub(crate) async fn schemas(
    engine: &Engine,
    command: CommandGetDbSchemas,
) -> Result<RecordBatch, Status> {
    let mut session = statement::session(engine)?;
    let sql = "SELECT nspname FROM pg_catalog.pg_namespace ORDER BY nspname";
    let mut builder = command.into_builder();
    for batch in catalog_rows(&mut session, sql, &[]).await? {
        for name in text(&batch, 0)?.iter().flatten() {
            builder.append(DATABASE, name);
        }
    }
    builder.build().map_err(Status::from)
}

/// The answer to GetTables.
pub(crate) async fn tables(
    engine: &Engine,
    command: CommandGetTables,
) -> Result<RecordBatch, Status> {
    let mut session = statement::session(engine)?;
    let relations = relations(
        &mut session,
        command.db_schema_filter_pattern.as_deref(),
        command.table_name_filter_pattern.as_deref(),
    );
    let relations = relations.await?;
    let types = command.table_types.clone();
    let is_asked_for =
        |relation: &&Relation| types.is_empty() || types.iter().any(|asked| asked == relation.kind);
    let include_schema = command.include_schema;
    let mut builder = command.into_builder();
    for relation in relations.iter().filter(is_asked_for) {
        let columns = if include_schema {
            columns(&session, relation).await?
        } else {
            Some(Arc::new(Schema::empty()))
        };
        let Some(columns) = columns else { continue };
        let (schema, table) = (&relation.schema, &relation.name);
        let appended = builder.append(DATABASE, schema, table, relation.kind, &columns);
        appended.map_err(Status::from)?;
    }
    builder.build().map_err(Status::from)
}

/// The answer to GetTableTypes.
pub(crate) fn table_types(command: CommandGetTableTypes) -> Result<RecordBatch, Status> {
    let mut builder = command.into_builder();
    for kind in [SYSTEM_TABLE, TABLE, VIEW] {
        builder.append(kind);
    }
    builder.build().map_err(Status::from)
}

/// The columns of the answer to GetPrimaryKeys.
pub(crate) fn primary_keys_schema() -> SchemaRef {
    Arc::new(Schema::new(vec![
        Field::new("catalog_name", DataType::Utf8, true),
        Field::new("db_schema_name", DataType::Utf8, true),
        Field::new("table_name", DataType::Utf8, false),
        Field::new("column_name", DataType::Utf8, false),
        Field::new("key_name", DataType::Utf8, true),
        Field::new("key_sequence", DataType::Int32, false),
    ]))
}

/// The answer to GetPrimaryKeys.
pub(crate) async fn primary_keys(
    engine: &Engine,
    command: CommandGetPrimaryKeys,
) -> Result<RecordBatch, Status> {
    let is_elsewhere = |asked: &Option<String>, name| asked.as_ref().is_some_and(|it| it != name);
    let empty = RecordBatch::new_empty(primary_keys_schema());
    if is_elsewhere(&command.catalog, DATABASE) || is_elsewhere(&command.db_schema, "public") {
        return Ok(empty);
    }
    let mut session = statement::session(engine)?;
    let sql = "SELECT k.conname, k.conkey \
               FROM pg_catalog.pg_constraint k \
               JOIN pg_catalog.pg_class c ON c.oid = k.conrelid \
               WHERE k.contype = 'p' AND c.relname = $1";
    let values = [ScalarValue::from(command.table.as_str())];
    let found = catalog_rows(&mut session, sql, &values).await?;
    let Some(key) = found.iter().find(|batch| batch.num_rows() > 0) else {
        return Ok(empty);
    };
    let relation = Relation {
        schema: "public".to_owned(),
        name: command.table,
        kind: TABLE,
    };
    let Some(columns) = columns(&session, &relation).await? else {
        return Ok(empty);
    };
    let numbers = cast(&key.column(1).as_list::<i32>().value(0), &DataType::Int64);
    let numbers = numbers.map_err(broken)?;
    let numbers = numbers.as_primitive::<Int64Type>().values().iter();
    let fields = numbers.map(|number| usize::try_from(number - 1).ok().map(|i| columns.field(i)));
    let names: Vec<_> = fields
        .flatten()
        .map(|field| field.name().as_str())
        .collect();
    let same = |text: &str| Arc::new(StringArray::from(vec![text; names.len()])) as ArrayRef;
    let count = i32::try_from(names.len()).unwrap_or(i32::MAX);
    let batch = RecordBatch::try_new(
        primary_keys_schema(),
        vec![
            same(DATABASE),
            same("public"),
            same(&relation.name),
            Arc::new(StringArray::from(names.clone())),
            same(text(key, 0)?.value(0)),
            Arc::new(Int32Array::from_iter_values(1..=count)),
        ],
    );
    batch.map_err(broken)
}

/// The answer to every question about foreign keys: there are none.
pub(crate) fn foreign_keys() -> RecordBatch {
    let schema = Arc::new(Schema::new(vec![
        Field::new("pk_catalog_name", DataType::Utf8, true),
        Field::new("pk_db_schema_name", DataType::Utf8, true),
        Field::new("pk_table_name", DataType::Utf8, false),
        Field::new("pk_column_name", DataType::Utf8, false),
        Field::new("fk_catalog_name", DataType::Utf8, true),
        Field::new("fk_db_schema_name", DataType::Utf8, true),
        Field::new("fk_table_name", DataType::Utf8, false),
        Field::new("fk_column_name", DataType::Utf8, false),
        Field::new("key_sequence", DataType::Int32, false),
        Field::new("fk_key_name", DataType::Utf8, true),
        Field::new("pk_key_name", DataType::Utf8, true),
        Field::new("update_rule", DataType::UInt8, false),
        Field::new("delete_rule", DataType::UInt8, false),
    ]));
    RecordBatch::new_empty(schema)
}

/// A column of a catalog table as text.
fn text(batch: &RecordBatch, index: usize) -> Result<StringArray, Status> {
    let column = batch.columns().get(index).cloned();
    let column = column.unwrap_or_else(|| new_empty_array(&DataType::Utf8));
    let column = cast(&column, &DataType::Utf8).map_err(broken)?;
    Ok(column.as_string::<i32>().clone())
}
