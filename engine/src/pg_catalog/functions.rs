//! PostgreSQL's system functions that clients call: constants, and those that look at the session.

use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, StringArray};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Int64Type};
use datafusion::catalog::TableFunctionImpl;
use datafusion::error::Result;
use datafusion::logical_expr::{
    ColumnarValue, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, TypeSignature,
    Volatility,
};
use datafusion::scalar::ScalarValue;
use datafusion_pg_catalog::pg_catalog as stock;
use datafusion_pg_catalog::pg_catalog::PgCatalogStaticTables;
use parking_lot::Mutex;

pub(crate) use super::session_functions::{of_session, show_all_settings};
use crate::variables::{SERVER_VERSION, Variables};

/// What a function does with its arguments, all of one length.
type Body = Arc<dyn Fn(&[ArrayRef], usize) -> Result<ArrayRef> + Send + Sync>;

/// A function that takes any arguments.
pub(super) struct Lenient {
    name: &'static str,
    signature: Signature,
    returns: DataType,
    body: Body,
}

impl fmt::Debug for Lenient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)
    }
}

impl PartialEq for Lenient {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name && Arc::ptr_eq(&self.body, &other.body)
    }
}

impl Eq for Lenient {}

impl Hash for Lenient {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.name.hash(state);
    }
}

impl ScalarUDFImpl for Lenient {
    fn name(&self) -> &str {
        self.name
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _arg_types: &[DataType]) -> Result<DataType> {
        Ok(self.returns.clone())
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let rows = args.number_rows;
        let scalars = args
            .args
            .iter()
            .all(|arg| matches!(arg, ColumnarValue::Scalar(_)));
        let length = if scalars { 1 } else { rows };
        let arrays: Result<Vec<ArrayRef>> =
            args.args.iter().map(|arg| arg.to_array(length)).collect();
        let result = (self.body)(&arrays?, length)?;
        if scalars && result.len() == 1 {
            return Ok(ColumnarValue::Scalar(ScalarValue::try_from_array(
                &result, 0,
            )?));
        }
        Ok(ColumnarValue::Array(result))
    }
}

/// A function of any arguments.
pub(super) fn lenient(
    name: &'static str,
    returns: DataType,
    volatility: Volatility,
    body: impl Fn(&[ArrayRef], usize) -> Result<ArrayRef> + Send + Sync + 'static,
) -> ScalarUDF {
    let any = vec![TypeSignature::Nullary, TypeSignature::VariadicAny];
    let signature = Signature::one_of(any, volatility);
    ScalarUDF::from(Lenient {
        name,
        signature,
        returns,
        body: Arc::new(body),
    })
}

/// A function that always gives `value`.
fn constant(name: &'static str, value: ScalarValue) -> ScalarUDF {
    lenient(
        name,
        value.data_type(),
        Volatility::Stable,
        move |_, rows| value.to_array_of_size(rows),
    )
}

/// Argument `index` as text, if it is given.
pub(super) fn text_argument(arguments: &[ArrayRef], index: usize) -> Result<Option<ArrayRef>> {
    arguments
        .get(index)
        .map(|array| Ok(cast(array, &DataType::Utf8)?))
        .transpose()
}

/// Argument `index` as integers, if it is given; what is no number is null.
pub(super) fn integer_argument(arguments: &[ArrayRef], index: usize) -> Result<Option<ArrayRef>> {
    arguments
        .get(index)
        .map(|array| Ok(cast(array, &DataType::Int32)?))
        .transpose()
}

/// The functions that are the same in every session.
pub(crate) fn stateless(statics: &PgCatalogStaticTables) -> Vec<ScalarUDF> {
    let _ = statics;
    let mut all = vec![
        stock::create_current_schemas_udf(),
        stock::create_pg_relation_is_publishable_udf(),
        stock::create_pg_get_statisticsobjdef_columns_udf(),
        stock::create_pg_encoding_to_char_udf(),
        stock::create_pg_get_partkeydef_udf(),
        stock::create_pg_get_partition_ancestors_udf(),
        stock::create_pg_stat_get_numscans(),
        stock::format_type::create_format_type_udf(),
        stock::pg_get_expr_udf::create_pg_get_expr_udf(),
        stock::quote_ident_udf::create_quote_ident_udf(),
        stock::quote_ident_udf::create_parse_ident_udf(),
        stock::array_bounds_udf::create_array_upper_udf(),
        stock::array_bounds_udf::create_array_lower_udf(),
    ];
    all.extend(constants());
    all
}

/// Sizes on disk: there are no files.
const SIZES: [&str; 6] = [
    "pg_relation_size",
    "pg_total_relation_size",
    "pg_table_size",
    "pg_indexes_size",
    "pg_database_size",
    "pg_tablespace_size",
];

/// What no object here has.
const NOTHING: [&str; 13] = [
    "inet_server_addr",
    "inet_client_addr",
    "pg_get_ruledef",
    "pg_get_triggerdef",
    "pg_get_functiondef",
    "pg_get_serial_sequence",
    "pg_get_statisticsobjdef",
    "shobj_description",
    "col_description",
    "pg_collation_for",
    "pg_last_wal_replay_lsn",
    "pg_advisory_unlock_all",
    "pg_export_snapshot",
];

/// There is one role, which may do everything, and one schema, whose names are all visible.
const TRUE: [&str; 24] = [
    "pg_table_is_visible",
    "pg_type_is_visible",
    "pg_function_is_visible",
    "pg_operator_is_visible",
    "pg_opclass_is_visible",
    "pg_opfamily_is_visible",
    "pg_collation_is_visible",
    "pg_conversion_is_visible",
    "pg_statistics_obj_is_visible",
    "pg_ts_config_is_visible",
    "pg_ts_dict_is_visible",
    "has_table_privilege",
    "has_schema_privilege",
    "has_database_privilege",
    "has_any_column_privilege",
    "has_column_privilege",
    "has_function_privilege",
    "has_sequence_privilege",
    "has_tablespace_privilege",
    "has_type_privilege",
    "has_language_privilege",
    "has_foreign_data_wrapper_privilege",
    "has_server_privilege",
    "pg_has_role",
];

/// What this server never is.
const FALSE: [&str; 6] = [
    "pg_is_in_recovery",
    "pg_is_wal_replay_paused",
    "pg_is_other_temp_schema",
    "row_security_active",
    "pg_cancel_backend",
    "pg_terminate_backend",
];

fn constants() -> Vec<ScalarUDF> {
    let text = |value: &str| ScalarValue::Utf8(Some(value.to_owned()));
    let no_text = ScalarValue::Utf8(None);
    let (yes, no) = (
        ScalarValue::Boolean(Some(true)),
        ScalarValue::Boolean(Some(false)),
    );
    let version = format!(
        "PostgreSQL {SERVER_VERSION} (RTSAP {}) on {}, compiled by rustc, 64-bit",
        env!("CARGO_PKG_VERSION"),
        std::env::consts::ARCH
    );
    let mut all = vec![
        constant("version", ScalarValue::Utf8(Some(version))),
        constant("current_schema", text("public")),
        constant("pg_client_encoding", text("UTF8")),
        constant("pg_my_temp_schema", ScalarValue::Int32(Some(0))),
        constant("pg_char_to_encoding", ScalarValue::Int32(Some(6))),
        constant("inet_server_port", ScalarValue::Int32(None)),
        constant("inet_client_port", ScalarValue::Int32(None)),
        constant("pg_trigger_depth", ScalarValue::Int32(Some(0))),
        constant("pg_tablespace_location", text("")),
        constant("pg_get_function_arguments", text("")),
        constant("pg_get_function_identity_arguments", text("")),
        constant("pg_get_function_result", text("")),
        constant("pg_get_function_arg_default", no_text.clone()),
        size_pretty(),
        json_build_object(),
    ];
    all.extend(SIZES.map(|name| constant(name, ScalarValue::Int64(Some(0)))));
    all.extend(NOTHING.map(|name| constant(name, no_text.clone())));
    all.extend(TRUE.map(|name| constant(name, yes.clone())));
    all.extend(FALSE.map(|name| constant(name, no.clone())));
    all
}

/// A number of bytes as people read it.
fn size_pretty() -> ScalarUDF {
    lenient(
        "pg_size_pretty",
        DataType::Utf8,
        Volatility::Immutable,
        |arguments, rows| {
            let sizes = arguments
                .first()
                .map(|array| cast(array, &DataType::Int64))
                .transpose()?;
            let of_row = |row: usize| {
                let sizes = sizes.as_ref()?.as_primitive::<Int64Type>();
                let bytes = (row < sizes.len() && sizes.is_valid(row)).then(|| sizes.value(row))?;
                let units = ["bytes", "kB", "MB", "GB", "TB"];
                let mut scaled = (bytes, 0);
                while scaled.0.abs() >= 10 * 1024 && scaled.1 + 1 < units.len() {
                    scaled = ((scaled.0 + 512) / 1024, scaled.1 + 1);
                }
                Some(format!("{} {}", scaled.0, units[scaled.1]))
            };
            Ok(Arc::new(StringArray::from_iter((0..rows).map(of_row))) as ArrayRef)
        },
    )
}

/// An object from alternating names and values.
fn json_build_object() -> ScalarUDF {
    lenient(
        "json_build_object",
        DataType::Utf8,
        Volatility::Immutable,
        |arguments, rows| {
            let texts: Result<Vec<ArrayRef>> = arguments
                .iter()
                .map(|array| Ok(cast(array, &DataType::Utf8)?))
                .collect();
            let texts = texts?;
            let value = |index: usize, row: usize| {
                let array = texts[index].as_string::<i32>();
                if !array.is_valid(row) {
                    return "null".to_owned();
                }
                let bare = arguments[index].data_type().is_numeric()
                    || *arguments[index].data_type() == DataType::Boolean;
                if bare {
                    array.value(row).to_owned()
                } else {
                    quoted(array.value(row))
                }
            };
            let of_row = |row: usize| {
                let pairs = (0..texts.len() / 2).map(|pair| {
                    let name = texts[2 * pair].as_string::<i32>().value(row);
                    format!("{} : {}", quoted(name), value(2 * pair + 1, row))
                });
                Some(format!("{{{}}}", pairs.collect::<Vec<_>>().join(", ")))
            };
            Ok(Arc::new(StringArray::from_iter((0..rows).map(of_row))) as ArrayRef)
        },
    )
}

fn quoted(text: &str) -> String {
    let mut quoted = String::from("\"");
    for char in text.chars() {
        match char {
            '"' | '\\' => quoted.extend(['\\', char]),
            char if char.is_control() => quoted.push_str(&format!("\\u{:04x}", u32::from(char))),
            char => quoted.push(char),
        }
    }
    quoted + "\""
}

/// What `pg_show_all_settings()` reads.
pub(crate) type SharedVariables = Arc<Mutex<Variables>>;

/// A table function as a session registers it.
pub(super) type TableFunctionBox = Arc<dyn TableFunctionImpl>;
