//! `pg_proc`: PostgreSQL's own functions, then ours and those of users, which `\df` lists.

use std::sync::Arc;

use arrow::array::{ArrayRef, BooleanArray, Float32Array, Int16Array, Int32Array, StringArray};
use arrow::datatypes::{DataType, Field, FieldRef, Schema, SchemaRef};
use arrow::error::ArrowError;
use arrow::record_batch::RecordBatch;
use rtsap_catalog::object::ObjectKind;
use rtsap_catalog::snapshot::CatalogSnapshot;
use rtsap_udfs::{FunctionDoc, FunctionKind};

use super::relations::{OWNER, PUBLIC, oid_of};
use crate::instance::Instance;

/// Numbers of our functions begin here: below those of users' objects, above PostgreSQL's.
const FIRST: i32 = 13_000;
/// PostgreSQL's number of `LANGUAGE internal`.
const INTERNAL: i32 = 12;
/// PostgreSQL's number of `LANGUAGE sql`.
const SQL: i32 = 14;
/// PostgreSQL's number of the pseudo-type `any`: types of results are told in words.
const ANY: i32 = 2276;

/// One function.
pub(crate) struct PgFunction {
    /// Its number.
    pub(crate) oid: i32,
    /// Its name.
    pub(crate) name: String,
    /// `f` function, `a` aggregate, `w` window.
    kind: &'static str,
    /// Its arguments in words.
    pub(crate) arguments: String,
    /// Its result in words.
    pub(crate) result: String,
    /// What it does.
    pub(crate) comment: Option<String>,
    /// Its definition.
    pub(crate) source: String,
    language: i32,
}

/// Our functions and those of users.
pub(crate) fn functions(catalog: &CatalogSnapshot, docs: &[FunctionDoc]) -> Vec<PgFunction> {
    let ours = (FIRST..).zip(docs).map(|(oid, doc)| {
        let (call, result) = doc
            .signature
            .rsplit_once("->")
            .unwrap_or((doc.signature, ""));
        let arguments = call.split_once('(').map_or("", |(_, rest)| rest);
        let arguments = arguments.trim().strip_suffix(')').unwrap_or(arguments);
        PgFunction {
            oid,
            name: doc.name.to_owned(),
            kind: match doc.kind {
                FunctionKind::Scalar => "f",
                FunctionKind::Aggregate => "a",
                FunctionKind::Window => "w",
            },
            arguments: arguments.to_owned(),
            result: result.trim().to_owned(),
            comment: Some(doc.description.to_owned()),
            source: doc.formula.to_owned(),
            language: INTERNAL,
        }
    });
    let users = catalog.objects().filter_map(|object| {
        let ObjectKind::Function(def) = &object.def.kind else {
            return None;
        };
        Some(PgFunction {
            oid: oid_of(object.def.id)?,
            name: object.def.name.to_string(),
            kind: "f",
            arguments: def.arguments(),
            result: def.returns.clone(),
            comment: object.def.comment.clone(),
            source: def.body.clone(),
            language: SQL,
        })
    });
    ours.chain(users).collect()
}

/// The columns of `pg_proc` and its rows, PostgreSQL's own first.
pub(super) fn pg_proc(
    catalog: &CatalogSnapshot,
    instance: &Instance,
) -> Result<(SchemaRef, Vec<RecordBatch>), ArrowError> {
    let constants = &instance.statics.pg_proc;
    let all = functions(catalog, &instance.docs);
    let schema = constants.schema();
    let columns = schema
        .fields()
        .iter()
        .map(|field| -> Result<ArrayRef, ArrowError> {
            let numbers = |value: fn(&PgFunction) -> i32| -> ArrayRef {
                Arc::new(Int32Array::from_iter_values(all.iter().map(value)))
            };
            let texts = |value: &dyn Fn(&PgFunction) -> Option<String>| -> ArrayRef {
                Arc::new(StringArray::from_iter(all.iter().map(value)))
            };
            Ok(match (field.name().as_str(), field.data_type()) {
                ("oid", _) => numbers(|function| function.oid),
                ("proname", _) => texts(&|function| Some(function.name.clone())),
                ("pronamespace", _) => numbers(|_| PUBLIC),
                ("proowner", _) => numbers(|_| OWNER),
                ("prolang", _) => numbers(|function| function.language),
                ("prorettype", _) => numbers(|_| ANY),
                ("prokind", _) => texts(&|function| Some(function.kind.to_owned())),
                ("provolatile", _) => texts(&|_| Some("i".to_owned())),
                ("proparallel", _) => texts(&|_| Some("s".to_owned())),
                ("prosupport", _) => texts(&|_| Some("-".to_owned())),
                ("prosrc", _) => texts(&|function| Some(function.source.clone())),
                ("pronargs", _) => {
                    Arc::new(Int16Array::from_iter_values(all.iter().map(|function| {
                        let count = function
                            .arguments
                            .split(',')
                            .filter(|a| !a.trim().is_empty());
                        i16::try_from(count.count()).unwrap_or(i16::MAX)
                    })))
                }
                ("proargtypes", _) => texts(&|_| Some(String::new())),
                (_, DataType::Boolean) => Arc::new(BooleanArray::from(vec![false; all.len()])),
                (_, DataType::Int16) => Arc::new(Int16Array::from(vec![0; all.len()])),
                (_, DataType::Int32) => numbers(|_| 0),
                (_, DataType::Float32) => Arc::new(Float32Array::from(vec![1.0; all.len()])),
                (_, data_type) => arrow::array::new_null_array(data_type, all.len()),
            })
        });
    let columns = columns.collect::<Result<Vec<_>, _>>()?;
    let mut batches = constants.data().to_vec();
    batches.push(RecordBatch::try_new(Arc::clone(&schema), columns)?);
    without_access_lists(&schema, batches)
}

/// `proacl` as the list that it is in PostgreSQL, empty: `\df+` puts it together.
fn without_access_lists(
    schema: &SchemaRef,
    batches: Vec<RecordBatch>,
) -> Result<(SchemaRef, Vec<RecordBatch>), ArrowError> {
    let list = DataType::new_list(DataType::Utf8, true);
    let place = schema.index_of("proacl")?;
    let mut fields: Vec<FieldRef> = schema.fields().iter().cloned().collect();
    fields[place] = Arc::new(Field::new("proacl", list.clone(), true));
    let schema = Arc::new(Schema::new(fields));
    let batches = batches.into_iter().map(|batch| {
        let mut columns = batch.columns().to_vec();
        columns[place] = arrow::array::new_null_array(&list, batch.num_rows());
        RecordBatch::try_new(Arc::clone(&schema), columns)
    });
    let batches = batches.collect::<Result<_, _>>()?;
    Ok((schema, batches))
}
