//! `SHOW` and `DESCRIBE`: answers made from the catalog, the runtime's report and the session's
//! variables.

use arrow::array::StringArray;
use arrow::compute::{filter_record_batch, ilike};
use arrow::datatypes::{DataType, Field, Schema};
use arrow::error::ArrowError;
use arrow::record_batch::RecordBatch;
use rtsap_catalog::object::{ColumnDef, ColumnKind, ObjectDef, ObjectKind, WatermarkDef};
use rtsap_catalog::snapshot::CatalogObject;
use rtsap_planner::data_type::SqlType;
use rtsap_planner::statement::{Name, ObjectNoun, ShowTarget, StatementKind};
use std::sync::Arc;

use crate::error::EngineError;
use crate::instance::Instance;
use crate::query::namespace::{part_of, resolve};
use crate::sequence::{check_noun, existing, existing_of, own_name};
use crate::session::{Session, Statement};
use crate::system::rows;
use crate::tabular::Tabular;
use crate::variables::unknown;

/// The answer to `SHOW` of objects.
///
/// # Errors
/// `RT0201` for an unknown name.
pub(crate) fn objects(
    instance: &Instance,
    target: &ShowTarget,
) -> Result<RecordBatch, EngineError> {
    let catalog = instance.snapshot();
    let status = instance.runtime.status();
    let made = match target {
        ShowTarget::Sources => rows::sources(&catalog, &status),
        ShowTarget::Tables => rows::tables(&catalog, &status),
        ShowTarget::Views => rows::views(&catalog, &status, false),
        ShowTarget::AllViews => rows::views(&catalog, &status, true),
        ShowTarget::Sinks => rows::sinks(&catalog, &status),
        ShowTarget::Functions(pattern) => {
            let all = rows::functions(instance, &catalog);
            all.and_then(|all| named_like(&all, pattern.as_deref()))
        }
        ShowTarget::Jobs => rows::jobs(&catalog, &status),
        ShowTarget::Columns(name) => return describe(instance, name, false),
        ShowTarget::Create(noun, name) => return show_create(instance, *noun, name),
    };
    made.map_err(broken)
}

/// The rows whose first column is like `pattern`, whatever the case of its letters.
fn named_like(rows: &RecordBatch, pattern: Option<&str>) -> Result<RecordBatch, ArrowError> {
    let Some(pattern) = pattern else {
        return Ok(rows.clone());
    };
    let pattern = StringArray::new_scalar(pattern);
    filter_record_batch(rows, &ilike(rows.column(0), &pattern)?)
}

fn show_create(
    instance: &Instance,
    noun: Option<ObjectNoun>,
    name: &Name,
) -> Result<RecordBatch, EngineError> {
    let catalog = instance.snapshot();
    let object = match noun {
        Some(noun) => existing_of(&catalog, noun, name)?,
        None => existing(&catalog, name)?,
    };
    if let Some(noun) = noun {
        check_noun(&object.def, noun, "SHOW CREATE", name)?;
    }
    let rows = [&object.def];
    let batch = Tabular::new(&rows)
        .text("name", |def| Some(def.name.to_string()))
        .text("create_sql", |def| Some(def.sql.clone()))
        .build();
    batch.map_err(broken)
}

/// The answer to `SHOW variable`.
///
/// # Errors
/// `RT0510` if there is no such variable.
pub(crate) fn variable(session: &Session, name: &str) -> Result<RecordBatch, EngineError> {
    if name.eq_ignore_ascii_case("all") {
        let all = session.variables.lock().all();
        let batch = Tabular::new(&all)
            .text("name", |(name, _, _)| Some(name.clone()))
            .text("setting", |(_, value, _)| Some(value.clone()))
            .text("description", |(_, _, what)| Some((*what).to_owned()))
            .build();
        return batch.map_err(broken);
    }
    let value = session.parameter(name).ok_or_else(|| unknown(name))?;
    let column = match name.to_ascii_lowercase().as_str() {
        "timezone" | "time zone" | "time.zone" => "TimeZone".to_owned(),
        other => other.to_owned(),
    };
    let schema = Schema::new(vec![Field::new(column, DataType::Utf8, true)]);
    let values = StringArray::from(vec![value]);
    RecordBatch::try_new(Arc::new(schema), vec![Arc::new(values)]).map_err(broken)
}

/// One line of `DESCRIBE`.
struct Column {
    name: String,
    data_type: String,
    nullable: bool,
    role: Option<String>,
    origin: Option<String>,
}

/// The answer to `DESCRIBE`; `extended` adds where values come from.
///
/// # Errors
/// `RT0201` for an unknown name, `RT0541` for a sink.
pub(crate) fn describe(
    instance: &Instance,
    name: &Name,
    extended: bool,
) -> Result<RecordBatch, EngineError> {
    let catalog = instance.snapshot();
    let own = own_name(name)?;
    let columns = match part_of(own.as_str()) {
        (object, _) if object == own.as_str() => columns_of(existing(&catalog, name)?, name)?,
        _ => {
            let table = resolve(&catalog, instance, own.as_str())?;
            let Some(table) = table else {
                return Err(missing(name));
            };
            table
                .schema
                .fields()
                .iter()
                .map(|field| plain_column(field))
                .collect()
        }
    };
    let batch = Tabular::new(&columns)
        .text("column", |column| Some(column.name.clone()))
        .text("type", |column| Some(column.data_type.clone()))
        .boolean("nullable", |column| column.nullable)
        .text("role", |column| column.role.clone());
    let batch = if extended {
        batch.text("origin", |column| column.origin.clone())
    } else {
        batch
    };
    batch.build().map_err(broken)
}

fn missing(name: &Name) -> EngineError {
    EngineError::invalid(
        "RT0201",
        format!("relation \"{}\" does not exist", name.name),
    )
    .sqlstate("42P01")
    .at(Some(name.position))
}

fn plain_column(field: &Field) -> Column {
    Column {
        name: field.name().clone(),
        data_type: type_name(field.data_type()),
        nullable: field.is_nullable(),
        role: None,
        origin: None,
    }
}

fn columns_of(object: &CatalogObject, name: &Name) -> Result<Vec<Column>, EngineError> {
    let Some(relation) = &object.relation else {
        let message = format!(
            "{} \"{}\" has no columns",
            object.def.kind.noun(),
            object.def.name
        );
        return Err(EngineError::invalid("RT0541", message)
            .sqlstate("42809")
            .hint("Describe the view that it follows.")
            .at(Some(name.position)));
    };
    let (defs, watermark) = declared(&object.def);
    let describe = |(index, field): (usize, &Arc<Field>)| {
        let mut column = plain_column(field);
        let def = defs.iter().find(|def| def.name == *field.name());
        if let Some(def) = def {
            column.data_type.clone_from(&def.sql_type);
            column.origin = origin(def);
        }
        let mut roles = Vec::new();
        if relation.key.contains(&index) {
            roles.push("key".to_owned());
        }
        if relation.event_time == Some(index) {
            roles.push(event_time_role(watermark));
        }
        column.role = (!roles.is_empty()).then(|| roles.join(", "));
        column
    };
    Ok(relation
        .schema
        .fields()
        .iter()
        .enumerate()
        .map(describe)
        .collect())
}

fn declared(def: &ObjectDef) -> (&[ColumnDef], Option<&WatermarkDef>) {
    match &def.kind {
        ObjectKind::Source(source) => (&source.columns, source.watermark.as_ref()),
        ObjectKind::Table(table) => (&table.columns, table.watermark.as_ref()),
        _ => (&[], None),
    }
}

fn event_time_role(watermark: Option<&WatermarkDef>) -> String {
    match watermark {
        Some(watermark) => {
            let delay = std::time::Duration::from_nanos(watermark.delay_nanos.unsigned_abs());
            format!("event time, watermark {delay:?} behind")
        }
        None => "event time".to_owned(),
    }
}

fn origin(def: &ColumnDef) -> Option<String> {
    match &def.kind {
        ColumnKind::Physical => None,
        ColumnKind::Metadata(what) => Some(format!("METADATA FROM '{what}'")),
        ColumnKind::Computed(expression) => Some(format!("AS {expression}")),
    }
}

/// The SQL name of an Arrow type.
pub(crate) fn type_name(data_type: &DataType) -> String {
    match SqlType::of_arrow(data_type) {
        Some(sql) => sql.to_string(),
        None => data_type.to_string(),
    }
}

/// The text of a statement with the values of options that hold secrets blotted out.
pub(crate) fn redacted(statement: &Statement) -> String {
    let options = match &statement.parsed.kind {
        StatementKind::CreateSource(create) => &create.options,
        StatementKind::CreateSink(create) => &create.options,
        _ => return statement.text().to_owned(),
    };
    let mut text = statement.text().to_owned();
    for (key, option) in options {
        if is_secret(key) && !option.value.is_empty() {
            let written = format!("'{}'", option.value.replace('\'', "''"));
            text = text.replace(&written, "'********'");
        }
    }
    text
}

fn is_secret(key: &str) -> bool {
    [
        "password",
        "secret",
        "token",
        "credential",
        "jaas",
        "ssl.key",
    ]
    .iter()
    .any(|word| key.contains(word))
}

fn broken(error: arrow::error::ArrowError) -> EngineError {
    EngineError::internal(format!("cannot show this: {error}"))
}
