//! Databases, schemas, roles, comments and foreign servers.

use arrow::datatypes::DataType;
use arrow::error::ArrowError;
use arrow::record_batch::RecordBatch;
use datafusion_pg_catalog::pg_catalog::oid_field::kind;

use super::class::text_list;
use super::relations::{
    DATABASE, INFORMATION, OWNER, PG_CATALOG, PUBLIC, PgRelation, Relations, SYSTEM,
};
use crate::tabular::Tabular;
use crate::variables::{KNOWN, Variables};

/// Number of the foreign server that all sources are shown on.
const SERVER: i32 = 12_700;
/// Number of its wrapper.
const WRAPPER: i32 = 12_701;

fn yes(_: &()) -> bool {
    true
}

/// Schemas.
pub(super) fn pg_namespace() -> Result<RecordBatch, ArrowError> {
    let rows = [
        (PG_CATALOG, "pg_catalog"),
        (PUBLIC, "public"),
        (SYSTEM, "rtsap_catalog"),
        (INFORMATION, "information_schema"),
    ];
    Tabular::new(&rows)
        .oid("oid", kind::OID, |(oid, _)| *oid)
        .oid("tableoid", kind::OID, |_| 2615)
        .text("nspname", |(_, name)| Some((*name).to_owned()))
        .oid("nspowner", kind::OID, |_| OWNER)
        .null("nspacl", text_list())
        .build()
}

/// The one database.
pub(super) fn pg_database(relations: &Relations) -> Result<RecordBatch, ArrowError> {
    let c = |_: &()| Some("C".to_owned());
    Tabular::new(&[()])
        .oid("oid", kind::OID, |()| DATABASE)
        .oid("tableoid", kind::OID, |()| 1262)
        .text("datname", |()| Some(relations.database.clone()))
        .oid("datdba", kind::OID, |()| OWNER)
        .int4("encoding", |()| Some(6))
        .text("datlocprovider", |()| Some("c".to_owned()))
        .boolean("datistemplate", |()| false)
        .boolean("datallowconn", yes)
        .int4("datconnlimit", |()| Some(-1))
        .int4("datfrozenxid", |()| Some(0))
        .int4("datminmxid", |()| Some(0))
        .oid("dattablespace", kind::OID, |()| 1663)
        .text("datcollate", c)
        .text("datctype", c)
        .null("datlocale", DataType::Utf8)
        .null("daticulocale", DataType::Utf8)
        .null("daticurules", DataType::Utf8)
        .null("datcollversion", DataType::Utf8)
        .null("datacl", text_list())
        .build()
}

/// The connected user, as the only role.
pub(super) fn pg_roles(relations: &Relations) -> Result<RecordBatch, ArrowError> {
    Tabular::new(&[()])
        .oid("oid", kind::OID, |()| OWNER)
        .text("rolname", |()| Some(relations.user.clone()))
        .boolean("rolsuper", yes)
        .boolean("rolinherit", yes)
        .boolean("rolcreaterole", yes)
        .boolean("rolcreatedb", yes)
        .boolean("rolcanlogin", yes)
        .boolean("rolreplication", |()| false)
        .int4("rolconnlimit", |()| Some(-1))
        .text("rolpassword", |()| Some("********".to_owned()))
        .instant("rolvaliduntil", |()| None)
        .boolean("rolbypassrls", yes)
        .null("rolconfig", text_list())
        .build()
}

/// The same in its older form.
pub(super) fn pg_user(relations: &Relations) -> Result<RecordBatch, ArrowError> {
    Tabular::new(&[()])
        .text("usename", |()| Some(relations.user.clone()))
        .oid("usesysid", kind::OID, |()| OWNER)
        .boolean("usecreatedb", yes)
        .boolean("usesuper", yes)
        .boolean("userepl", |()| false)
        .boolean("usebypassrls", yes)
        .text("passwd", |()| Some("********".to_owned()))
        .instant("valuntil", |()| None)
        .null("useconfig", text_list())
        .build()
}

/// `COMMENT ON`; nothing is shared between databases.
pub(super) fn pg_description(
    relations: &Relations,
    table: &str,
) -> Result<RecordBatch, ArrowError> {
    let shared = table == "pg_shdescription";
    let commented = relations
        .all
        .iter()
        .filter(|r| !shared && r.comment.is_some());
    let rows: Vec<&PgRelation> = commented.collect();
    let batch = Tabular::new(&rows).oid("objoid", kind::OID, |r| r.oid).oid(
        "classoid",
        kind::REGCLASS,
        |_| 1259,
    );
    let batch = if shared {
        batch
    } else {
        batch.int4("objsubid", |_| Some(0))
    };
    batch.text("description", |r| r.comment.clone()).build()
}

/// The wrapper of the server below.
pub(super) fn pg_foreign_data_wrapper() -> Result<RecordBatch, ArrowError> {
    Tabular::new(&[()])
        .oid("oid", kind::OID, |()| WRAPPER)
        .text("fdwname", |()| Some("rtsap".to_owned()))
        .oid("fdwowner", kind::OID, |()| OWNER)
        .oid("fdwhandler", kind::REGPROC, |()| 0)
        .oid("fdwvalidator", kind::REGPROC, |()| 0)
        .null("fdwacl", text_list())
        .null("fdwoptions", text_list())
        .build()
}

/// The server that all sources are shown on.
pub(super) fn pg_foreign_server() -> Result<RecordBatch, ArrowError> {
    Tabular::new(&[()])
        .oid("oid", kind::OID, |()| SERVER)
        .text("srvname", |()| Some("streams".to_owned()))
        .oid("srvowner", kind::OID, |()| OWNER)
        .oid("srvfdw", kind::OID, |()| WRAPPER)
        .null("srvtype", DataType::Utf8)
        .null("srvversion", DataType::Utf8)
        .null("srvacl", text_list())
        .null("srvoptions", text_list())
        .build()
}

/// Sources.
pub(super) fn pg_foreign_table(relations: &Relations) -> Result<RecordBatch, ArrowError> {
    let rows: Vec<&PgRelation> = relations.all.iter().filter(|r| r.kind == "f").collect();
    Tabular::new(&rows)
        .oid("ftrelid", kind::REGCLASS, |r| r.oid)
        .oid("ftserver", kind::OID, |_| SERVER)
        .null("ftoptions", text_list())
        .build()
}

/// There are none.
pub(super) fn pg_sequences() -> Result<RecordBatch, ArrowError> {
    let rows: [(); 0] = [];
    Tabular::new(&rows)
        .text("schemaname", |()| None)
        .text("sequencename", |()| None)
        .text("sequenceowner", |()| None)
        .int8("last_value", |()| None)
        .build()
}

/// The session that asks.
pub(super) fn pg_stat_activity(relations: &Relations) -> Result<RecordBatch, ArrowError> {
    Tabular::new(&[()])
        .oid("datid", kind::OID, |()| DATABASE)
        .text("datname", |()| Some(relations.database.clone()))
        .int4("pid", |()| None)
        .oid("usesysid", kind::OID, |()| OWNER)
        .text("usename", |()| Some(relations.user.clone()))
        .null("application_name", DataType::Utf8)
        .null("client_addr", DataType::Utf8)
        .text("state", |()| Some("active".to_owned()))
        .null("query", DataType::Utf8)
        .text("backend_type", |()| Some("client backend".to_owned()))
        .build()
}

/// The session's variables.
pub(super) fn pg_settings(variables: &Variables) -> Result<RecordBatch, ArrowError> {
    let all = variables.all();
    let default = |name: &str| {
        KNOWN
            .iter()
            .find(|k| k.name == name)
            .map(|k| k.default.to_owned())
    };
    let rows: Vec<_> = all
        .iter()
        .map(|(name, value, what)| (name, value, what, default(name)))
        .collect();
    Tabular::new(&rows)
        .text("name", |(name, ..)| Some((*name).clone()))
        .text("setting", |(_, value, ..)| Some((*value).clone()))
        .null("unit", DataType::Utf8)
        .text("category", |_| {
            Some("Client Connection Defaults".to_owned())
        })
        .text("short_desc", |(_, _, what, _)| Some((**what).to_owned()))
        .null("extra_desc", DataType::Utf8)
        .text("context", |_| Some("user".to_owned()))
        .text("vartype", |_| Some("string".to_owned()))
        .text("source", |(_, value, _, default)| {
            let same = default.as_ref() == Some(*value);
            Some(if same { "default" } else { "session" }.to_owned())
        })
        .null("min_val", DataType::Utf8)
        .null("max_val", DataType::Utf8)
        .null("enumvals", text_list())
        .text("boot_val", |(.., default)| default.clone())
        .text("reset_val", |(.., default)| default.clone())
        .null("sourcefile", DataType::Utf8)
        .null("sourceline", DataType::Int32)
        .boolean("pending_restart", |_| false)
        .build()
}
