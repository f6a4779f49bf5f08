//! One bar while it fills: prices with their times, and the running sums behind volume and vwap.

use datafusion::arrow::datatypes::ArrowPrimitiveType;
use datafusion::common::Result;

use crate::weighting::{Native, RunningSum, Usable, Weighting, in_range};

/// A price and when it was seen.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct At<P> {
    /// In the unit of the time column.
    pub(super) time: i64,
    pub(super) price: P,
}

/// The bar of one group: prices `P`, sums `S`. Nothing but `trades` has meaning while it is 0.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Bar<P, S> {
    pub(super) open: At<P>,
    pub(super) high: At<P>,
    pub(super) low: At<P>,
    pub(super) close: At<P>,
    /// The sum of price times volume.
    pub(super) products: S,
    /// The sum of volumes.
    pub(super) volumes: S,
    /// How many ticks counted.
    pub(super) trades: i64,
    /// Whether any tick had a volume.
    pub(super) has_volume: bool,
}

/// The bar of a weighting.
pub(super) type BarOf<W> = Bar<Native<<W as Weighting>::Price>, <W as Weighting>::Sum>;

impl<P: Usable, S: RunningSum> Bar<P, S> {
    /// Takes one tick, arriving after all others so far.
    pub(super) fn add_price(&mut self, time: i64, price: P) {
        let at = At { time, price };
        self.compete(at, at, at, at);
        self.trades += 1;
    }

    /// Takes the volume of the tick last added.
    pub(super) fn add_volume<W>(
        &mut self,
        weighting: &W,
        price: P,
        volume: Native<W::Size>,
        function: &'static str,
    ) -> Result<()>
    where
        W: Weighting<Price: ArrowPrimitiveType<Native = P>, Sum = S>,
    {
        let sum = weighting.add_product(self.products, price, volume);
        self.products = in_range(sum, function, "the sum of price times volume")?;
        let sum = weighting.add_size(self.volumes, volume);
        self.volumes = in_range(sum, function, "the sum of volumes")?;
        self.has_volume = true;
        Ok(())
    }

    /// Takes a bar whose ticks arrived after all others so far.
    pub(super) fn merge(&mut self, other: &Self, function: &'static str) -> Result<()> {
        if other.trades == 0 {
            return Ok(());
        }
        self.compete(other.open, other.high, other.low, other.close);
        let sum = self.products.merged(other.products);
        self.products = in_range(sum, function, "the sum of price times volume")?;
        let sum = self.volumes.merged(other.volumes);
        self.volumes = in_range(sum, function, "the sum of volumes")?;
        self.trades += other.trades;
        self.has_volume |= other.has_volume;
        Ok(())
    }

    fn compete(&mut self, open: At<P>, high: At<P>, low: At<P>, close: At<P>) {
        let first = self.trades == 0;
        if first || open.time < self.open.time {
            self.open = open;
        }
        let earlier = |new: &At<_>, old: &At<_>| new.price == old.price && new.time < old.time;
        if first || high.price > self.high.price || earlier(&high, &self.high) {
            self.high = high;
        }
        if first || low.price < self.low.price || earlier(&low, &self.low) {
            self.low = low;
        }
        if first || close.time >= self.close.time {
            self.close = close;
        }
    }
}
