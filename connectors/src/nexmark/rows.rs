//! Events of one type in columns. Owns the arithmetic from offset to event and its time.

use std::sync::Arc;

use arrow::array::{RecordBatch, RecordBatchOptions};
use arrow::datatypes::SchemaRef;
use rtsap_stream::error::{ConnectorError, ErrorKind};

use super::column::{Column, Feature, Values};
use super::event::{ALL, Events, Kind};
use super::options::NexmarkOptions;
use crate::generated::Generate;

/// A prime, so that its multiples visit a whole group (that of the benchmark's generators).
const GROUP_STEP: u64 = 953;

/// Rows as a function of split and offset.
pub struct NexmarkRows {
    options: NexmarkOptions,
    columns: Vec<Column>,
    events: Events,
}

impl NexmarkRows {
    /// The rows of these options and columns.
    pub const fn new(options: NexmarkOptions, columns: Vec<Column>) -> Self {
        Self {
            events: Events::new(options.seed),
            options,
            columns,
        }
    }

    /// The event of row `number` of all splits.
    fn event(&self, number: u64) -> u64 {
        let group = self.options.group;
        let start = number / group * group;
        let size = match self.rows_in_all() {
            Some(rows) => group.min(rows.saturating_sub(start).max(1)),
            None => group,
        };
        // A last, shorter group may be one that the step does not visit as a whole.
        let step = if size.is_multiple_of(GROUP_STEP) {
            1
        } else {
            GROUP_STEP % size
        };
        let place = (number - start) * step % size;
        self.options.kind.event_of(start + place)
    }

    /// Event time of an event, in nanoseconds since the Unix epoch; saturates in the year 2262.
    fn time_ns(&self, event: u64) -> i64 {
        const SECOND_NS: u128 = 1_000_000_000;
        let passed = u128::from(event) * SECOND_NS / u128::from(self.options.events_per_second);
        let passed = i64::try_from(passed).unwrap_or(i64::MAX);
        self.options.start_ns.saturating_add(passed)
    }

    fn rows_in_all(&self) -> Option<u64> {
        let kind = self.options.kind;
        self.options.events_max.map(|events| kind.rows_of(events))
    }

    fn values(&self, feature: Feature, events: &[u64]) -> Values {
        let times =
            |of: &dyn Fn(u64) -> i64| Values::Times(events.iter().map(|n| of(*n)).collect());
        let person = |of: &dyn Fn(super::event::Person) -> String| {
            Values::Texts(events.iter().map(|n| of(self.events.person(*n))).collect())
        };
        let auction_text = |of: &dyn Fn(super::event::Auction) -> String| {
            Values::Texts(events.iter().map(|n| of(self.events.auction(*n))).collect())
        };
        let auction = |of: &dyn Fn(super::event::Auction) -> i64| {
            Values::Numbers(events.iter().map(|n| of(self.events.auction(*n))).collect())
        };
        let bid_text = |of: &dyn Fn(super::event::Bid) -> String| {
            Values::Texts(events.iter().map(|n| of(self.events.bid(*n))).collect())
        };
        let bid = |of: &dyn Fn(super::event::Bid) -> i64| {
            Values::Numbers(events.iter().map(|n| of(self.events.bid(*n))).collect())
        };
        match feature {
            Feature::Id => match self.options.kind {
                Kind::Person => {
                    Values::Numbers(events.iter().map(|n| self.events.person(*n).id).collect())
                }
                _ => auction(&|auction| auction.id),
            },
            Feature::Name => person(&|person| person.name),
            Feature::Email => person(&|person| person.email),
            Feature::Card => person(&|person| person.card),
            Feature::City => person(&|person| person.city.0.to_owned()),
            Feature::State => person(&|person| person.city.1.to_owned()),
            Feature::Item => auction_text(&|auction| auction.item),
            Feature::Description => auction_text(&|auction| auction.description),
            Feature::InitialBid => auction(&|auction| auction.initial_bid),
            Feature::Reserve => auction(&|auction| auction.reserve),
            Feature::Seller => auction(&|auction| auction.seller),
            Feature::Category => auction(&|auction| auction.category),
            Feature::Expires => times(&|event| {
                let open = self.events.auction(event).open_events;
                self.time_ns(event.saturating_add(open))
            }),
            Feature::Auction => bid(&|bid| bid.auction),
            Feature::Bidder => bid(&|bid| bid.bidder),
            Feature::Price => bid(&|bid| bid.price),
            Feature::Channel => bid_text(&|bid| bid.channel),
            Feature::Url => bid_text(&|bid| bid.url),
            Feature::Time => times(&|event| self.time_ns(event)),
            Feature::Extra => Values::Texts(events.iter().map(|n| self.events.extra(*n)).collect()),
            // The caller knows them.
            Feature::Split | Feature::Offset => Values::Numbers(Vec::new()),
        }
    }
}

impl Generate for NexmarkRows {
    fn splits(&self) -> u32 {
        self.options.splits
    }

    fn rows_max(&self, split: u32) -> Option<u64> {
        let splits = u64::from(self.options.splits);
        let share = |rows: u64| rows / splits + u64::from(rows % splits > u64::from(split));
        self.rows_in_all().map(share)
    }

    fn pace(&self) -> Option<u64> {
        let share = self.options.kind.share().0;
        let rate = (self.options.events_per_second * share / ALL).max(1);
        self.options.paced.then_some(rate)
    }

    fn column(&self, name: &str) -> Option<usize> {
        let mut columns = self.columns.iter();
        columns.position(|column| column.field.name() == name)
    }

    fn rows(
        &self,
        split: u32,
        first: u64,
        count: u64,
        chosen: &[usize],
        schema: &SchemaRef,
    ) -> Result<RecordBatch, ConnectorError> {
        let splits = u64::from(self.options.splits);
        let offsets = first..first + count;
        let number = |offset: u64| offset * splits + u64::from(split);
        let events: Vec<u64> = offsets.clone().map(|o| self.event(number(o))).collect();
        let array = |index: &usize| {
            let column = &self.columns[*index];
            let values = match column.feature {
                Feature::Split => Values::Numbers(vec![i64::from(split); events.len()]),
                Feature::Offset => {
                    let offsets = offsets.clone();
                    let number = |offset| i64::try_from(offset).unwrap_or(i64::MAX);
                    Values::Numbers(offsets.map(number).collect())
                }
                feature => self.values(feature, &events),
            };
            column.array(values).map_err(|problem| {
                let name = column.field.name();
                ConnectorError::data(format!("cannot generate column \"{name}\": {problem}"))
            })
        };
        let arrays = chosen.iter().map(array).collect::<Result<Vec<_>, _>>()?;
        let options = RecordBatchOptions::new().with_row_count(Some(events.len()));
        RecordBatch::try_new_with_options(Arc::clone(schema), arrays, &options).map_err(|error| {
            ConnectorError::new(ErrorKind::Internal, "cannot put generated columns together")
                .with_source(error)
        })
    }
}

#[cfg(test)]
mod tests;
