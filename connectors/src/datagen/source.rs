//! Rows of the generated market: owns the arithmetic from offset to row; makes no value itself.

use std::sync::Arc;

use arrow::array::{RecordBatch, RecordBatchOptions};
use arrow::datatypes::SchemaRef;
use rtsap_stream::error::{ConnectorError, ErrorKind};

use super::column::{Column, Market, Rows};
use super::market::MarketGenerator;
use super::noise::{Stream, fraction, scale};
use super::options::{GeneratorOptions, Kind};
use crate::generated::Generate;

/// Name of the stream of random numbers that decides which rows are out of order.
const DISORDER: u64 = u64::MAX - 9;

/// Rows as a function of split and offset.
pub struct Generator {
    options: GeneratorOptions,
    columns: Vec<Column>,
    market: MarketGenerator,
    disorder: Stream,
}

impl Generator {
    /// The generator of these options and columns.
    pub fn new(options: GeneratorOptions, columns: Vec<Column>) -> Self {
        Self {
            market: MarketGenerator::new(&options.market),
            disorder: Stream::new(options.market.seed, DISORDER),
            options,
            columns,
        }
    }

    /// Event time of row `number`, in nanoseconds since the Unix epoch; saturates in the year 2262.
    fn time_ns(&self, number: u64) -> i64 {
        const SECOND_NS: u128 = 1_000_000_000;
        let passed = u128::from(number) * SECOND_NS / u128::from(self.options.rows_per_second);
        let time = self
            .options
            .start_ns
            .saturating_add(i64::try_from(passed).unwrap_or(i64::MAX));
        let bits = self.disorder.at(number);
        if self.options.disorder_ns == 0 || fraction(bits) >= self.options.disorder_share {
            return time;
        }
        let early = scale(self.disorder.at(!number), self.options.disorder_ns) + 1;
        time.saturating_sub(i64::try_from(early).unwrap_or(i64::MAX))
    }
}

impl Generate for Generator {
    fn splits(&self) -> u32 {
        self.options.splits
    }

    fn rows_max(&self, split: u32) -> Option<u64> {
        let splits = u64::from(self.options.splits);
        let share = |rows: u64| rows / splits + u64::from(rows % splits > u64::from(split));
        self.options.rows_max.map(share)
    }

    fn pace(&self) -> Option<u64> {
        self.options.paced.then_some(self.options.rows_per_second)
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
        let offsets: Vec<u64> = (first..first + count).collect();
        let numbers: Vec<u64> = offsets
            .iter()
            .map(|offset| offset * splits + u64::from(split))
            .collect();
        let times_ns: Vec<i64> = numbers.iter().map(|number| self.time_ns(*number)).collect();
        let moments = || {
            numbers
                .iter()
                .zip(&times_ns)
                .map(|(number, ns)| (*number, ns / 1_000))
        };
        let market = match self.options.kind {
            Kind::Trades => {
                Market::Trades(moments().map(|(n, us)| self.market.trade(n, us)).collect())
            }
            Kind::Quotes => {
                Market::Quotes(moments().map(|(n, us)| self.market.quote(n, us)).collect())
            }
            Kind::Fields => Market::None,
        };
        let rows = Rows {
            split,
            offsets,
            numbers,
            times_ns,
            market,
        };
        let array = |index: &usize| {
            let column = &self.columns[*index];
            column.array(&rows).map_err(|problem| {
                let name = column.field.name();
                ConnectorError::data(format!("cannot generate column \"{name}\": {problem}"))
            })
        };
        let arrays = chosen.iter().map(array).collect::<Result<Vec<_>, _>>()?;
        let options = RecordBatchOptions::new().with_row_count(Some(count as usize));
        RecordBatch::try_new_with_options(Arc::clone(schema), arrays, &options).map_err(|error| {
            ConnectorError::new(ErrorKind::Internal, "cannot put generated columns together")
                .with_source(error)
        })
    }
}

#[cfg(test)]
mod tests;
