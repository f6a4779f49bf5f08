//! Which decoder the options of a source ask for: the format of its values, that of its keys, and
//! what a primary key makes of them.
//!
//! | option | says |
//! |---|---|
//! | `format`, `value.format` | how values are written |
//! | `key.format` | how keys are written: for tombstones and columns that are in the key alone |
//! | `key.fields` | which columns the key has; the primary key's if not given |
//! | `value.fields-include` | `ALL` (default), or `EXCEPT_KEY`: they are in the key alone |

use std::sync::Arc;

use rtsap_stream::decode::{ColumnOrigin, DecodeSchema, Decoder};
use rtsap_stream::error::ConnectorError;
use rtsap_stream::registry::{Options, SourceRequest};

use crate::options::{OptionReader, nearest};

use super::avro::{self, AvroDecoder, ConfluentAvroDecoder};
use super::csv_topic::{self, CsvTopicDecoder};
use super::json::debezium::DebeziumDecoder;
use super::json::{self, JsonDecoder};
use super::protobuf::{self, ConfluentProtobufDecoder, ProtobufDecoder};
use super::raw::RawDecoder;
use super::schema_registry;
use super::upsert::{Part, Tombstone, UpsertDecoder, some_columns};

/// How payloads or keys are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Format {
    Json,
    Csv,
    Avro,
    AvroConfluent,
    Protobuf,
    ProtobufConfluent,
    DebeziumJson,
    Raw,
}

const VALUE_FORMATS: [(&str, Format); 8] = [
    ("json", Format::Json),
    ("csv", Format::Csv),
    ("avro", Format::Avro),
    ("avro-confluent", Format::AvroConfluent),
    ("protobuf", Format::Protobuf),
    ("protobuf-confluent", Format::ProtobufConfluent),
    ("debezium-json", Format::DebeziumJson),
    ("raw", Format::Raw),
];

const KEY_FORMATS: [(&str, Format); 5] = [
    ("json", Format::Json),
    ("csv", Format::Csv),
    ("avro-confluent", Format::AvroConfluent),
    ("protobuf-confluent", Format::ProtobufConfluent),
    ("raw", Format::Raw),
];

const KEY_OPTIONS: [&str; 4] = [
    "value.format",
    "key.format",
    "key.fields",
    "value.fields-include",
];

impl Format {
    fn option_keys(self) -> &'static [&'static str] {
        match self {
            Self::Json | Self::DebeziumJson => &json::OPTION_KEYS,
            Self::Csv => &csv_topic::OPTION_KEYS,
            Self::Avro => &[avro::SCHEMA],
            Self::Protobuf => &protobuf::OPTION_KEYS,
            Self::AvroConfluent | Self::ProtobufConfluent => &schema_registry::OPTION_KEYS,
            Self::Raw => &[],
        }
    }

    fn decoder(
        self,
        request: &SourceRequest,
        columns: &DecodeSchema,
    ) -> Result<Box<dyn Decoder>, ConnectorError> {
        Ok(match self {
            Self::Json => Box::new(JsonDecoder::new(request, columns)?),
            Self::Csv => Box::new(CsvTopicDecoder::new(request, columns)?),
            Self::Avro => Box::new(AvroDecoder::new(request, columns)?),
            Self::AvroConfluent => Box::new(ConfluentAvroDecoder::new(request, columns)?),
            Self::Protobuf => Box::new(ProtobufDecoder::new(request, columns)?),
            Self::ProtobufConfluent => Box::new(ConfluentProtobufDecoder::new(request, columns)?),
            Self::DebeziumJson => Box::new(DebeziumDecoder::new(request, columns)?),
            Self::Raw => Box::new(RawDecoder::new(request, columns)?),
        })
    }
}

/// The options that the chosen formats read.
///
/// # Errors
/// `Invalid` for a missing or unknown format.
pub(super) fn option_keys(
    name: &str,
    options: &Options,
) -> Result<Vec<&'static str>, ConnectorError> {
    let formats = Formats::read(name, options)?;
    let mut keys: Vec<&'static str> = KEY_OPTIONS.to_vec();
    keys.extend(formats.value.option_keys());
    keys.extend(formats.key.iter().flat_map(|key| key.option_keys()));
    Ok(keys)
}

/// What the options say of formats and keys.
struct Formats {
    value: Format,
    key: Option<Format>,
    /// Columns of the key by name, if they were written.
    key_fields: Option<Vec<String>>,
    /// Whether they are in the key alone.
    key_apart: bool,
}

impl Formats {
    fn read(name: &str, options: &Options) -> Result<Self, ConnectorError> {
        let subject = format!("source \"{name}\"");
        let mut reader = OptionReader::new(subject.clone(), options);
        let given = reader.text("format").or(reader.text("value.format"));
        let Some(given) = given else {
            let list: Vec<&str> = VALUE_FORMATS.iter().map(|(name, _)| *name).collect();
            let message = format!("option \"format\" of {subject} is missing");
            let hint = format!("Possible values: {}.", list.join(", "));
            return Err(ConnectorError::invalid(message).with_hint(hint));
        };
        let value = format_of(given, &subject, &VALUE_FORMATS)?;
        let key = reader.text("key.format");
        let key = key
            .map(|given| format_of(given, &subject, &KEY_FORMATS))
            .transpose()?;
        let fields = reader.text("key.fields").map(|text| {
            let names = text.split(';').map(|name| name.trim().to_owned());
            names.filter(|name| !name.is_empty()).collect()
        });
        let include = [("ALL", false), ("EXCEPT_KEY", true)];
        let key_apart = reader
            .choice("value.fields-include", &include)?
            .unwrap_or(false);
        if key_apart && key.is_none() {
            let error = reader.invalid("value.fields-include", "needs \"key.format\" as well");
            return Err(error);
        }
        Ok(Self {
            value,
            key,
            key_fields: fields,
            key_apart,
        })
    }

    /// The places in `columns` of the columns that keys have.
    fn key_places(
        &self,
        request: &SourceRequest,
        columns: &DecodeSchema,
    ) -> Result<Vec<usize>, ConnectorError> {
        let all = request.columns.schema.fields();
        let names: Vec<&str> = match &self.key_fields {
            None => {
                let key = request
                    .primary_key
                    .iter()
                    .map(|index| all[*index].name().as_str());
                key.collect()
            }
            Some(names) => {
                let unknown = names
                    .iter()
                    .find(|name| request.columns.schema.index_of(name).is_err());
                if let Some(name) = unknown {
                    let message = format!(
                        "option \"key.fields\" of source \"{}\" names \"{name}\", which is no \
                         column",
                        request.name
                    );
                    let near = nearest(name, all.iter().map(|field| field.name().as_str()));
                    let error = ConnectorError::invalid(message);
                    return Err(match near {
                        Some(near) => error.with_hint(format!("Did you mean '{near}'?")),
                        None => error,
                    });
                }
                names.iter().map(String::as_str).collect()
            }
        };
        let fields = columns.schema.fields().iter().enumerate();
        let places = fields.filter(|(place, field)| {
            let from_payload = columns.origins[*place] == ColumnOrigin::Payload;
            from_payload && names.contains(&field.name().as_str())
        });
        Ok(places.map(|(place, _)| place).collect())
    }
}

fn format_of(
    given: &str,
    subject: &str,
    known: &[(&'static str, Format)],
) -> Result<Format, ConnectorError> {
    let wanted = given.trim();
    let found = known
        .iter()
        .find(|(name, _)| name.eq_ignore_ascii_case(wanted));
    if let Some((_, format)) = found {
        return Ok(*format);
    }
    let names = || known.iter().map(|(name, _)| *name);
    let list = names().collect::<Vec<_>>().join(", ");
    let hint = match nearest(wanted, names()) {
        Some(near) => format!("Did you mean '{near}'? Possible values: {list}."),
        None => format!("Possible values: {list}."),
    };
    let message = format!("unknown format \"{given}\" of {subject}");
    Err(ConnectorError::invalid(message).with_hint(hint))
}

/// The decoder for payloads and keys of the source in `request` that fills `columns`.
///
/// # Errors
/// `Invalid` for a missing or unknown format, a bad option, or a column type it cannot fill.
pub(super) fn decoder(
    request: &SourceRequest,
    columns: &DecodeSchema,
) -> Result<Box<dyn Decoder>, ConnectorError> {
    let formats = Formats::read(&request.name, &request.options)?;
    let is_upsert = !request.primary_key.is_empty();
    if !is_upsert && !formats.key_apart {
        return formats.value.decoder(request, columns);
    }
    let key_places = formats.key_places(request, columns)?;
    let all = 0..columns.schema.fields().len();
    let value_places: Vec<usize> = match formats.key_apart {
        true => all.filter(|place| !key_places.contains(place)).collect(),
        false => all.collect(),
    };
    let value = Part {
        decoder: formats
            .value
            .decoder(request, &some_columns(columns, &value_places))?,
        places: value_places,
    };
    let tombstone = match (is_upsert, formats.value) {
        (false, _) => Tombstone::Rejects,
        (true, Format::DebeziumJson) => Tombstone::Nothing,
        (true, _) => Tombstone::Deletes,
    };
    Ok(Box::new(UpsertDecoder {
        schema: Arc::clone(&columns.schema),
        value,
        key: key_part(&formats, request, columns, key_places)?,
        key_apart: formats.key_apart,
        tombstone,
    }))
}

/// What reads keys: by `key.format`, or metadata alone where they are the whole primary key.
fn key_part(
    formats: &Formats,
    request: &SourceRequest,
    columns: &DecodeSchema,
    key_places: Vec<usize>,
) -> Result<Option<Part>, ConnectorError> {
    let from_metadata = |place: &usize| columns.origins[*place] != ColumnOrigin::Payload;
    let metadata = (0..columns.origins.len()).filter(from_metadata);
    let key_columns = request.primary_key.iter();
    let mut origins = key_columns.map(|index| &request.columns.origins[*index]);
    let metadata_alone =
        !request.primary_key.is_empty() && origins.all(|origin| *origin != ColumnOrigin::Payload);
    let format = match formats.key {
        Some(format) => format,
        None if metadata_alone => Format::Raw,
        None => return Ok(None),
    };
    let mut places: Vec<usize> = match formats.key {
        Some(_) => key_places,
        None => Vec::new(),
    };
    places.extend(metadata);
    places.sort_unstable();
    let decoder = format.decoder(request, &some_columns(columns, &places))?;
    Ok(Some(Part { decoder, places }))
}
