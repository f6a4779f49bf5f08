//! The generated market: trades and quotes as pure functions of seed, number and time.
//! Owns what a trade and a quote look like; never reads a clock and keeps no history.
//!
//! Trades and quotes of one seed share one price: at a given time a trade happens at the bid or the
//! ask that the quotes of that symbol move around.

use super::noise::{Stream, Walk, fraction, scale};
use super::symbols::{Symbol, Symbols};

mod json;

/// What a market is made of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MarketConfig {
    /// Same seed, same market.
    pub seed: u64,
    /// How many symbols are traded; at least one.
    pub symbols: usize,
}

impl Default for MarketConfig {
    fn default() -> Self {
        Self {
            seed: 42,
            symbols: 100,
        }
    }
}

/// Who crossed the spread.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// The buyer: the trade is at the ask, or inside.
    Buy,
    /// The seller: the trade is at the bid, or inside.
    Sell,
}

impl Side {
    /// `buy` or `sell`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Buy => "buy",
            Self::Sell => "sell",
        }
    }
}

/// One trade.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Trade<'m> {
    /// Ticker.
    pub symbol: &'m str,
    /// Price in cents.
    pub price_cents: i64,
    /// Shares.
    pub size: u32,
    /// Who crossed the spread.
    pub side: Side,
    /// Market identifier code (ISO 10383).
    pub venue: &'static str,
    /// The number it was made from.
    pub id: u64,
    /// When it happened, in microseconds since the Unix epoch.
    pub ts_us: i64,
}

/// One quote of one venue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Quote<'m> {
    /// Ticker.
    pub symbol: &'m str,
    /// Best bid in cents.
    pub bid_cents: i64,
    /// Best ask in cents; above the bid.
    pub ask_cents: i64,
    /// Shares bid.
    pub bid_size: u32,
    /// Shares asked.
    pub ask_size: u32,
    /// Market identifier code (ISO 10383).
    pub venue: &'static str,
    /// When it was set, in microseconds since the Unix epoch.
    pub ts_us: i64,
}

/// Venues with their share of the volume in 64ths.
const VENUES: &[(&str, u64)] = &[
    ("XNAS", 20),
    ("XNYS", 12),
    ("ARCX", 9),
    ("BATS", 8),
    ("EDGX", 6),
    ("MEMX", 4),
    ("IEXG", 3),
    ("EDGA", 2),
];

/// Sizes in round lots: 32 quantiles of a lognormal with median 1.6 lots.
const LOTS: [u32; 32] = [
    1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 2, 2, 2, 2, 2, 2, 3, 3, 3, 3, 4, 4, 5, 5, 6, 8, 10, 12, 20,
    50,
];

/// Shares in a round lot.
const LOT_SHARES: u32 = 100;

/// Makes trades and quotes. Any of them can be asked for in any order, from any thread.
#[derive(Clone, Debug)]
pub struct MarketGenerator {
    symbols: Symbols,
    walks: Vec<Walk>,
    trades: Stream,
    quotes: Stream,
    spreads: Stream,
}

impl MarketGenerator {
    /// The market of `config`.
    pub fn new(config: &MarketConfig) -> Self {
        let symbols = Symbols::new(config.seed, config.symbols);
        let walk = |rank: usize| Walk::new(config.seed, rank as u64 + 1, symbols.get(rank).sigma);
        let walks = (0..symbols.count()).map(walk).collect();
        Self {
            walks,
            symbols,
            trades: Stream::new(config.seed, u64::MAX - 1),
            quotes: Stream::new(config.seed, u64::MAX - 2),
            spreads: Stream::new(config.seed, u64::MAX - 3),
        }
    }

    /// Tickers by activity, most active first.
    pub fn tickers(&self) -> impl Iterator<Item = &str> {
        (0..self.symbols.count()).map(|rank| &*self.symbols.get(rank).ticker)
    }

    /// Trade number `offset`, which happens at `ts_us` microseconds since the Unix epoch.
    pub fn trade(&self, offset: u64, ts_us: i64) -> Trade<'_> {
        let rank = self.symbols.draw(self.trades.at(2 * offset));
        let bits = self.trades.at(2 * offset + 1);
        let (bid, ask) = self.best(rank, ts_us);
        let side = if bits & 1 == 0 { Side::Buy } else { Side::Sell };
        // One trade in eight happens inside a spread that has room.
        let inside = (bits >> 1) & 7 == 0 && ask - bid > 1;
        let price_cents = match side {
            _ if inside => bid + 1 + scale(bits.rotate_left(20), (ask - bid - 1) as u64) as i64,
            Side::Buy => ask,
            Side::Sell => bid,
        };
        Trade {
            symbol: &self.symbols.get(rank).ticker,
            price_cents,
            size: shares(bits >> 4),
            side,
            venue: venue(bits >> 9),
            id: offset,
            ts_us,
        }
    }

    /// Quote number `offset`, which is set at `ts_us` microseconds since the Unix epoch.
    pub fn quote(&self, offset: u64, ts_us: i64) -> Quote<'_> {
        let rank = self.symbols.draw(self.quotes.at(2 * offset));
        let bits = self.quotes.at(2 * offset + 1);
        let (bid, ask) = self.best(rank, ts_us);
        // One venue in four is a cent or two off the best price on each side.
        let away = |bits: u64| {
            if bits & 3 == 0 {
                1 + ((bits >> 2) & 1) as i64
            } else {
                0
            }
        };
        Quote {
            symbol: &self.symbols.get(rank).ticker,
            bid_cents: (bid - away(bits)).max(1),
            ask_cents: ask + away(bits >> 3),
            bid_size: shares(bits >> 6),
            ask_size: shares(bits >> 11),
            venue: venue(bits >> 16),
            ts_us,
        }
    }

    /// The best bid and ask of a symbol at a time, in cents.
    fn best(&self, rank: usize, ts_us: i64) -> (i64, i64) {
        let symbol = self.symbols.get(rank);
        let mid = mid_cents(symbol, self.walks[rank.min(self.walks.len() - 1)].at(ts_us));
        // The width of the spread is redrawn every 2^19 µs: about twice a second.
        let moment = (ts_us >> 19) as u64;
        let draw = self.spreads.at(moment
            .wrapping_mul(0x1_0001)
            .wrapping_add((rank as u64) << 32));
        let usual = mid * symbol.spread_bps / 1e4;
        let spread = ((usual * (0.5 + 1.5 * fraction(draw))) as i64).max(1);
        let bid = ((mid - spread as f64 / 2.0).round() as i64).max(1);
        (bid, bid + spread)
    }
}

/// The middle price for a log return, by Padé's approximation of the exponential: it needs no libm,
/// whose last bit differs between machines.
fn mid_cents(symbol: &Symbol, log_return: f64) -> f64 {
    let half = log_return.clamp(-1.0, 1.0) / 2.0;
    symbol.level_cents as f64 * (1.0 + half) / (1.0 - half)
}

fn shares(bits: u64) -> u32 {
    LOTS[(bits & 31) as usize] * LOT_SHARES
}

fn venue(bits: u64) -> &'static str {
    let mut draw = bits & 63;
    for (name, share) in VENUES {
        if draw < *share {
            return name;
        }
        draw -= share;
    }
    VENUES[0].0
}

#[cfg(test)]
mod tests;
