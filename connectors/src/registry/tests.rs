//! How a connector is chosen and a wrong one refused.

use std::sync::Arc;

use arrow::datatypes::{DataType, Field, Schema};
use rtsap_stream::decode::{ColumnOrigin, DecodeSchema};
use rtsap_stream::registry::{ConnectorRegistry, Options, SourceRequest};

use super::BuiltinConnectors;

fn refusal(pairs: &[(&str, &str)], data_type: DataType) -> String {
    let request = SourceRequest {
        primary_key: Vec::new(),
        name: "t".to_owned(),
        columns: DecodeSchema {
            schema: Arc::new(Schema::new(vec![Field::new("a", data_type, true)])),
            origins: Arc::new([ColumnOrigin::Payload]),
        },
        options: Options(
            pairs
                .iter()
                .map(|(k, v)| ((*k).to_owned(), (*v).to_owned()))
                .collect(),
        ),
    };
    match BuiltinConnectors.check_source(&request) {
        Ok(()) => String::new(),
        Err(error) => format!("{} | {}", error.message, error.hint.unwrap_or_default()),
    }
}

#[test]
fn connectors_are_found_by_name_or_refused_with_the_nearest() {
    assert_eq!(
        refusal(&[("connector", "kafak")], DataType::Int64),
        "unknown connector \"kafak\" for source \"t\" | Did you mean 'kafka'? Possible values: \
         datagen, filesystem, kafka, nexmark, upsert-kafka."
    );
    assert_eq!(
        refusal(&[("topic", "x")], DataType::Int64),
        "option \"connector\" of source \"t\" is missing | Possible values: datagen, filesystem, \
         kafka, nexmark, upsert-kafka."
    );
}

#[test]
fn a_kafka_source_needs_a_format_that_can_fill_its_columns() {
    let kafka = [
        ("connector", "kafka"),
        ("topic", "x"),
        ("properties.bootstrap.servers", "localhost:9092"),
        ("format", "json"),
    ];
    assert_eq!(refusal(&kafka, DataType::Int64), "");
    assert_eq!(
        refusal(
            &kafka,
            DataType::Duration(arrow::datatypes::TimeUnit::Second)
        ),
        "format \"json\" cannot fill column \"a\" of type Duration(s) | "
    );
    assert_eq!(
        refusal(&kafka[..3], DataType::Int64),
        "option \"format\" of source \"t\" is missing | Possible values: json, csv, avro, \
         avro-confluent, protobuf, protobuf-confluent, debezium-json, raw."
    );
}
