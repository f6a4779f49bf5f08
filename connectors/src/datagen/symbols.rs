//! The listed companies of the generated market: tickers, price levels, and how often each is
//! traded. Owns the choice of a symbol; knows nothing of prices in motion.

use super::noise::{Stream, scale};

/// Tickers by activity with a price level in dollars, as they stood at the start of 2024.
#[rustfmt::skip]
const LISTED: &[(&str, u32)] = &[
    ("AAPL", 189), ("NVDA", 487), ("TSLA", 247), ("MSFT", 373), ("AMZN", 151), ("AMD", 141),
    ("META", 350), ("GOOGL", 139), ("SPY", 473), ("QQQ", 405), ("INTC", 48), ("BAC", 34),
    ("F", 12), ("PLTR", 17), ("T", 17), ("PFE", 29), ("AVGO", 1_085), ("NFLX", 484),
    ("JPM", 171), ("XOM", 101), ("GOOG", 140), ("CSCO", 50), ("DIS", 90), ("WFC", 49),
    ("KO", 59), ("CRM", 260), ("UBER", 60), ("VZ", 38), ("BA", 257), ("C", 52),
    ("WMT", 158), ("MRK", 112), ("V", 260), ("MU", 84), ("ORCL", 104), ("ADBE", 591),
    ("CVX", 149), ("QCOM", 142), ("PYPL", 62), ("JNJ", 158), ("PG", 147), ("HD", 344),
    ("NKE", 107), ("GM", 36), ("UNH", 524), ("MA", 426), ("LLY", 592), ("ABBV", 157),
    ("COST", 658), ("PEP", 170), ("TMO", 532), ("ABT", 110), ("ACN", 348), ("MCD", 295),
    ("TXN", 168), ("LIN", 409), ("DHR", 231), ("PM", 95), ("NEE", 61), ("INTU", 620),
    ("IBM", 163), ("AMGN", 290), ("GE", 127), ("CAT", 292), ("HON", 208), ("UNP", 245),
    ("LOW", 220), ("SBUX", 94), ("SPGI", 438), ("GS", 384), ("AXP", 187), ("BLK", 803),
    ("BKNG", 3_498), ("ISRG", 335), ("DE", 399), ("MDT", 83), ("RTX", 85), ("PLD", 132),
    ("TJX", 93), ("LMT", 455), ("SYK", 299), ("ADP", 232), ("GILD", 81), ("VRTX", 410),
    ("AMT", 215), ("MMC", 189), ("REGN", 881), ("LRCX", 772), ("ADI", 195), ("ETN", 240),
    ("PANW", 291), ("CB", 226), ("BSX", 57), ("SCHW", 69), ("MDLZ", 72), ("CI", 301),
    ("SO", 70), ("DUK", 97), ("KLAC", 574), ("SLB", 52),
];

/// One symbol of the market.
#[derive(Clone, Debug, PartialEq)]
pub struct Symbol {
    /// Its ticker.
    pub ticker: Box<str>,
    /// The price level that its walk starts around, in cents.
    pub level_cents: i64,
    /// Standard deviation of its log price over one second.
    pub sigma: f64,
    /// The share of the price, in ten thousandths, that lies between bid and ask.
    pub spread_bps: f64,
}

/// All symbols of a market, most active first, and the means to draw one by activity.
#[derive(Clone, Debug)]
pub struct Symbols {
    listed: Vec<Symbol>,
    /// Vose's alias table: (threshold, alias) per symbol.
    alias: Vec<(u64, u32)>,
}

impl Symbols {
    /// The `count` most active symbols of the market of `seed`; at least one.
    pub fn new(seed: u64, count: usize) -> Self {
        let count = count.max(1);
        let stream = Stream::new(seed, 0x5EC0);
        let listed: Vec<Symbol> = (0..count).map(|rank| symbol(stream, rank)).collect();
        // Zipf with exponent one, softened at the head (Mandelbrot): the first of 100 symbols gets
        // some 12 %.
        let weights: Vec<f64> = (0..count).map(|rank| 1.0 / (rank as f64 + 2.0)).collect();
        Self {
            listed,
            alias: alias_table(&weights),
        }
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        self.listed.len()
    }

    /// The symbol of that rank; the last one for a rank beyond.
    pub fn get(&self, rank: usize) -> &Symbol {
        &self.listed[rank.min(self.listed.len() - 1)]
    }

    /// The rank drawn by 64 random bits: O(1).
    pub fn draw(&self, bits: u64) -> usize {
        let slot = scale(bits, self.alias.len() as u64) as usize;
        let (threshold, alias) = self.alias[slot];
        // The low half decides within the slot; the high half has chosen it.
        if bits << 32 < threshold {
            slot
        } else {
            alias as usize
        }
    }
}

fn symbol(stream: Stream, rank: usize) -> Symbol {
    /// Seconds of trading in a year, under the square root: 252 days of 6.5 hours.
    const YEAR_SQRT_S: f64 = 2_428.3;
    let index = 4 * rank as u64;
    let (ticker, dollars) = match LISTED.get(rank) {
        Some((ticker, dollars)) => ((*ticker).into(), u64::from(*dollars)),
        None => (
            generated_ticker(rank - LISTED.len()),
            5 + stream.below(index, 395),
        ),
    };
    let cents = stream.below(index + 1, 100);
    let volatility = 0.15 + 0.45 * stream.fraction(index + 2);
    let spread_bps = match rank {
        0..10 => 0.5,
        10..50 => 1.5,
        50..200 => 3.0,
        _ => 8.0,
    };
    Symbol {
        ticker,
        level_cents: (dollars * 100 + cents) as i64,
        sigma: volatility / YEAR_SQRT_S,
        spread_bps,
    }
}

/// `QAAA`, `QAAB`, …: no listed ticker has four letters and starts with Q. Grows to five letters
/// and more.
fn generated_ticker(mut number: usize) -> Box<str> {
    let mut letters = Vec::new();
    while number > 0 || letters.len() < 3 {
        letters.push(b'A' + (number % 26) as u8);
        number /= 26;
    }
    letters.push(b'Q');
    letters
        .iter()
        .rev()
        .map(|letter| char::from(*letter))
        .collect::<String>()
        .into()
}

/// Vose's method: every slot holds at most two symbols, so a draw needs one comparison.
fn alias_table(weights: &[f64]) -> Vec<(u64, u32)> {
    let total: f64 = weights.iter().sum();
    let mut share: Vec<f64> = weights
        .iter()
        .map(|weight| weight / total * weights.len() as f64)
        .collect();
    let mut table = vec![(u64::MAX, 0_u32); weights.len()];
    for (slot, entry) in table.iter_mut().enumerate() {
        entry.1 = slot as u32;
    }
    let (mut small, mut large): (Vec<usize>, Vec<usize>) =
        (0..weights.len()).partition(|slot| share[*slot] < 1.0);
    while let (Some(poor), Some(rich)) = (small.pop(), large.pop()) {
        let threshold = (share[poor] * (1_u64 << 32) as f64) as u64;
        table[poor] = (threshold.saturating_mul(1 << 32), rich as u32);
        share[rich] -= 1.0 - share[poor];
        if share[rich] < 1.0 {
            small.push(rich)
        } else {
            large.push(rich)
        }
    }
    table
}
