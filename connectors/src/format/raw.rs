//! Bytes as they are: one column, for keys that are a plain text or number.

use arrow::datatypes::SchemaRef;
use rtsap_stream::decode::{DecodeSchema, Decoded, Decoder};
use rtsap_stream::error::ConnectorError;
use rtsap_stream::registry::SourceRequest;
use rtsap_stream::source::{RawBatch, SplitId};

use super::column::{Column, Values};
use super::number::{push_bytes, push_integer, push_text};
use super::rows::Rows;
use super::sql_type;

/// Turns bytes into the one column of a schema.
pub(crate) struct RawDecoder {
    rows: Rows,
}

impl RawDecoder {
    /// A decoder that fills the one payload column of `columns`.
    ///
    /// # Errors
    /// `Invalid` if there are more, or it is neither bytes, text nor a whole number.
    pub(crate) fn new(
        request: &SourceRequest,
        columns: &DecodeSchema,
    ) -> Result<Self, ConnectorError> {
        let rows = Rows::new(columns, "raw", request.options.get("topic"))?;
        let fits = |column: &Column| {
            use Values as V;
            matches!(
                column.values,
                V::Text(_) | V::Binary(_) | V::Int16(_) | V::Int32(_) | V::Int64(_)
            )
        };
        match rows.columns.as_slice() {
            [] => {}
            [column] if fits(column) => {}
            [column] => {
                return Err(ConnectorError::invalid(format!(
                    "format \"raw\" cannot fill a column of type {}",
                    sql_type(&column.data_type)
                )));
            }
            more => {
                return Err(ConnectorError::invalid(format!(
                    "format \"raw\" fills one column, not {}",
                    more.len()
                ))
                .with_hint("Use 'json' or 'avro-confluent' for a key of several columns."));
            }
        }
        Ok(Self { rows })
    }
}

impl Decoder for RawDecoder {
    fn schema(&self) -> &SchemaRef {
        self.rows.schema()
    }

    fn decode(&mut self, split: &SplitId, raw: &dyn RawBatch) -> Decoded {
        self.rows.decode(split, raw, |columns, payload| {
            for column in columns {
                read(payload, &mut column.values)?;
                column.pushed();
            }
            Ok(())
        })
    }
}

fn read(payload: &[u8], to: &mut Values) -> Result<(), String> {
    match to {
        Values::Text(bytes) => push_text(payload, bytes),
        Values::Binary(bytes) => push_bytes(payload, bytes),
        _ => {
            let text = std::str::from_utf8(payload).map_err(|_| "it is not UTF-8".to_owned())?;
            let number = text.trim().parse::<i64>();
            push_integer(
                number.map_err(|_| format!("\"{text}\" is no whole number"))?,
                to,
            )
        }
    }
}
