//! `pg_attribute`: the columns of every relation.

use std::sync::Arc;

use arrow::datatypes::{DataType, Field};
use arrow::error::ArrowError;
use arrow::record_batch::RecordBatch;
use datafusion_pg_catalog::pg_catalog::oid_field::kind;

use super::class::text_list;
use super::pg_type::{PgType, pg_type};
use super::relations::Relations;
use crate::tabular::Tabular;

struct Column {
    relation: i32,
    field: Arc<Field>,
    number: i16,
    data_type: PgType,
}

/// Columns of tables, views, sources, and of the keys' indices.
pub(super) fn pg_attribute(relations: &Relations) -> Result<RecordBatch, ArrowError> {
    let columns = columns(relations);
    Tabular::new(&columns)
        .oid("attrelid", kind::REGCLASS, |c| c.relation)
        .text("attname", |c| Some(c.field.name().clone()))
        .oid("atttypid", kind::REGTYPE, |c| c.data_type.oid)
        .int4("attstattarget", |_| Some(-1))
        .int2("attlen", |c| c.data_type.length)
        .int2("attnum", |c| c.number)
        .int4("attndims", |c| Some(c.data_type.dimensions))
        .int4("attcacheoff", |_| Some(-1))
        .int4("atttypmod", |c| Some(c.data_type.modifier))
        .boolean("attbyval", |c| c.data_type.length > 0)
        .text("attalign", |_| Some("i".to_owned()))
        .text("attstorage", |c| {
            Some(if c.data_type.length > 0 { "p" } else { "x" }.to_owned())
        })
        .text("attcompression", |_| Some(String::new()))
        .boolean("attnotnull", |c| !c.field.is_nullable())
        .boolean("atthasdef", |_| false)
        .boolean("atthasmissing", |_| false)
        .text("attidentity", |_| Some(String::new()))
        .text("attgenerated", |_| Some(String::new()))
        .boolean("attisdropped", |_| false)
        .boolean("attislocal", |_| true)
        .int4("attinhcount", |_| Some(0))
        .oid("attcollation", kind::OID, |c| {
            if c.data_type.oid == 25 { 100 } else { 0 }
        })
        .null("attacl", text_list())
        .null("attoptions", text_list())
        .null("attfdwoptions", text_list())
        .null("attmissingval", DataType::Utf8)
        .build()
}

fn columns(relations: &Relations) -> Vec<Column> {
    let mut columns = Vec::new();
    for relation in &relations.all {
        let table = relation.indexed.and_then(|oid| relations.by_oid(oid));
        let schema = relation
            .schema
            .as_ref()
            .or(table.and_then(|table| table.schema.as_ref()));
        let Some(schema) = schema else { continue };
        let fields: Vec<Arc<Field>> = if table.is_some() {
            let fields = relation
                .key
                .iter()
                .filter_map(|index| schema.fields().get(*index));
            fields.map(Arc::clone).collect()
        } else {
            schema.fields().iter().map(Arc::clone).collect()
        };
        columns.extend(fields.into_iter().zip(1..).map(|(field, number)| {
            let data_type = pg_type(field.data_type());
            Column {
                relation: relation.oid,
                field,
                number,
                data_type,
            }
        }));
    }
    columns
}
