//! The struct type of a candlestick: its fields in order, and how one is recognised.

use std::sync::Arc;

use datafusion::arrow::datatypes::{DataType, Field, Fields};

/// The fields of a candlestick, in order.
pub(crate) const FIELDS: [&str; 11] = [
    "open",
    "high",
    "low",
    "close",
    "volume",
    "vwap",
    "open_time",
    "high_time",
    "low_time",
    "close_time",
    "trades",
];

/// The types of a candlestick's fields.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Shape {
    /// `open`, `high`, `low`, `close`: the type of the prices.
    pub(crate) price: DataType,
    /// `volume`.
    pub(crate) volume: DataType,
    /// `vwap`.
    pub(crate) vwap: DataType,
    /// `open_time` and the other times: a timestamp.
    pub(crate) time: DataType,
}

impl Shape {
    /// Returns the fields of the struct, all nullable.
    pub(crate) fn fields(&self) -> Fields {
        let kind = |name: &str| match name {
            "volume" => self.volume.clone(),
            "vwap" => self.vwap.clone(),
            "trades" => DataType::Int64,
            _ if name.ends_with("_time") => self.time.clone(),
            _ => self.price.clone(),
        };
        FIELDS
            .iter()
            .map(|name| Arc::new(Field::new(*name, kind(name), true)))
            .collect()
    }

    /// Returns the struct type.
    pub(crate) fn data_type(&self) -> DataType {
        DataType::Struct(self.fields())
    }

    /// Returns the shape of `data_type` if it is a candlestick.
    pub(crate) fn of(data_type: &DataType) -> Option<Self> {
        let DataType::Struct(fields) = data_type else {
            return None;
        };
        let names_match = fields.iter().map(|field| field.name().as_str()).eq(FIELDS);
        let kind = |index: usize| fields.get(index).map(|field| field.data_type().clone());
        let shape = Self {
            price: kind(0)?,
            volume: kind(4)?,
            vwap: kind(5)?,
            time: kind(6)?,
        };
        let kinds_match = fields
            .iter()
            .zip(&shape.fields())
            .all(|(a, b)| a.data_type() == b.data_type());
        (names_match && kinds_match && matches!(shape.time, DataType::Timestamp(..)))
            .then_some(shape)
    }
}
