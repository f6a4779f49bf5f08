//! Payload formats against payloads that other programs have written: `fixtures/*.py` says which
//! and makes them anew.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::{DataType, Field, Schema, TimeUnit};
use arrow::util::display::{ArrayFormatter, FormatOptions};
use rtsap_connectors::registry::BuiltinConnectors;
use rtsap_stream::decode::{ColumnOrigin, DecodeSchema, Decoded, Decoder};
use rtsap_stream::error::ConnectorError;
use rtsap_stream::registry::{ConnectorRegistry, Options, SourceRequest};
use rtsap_stream::source::{Offset, RawBatch, SplitId};

mod avro;
mod keys;
mod protobuf;
mod real_registry;
mod registry;

/// A message of a topic.
#[derive(Clone, Debug, Default)]
pub struct Message {
    pub key: Option<Vec<u8>>,
    pub payload: Option<Vec<u8>>,
}

pub fn message(key: Option<&str>, payload: Option<&str>) -> Message {
    Message {
        key: key.map(|key| key.as_bytes().to_vec()),
        payload: payload.map(|payload| payload.as_bytes().to_vec()),
    }
}

/// Messages with offsets from 100.
pub struct Messages(pub Vec<Message>);

impl RawBatch for Messages {
    fn len(&self) -> usize {
        self.0.len()
    }

    fn payload(&self, index: usize) -> Option<&[u8]> {
        self.0[index].payload.as_deref()
    }

    fn key(&self, index: usize) -> Option<&[u8]> {
        self.0[index].key.as_deref()
    }

    fn timestamp(&self, index: usize) -> Option<i64> {
        Some(1_700_000_000_000_000 + index as i64)
    }

    fn offset(&self, index: usize) -> Offset {
        Offset(100 + index as u64)
    }

    fn resume_at(&self) -> Offset {
        Offset(100 + self.0.len() as u64)
    }
}

/// A column of the type that the fixtures call `word`, in their words `not null` at the end.
pub fn field(name: &str, word: &str) -> Field {
    let (word, nullable) = match word.strip_suffix(" not null") {
        Some(word) => (word, false),
        None => (word, true),
    };
    Field::new(name, data_type(word), nullable)
}

fn data_type(word: &str) -> DataType {
    let list = |item: DataType| DataType::List(Arc::new(Field::new("item", item, true)));
    if let Some(item) = word.strip_suffix("[]") {
        return list(data_type(item));
    }
    let words: Vec<&str> = word.split(' ').collect();
    match words.as_slice() {
        ["text"] => DataType::Utf8,
        ["bigint"] => DataType::Int64,
        ["int"] => DataType::Int32,
        ["real"] => DataType::Float32,
        ["double"] => DataType::Float64,
        ["boolean"] => DataType::Boolean,
        ["bytea"] => DataType::Binary,
        ["date"] => DataType::Date32,
        ["decimal", precision, scale] => {
            DataType::Decimal128(precision.parse().unwrap(), scale.parse().unwrap())
        }
        ["timestamp", digits, rest @ ..] => {
            let unit = match *digits {
                "3" => TimeUnit::Millisecond,
                _ => TimeUnit::Microsecond,
            };
            DataType::Timestamp(unit, (!rest.is_empty()).then(|| "UTC".into()))
        }
        ["venue"] => DataType::Struct(
            vec![
                Field::new("lot", DataType::Int32, true),
                Field::new("mic", DataType::Utf8, true),
            ]
            .into(),
        ),
        other => panic!("no type {other:?}"),
    }
}

/// A source with these columns, all from payloads, and options beside the usual ones.
pub fn request(
    columns: Vec<Field>,
    primary_key: &[usize],
    options: &[(&str, &str)],
) -> SourceRequest {
    let mut all: BTreeMap<String, String> = BTreeMap::new();
    let usual = [
        ("connector", "kafka"),
        ("topic", "t"),
        ("properties.bootstrap.servers", "127.0.0.1:9"),
    ];
    for (key, value) in usual.iter().chain(options) {
        all.insert((*key).to_owned(), (*value).to_owned());
    }
    SourceRequest {
        primary_key: primary_key.to_vec(),
        name: "s".to_owned(),
        columns: DecodeSchema {
            origins: vec![ColumnOrigin::Payload; columns.len()].into(),
            schema: Arc::new(Schema::new(columns)),
        },
        options: Options(all),
    }
}

/// The decoder of all columns; the options must pass the check that `CREATE SOURCE` makes.
pub fn decoder(request: &SourceRequest) -> Result<Box<dyn Decoder>, ConnectorError> {
    BuiltinConnectors.check_source(request)?;
    BuiltinConnectors.decoder(request, &request.columns)
}

pub fn decode(decoder: &mut dyn Decoder, messages: Vec<Message>) -> Decoded {
    let raw = Messages(messages);
    decoder.prepare(&raw).unwrap();
    decoder.decode(&SplitId::new("0"), &raw)
}

/// The cells of each row as text.
pub fn cells(rows: &RecordBatch) -> Vec<Vec<String>> {
    let options = FormatOptions::default().with_null("NULL");
    let columns = rows.columns().iter();
    let columns: Vec<ArrayFormatter<'_>> = columns
        .map(|column| ArrayFormatter::try_new(column, &options).unwrap())
        .collect();
    let row = |row| {
        columns
            .iter()
            .map(|column| column.value(row).to_string())
            .collect()
    };
    (0..rows.num_rows()).map(row).collect()
}

/// Rows, each with what it does, and rejects, a line each.
pub fn told(decoded: &Decoded) -> Vec<String> {
    let ops = decoded
        .ops
        .clone()
        .unwrap_or_else(|| vec![1; decoded.rows.num_rows()]);
    let rows = cells(&decoded.rows).into_iter().zip(ops);
    let mut lines: Vec<String> = rows
        .map(|(cells, op)| match op {
            1 => format!("+ {}", cells.join(" ")),
            -1 => format!("- {}", cells.join(" ")),
            _ => "nothing".to_owned(),
        })
        .collect();
    lines.extend(
        decoded
            .rejects
            .iter()
            .map(|bad| format!("{}: {}", bad.offset, bad.reason)),
    );
    lines
}
