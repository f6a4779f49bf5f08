//! The objects of the catalog, as persisted and as resolved.

use std::collections::BTreeMap;

use arrow_schema::SchemaRef;
use rtsap_stream::change::ChangelogMode;
use serde::{Deserialize, Serialize};

use crate::name::ObjectName;

/// The identity of an object: given once, never reused.
pub type ObjectNumber = u64;

/// One object's definition, as persisted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ObjectDef {
    /// Its identity. An object depends only on objects of smaller numbers.
    pub id: ObjectNumber,
    /// Its name.
    pub name: ObjectName,
    /// The statement that made it, as the client wrote it, secrets redacted.
    pub sql: String,
    /// Numbers of the objects it reads.
    pub depends_on: Vec<ObjectNumber>,
    /// What it is.
    pub kind: ObjectKind,
    /// `COMMENT ON`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub comment: Option<String>,
}

/// What an object is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ObjectKind {
    /// A stream outside.
    Source(SourceDef),
    /// A table of our own, fed by `INSERT`.
    Table(TableDef),
    /// A streaming view.
    View(ViewDef),
    /// A view: a query under a name, planned where it is named. It keeps no rows.
    PlainView(PlainViewDef),
    /// A relation outside that follows a view.
    Sink(SinkDef),
    /// A function in SQL.
    Function(FunctionDef),
}

impl ObjectKind {
    /// The word people use: `source`, `table`, `streaming view`, `view`, `sink`, `function`.
    pub const fn noun(&self) -> &'static str {
        match self {
            Self::Source(_) => "source",
            Self::Table(_) => "table",
            Self::View(_) => "streaming view",
            Self::PlainView(_) => "view",
            Self::Sink(_) => "sink",
            Self::Function(_) => "function",
        }
    }
}

/// A column of a source or table.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ColumnDef {
    /// Its name, folded as PostgreSQL folds.
    pub name: String,
    /// Its type as SQL text in canonical form: `numeric(18,8)`, `timestamp(6) with time zone`. For
    /// a computed column the type that was derived.
    pub sql_type: String,
    /// Whether it may be null.
    pub nullable: bool,
    /// Where its values come from.
    pub kind: ColumnKind,
    /// `DEFAULT`: the SQL expression whose value it has in rows that give none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub default: Option<String>,
}

/// Where a column's values come from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ColumnKind {
    /// The payload's field of the same name.
    Physical,
    /// The transport: `partition`, `offset`, `timestamp`, `key`, `topic`, `headers`.
    Metadata(String),
    /// An SQL expression over the columns before it.
    Computed(String),
}

/// `WATERMARK FOR column AS column - delay`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct WatermarkDef {
    /// The event-time column.
    pub column: String,
    /// How far the watermark stays behind the latest row.
    pub delay_nanos: i64,
}

/// A stream outside.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SourceDef {
    /// Its columns, in order.
    pub columns: Vec<ColumnDef>,
    /// Its watermark, if it has event time.
    pub watermark: Option<WatermarkDef>,
    /// Names of the PRIMARY KEY columns.
    pub primary_key: Vec<String>,
    /// The `WITH` options, lowercase keys; secret values are references.
    pub options: BTreeMap<String, String>,
}

/// A table of our own.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TableDef {
    /// Its columns, in order.
    pub columns: Vec<ColumnDef>,
    /// Its watermark, if it has event time.
    pub watermark: Option<WatermarkDef>,
    /// Names of the PRIMARY KEY columns. With a key, `INSERT` replaces.
    pub primary_key: Vec<String>,
    /// Without a key: whether its rows stay as they are. So were all, before it was written down.
    #[serde(default = "was_append_only")]
    pub append_only: bool,
}

const fn was_append_only() -> bool {
    true
}

/// A streaming view.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ViewDef {
    /// The query with its `EMIT` clause, without `CREATE`.
    pub query: String,
    /// Names given in `CREATE STREAMING VIEW v (a, b)`, if any.
    pub column_names: Vec<String>,
    /// The view's `WITH` options.
    pub options: BTreeMap<String, String>,
}

/// A view: a query under a name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlainViewDef {
    /// The query, as written.
    pub query: String,
    /// Its columns, in order.
    pub columns: Vec<ViewColumnDef>,
    /// Whether the names of the columns are others than those that the query gives them.
    pub renamed: bool,
}

/// A column of a view.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ViewColumnDef {
    /// Its name, folded as PostgreSQL folds.
    pub name: String,
    /// Its type as SQL text in canonical form; as Arrow writes it where SQL has no name for it.
    pub data_type: String,
}

/// A relation outside that follows a view.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SinkDef {
    /// The view or table it follows.
    pub from: ObjectNumber,
    /// The `WITH` options, lowercase keys.
    pub options: BTreeMap<String, String>,
    /// The name under which its target keeps its record, if it has been renamed since.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub record: Option<String>,
}

/// A function in SQL.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FunctionDef {
    /// Its parameters, in order. A parameter without a name is called `$1`, `$2`, …
    pub parameters: Vec<ParameterDef>,
    /// The type of its value as SQL text in canonical form.
    pub returns: String,
    /// The expression over its parameters, as written.
    pub body: String,
}

/// A parameter of a function.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ParameterDef {
    /// Its name, folded as PostgreSQL folds.
    pub name: String,
    /// Its type as SQL text in canonical form.
    pub sql_type: String,
}

impl FunctionDef {
    /// How it is called: `name(a double precision) -> double precision`.
    pub fn signature(&self, name: &ObjectName) -> String {
        format!(
            "{}({}) -> {}",
            name.quoted(),
            self.arguments(),
            self.returns
        )
    }

    /// Its parameters as PostgreSQL shows them: `a double precision, integer`.
    pub fn arguments(&self) -> String {
        let parameters =
            self.parameters
                .iter()
                .map(|parameter| match parameter.name.starts_with('$') {
                    true => parameter.sql_type.clone(),
                    false => format!("{} {}", parameter.name, parameter.sql_type),
                });
        parameters.collect::<Vec<_>>().join(", ")
    }
}

/// What can be read under an object's name; derived, never persisted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Relation {
    /// Columns and types.
    pub schema: SchemaRef,
    /// Which changes its readers see.
    pub mode: ChangelogMode,
    /// Indices of the columns that identify a row.
    pub key: Vec<usize>,
    /// Index of the event-time column.
    pub event_time: Option<usize>,
}
