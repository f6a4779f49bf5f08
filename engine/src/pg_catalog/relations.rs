//! The relations of the database as PostgreSQL numbers and names them.

use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use datafusion_pg_catalog::pg_catalog::PG_CATALOG_TABLES;
use rtsap_catalog::name::quote;
use rtsap_catalog::object::ObjectKind;
use rtsap_catalog::snapshot::CatalogSnapshot;

use crate::system;

/// Number of the namespace `pg_catalog`, the same in every PostgreSQL.
pub(crate) const PG_CATALOG: i32 = 11;
/// Number of the namespace `public`, the same in every PostgreSQL.
pub(crate) const PUBLIC: i32 = 2200;
/// Number of the namespace `rtsap_catalog`.
pub(crate) const SYSTEM: i32 = 12_500;
/// Number of the namespace `information_schema`.
pub(crate) const INFORMATION: i32 = 12_600;
/// Number of the one role that is shown, the same in every PostgreSQL.
pub(crate) const OWNER: i32 = 10;
/// Number of the database.
pub(crate) const DATABASE: i32 = 16_384;
/// Numbers of objects begin here: where PostgreSQL's user objects do.
const FIRST: i32 = 16_386;

/// One relation.
#[derive(Clone, Debug)]
pub(crate) struct PgRelation {
    /// Its number.
    pub(crate) oid: i32,
    /// Its name.
    pub(crate) name: String,
    /// Its namespace's number.
    pub(crate) namespace: i32,
    /// `r` table, `v` view, `f` source, `i` index.
    pub(crate) kind: &'static str,
    /// Its columns.
    pub(crate) schema: Option<SchemaRef>,
    /// Indices of its key columns.
    pub(crate) key: Vec<usize>,
    /// Its comment.
    pub(crate) comment: Option<String>,
    /// The query of a view.
    pub(crate) definition: Option<String>,
    /// For an index, the number of its table.
    pub(crate) indexed: Option<i32>,
}

/// All of them.
#[derive(Debug)]
pub(crate) struct Relations {
    /// The database's name.
    pub(crate) database: String,
    /// The connected user.
    pub(crate) user: String,
    /// In order of their numbers.
    pub(crate) all: Vec<PgRelation>,
}

impl Relations {
    /// The relations of `catalog`.
    pub(crate) fn new(database: &str, user: &str, catalog: CatalogSnapshot) -> Self {
        let mut all = constants();
        for object in catalog.objects() {
            let kind = match &object.def.kind {
                ObjectKind::Table(_) => "r",
                ObjectKind::View(_) | ObjectKind::PlainView(_) => "v",
                ObjectKind::Source(_) => "f",
                ObjectKind::Sink(_) | ObjectKind::Function(_) => continue,
            };
            let Some(oid) = oid_of(object.def.id) else {
                continue;
            };
            let definition = match &object.def.kind {
                ObjectKind::View(view) => Some(view.query.clone()),
                ObjectKind::PlainView(view) => Some(view.query.clone()),
                _ => None,
            };
            let relation = object.relation.as_ref();
            let table = PgRelation {
                oid,
                name: object.def.name.to_string(),
                namespace: PUBLIC,
                kind,
                schema: relation.map(|relation| Arc::clone(&relation.schema)),
                key: relation
                    .map(|relation| relation.key.clone())
                    .unwrap_or_default(),
                comment: object.def.comment.clone(),
                definition,
                indexed: None,
            };
            let index = (kind == "r" && !table.key.is_empty()).then(|| index_of(&table));
            all.push(table);
            all.extend(index);
        }
        Self {
            database: database.to_owned(),
            user: user.to_owned(),
            all,
        }
    }

    /// The relation with this number.
    pub(crate) fn by_oid(&self, oid: i32) -> Option<&PgRelation> {
        self.all.iter().find(|relation| relation.oid == oid)
    }

    /// Tables with a key: each table, its key's index, and the key's columns' names.
    pub(crate) fn keyed(&self) -> Vec<(&PgRelation, &PgRelation)> {
        let indices = self.all.iter().filter(|relation| relation.kind == "i");
        indices
            .filter_map(|index| Some((self.by_oid(index.indexed?)?, index)))
            .collect()
    }
}

impl PgRelation {
    /// The names of its key columns, quoted where necessary: `a, b`.
    pub(crate) fn key_columns(&self) -> String {
        let Some(schema) = &self.schema else {
            return String::new();
        };
        let fields = self
            .key
            .iter()
            .filter_map(|index| schema.fields().get(*index));
        fields
            .map(|field| quote(field.name()))
            .collect::<Vec<_>>()
            .join(", ")
    }

    /// Whether users made it.
    pub(crate) fn is_public(&self) -> bool {
        self.namespace == PUBLIC
    }
}

/// The number of an object of our catalog. Two each: one is left for its key.
pub(crate) fn oid_of(id: u64) -> Option<i32> {
    i32::try_from(id).ok()?.checked_mul(2)?.checked_add(FIRST)
}

fn index_of(table: &PgRelation) -> PgRelation {
    PgRelation {
        oid: table.oid + 1,
        name: format!("{}_pkey", table.name),
        namespace: PUBLIC,
        kind: "i",
        schema: None,
        key: table.key.clone(),
        comment: None,
        definition: None,
        indexed: Some(table.oid),
    }
}

/// Tables of the system. Those whose numbers clients know by heart have PostgreSQL's.
fn constants() -> Vec<PgRelation> {
    const FIXED: [(&str, i32); 10] = [
        ("pg_type", 1247),
        ("pg_attribute", 1249),
        ("pg_proc", 1255),
        ("pg_class", 1259),
        ("pg_database", 1262),
        ("pg_am", 2601),
        ("pg_constraint", 2606),
        ("pg_description", 2609),
        ("pg_index", 2610),
        ("pg_namespace", 2615),
    ];
    let relation = |oid, name: &str, namespace, kind| PgRelation {
        oid,
        name: name.to_owned(),
        namespace,
        kind,
        schema: None,
        key: Vec::new(),
        comment: None,
        definition: None,
        indexed: None,
    };
    let mut all = Vec::new();
    for (name, index) in PG_CATALOG_TABLES.iter().zip(0..) {
        let fixed = FIXED
            .iter()
            .find(|(fixed, _)| fixed == name)
            .map(|(_, oid)| *oid);
        all.push(relation(
            fixed.unwrap_or(11_000 + index),
            name,
            PG_CATALOG,
            "r",
        ));
    }
    for (name, index) in system::TABLES.iter().zip(0..) {
        all.push(relation(SYSTEM + 1 + index, name, SYSTEM, "v"));
    }
    all
}
