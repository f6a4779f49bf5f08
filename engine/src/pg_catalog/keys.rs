//! Primary keys of tables, as PostgreSQL's constraints and unique indices.

use std::sync::Arc;

use arrow::array::{ArrayRef, Int16Array, ListArray};
use arrow::buffer::OffsetBuffer;
use arrow::datatypes::{DataType, Field};
use arrow::error::ArrowError;
use arrow::record_batch::RecordBatch;
use datafusion_pg_catalog::pg_catalog::oid_field::kind;
use rtsap_catalog::name::quote;

use super::class::text_list;
use super::relations::{PUBLIC, PgRelation, Relations};
use crate::tabular::Tabular;

type Keyed<'a> = (&'a PgRelation, &'a PgRelation);

/// `CREATE UNIQUE INDEX …` as PostgreSQL would show it.
pub(super) fn index_definition(table: &PgRelation, index: &PgRelation) -> String {
    let (index, name) = (quote(&index.name), quote(&table.name));
    format!(
        "CREATE UNIQUE INDEX {index} ON public.{name} USING btree ({})",
        table.key_columns()
    )
}

/// A list column of small integers.
fn numbers(rows: &[Keyed<'_>], of: impl Fn(&PgRelation) -> Vec<i16>) -> (DataType, ArrayRef) {
    let lists: Vec<Vec<i16>> = rows.iter().map(|(table, _)| of(table)).collect();
    let offsets = OffsetBuffer::from_lengths(lists.iter().map(Vec::len));
    let item = Arc::new(Field::new("item", DataType::Int16, true));
    let values = Arc::new(Int16Array::from(lists.concat()));
    let list = ListArray::new(Arc::clone(&item), offsets, values, None);
    (DataType::List(item), Arc::new(list))
}

fn column_numbers(table: &PgRelation) -> Vec<i16> {
    table
        .key
        .iter()
        .filter_map(|index| i16::try_from(index + 1).ok())
        .collect()
}

fn zeros(table: &PgRelation) -> Vec<i16> {
    vec![0; table.key.len()]
}

fn key_width(table: &PgRelation) -> i16 {
    i16::try_from(table.key.len()).unwrap_or(i16::MAX)
}

/// Indices.
pub(super) fn pg_index(relations: &Relations) -> Result<RecordBatch, ArrowError> {
    let rows = relations.keyed();
    let (list, key) = numbers(&rows, column_numbers);
    let (_, zero) = numbers(&rows, zeros);
    let field = |name: &str| Field::new(name, list.clone(), true);
    Tabular::new(&rows)
        .oid("indexrelid", kind::REGCLASS, |(_, index)| index.oid)
        .oid("indrelid", kind::REGCLASS, |(table, _)| table.oid)
        .int2("indnatts", |(table, _)| key_width(table))
        .int2("indnkeyatts", |(table, _)| key_width(table))
        .boolean("indisunique", |_| true)
        .boolean("indnullsnotdistinct", |_| false)
        .boolean("indisprimary", |_| true)
        .boolean("indisexclusion", |_| false)
        .boolean("indimmediate", |_| true)
        .boolean("indisclustered", |_| false)
        .boolean("indisvalid", |_| true)
        .boolean("indcheckxmin", |_| false)
        .boolean("indisready", |_| true)
        .boolean("indislive", |_| true)
        .boolean("indisreplident", |_| false)
        .column(field("indkey"), key)
        .column(field("indcollation"), Arc::clone(&zero))
        .column(field("indclass"), Arc::clone(&zero))
        .column(field("indoption"), zero)
        .null("indexprs", DataType::Utf8)
        .null("indpred", DataType::Utf8)
        .build()
}

/// Indices, readable.
pub(super) fn pg_indexes(relations: &Relations) -> Result<RecordBatch, ArrowError> {
    let rows = relations.keyed();
    Tabular::new(&rows)
        .text("schemaname", |_| Some("public".to_owned()))
        .text("tablename", |(table, _)| Some(table.name.clone()))
        .text("indexname", |(_, index)| Some(index.name.clone()))
        .null("tablespace", DataType::Utf8)
        .text("indexdef", |(table, index)| {
            Some(index_definition(table, index))
        })
        .build()
}

/// Primary keys. A constraint has its index's number.
pub(super) fn pg_constraint(relations: &Relations) -> Result<RecordBatch, ArrowError> {
    let rows = relations.keyed();
    let (list, key) = numbers(&rows, column_numbers);
    Tabular::new(&rows)
        .oid("oid", kind::OID, |(_, index)| index.oid)
        .oid("tableoid", kind::OID, |_| 2606)
        .text("conname", |(_, index)| Some(index.name.clone()))
        .oid("connamespace", kind::REGNAMESPACE, |_| PUBLIC)
        .text("contype", |_| Some("p".to_owned()))
        .boolean("condeferrable", |_| false)
        .boolean("condeferred", |_| false)
        .boolean("convalidated", |_| true)
        .oid("conrelid", kind::REGCLASS, |(table, _)| table.oid)
        .oid("contypid", kind::REGTYPE, |_| 0)
        .oid("conindid", kind::REGCLASS, |(_, index)| index.oid)
        .oid("conparentid", kind::OID, |_| 0)
        .oid("confrelid", kind::REGCLASS, |_| 0)
        .text("confupdtype", |_| Some(" ".to_owned()))
        .text("confdeltype", |_| Some(" ".to_owned()))
        .text("confmatchtype", |_| Some(" ".to_owned()))
        .boolean("conislocal", |_| true)
        .int2("coninhcount", |_| 0)
        .boolean("connoinherit", |_| true)
        .column(Field::new("conkey", list.clone(), true), key)
        .null("confkey", list.clone())
        .null("conpfeqop", list.clone())
        .null("conppeqop", list.clone())
        .null("conffeqop", list.clone())
        .null("confdelsetcols", list.clone())
        .null("conexclop", list)
        .null("conbin", DataType::Utf8)
        .null("reloptions", text_list())
        .build()
}
