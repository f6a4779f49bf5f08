//! Which value goes into which column: from the market, by a rule, or from the position.

use arrow::array::ArrayRef;
use arrow::datatypes::{DataType, FieldRef};
use rtsap_stream::decode::{ColumnOrigin, Metadata};
use rtsap_stream::error::ConnectorError;
use rtsap_stream::registry::SourceRequest;

use super::market::{Quote, Trade};
use super::noise::{Stream, fraction, scale};
use super::options::{FieldRule, GeneratorOptions, Kind};
use super::value::{Values, array};
use crate::options::nearest;

/// Flink's default length of a random text.
const TEXT_LENGTH: usize = 100;
/// A text longer than this is a mistyped option.
const TEXT_LENGTH_MAX: usize = 1 << 20;

/// A column and how it is filled.
#[derive(Clone, Debug)]
pub struct Column {
    /// Name and type.
    pub field: FieldRef,
    fill: Fill,
}

#[derive(Clone, Debug)]
enum Fill {
    Market(Feature),
    Integers {
        min: i128,
        max: i128,
        scale: u32,
        stream: Stream,
    },
    Fractions {
        min: f64,
        max: f64,
        stream: Stream,
    },
    Texts {
        length: usize,
        stream: Stream,
    },
    Flags {
        stream: Stream,
    },
    Times {
        past_ns_max: u64,
        stream: Stream,
    },
    Sequence {
        start: i64,
        end: Option<i64>,
    },
    Split,
    Offset,
}

/// What a trade or a quote knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Feature {
    Symbol,
    Price,
    Size,
    Side,
    Venue,
    Id,
    Time,
    Bid,
    Ask,
    BidSize,
    AskSize,
}

const TRADE: &[(&str, Feature)] = &[
    ("symbol", Feature::Symbol),
    ("price", Feature::Price),
    ("size", Feature::Size),
    ("side", Feature::Side),
    ("venue", Feature::Venue),
    ("id", Feature::Id),
    ("ts", Feature::Time),
];

const QUOTE: &[(&str, Feature)] = &[
    ("symbol", Feature::Symbol),
    ("bid", Feature::Bid),
    ("ask", Feature::Ask),
    ("bid_size", Feature::BidSize),
    ("ask_size", Feature::AskSize),
    ("venue", Feature::Venue),
    ("ts", Feature::Time),
];

/// Market rows of one batch.
pub enum Market<'m> {
    /// `kind` is `trades`.
    Trades(Vec<Trade<'m>>),
    /// `kind` is `quotes`.
    Quotes(Vec<Quote<'m>>),
    /// `kind` is `fields`.
    None,
}

/// The rows of one batch before they are columns. All vectors have one entry a row.
pub struct Rows<'m> {
    /// The split.
    pub split: u32,
    /// Offset in the split.
    pub offsets: Vec<u64>,
    /// Number among the rows of all splits.
    pub numbers: Vec<u64>,
    /// Event time in nanoseconds since the Unix epoch.
    pub times_ns: Vec<i64>,
    /// Trades or quotes.
    pub market: Market<'m>,
}

/// How each column of `request` is filled.
///
/// # Errors
/// `Invalid` for a column that no rule fills or whose type cannot hold the values.
pub fn columns(
    request: &SourceRequest,
    options: &GeneratorOptions,
) -> Result<Vec<Column>, ConnectorError> {
    let fields = request
        .columns
        .schema
        .fields()
        .iter()
        .zip(request.columns.origins.iter());
    fields
        .map(|(field, origin)| column(request, options, field, origin))
        .collect()
}

fn column(
    request: &SourceRequest,
    options: &GeneratorOptions,
    field: &FieldRef,
    origin: &ColumnOrigin,
) -> Result<Column, ConnectorError> {
    let fill = match origin {
        ColumnOrigin::Metadata(Metadata::Partition) => Fill::Split,
        ColumnOrigin::Metadata(Metadata::Offset) => Fill::Offset,
        ColumnOrigin::Metadata(_) => {
            return Err(refusal(request, field, "a generator has no such metadata")
                .with_hint("Only 'partition' and 'offset' exist here."));
        }
        ColumnOrigin::Payload => payload_fill(request, options, field)?,
    };
    let column = Column {
        field: FieldRef::clone(field),
        fill,
    };
    match array(&column.probe(), field.data_type()) {
        Ok(_) => Ok(column),
        Err(problem) => Err(refusal(request, field, &problem)),
    }
}

fn refusal(request: &SourceRequest, field: &FieldRef, problem: &str) -> ConnectorError {
    ConnectorError::invalid(format!(
        "cannot generate column \"{}\" of source \"{}\": {problem}",
        field.name(),
        request.name
    ))
}

fn payload_fill(
    request: &SourceRequest,
    options: &GeneratorOptions,
    field: &FieldRef,
) -> Result<Fill, ConnectorError> {
    let name = field.name().as_str();
    if let Some(rule) = options.fields.get(name) {
        let stream = Stream::new(options.market.seed, name_hash(name));
        return rule_fill(rule, field.data_type(), stream)
            .map_err(|problem| refusal(request, field, &problem));
    }
    let features = match options.kind {
        Kind::Trades => TRADE,
        Kind::Quotes => QUOTE,
        Kind::Fields => &[],
    };
    if let Some((_, feature)) = features.iter().find(|(known, _)| *known == name) {
        return Ok(Fill::Market(*feature));
    }
    let rule = format!("add 'fields.{name}.kind' = 'random' or 'sequence' to the WITH clause");
    let hint = match nearest(name, features.iter().map(|(known, _)| *known)) {
        Some(known) => format!("Did you mean \"{known}\"? If not, {rule}."),
        None if options.kind == Kind::Fields => {
            format!("For a market, write 'kind' = 'trades' or 'quotes'; else {rule}.")
        }
        None => {
            let known: Vec<&str> = features.iter().map(|(known, _)| *known).collect();
            format!("Known columns are {}; else {rule}.", known.join(", "))
        }
    };
    Err(refusal(request, field, "nothing says what goes into it").with_hint(hint))
}

/// FNV-1a: a stable name for the column's stream of random numbers.
fn name_hash(name: &str) -> u64 {
    name.bytes().fold(0xCBF2_9CE4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01B3)
    })
}

fn rule_fill(rule: &FieldRule, data_type: &DataType, stream: Stream) -> Result<Fill, String> {
    if rule.sequence {
        return Ok(Fill::Sequence {
            start: rule.start.unwrap_or(0),
            end: rule.end,
        });
    }
    let integers = |min: i128, max: i128| exact_range(rule, 0, (min, max), stream);
    match data_type {
        DataType::Int8 => integers(i8::MIN.into(), i8::MAX.into()),
        DataType::Int16 => integers(i16::MIN.into(), i16::MAX.into()),
        DataType::Int32 => integers(i32::MIN.into(), i32::MAX.into()),
        DataType::Int64 => integers(i64::MIN.into(), i64::MAX.into()),
        DataType::UInt8 => integers(0, u8::MAX.into()),
        DataType::UInt16 => integers(0, u16::MAX.into()),
        DataType::UInt32 => integers(0, u32::MAX.into()),
        DataType::UInt64 => integers(0, u64::MAX.into()),
        DataType::Decimal128(_, to @ 0..) => {
            let scale = u32::from(to.unsigned_abs());
            // From 0 up to 1 unless said otherwise, as for doubles.
            exact_range(rule, scale, (0, 10_i128.saturating_pow(scale)), stream)
        }
        DataType::Float32 | DataType::Float64 => {
            let bound = |text: &Option<String>, default: f64| match text {
                None => Ok(default),
                Some(text) => text
                    .trim()
                    .parse()
                    .map_err(|_| format!("\"{text}\" is no number")),
            };
            let (min, max) = (bound(&rule.min, 0.0)?, bound(&rule.max, 1.0)?);
            if min > max || !min.is_finite() || !max.is_finite() {
                return Err(format!("there is nothing from {min} to {max}"));
            }
            Ok(Fill::Fractions { min, max, stream })
        }
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => {
            let length = rule.length.unwrap_or(TEXT_LENGTH);
            if length > TEXT_LENGTH_MAX {
                return Err(format!("a text of {length} characters is too long"));
            }
            Ok(Fill::Texts { length, stream })
        }
        DataType::Boolean => Ok(Fill::Flags { stream }),
        DataType::Timestamp(..) | DataType::Date32 => Ok(Fill::Times {
            past_ns_max: rule.past_ns_max.unwrap_or(0),
            stream,
        }),
        other => Err(format!("no rule makes values of type {other}")),
    }
}

fn exact_range(
    rule: &FieldRule,
    scale: u32,
    default: (i128, i128),
    stream: Stream,
) -> Result<Fill, String> {
    let bound = |text: &Option<String>, default: i128| match text {
        None => Ok(default),
        Some(text) => crate::format::csv::parse_decimal(text.trim(), scale)
            .ok_or_else(|| format!("\"{text}\" is no number with at most {scale} decimals")),
    };
    let (min, max) = (bound(&rule.min, default.0)?, bound(&rule.max, default.1)?);
    if min > max {
        return Err("its 'min' is above its 'max'".to_owned());
    }
    if u64::try_from(max - min).is_err() {
        return Err("its range is too wide; narrow it with 'min' and 'max'".to_owned());
    }
    Ok(Fill::Integers {
        min,
        max,
        scale,
        stream,
    })
}

impl Column {
    /// The column's values for `rows`.
    ///
    /// # Errors
    /// In words, if the type cannot hold one of them.
    pub fn array(&self, rows: &Rows<'_>) -> Result<ArrayRef, String> {
        array(&self.values(rows), self.field.data_type())
    }

    fn values<'m>(&self, rows: &Rows<'m>) -> Values<'m> {
        let numbers = || rows.numbers.iter().copied();
        match &self.fill {
            Fill::Market(feature) => market_values(*feature, rows),
            Fill::Integers {
                min,
                max,
                scale: decimals,
                stream,
            } => {
                let span = (max - min) as u64;
                let value = |number| match span.checked_add(1) {
                    Some(bound) => min + i128::from(scale(stream.at(number), bound)),
                    None => min + i128::from(stream.at(number)),
                };
                Values::Scaled(numbers().map(value).collect(), *decimals)
            }
            Fill::Fractions { min, max, stream } => Values::Fractions(
                numbers()
                    .map(|number| min + (max - min) * fraction(stream.at(number)))
                    .collect(),
            ),
            Fill::Texts { length, stream } => Values::Texts(
                numbers()
                    .map(|number| random_text(*stream, number, *length))
                    .collect(),
            ),
            Fill::Flags { stream } => {
                Values::Flags(numbers().map(|number| stream.at(number) & 1 == 1).collect())
            }
            Fill::Times {
                past_ns_max,
                stream,
            } => {
                let past = |number| stream.below(number, past_ns_max.saturating_add(1)) as i64;
                let times = rows.times_ns.iter().zip(numbers());
                Values::Times(times.map(|(time, number)| time - past(number)).collect())
            }
            Fill::Sequence { start, .. } => Values::Scaled(
                numbers()
                    .map(|number| i128::from(*start) + i128::from(number))
                    .collect(),
                0,
            ),
            Fill::Split => Values::Scaled(vec![i128::from(rows.split); rows.numbers.len()], 0),
            Fill::Offset => Values::Scaled(
                rows.offsets
                    .iter()
                    .map(|offset| i128::from(*offset))
                    .collect(),
                0,
            ),
        }
    }

    /// Extreme values, to ask the type whether it can hold what will come.
    fn probe(&self) -> Values<'static> {
        match &self.fill {
            Fill::Market(feature) => match feature {
                Feature::Symbol | Feature::Side | Feature::Venue => Values::Words(Vec::new()),
                // No walk leads a price beyond 9,999.99.
                Feature::Price | Feature::Bid | Feature::Ask => Values::Scaled(vec![999_999], 2),
                Feature::Size | Feature::BidSize | Feature::AskSize => {
                    Values::Scaled(vec![5_000], 0)
                }
                Feature::Id => Values::Scaled(vec![i128::from(i64::MAX)], 0),
                Feature::Time => Values::Times(Vec::new()),
            },
            Fill::Integers {
                min, max, scale, ..
            } => Values::Scaled(vec![*min, *max], *scale),
            Fill::Fractions { .. } => Values::Fractions(Vec::new()),
            Fill::Texts { .. } => Values::Texts(Vec::new()),
            Fill::Flags { .. } => Values::Flags(Vec::new()),
            Fill::Times { .. } => Values::Times(Vec::new()),
            Fill::Sequence { start, end } => Values::Scaled(
                vec![i128::from(*start), i128::from(end.unwrap_or(*start))],
                0,
            ),
            Fill::Split => Values::Scaled(vec![255], 0),
            Fill::Offset => Values::Scaled(vec![i128::from(i64::MAX)], 0),
        }
    }
}

fn random_text(stream: Stream, number: u64, length: usize) -> String {
    let mut text = String::with_capacity(length + 16);
    let mut stream_index = number.wrapping_mul(0x1_0001);
    while text.len() < length {
        text.push_str(&format!("{:016x}", stream.at(stream_index)));
        stream_index = stream_index.wrapping_add(1);
    }
    text.truncate(length);
    text
}

fn market_values<'m>(feature: Feature, rows: &Rows<'m>) -> Values<'m> {
    if feature == Feature::Time {
        return Values::Times(rows.times_ns.clone());
    }
    match &rows.market {
        Market::Trades(trades) => trade_values(feature, trades),
        Market::Quotes(quotes) => quote_values(feature, quotes),
        Market::None => Values::Words(Vec::new()),
    }
}

fn trade_values<'m>(feature: Feature, trades: &[Trade<'m>]) -> Values<'m> {
    let words = |word: fn(&Trade<'m>) -> &'m str| Values::Words(trades.iter().map(word).collect());
    let numbers = |number: fn(&Trade<'m>) -> i128, scale| {
        Values::Scaled(trades.iter().map(number).collect(), scale)
    };
    match feature {
        Feature::Symbol => words(|trade| trade.symbol),
        Feature::Side => words(|trade| trade.side.name()),
        Feature::Venue => words(|trade| trade.venue),
        Feature::Price => numbers(|trade| trade.price_cents.into(), 2),
        Feature::Size => numbers(|trade| trade.size.into(), 0),
        Feature::Id => numbers(|trade| trade.id.into(), 0),
        _ => Values::Words(Vec::new()),
    }
}

fn quote_values<'m>(feature: Feature, quotes: &[Quote<'m>]) -> Values<'m> {
    let words = |word: fn(&Quote<'m>) -> &'m str| Values::Words(quotes.iter().map(word).collect());
    let numbers = |number: fn(&Quote<'m>) -> i128, scale| {
        Values::Scaled(quotes.iter().map(number).collect(), scale)
    };
    match feature {
        Feature::Symbol => words(|quote| quote.symbol),
        Feature::Venue => words(|quote| quote.venue),
        Feature::Bid => numbers(|quote| quote.bid_cents.into(), 2),
        Feature::Ask => numbers(|quote| quote.ask_cents.into(), 2),
        Feature::BidSize => numbers(|quote| quote.bid_size.into(), 0),
        Feature::AskSize => numbers(|quote| quote.ask_size.into(), 0),
        _ => Values::Words(Vec::new()),
    }
}
