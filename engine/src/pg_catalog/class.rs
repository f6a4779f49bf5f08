//! `pg_class` and the views on it.

use arrow::datatypes::DataType;
use arrow::error::ArrowError;
use arrow::record_batch::RecordBatch;
use datafusion_pg_catalog::pg_catalog::oid_field::kind;

use super::relations::{OWNER, PG_CATALOG, PUBLIC, PgRelation, Relations};
use crate::tabular::Tabular;

/// Relations, indices among them.
pub(super) fn pg_class(relations: &Relations) -> Result<RecordBatch, ArrowError> {
    let width = |relation: &PgRelation| {
        let columns = relation
            .schema
            .as_ref()
            .map_or(relation.key.len(), |s| s.fields().len());
        i16::try_from(columns).unwrap_or(i16::MAX)
    };
    Tabular::new(&relations.all)
        .oid("oid", kind::OID, |r| r.oid)
        .oid("tableoid", kind::OID, |_| 1259)
        .text("relname", |r| Some(r.name.clone()))
        .oid("relnamespace", kind::REGNAMESPACE, |r| r.namespace)
        .oid("reltype", kind::REGTYPE, |_| 0)
        .oid("reloftype", kind::REGTYPE, |_| 0)
        .oid("relowner", kind::OID, |_| OWNER)
        .oid("relam", kind::OID, |r| match r.kind {
            "r" => 2,
            "i" => 403,
            _ => 0,
        })
        .oid("relfilenode", kind::OID, |r| r.oid)
        .oid("reltablespace", kind::OID, |_| 0)
        .int4("relpages", |_| Some(0))
        .float8("reltuples", |_| -1.0)
        .int4("relallvisible", |_| Some(0))
        .oid("reltoastrelid", kind::REGCLASS, |_| 0)
        .boolean("relhasindex", |r| {
            r.kind == "r" && r.is_public() && !r.key.is_empty()
        })
        .boolean("relisshared", |_| false)
        .text("relpersistence", |_| Some("p".to_owned()))
        .text("relkind", |r| Some(r.kind.to_owned()))
        .int2("relnatts", width)
        .int2("relchecks", |_| 0)
        .boolean("relhasrules", |r| r.kind == "v")
        .boolean("relhastriggers", |_| false)
        .boolean("relhassubclass", |_| false)
        .boolean("relrowsecurity", |_| false)
        .boolean("relforcerowsecurity", |_| false)
        .boolean("relispopulated", |_| true)
        .text("relreplident", |_| Some("d".to_owned()))
        .boolean("relispartition", |_| false)
        .oid("relrewrite", kind::REGCLASS, |_| 0)
        .int4("relfrozenxid", |_| Some(0))
        .int4("relminmxid", |_| Some(0))
        .null("relacl", text_list())
        .null("reloptions", text_list())
        .null("relpartbound", DataType::Utf8)
        .build()
}

/// `text[]`.
pub(super) fn text_list() -> DataType {
    DataType::new_list(DataType::Utf8, true)
}

fn schema_name(relation: &PgRelation) -> Option<String> {
    let name = match relation.namespace {
        PUBLIC => "public",
        PG_CATALOG => "pg_catalog",
        _ => "rtsap_catalog",
    };
    Some(name.to_owned())
}

/// Tables.
pub(super) fn pg_tables(relations: &Relations) -> Result<RecordBatch, ArrowError> {
    let rows: Vec<&PgRelation> = relations.all.iter().filter(|r| r.kind == "r").collect();
    Tabular::new(&rows)
        .text("schemaname", |r| schema_name(r))
        .text("tablename", |r| Some(r.name.clone()))
        .text("tableowner", |_| Some(relations.user.clone()))
        .null("tablespace", DataType::Utf8)
        .boolean("hasindexes", |r| r.is_public() && !r.key.is_empty())
        .boolean("hasrules", |_| false)
        .boolean("hastriggers", |_| false)
        .boolean("rowsecurity", |_| false)
        .build()
}

/// Views of either kind.
pub(super) fn pg_views(relations: &Relations) -> Result<RecordBatch, ArrowError> {
    let rows: Vec<&PgRelation> = relations.all.iter().filter(|r| r.kind == "v").collect();
    Tabular::new(&rows)
        .text("schemaname", |r| schema_name(r))
        .text("viewname", |r| Some(r.name.clone()))
        .text("viewowner", |_| Some(relations.user.clone()))
        .text("definition", |r| r.definition.clone())
        .build()
}

/// None: streaming views are shown as views.
pub(super) fn pg_matviews() -> Result<RecordBatch, ArrowError> {
    let rows: [(); 0] = [];
    Tabular::new(&rows)
        .text("schemaname", |()| None)
        .text("matviewname", |()| None)
        .text("matviewowner", |()| None)
        .text("tablespace", |()| None)
        .boolean("hasindexes", |()| false)
        .boolean("ispopulated", |()| true)
        .text("definition", |()| None)
        .build()
}
