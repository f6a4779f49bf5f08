//! System functions that depend on who asks: names, variables, numbers of relations.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, Int32Array, StringArray};
use arrow::datatypes::{DataType, Int32Type};
use datafusion::catalog::{MemTable, TableFunctionArgs, TableFunctionImpl};
use datafusion::datasource::TableProvider;
use datafusion::error::{DataFusionError, Result};
use datafusion::logical_expr::{ScalarUDF, Volatility};
use rtsap_catalog::name::ObjectName;

use super::functions::{
    SharedVariables, TableFunctionBox, integer_argument, lenient, text_argument,
};
use super::keys::index_definition;
use super::pg_type::pg_type;
use super::proc::{PgFunction, functions};
use super::relations::{PgRelation, Relations};
use crate::error::EngineError;
use crate::instance::Instance;
use crate::session::SessionSettings;
use crate::show::type_name;
use crate::tabular::Tabular;
use crate::variables::unknown;

/// The functions of one session.
pub(crate) fn of_session(
    instance: &Arc<Instance>,
    settings: &SessionSettings,
    variables: &SharedVariables,
) -> Vec<ScalarUDF> {
    let mut all = vec![
        same("current_database", &settings.database),
        same("current_catalog", &settings.database),
        current_setting(variables, &settings.user),
        set_config(variables),
        type_of(),
    ];
    all.extend(["session_user", "current_user", "user"].map(|name| same(name, &settings.user)));
    let user = settings.user.clone();
    all.push(lenient(
        "pg_get_userbyid",
        DataType::Utf8,
        Volatility::Stable,
        move |_, rows| Ok(Arc::new(StringArray::from(vec![user.as_str(); rows]))),
    ));
    let process = settings.process_id;
    all.push(lenient(
        "pg_backend_pid",
        DataType::Int32,
        Volatility::Stable,
        move |_, rows| Ok(Arc::new(Int32Array::from(vec![process; rows]))),
    ));
    let names = Arc::new((Arc::clone(instance), settings.clone()));
    all.push(by_oid("pg_get_viewdef", &names, |_, relation| {
        relation
            .definition
            .as_ref()
            .map(|query| format!(" {query};"))
    }));
    all.push(obj_description(&names));
    all.push(of_function(
        "pg_get_function_arguments",
        &names,
        |function| function.arguments.clone(),
    ));
    all.push(of_function(
        "pg_get_function_identity_arguments",
        &names,
        |function| function.arguments.clone(),
    ));
    all.push(of_function("pg_get_function_result", &names, |function| {
        function.result.clone()
    }));
    all.push(of_function("pg_get_function_sqlbody", &names, |function| {
        function.source.clone()
    }));
    all.push(by_oid("pg_get_indexdef", &names, |all, index| {
        Some(index_definition(all.by_oid(index.indexed?)?, index))
    }));
    all.push(by_oid("pg_get_constraintdef", &names, |all, index| {
        Some(format!(
            "PRIMARY KEY ({})",
            all.by_oid(index.indexed?)?.key_columns()
        ))
    }));
    all.push(to_regclass(&names));
    all.push(to_regtype());
    all
}

type Names = Arc<(Arc<Instance>, SessionSettings)>;

fn relations(names: &Names) -> Relations {
    let (instance, settings) = (&names.0, &names.1);
    Relations::new(&settings.database, &settings.user, instance.snapshot())
}

fn same(name: &'static str, value: &str) -> ScalarUDF {
    let value = value.to_owned();
    lenient(name, DataType::Utf8, Volatility::Stable, move |_, rows| {
        Ok(Arc::new(StringArray::from(vec![value.as_str(); rows])))
    })
}

/// A text about the relation whose number is the first argument.
fn by_oid(
    name: &'static str,
    names: &Names,
    what: impl Fn(&Relations, &PgRelation) -> Option<String> + Send + Sync + 'static,
) -> ScalarUDF {
    let names = Arc::clone(names);
    lenient(
        name,
        DataType::Utf8,
        Volatility::Stable,
        move |arguments, rows| {
            let all = relations(&names);
            let oids = integer_argument(arguments, 0)?;
            let of_row = |row: usize| {
                let oids = oids.as_ref()?.as_primitive::<Int32Type>();
                let oid = (row < oids.len() && oids.is_valid(row)).then(|| oids.value(row))?;
                what(&all, all.by_oid(oid)?)
            };
            Ok(Arc::new(StringArray::from_iter((0..rows).map(of_row))) as ArrayRef)
        },
    )
}

/// A text for the number in the first argument.
fn of_number(
    name: &'static str,
    make: impl Fn() -> Box<dyn Fn(i32) -> Option<String>> + Send + Sync + 'static,
) -> ScalarUDF {
    lenient(
        name,
        DataType::Utf8,
        Volatility::Stable,
        move |arguments, rows| {
            let text = make();
            let oids = integer_argument(arguments, 0)?;
            let of_row = |row: usize| {
                let oids = oids.as_ref()?.as_primitive::<Int32Type>();
                text((row < oids.len() && oids.is_valid(row)).then(|| oids.value(row))?)
            };
            Ok(Arc::new(StringArray::from_iter((0..rows).map(of_row))) as ArrayRef)
        },
    )
}

/// A text about the function whose number is the first argument.
fn of_function(name: &'static str, names: &Names, what: fn(&PgFunction) -> String) -> ScalarUDF {
    let names = Arc::clone(names);
    of_number(name, move || {
        let all = functions(&names.0.snapshot(), &names.0.docs);
        Box::new(move |oid| all.iter().find(|function| function.oid == oid).map(what))
    })
}

/// The comment of a relation or a function.
fn obj_description(names: &Names) -> ScalarUDF {
    let names = Arc::clone(names);
    of_number("obj_description", move || {
        let all = relations(&names);
        let functions = functions(&names.0.snapshot(), &names.0.docs);
        Box::new(move |oid| {
            let relation = all
                .by_oid(oid)
                .and_then(|relation| relation.comment.clone());
            relation.or_else(|| {
                let function = functions.iter().find(|function| function.oid == oid);
                function.and_then(|function| function.comment.clone())
            })
        })
    })
}

fn to_regclass(names: &Names) -> ScalarUDF {
    let names = Arc::clone(names);
    lenient(
        "to_regclass",
        DataType::Int32,
        Volatility::Stable,
        move |arguments, rows| {
            let all = relations(&names);
            let texts = text_argument(arguments, 0)?;
            let of_row = |row: usize| {
                let text = text_at(texts.as_ref(), row)?;
                let bare = text
                    .rsplit_once('.')
                    .map_or(text.as_str(), |(_, name)| name);
                let name = ObjectName::parse(bare).ok()?;
                all.all
                    .iter()
                    .find(|relation| relation.name == name.as_str())
                    .map(|r| r.oid)
            };
            Ok(Arc::new(Int32Array::from_iter((0..rows).map(of_row))) as ArrayRef)
        },
    )
}

/// Types that clients look up by name. Others are unknown, as extensions that are not installed.
fn to_regtype() -> ScalarUDF {
    const TYPES: [(&str, i32); 20] = [
        ("bool", 16),
        ("boolean", 16),
        ("bytea", 17),
        ("int8", 20),
        ("bigint", 20),
        ("int2", 21),
        ("smallint", 21),
        ("int4", 23),
        ("integer", 23),
        ("text", 25),
        ("json", 114),
        ("float4", 700),
        ("real", 700),
        ("float8", 701),
        ("double precision", 701),
        ("varchar", 1043),
        ("date", 1082),
        ("timestamp", 1114),
        ("timestamptz", 1184),
        ("numeric", 1700),
    ];
    lenient(
        "to_regtype",
        DataType::Int32,
        Volatility::Stable,
        |arguments, rows| {
            let texts = text_argument(arguments, 0)?;
            let of_row = |row: usize| {
                let text = text_at(texts.as_ref(), row)?.to_lowercase();
                TYPES
                    .iter()
                    .find(|(name, _)| *name == text)
                    .map(|(_, oid)| *oid)
            };
            Ok(Arc::new(Int32Array::from_iter((0..rows).map(of_row))) as ArrayRef)
        },
    )
}

fn text_at(texts: Option<&ArrayRef>, row: usize) -> Option<String> {
    let texts = texts?.as_string::<i32>();
    (row < texts.len() && texts.is_valid(row)).then(|| texts.value(row).to_owned())
}

fn type_of() -> ScalarUDF {
    lenient(
        "pg_typeof",
        DataType::Utf8,
        Volatility::Stable,
        |arguments, rows| {
            let name = arguments.first().map_or_else(
                || "unknown".to_owned(),
                |array| {
                    // Types without a name in SQL are shown as text.
                    match pg_type(array.data_type()).oid {
                        25 => "text".to_owned(),
                        _ => type_name(array.data_type()),
                    }
                },
            );
            Ok(Arc::new(StringArray::from(vec![name.as_str(); rows])))
        },
    )
}

fn external(error: EngineError) -> DataFusionError {
    DataFusionError::External(Box::new(error))
}

fn current_setting(variables: &SharedVariables, user: &str) -> ScalarUDF {
    let (variables, user) = (Arc::clone(variables), user.to_owned());
    lenient(
        "current_setting",
        DataType::Utf8,
        Volatility::Stable,
        move |arguments, rows| {
            let names = text_argument(arguments, 0)?;
            let missing_ok = text_argument(arguments, 1)?;
            let variables = variables.lock();
            let values = (0..rows).map(|row| {
                let Some(name) = text_at(names.as_ref(), row) else {
                    return Ok(None);
                };
                if name.eq_ignore_ascii_case("session_authorization") {
                    return Ok(Some(user.clone()));
                }
                let lenient = text_at(missing_ok.as_ref(), row).as_deref() == Some("true");
                match variables.get(&name) {
                    None if !lenient => Err(external(unknown(&name))),
                    value => Ok(value),
                }
            });
            let values: Result<Vec<Option<String>>> = values.collect();
            Ok(Arc::new(StringArray::from(values?)) as ArrayRef)
        },
    )
}

fn set_config(variables: &SharedVariables) -> ScalarUDF {
    let variables = Arc::clone(variables);
    lenient(
        "set_config",
        DataType::Utf8,
        Volatility::Volatile,
        move |arguments, rows| {
            let names = text_argument(arguments, 0)?;
            let values = text_argument(arguments, 1)?;
            let locals = text_argument(arguments, 2)?;
            let mut variables = variables.lock();
            let mut set = Vec::with_capacity(rows);
            for row in 0..rows {
                let Some(name) = text_at(names.as_ref(), row) else {
                    set.push(None);
                    continue;
                };
                let value = text_at(values.as_ref(), row);
                let local = text_at(locals.as_ref(), row).as_deref() == Some("true");
                variables
                    .set(&name, value.as_deref(), local)
                    .map_err(external)?;
                set.push(variables.get(&name));
            }
            Ok(Arc::new(StringArray::from(set)) as ArrayRef)
        },
    )
}

/// `pg_show_all_settings()`.
pub(crate) fn show_all_settings(variables: &SharedVariables) -> TableFunctionBox {
    Arc::new(AllSettings(Arc::clone(variables)))
}

struct AllSettings(SharedVariables);

impl std::fmt::Debug for AllSettings {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("pg_show_all_settings")
    }
}

impl TableFunctionImpl for AllSettings {
    fn call_with_args(&self, _args: TableFunctionArgs) -> Result<Arc<dyn TableProvider>> {
        let all = self.0.lock().all();
        let batch = Tabular::new(&all)
            .text("name", |(name, _, _)| Some(name.clone()))
            .text("setting", |(_, value, _)| Some(value.clone()))
            .text("short_desc", |(_, _, what)| Some((*what).to_owned()))
            .build()?;
        Ok(Arc::new(MemTable::try_new(
            batch.schema(),
            vec![vec![batch]],
        )?))
    }
}
