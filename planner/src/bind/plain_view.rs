//! The columns of a view: as it is made, and as they are shown.

use std::sync::Arc;

use datafusion::arrow::datatypes::{DataType, Field, Schema};
use rtsap_catalog::object::{PlainViewDef, Relation, ViewColumnDef};
use rtsap_stream::change::ChangelogMode;

use crate::data_type::SqlType;
use crate::error::{Cause, PlanError};
use crate::statement::named_query::CreatePlainView;

/// Binds a statement whose query has columns of `found` types, called `names` by it.
///
/// # Errors
/// [`Cause::Declaration`] for more names than columns, [`Cause::DuplicateColumn`].
pub fn bind_plain_view(
    create: &CreatePlainView,
    names: &[String],
    found: &Schema,
) -> Result<PlainViewDef, PlanError> {
    let (given, count) = (&create.column_names, found.fields().len());
    if given.len() > count {
        let message = format!(
            "the view has {} column names but its query has {count} columns",
            given.len()
        );
        return Err(PlanError::declaration(message).at(create.name.position));
    }
    let mut columns: Vec<ViewColumnDef> = Vec::with_capacity(count);
    let names = given.iter().chain(names.iter().skip(given.len()));
    for (name, field) in names.zip(found.fields()) {
        if columns.iter().any(|column| column.name == *name) {
            let error = PlanError::new(Cause::DuplicateColumn { name: name.clone() });
            let hint = "Give one of them another name with AS.";
            return Err(error.at(create.name.position).hint(hint));
        }
        columns.push(ViewColumnDef {
            name: name.clone(),
            data_type: text_of(field.data_type()),
        });
    }
    Ok(PlainViewDef {
        query: create.query.clone(),
        columns,
        renamed: !given.is_empty(),
    })
}

/// What is shown of a view: no key and no event time, for it keeps no rows that these could tell
/// of.
pub fn plain_view_relation(def: &PlainViewDef) -> Relation {
    let field = |column: &ViewColumnDef| Field::new(&column.name, type_of(&column.data_type), true);
    let fields: Vec<Field> = def.columns.iter().map(field).collect();
    Relation {
        schema: Arc::new(Schema::new(fields)),
        mode: ChangelogMode::Append,
        key: Vec::new(),
        event_time: None,
    }
}

fn text_of(found: &DataType) -> String {
    match SqlType::of_arrow(found) {
        Some(sql) => sql.to_string(),
        None => found.to_string(),
    }
}

/// The type of a text; it is only shown, so one that cannot be read back is text.
fn type_of(text: &str) -> DataType {
    match SqlType::read(text) {
        Ok(sql) => sql.arrow(),
        Err(_) => text.parse().unwrap_or(DataType::Utf8),
    }
}
