//! Which field of an event goes into which column, in the column's type.

use std::sync::Arc;

use arrow::array::{ArrayRef, Int64Array, StringArray, TimestampNanosecondArray};
use arrow::compute::{CastOptions, can_cast_types, cast_with_options};
use arrow::datatypes::{DataType, FieldRef, TimeUnit};
use arrow::error::ArrowError;
use rtsap_stream::decode::{ColumnOrigin, Metadata};
use rtsap_stream::error::ConnectorError;
use rtsap_stream::registry::SourceRequest;

use super::event::Kind;
use crate::options::nearest;

/// What an event knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Feature {
    Id,
    Name,
    Email,
    Card,
    City,
    State,
    Item,
    Description,
    InitialBid,
    Reserve,
    Expires,
    Seller,
    Category,
    Auction,
    Bidder,
    Price,
    Channel,
    Url,
    Time,
    Extra,
    Split,
    Offset,
}

/// Names without underscores and case: `dateTime`, `date_time` and `datetime` are one.
const PERSON: &[(&str, Feature)] = &[
    ("id", Feature::Id),
    ("name", Feature::Name),
    ("emailaddress", Feature::Email),
    ("creditcard", Feature::Card),
    ("city", Feature::City),
    ("state", Feature::State),
    ("datetime", Feature::Time),
    ("extra", Feature::Extra),
];

const AUCTION: &[(&str, Feature)] = &[
    ("id", Feature::Id),
    ("itemname", Feature::Item),
    ("description", Feature::Description),
    ("initialbid", Feature::InitialBid),
    ("reserve", Feature::Reserve),
    ("datetime", Feature::Time),
    ("expires", Feature::Expires),
    ("seller", Feature::Seller),
    ("category", Feature::Category),
    ("extra", Feature::Extra),
];

const BID: &[(&str, Feature)] = &[
    ("auction", Feature::Auction),
    ("bidder", Feature::Bidder),
    ("price", Feature::Price),
    ("channel", Feature::Channel),
    ("url", Feature::Url),
    ("datetime", Feature::Time),
    ("extra", Feature::Extra),
];

/// A column and what fills it.
#[derive(Clone, Debug)]
pub struct Column {
    /// Name and type.
    pub field: FieldRef,
    /// What fills it.
    pub feature: Feature,
}

/// Values of one column before they have its type.
pub enum Values {
    /// Ids, prices in cents.
    Numbers(Vec<i64>),
    /// Nanoseconds since the Unix epoch.
    Times(Vec<i64>),
    /// Texts.
    Texts(Vec<String>),
}

impl Feature {
    const fn natural(self) -> DataType {
        match self {
            Self::Time | Self::Expires => DataType::Timestamp(TimeUnit::Nanosecond, None),
            Self::Id
            | Self::InitialBid
            | Self::Reserve
            | Self::Seller
            | Self::Category
            | Self::Auction
            | Self::Bidder
            | Self::Price
            | Self::Split
            | Self::Offset => DataType::Int64,
            _ => DataType::Utf8,
        }
    }
}

impl Column {
    /// `values` in the type of the column.
    ///
    /// # Errors
    /// A value that does not fit.
    pub fn array(&self, values: Values) -> Result<ArrayRef, ArrowError> {
        let natural: ArrayRef = match values {
            Values::Numbers(values) => Arc::new(Int64Array::from(values)),
            Values::Times(values) => {
                let zone = match self.field.data_type() {
                    DataType::Timestamp(_, zone) => zone.clone(),
                    _ => None,
                };
                Arc::new(TimestampNanosecondArray::from(values).with_timezone_opt(zone))
            }
            Values::Texts(values) => Arc::new(StringArray::from(values)),
        };
        let strict = CastOptions {
            safe: false,
            ..CastOptions::default()
        };
        cast_with_options(&natural, self.field.data_type(), &strict)
    }
}

/// How each column of `request` is filled.
///
/// # Errors
/// `Invalid` for a column that the events do not have or whose type cannot hold its values.
pub fn columns(request: &SourceRequest, kind: Kind) -> Result<Vec<Column>, ConnectorError> {
    let fields = request.columns.schema.fields().iter();
    let fields = fields.zip(request.columns.origins.iter());
    fields
        .map(|(field, origin)| column(&request.name, kind, field, origin))
        .collect()
}

fn column(
    source: &str,
    kind: Kind,
    field: &FieldRef,
    origin: &ColumnOrigin,
) -> Result<Column, ConnectorError> {
    let name = field.name();
    let known = match kind {
        Kind::Person => PERSON,
        Kind::Auction => AUCTION,
        Kind::Bid => BID,
    };
    let feature = match origin {
        ColumnOrigin::Metadata(Metadata::Partition) => Feature::Split,
        ColumnOrigin::Metadata(Metadata::Offset) => Feature::Offset,
        ColumnOrigin::Metadata(other) => {
            let message = format!("source \"{source}\" cannot fill column \"{name}\": {other:?}");
            return Err(ConnectorError::invalid(message)
                .with_hint("A generated row has a partition and an offset."));
        }
        ColumnOrigin::Payload => {
            let plain = name.to_lowercase().replace('_', "");
            let found = known.iter().find(|(known, _)| *known == plain);
            let Some((_, feature)) = found else {
                let message = format!("source \"{source}\" has no field for column \"{name}\"");
                let names = || known.iter().map(|(name, _)| *name);
                let hint = match nearest(&plain, names()) {
                    Some(near) => format!("Did you mean \"{near}\"?"),
                    None => format!("Its fields: {}.", names().collect::<Vec<_>>().join(", ")),
                };
                return Err(ConnectorError::invalid(message).with_hint(hint));
            };
            *feature
        }
    };
    if !can_cast_types(&feature.natural(), field.data_type()) {
        return Err(ConnectorError::invalid(format!(
            "column \"{name}\" of source \"{source}\" cannot be {}",
            field.data_type()
        )));
    }
    Ok(Column {
        field: Arc::clone(field),
        feature,
    })
}
