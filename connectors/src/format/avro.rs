//! Avro to columns: binary datums, read by the schema they were written with, straight into the
//! columns that are wanted.
//!
//! Two framings: `avro` (every payload is a datum of the schema in `avro.schema`) and
//! `avro-confluent` (a zero byte, the number of the writer's schema in a registry, the datum).
//! Columns take the fields of their names; a field without a column is skipped, a column without a
//! field is null or, if it must not be, makes the payload a reject. How types meet is the table in
//! [`value`].

use std::collections::HashMap;

use arrow::datatypes::SchemaRef;
use rtsap_stream::decode::{DecodeSchema, Decoded, Decoder};
use rtsap_stream::error::ConnectorError;
use rtsap_stream::registry::SourceRequest;
use rtsap_stream::source::{RawBatch, SplitId};

use crate::options::OptionReader;

use super::rows::Rows;
use super::schema_registry::{SchemaRegistry, framed};
use plan::RecordPlan;
use schema::Schema;

mod plan;
mod schema;
mod value;

/// The option with the schema of the format `avro`.
pub(crate) const SCHEMA: &str = "avro.schema";

/// Turns datums of one schema into rows.
pub(crate) struct AvroDecoder {
    rows: Rows,
    schema: Schema,
    plan: RecordPlan,
}

impl AvroDecoder {
    /// A decoder that fills `columns` from datums of the schema in the options of `request`.
    ///
    /// # Errors
    /// `Invalid` for a missing or wrong schema and for a column that no format can fill.
    pub(crate) fn new(
        request: &SourceRequest,
        columns: &DecodeSchema,
    ) -> Result<Self, ConnectorError> {
        let subject = format!("source \"{}\"", request.name);
        let mut reader = OptionReader::new(subject, &request.options);
        let text = reader.required(SCHEMA)?;
        let rows = Rows::new(columns, "avro", request.options.get("topic"))?;
        let wrong = |problem: String| {
            let problem = format!("is no Avro schema of a record: {problem}");
            reader.invalid(SCHEMA, &problem)
        };
        let schema = Schema::parse(text, &[]).map_err(wrong)?;
        let plan = RecordPlan::new(&schema, schema.root, &rows.fields).map_err(wrong)?;
        Ok(Self { rows, schema, plan })
    }
}

impl Decoder for AvroDecoder {
    fn schema(&self) -> &SchemaRef {
        self.rows.schema()
    }

    fn decode(&mut self, split: &SplitId, raw: &dyn RawBatch) -> Decoded {
        let (schema, plan) = (&self.schema, &self.plan);
        self.rows.decode(split, raw, |columns, payload| {
            value::read_datum(schema, plan, payload, columns)
        })
    }
}

/// A writer's schema with the way into the columns, or why there is none.
type Writer = Result<(Schema, RecordPlan), String>;

/// Turns datums with the number of their schema into rows.
pub(crate) struct ConfluentAvroDecoder {
    rows: Rows,
    registry: SchemaRegistry,
    writers: HashMap<u32, Writer>,
}

impl ConfluentAvroDecoder {
    /// A decoder that fills `columns`; the registry is not asked yet.
    ///
    /// # Errors
    /// `Invalid` for a missing registry and for a column that no format can fill.
    pub(crate) fn new(
        request: &SourceRequest,
        columns: &DecodeSchema,
    ) -> Result<Self, ConnectorError> {
        Ok(Self {
            rows: Rows::new(columns, "avro-confluent", request.options.get("topic"))?,
            registry: SchemaRegistry::new(request)?,
            writers: HashMap::new(),
        })
    }
}

impl Decoder for ConfluentAvroDecoder {
    fn schema(&self) -> &SchemaRef {
        self.rows.schema()
    }

    fn prepare(&mut self, raw: &dyn RawBatch) -> Result<(), ConnectorError> {
        // What the registry did not know then it may know now.
        self.writers.retain(|_, writer| writer.is_ok());
        for index in 0..raw.len() {
            let Some(Ok((id, _))) = raw.payload(index).map(framed) else {
                continue;
            };
            if self.writers.contains_key(&id) {
                continue;
            }
            let writer = self.registry.fetch(id, "AVRO")?.and_then(|registered| {
                let schema = Schema::parse(&registered.text, &registered.references)?;
                let plan = RecordPlan::new(&schema, schema.root, &self.rows.fields)?;
                Ok((schema, plan))
            });
            self.writers.insert(id, writer);
        }
        Ok(())
    }

    fn decode(&mut self, split: &SplitId, raw: &dyn RawBatch) -> Decoded {
        let writers = &self.writers;
        self.rows.decode(split, raw, |columns, payload| {
            let (id, datum) = framed(payload)?;
            match writers.get(&id) {
                Some(Ok((schema, plan))) => value::read_datum(schema, plan, datum, columns),
                Some(Err(reason)) => Err(format!("schema {id}: {reason}")),
                None => Err(format!("schema {id} was not fetched")),
            }
        })
    }
}
