//! Which field of a message goes into which column.

use std::collections::HashMap;

use arrow::datatypes::{DataType, FieldRef};

use super::schema::{Kind, Message, Schema};

/// The way from a message into columns.
#[derive(Debug)]
pub(super) struct MessagePlan {
    /// By the field's number, the column that takes it.
    pub(super) by_number: HashMap<u64, usize>,
    /// One entry a column.
    pub(super) columns: Vec<ColumnPlan>,
}

/// The way into one column.
#[derive(Debug)]
pub(super) struct ColumnPlan {
    pub(super) name: String,
    /// The field's type; none if the message has no such field.
    pub(super) kind: Option<Kind>,
    pub(super) repeated: bool,
    pub(super) has_presence: bool,
    /// The way below a message into a struct, or into the structs of a list.
    pub(super) below: Option<Box<MessagePlan>>,
}

impl MessagePlan {
    /// The way from `message` of `schema` into columns of `fields`. Types that do not meet are
    /// found out value by value.
    pub(super) fn new(schema: &Schema, message: &Message, fields: &[FieldRef]) -> Self {
        let mut by_number = HashMap::new();
        let mut columns = Vec::with_capacity(fields.len());
        for (index, column) in fields.iter().enumerate() {
            let field = message
                .fields
                .iter()
                .find(|field| field.name == *column.name());
            let kind = field.map(|field| schema.kind(&message.name, field));
            if let Some(field) = field {
                by_number.insert(field.number, index);
            }
            let parts = match column.data_type() {
                DataType::Struct(parts) => Some(parts),
                DataType::List(item) => match item.data_type() {
                    DataType::Struct(parts) => Some(parts),
                    _ => None,
                },
                _ => None,
            };
            let inner = match &kind {
                Some(Kind::Message(full)) => schema.message(full),
                _ => None,
            };
            columns.push(ColumnPlan {
                name: column.name().clone(),
                kind,
                repeated: field.is_some_and(|field| field.repeated),
                has_presence: field.is_some_and(|field| field.has_presence),
                below: inner
                    .zip(parts)
                    .map(|(inner, parts)| Box::new(Self::new(schema, inner, parts))),
            });
        }
        Self { by_number, columns }
    }
}
