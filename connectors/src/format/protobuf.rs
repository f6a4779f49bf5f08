//! Protobuf to columns: messages by the text of their `.proto` schema, straight into the columns
//! that are wanted.
//!
//! Two framings: `protobuf` (every payload is a message of `protobuf.message` in `protobuf.schema`)
//! and `protobuf-confluent` (a zero byte, the number of the schema in a registry, which message of
//! it, the message). Fields without a column are skipped. A field that is absent has its default,
//! as proto3 says; one that knows of its presence is null.

use std::collections::HashMap;

use arrow::datatypes::SchemaRef;
use rtsap_stream::decode::{DecodeSchema, Decoded, Decoder};
use rtsap_stream::error::ConnectorError;
use rtsap_stream::registry::SourceRequest;
use rtsap_stream::source::{RawBatch, SplitId};

use crate::options::OptionReader;

use super::rows::Rows;
use super::schema_registry::{SchemaRegistry, framed};
use plan::MessagePlan;
use schema::Schema;

mod plan;
mod schema;
mod syntax;
mod value;
mod wire;

/// The options of the format `protobuf`.
pub(crate) const OPTION_KEYS: [&str; 2] = [SCHEMA, MESSAGE];

const SCHEMA: &str = "protobuf.schema";
const MESSAGE: &str = "protobuf.message";

/// Turns messages of one type into rows.
pub(crate) struct ProtobufDecoder {
    rows: Rows,
    plan: MessagePlan,
}

impl ProtobufDecoder {
    /// A decoder that fills `columns` from messages of the type in the options of `request`.
    ///
    /// # Errors
    /// `Invalid` for a missing or wrong schema or message, and for a column that no format can
    /// fill.
    pub(crate) fn new(
        request: &SourceRequest,
        columns: &DecodeSchema,
    ) -> Result<Self, ConnectorError> {
        let subject = format!("source \"{}\"", request.name);
        let mut reader = OptionReader::new(subject, &request.options);
        let text = reader.required(SCHEMA)?;
        let rows = Rows::new(columns, "protobuf", request.options.get("topic"))?;
        let schema = Schema::parse(text, &[]).map_err(|problem| {
            reader.invalid(SCHEMA, &format!("is no .proto schema: {problem}"))
        })?;
        let name = match reader.text(MESSAGE) {
            Some(name) => name.trim().to_owned(),
            None => schema
                .first()
                .ok_or_else(|| reader.invalid(SCHEMA, "has no message"))?,
        };
        let Some(message) = schema.find(&name) else {
            let problem = format!("cannot be \"{name}\": the schema has no such message");
            return Err(reader.invalid(MESSAGE, &problem));
        };
        let plan = MessagePlan::new(&schema, message, &rows.fields);
        Ok(Self { rows, plan })
    }
}

impl Decoder for ProtobufDecoder {
    fn schema(&self) -> &SchemaRef {
        self.rows.schema()
    }

    fn decode(&mut self, split: &SplitId, raw: &dyn RawBatch) -> Decoded {
        let plan = &self.plan;
        self.rows.decode(split, raw, |columns, payload| {
            value::read(plan, payload, columns)
        })
    }
}

/// Turns messages with the number of their schema into rows.
pub(crate) struct ConfluentProtobufDecoder {
    rows: Rows,
    registry: SchemaRegistry,
    schemas: HashMap<u32, Result<Schema, String>>,
    plans: HashMap<(u32, Vec<i64>), MessagePlan>,
}

impl ConfluentProtobufDecoder {
    /// A decoder that fills `columns`; the registry is not asked yet.
    ///
    /// # Errors
    /// `Invalid` for a missing registry and for a column that no format can fill.
    pub(crate) fn new(
        request: &SourceRequest,
        columns: &DecodeSchema,
    ) -> Result<Self, ConnectorError> {
        Ok(Self {
            rows: Rows::new(columns, "protobuf-confluent", request.options.get("topic"))?,
            registry: SchemaRegistry::new(request)?,
            schemas: HashMap::new(),
            plans: HashMap::new(),
        })
    }

    /// The way into the columns of the message at `path` of schema `id`, if it has one there.
    fn plan(&self, id: u32, path: &[i64]) -> Option<MessagePlan> {
        let schema = self.schemas.get(&id)?.as_ref().ok()?;
        let message = schema.at(path)?;
        Some(MessagePlan::new(schema, message, &self.rows.fields))
    }
}

impl Decoder for ConfluentProtobufDecoder {
    fn schema(&self) -> &SchemaRef {
        self.rows.schema()
    }

    fn prepare(&mut self, raw: &dyn RawBatch) -> Result<(), ConnectorError> {
        // What the registry did not know then it may know now.
        self.schemas.retain(|_, schema| schema.is_ok());
        for index in 0..raw.len() {
            let Some(Ok((id, rest))) = raw.payload(index).map(framed) else {
                continue;
            };
            if !self.schemas.contains_key(&id) {
                let fetched = self.registry.fetch(id, "PROTOBUF")?;
                let schema = fetched
                    .and_then(|registered| Schema::parse(&registered.text, &registered.references));
                self.schemas.insert(id, schema);
            }
            if let Ok((path, _)) = wire::message_path(rest)
                && !self.plans.contains_key(&(id, path.clone()))
                && let Some(plan) = self.plan(id, &path)
            {
                self.plans.insert((id, path), plan);
            }
        }
        Ok(())
    }

    fn decode(&mut self, split: &SplitId, raw: &dyn RawBatch) -> Decoded {
        let (plans, schemas) = (&self.plans, &self.schemas);
        self.rows.decode(split, raw, |columns, payload| {
            let (id, rest) = framed(payload)?;
            let (path, message) = wire::message_path(rest)?;
            match (plans.get(&(id, path)), schemas.get(&id)) {
                (Some(plan), _) => value::read(plan, message, columns),
                (None, Some(Err(reason))) => Err(format!("schema {id}: {reason}")),
                (None, Some(Ok(_))) => Err(format!("schema {id} has no such message")),
                (None, None) => Err(format!("schema {id} was not fetched")),
            }
        })
    }
}
