//! Which field of a writer's record goes into which column.

use arrow::datatypes::{DataType, FieldRef};

use super::schema::{Kind, Schema};

/// The way from a record into columns.
#[derive(Debug)]
pub(super) struct RecordPlan {
    /// For each field, in the order they are written: its type, and the column that takes it with
    /// the way below.
    pub(super) fields: Vec<(usize, Option<(usize, Plan)>)>,
    /// The columns that no field fills.
    pub(super) absent: Vec<usize>,
    /// The names of the columns.
    pub(super) names: Vec<String>,
}

/// The way of one value.
#[derive(Debug)]
pub(super) enum Plan {
    /// Into a column without parts.
    Plain,
    /// An array into a list.
    List(Box<Plan>),
    /// A record into a struct.
    Record(Box<RecordPlan>),
    /// Whichever branch was written.
    Union(Vec<Plan>),
}

impl RecordPlan {
    /// The way from record `index` of `schema` into columns of `fields`.
    ///
    /// # Errors
    /// If the type is no record.
    pub(super) fn new(schema: &Schema, index: usize, fields: &[FieldRef]) -> Result<Self, String> {
        let Some(Kind::Record(written)) = schema.types.get(index).map(|found| &found.kind) else {
            return Err("the type is no record".to_owned());
        };
        let place = |name: &str| fields.iter().position(|field| field.name() == name);
        let planned = written.iter().map(|(name, of)| {
            let to = place(name).map(|column| {
                let plan = Plan::new(schema, *of, fields[column].data_type());
                (column, plan)
            });
            (*of, to)
        });
        let written = |field: &FieldRef| written.iter().any(|(name, _)| name == field.name());
        let absent = (0..fields.len()).filter(|column| !written(&fields[*column]));
        Ok(Self {
            fields: planned.collect(),
            absent: absent.collect(),
            names: fields.iter().map(|field| field.name().clone()).collect(),
        })
    }
}

impl Plan {
    /// Types that do not meet give a plain way, on which every value is refused.
    fn new(schema: &Schema, index: usize, to: &DataType) -> Self {
        match (&schema.types[index].kind, to) {
            (Kind::Union(branches), _) => {
                let branches = branches.iter();
                Self::Union(
                    branches
                        .map(|branch| Self::new(schema, *branch, to))
                        .collect(),
                )
            }
            (Kind::Array(items), DataType::List(element)) => {
                Self::List(Box::new(Self::new(schema, *items, element.data_type())))
            }
            (Kind::Record(_), DataType::Struct(fields)) => {
                match RecordPlan::new(schema, index, fields) {
                    Ok(plan) => Self::Record(Box::new(plan)),
                    Err(_) => Self::Plain,
                }
            }
            _ => Self::Plain,
        }
    }
}
