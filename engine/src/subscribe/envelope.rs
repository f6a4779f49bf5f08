//! `ENVELOPE UPSERT` and `ENVELOPE DEBEZIUM`: what became of each key, one row a key and publish.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::array::{ArrayRef, UInt32Array};
use arrow::compute::take;
use arrow::datatypes::{Field, FieldRef, SchemaRef};
use arrow::row::{OwnedRow, RowConverter, SortField};
use rtsap_catalog::object::Relation;
use rtsap_planner::error::nearest;
use rtsap_planner::statement::{Envelope, EnvelopeKind};
use rtsap_stream::change::{ChangeBatch, Op};

use crate::error::EngineError;

/// An envelope over the columns of a relation.
#[derive(Clone, Debug)]
pub(crate) struct Enveloped {
    kind: EnvelopeKind,
    /// The key columns, as written.
    key: Vec<usize>,
    /// All others.
    rest: Vec<usize>,
}

/// The row of a key before and after a publish, as indices of its changes.
#[derive(Clone, Copy, Default)]
struct Became {
    before: Option<u32>,
    after: Option<u32>,
}

fn word(kind: EnvelopeKind) -> &'static str {
    match kind {
        EnvelopeKind::Upsert => "ENVELOPE UPSERT",
        EnvelopeKind::Debezium => "ENVELOPE DEBEZIUM",
    }
}

fn internal(error: impl std::fmt::Display) -> EngineError {
    EngineError::internal(format!(
        "the changes of a publish do not fit their envelope: {error}"
    ))
}

impl Enveloped {
    /// The envelope of a statement over what it follows, called `what`.
    ///
    /// # Errors
    /// `RT0202` and `RT0206` for its columns; `RT0502` if two rows could have one key.
    pub(crate) fn new(
        envelope: &Envelope,
        relation: &Relation,
        what: &str,
    ) -> Result<Self, EngineError> {
        let schema = &relation.schema;
        let mut key = Vec::with_capacity(envelope.key.len());
        for (name, position) in &envelope.key {
            let position = Some(*position);
            let Ok(index) = schema.index_of(name) else {
                let message = format!("column \"{name}\" of {what} does not exist");
                let error = EngineError::invalid("RT0202", message).sqlstate("42703");
                let names = schema.fields().iter().map(|field| field.name().as_str());
                let error = error.at(position);
                return Err(match nearest(name, names) {
                    Some(near) => error.hint(near),
                    None => error,
                });
            };
            if key.contains(&index) {
                let message = format!("column \"{name}\" specified more than once");
                let error = EngineError::invalid("RT0206", message).sqlstate("42701");
                return Err(error.at(position));
            }
            key.push(index);
        }
        let told = relation.key.iter().all(|column| key.contains(column));
        if relation.key.is_empty() || !told {
            let name = |index: &usize| format!("\"{}\"", schema.field(*index).name());
            let listed: Vec<String> = relation.key.iter().map(name).collect();
            let error = EngineError::unsupported(format!("{} by this key", word(envelope.kind)));
            return Err(match listed.as_slice() {
                [] => error
                    .detail(format!("The rows of {what} are not told apart by a key."))
                    .hint("Leave the envelope out, or group by the key."),
                names => {
                    let names = names.join(", ");
                    error
                        .detail(format!("The rows of {what} are told apart by {names}."))
                        .hint(format!("Write KEY ({names})."))
                }
            });
        }
        let rest = (0..schema.fields().len()).filter(|index| !key.contains(index));
        Ok(Self {
            kind: envelope.kind,
            rest: rest.collect(),
            key,
        })
    }

    /// The columns behind `rtsap_time` and `rtsap_op`: the key, then the others; with DEBEZIUM once
    /// as they were and once as they are.
    pub(super) fn fields(&self, rows: &SchemaRef) -> Vec<FieldRef> {
        let field = |index: &usize| Arc::clone(&rows.fields()[*index]);
        let named = |prefix: &str, index: &usize| {
            let field = rows.field(*index);
            let name = format!("{prefix}{}", field.name());
            Arc::new(Field::new(name, field.data_type().clone(), true))
        };
        let mut fields: Vec<FieldRef> = self.key.iter().map(field).collect();
        let prefixes: &[&str] = match self.kind {
            EnvelopeKind::Upsert => &[""],
            EnvelopeKind::Debezium => &["before_", "after_"],
        };
        for prefix in prefixes {
            fields.extend(self.rest.iter().map(|index| named(prefix, index)));
        }
        fields
    }

    /// What became of each key of `changes`, and the columns that say it.
    ///
    /// # Errors
    /// `RT0500` if a key came twice.
    pub(super) fn told(
        &self,
        changes: &ChangeBatch,
    ) -> Result<(Vec<&'static str>, Vec<ArrayRef>), EngineError> {
        let rows = changes.rows();
        let became = self.became(changes)?;
        let ops = became.iter().map(|key| match (self.kind, key) {
            (_, Became { after: None, .. }) => "delete",
            (EnvelopeKind::Debezium, Became { before: None, .. }) => "insert",
            _ => "upsert",
        });
        let any: UInt32Array = became.iter().map(|key| key.after.or(key.before)).collect();
        let before: UInt32Array = became.iter().map(|key| key.before).collect();
        let after: UInt32Array = became.iter().map(|key| key.after).collect();
        let parts: &[(&[usize], &UInt32Array)] = match self.kind {
            EnvelopeKind::Upsert => &[(&self.key, &any), (&self.rest, &after)],
            EnvelopeKind::Debezium => &[
                (&self.key, &any),
                (&self.rest, &before),
                (&self.rest, &after),
            ],
        };
        let mut columns = Vec::new();
        for (indices, places) in parts {
            for index in *indices {
                columns.push(take(rows.column(*index), places, None).map_err(internal)?);
            }
        }
        Ok((ops.collect(), columns))
    }

    /// Each key of `changes`, in the order in which they come.
    fn became(&self, changes: &ChangeBatch) -> Result<Vec<Became>, EngineError> {
        let keys: Vec<ArrayRef> = self
            .key
            .iter()
            .map(|index| Arc::clone(changes.rows().column(*index)))
            .collect();
        let sorts = keys
            .iter()
            .map(|key| SortField::new(key.data_type().clone()));
        let converter = RowConverter::new(sorts.collect()).map_err(internal)?;
        let keys = converter.convert_columns(&keys).map_err(internal)?;
        let mut places: HashMap<OwnedRow, usize> = HashMap::new();
        let mut all: Vec<Became> = Vec::new();
        for (index, key) in (0_u32..).zip(keys.iter()) {
            let place = *places.entry(key.owned()).or_insert(all.len());
            if place == all.len() {
                all.push(Became::default());
            }
            let became = &mut all[place];
            let side = match changes.op(index as usize) {
                Op::Insert => &mut became.after,
                Op::Delete => &mut became.before,
            };
            if side.replace(index).is_some() {
                return Err(internal("a key came twice"));
            }
        }
        Ok(all)
    }
}
