//! The benchmark's trades: pure functions of a seed, as JSON lines of about 120 bytes, and what
//! one-second candles over them must be.

use std::collections::BTreeMap;
use std::io::Write;

/// 2026-01-05 14:30:00 UTC, in microseconds since the Unix epoch.
pub const START_US: i64 = 1_767_623_400_000_000;

/// Length of a candle.
pub const WINDOW_US: i64 = 1_000_000;

const VENUES: [&str; 4] = ["XNAS", "XNYS", "ARCX", "BATS"];

/// Entries of the table that makes symbols active by Zipf's law.
const ZIPF_ENTRIES: usize = 1 << 16;

/// How symbols are chosen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Activity {
    /// The nth is traded one nth as often as the first.
    Zipf,
    /// One after the other.
    InTurn,
}

/// One trade.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Trade {
    /// Number of the symbol.
    pub symbol: usize,
    /// In cents.
    pub cents: i64,
    /// Shares.
    pub size: i64,
    /// In microseconds since the Unix epoch.
    pub ts_us: i64,
    /// Number of the venue.
    venue: usize,
    /// Number of the trade.
    id: u64,
}

/// Makes trades, one after the other.
pub struct Trades {
    names: Vec<String>,
    cents: Vec<i64>,
    /// Symbols, each as often as its share of the table; empty if they take turns.
    zipf: Vec<u32>,
    noise: u64,
    id: u64,
}

/// One candle.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Candle {
    /// First price in dollars.
    pub open: f64,
    /// Highest price.
    pub high: f64,
    /// Lowest price.
    pub low: f64,
    /// Last price.
    pub close: f64,
    /// Shares.
    pub volume: i64,
    /// Volume-weighted average price.
    pub vwap: f64,
    /// Trades.
    pub trades: i64,
}

/// Candles by start of their window, in microseconds, and symbol.
pub type Candles = BTreeMap<(i64, String), Candle>;

impl Trades {
    /// The trades of `symbols` symbols.
    pub fn new(symbols: usize, activity: Activity) -> Self {
        let zipf = match activity {
            Activity::InTurn => Vec::new(),
            Activity::Zipf => zipf_table(symbols),
        };
        Self {
            names: (0..symbols).map(symbol_name).collect(),
            cents: (0..symbols)
                .map(|n| 1_000 + (n as i64 * 37) % 49_000)
                .collect(),
            zipf,
            noise: 42,
            id: 0,
        }
    }

    /// The next trade, at `ts_us`.
    pub fn next(&mut self, ts_us: i64) -> Trade {
        let noise = self.draw();
        let id = self.id;
        self.id += 1;
        let symbol = match self.zipf.len() {
            0 => usize::try_from(id).unwrap_or(0) % self.names.len(),
            entries => self.zipf[noise as usize % entries] as usize,
        };
        let step = ((noise >> 20) % 11) as i64 - 5;
        let cents = (self.cents[symbol] + step).max(100);
        self.cents[symbol] = cents;
        Trade {
            symbol,
            cents,
            size: 1 + ((noise >> 30) % 999) as i64,
            ts_us,
            venue: (noise >> 44) as usize % VENUES.len(),
            id,
        }
    }

    /// The name of a symbol.
    pub fn name(&self, symbol: usize) -> &str {
        &self.names[symbol]
    }

    /// Appends `trade` as a JSON object.
    pub fn write_json(&self, trade: &Trade, out: &mut Vec<u8>) {
        let (dollars, cents) = (trade.cents / 100, trade.cents % 100);
        let Moment {
            date,
            hour,
            minute,
            second,
            us,
        } = moment(trade.ts_us);
        // Writing to a vector does not fail.
        let _ = write!(
            out,
            "{{\"symbol\":\"{}\",\"price\":{dollars}.{cents:02},\"size\":{},\"ts\":\"{}T{hour:02}:\
             {minute:02}:{second:02}.{us:06}Z\",\"venue\":\"{}\",\"id\":{}}}",
            self.names[trade.symbol], trade.size, date, VENUES[trade.venue], trade.id
        );
    }

    /// SplitMix64 (Steele, Lea and Flood 2014).
    fn draw(&mut self) -> u64 {
        self.noise = self.noise.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.noise;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }
}

/// Adds `trade` to the candles as they must be.
pub fn add(candles: &mut Candles, name: &str, trade: &Trade) {
    let window = trade.ts_us - trade.ts_us.rem_euclid(WINDOW_US);
    let price = trade.cents as f64 / 100.0;
    let candle = candles.entry((window, name.to_owned())).or_insert(Candle {
        open: price,
        high: price,
        low: price,
        close: price,
        volume: 0,
        vwap: 0.0,
        trades: 0,
    });
    candle.high = candle.high.max(price);
    candle.low = candle.low.min(price);
    candle.close = price;
    // Turnover until `finish`; cents keep it exact.
    candle.vwap += (trade.cents * trade.size) as f64;
    candle.volume += trade.size;
    candle.trades += 1;
}

/// Makes averages of the turnovers that [`add`] has summed up.
pub fn finish(candles: &mut Candles) {
    for candle in candles.values_mut() {
        candle.vwap = candle.vwap / 100.0 / candle.volume as f64;
    }
}

/// Each symbol as often as its share of all trades.
fn zipf_table(symbols: usize) -> Vec<u32> {
    let total: f64 = (1..=symbols).map(|rank| 1.0 / rank as f64).sum();
    let mut table = Vec::with_capacity(ZIPF_ENTRIES);
    let mut share = 0.0;
    for rank in 1..=symbols {
        share += 1.0 / rank as f64 / total;
        let end = ((share * ZIPF_ENTRIES as f64) as usize).min(ZIPF_ENTRIES);
        table.resize(end.max(table.len()), rank as u32 - 1);
    }
    table
}

/// Four letters, then more: `AAAA`, `BAAA`, …
fn symbol_name(number: usize) -> String {
    let mut rest = number;
    let mut name = String::new();
    while name.len() < 4 || rest > 0 {
        name.push(char::from(b'A' + (rest % 26) as u8));
        rest /= 26;
    }
    name
}

/// A time of the calendar, in UTC.
struct Moment {
    date: String,
    hour: i64,
    minute: i64,
    second: i64,
    us: i64,
}

/// Days to a date by Howard Hinnant's `civil_from_days`.
fn moment(ts_us: i64) -> Moment {
    let (days, rest) = (
        ts_us.div_euclid(86_400_000_000),
        ts_us.rem_euclid(86_400_000_000),
    );
    let shifted = days + 719_468;
    let era = shifted.div_euclid(146_097);
    let of_era = shifted.rem_euclid(146_097);
    let year = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let month = (5 * of_year + 2) / 153;
    let day = of_year - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    let year = year + era * 400 + i64::from(month <= 2);
    let seconds = rest / 1_000_000;
    Moment {
        date: format!("{year:04}-{month:02}-{day:02}"),
        hour: seconds / 3_600,
        minute: seconds / 60 % 60,
        second: seconds % 60,
        us: rest % 1_000_000,
    }
}

#[cfg(test)]
mod tests;
