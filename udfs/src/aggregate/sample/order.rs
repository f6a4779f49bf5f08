//! What depends on the order of the rows in time: drawdowns, volatility across bars, toxicity of
//! flow.

use super::{Sample, Time, doc};
use crate::aggregate::mean::AMIHUD_DOC;
use crate::argument::{ANNUALIZATION, Argument, Kind, SIDE, factor, number, optional};

/// Amihud's illiquidity of prices in order of time.
pub(crate) const AMIHUD: Sample = Sample {
    doc: AMIHUD_DOC,
    arguments: &[number("price"), number("dollar_volume")],
    time: Time::Order,
    constants: &[factor("scale", 1.0)],
    evaluate: amihud,
};

/// The aggregates of this subject.
pub(super) const AGGREGATES: [Sample; 4] = [
    Sample {
        doc: doc(
            "max_drawdown_agg",
            "max_drawdown_agg(return, ts) -> double precision",
            "The deepest fall of the compound value of returns from its peak, at most 0.",
            "the least of v / max(v so far) - 1 with v = product(1 + return), starting at 1",
            "empyrical max_drawdown",
            "SELECT symbol, max_drawdown_agg(price / 10 - 1, ts) FROM trades GROUP BY symbol",
        ),
        arguments: &[number("return")],
        time: Time::Order,
        constants: &[],
        evaluate: |values, _| max_drawdown(values),
    },
    Sample {
        doc: doc(
            "calmar_ratio",
            "calmar_ratio(return, ts [, annualization = 252]) -> double precision",
            "The annual return per unit of the deepest drawdown.",
            "annual_return(return, annualization) / |max_drawdown_agg(return, ts)|; null without \
             a drawdown",
            "empyrical, Young 1991",
            "SELECT symbol, calmar_ratio(price / 10 - 1, ts) FROM trades GROUP BY symbol",
        ),
        arguments: &[number("return")],
        time: Time::Order,
        constants: &[ANNUALIZATION],
        evaluate: |values, constants| {
            let growth: f64 = values.iter().map(|value| value.ln_1p()).sum();
            let annual = (growth * constants[0] / values.len() as f64).exp_m1();
            let drawdown = max_drawdown(values);
            if drawdown < 0.0 {
                annual / -drawdown
            } else {
                f64::NAN
            }
        },
    },
    Sample {
        doc: doc(
            "yang_zhang_vol",
            "yang_zhang_vol(open, high, low, close, ts [, annualization = 1]) -> double precision",
            "The volatility of bars with drift and opening jumps.",
            "sqrt(annualization * (O + k C + (1 - k) R)) over the n bars that have one before \
             them: O and C the sample variances of ln(open / previous close) and ln(close / open), \
             R the mean of Rogers' and Satchell's terms, k = 0.34 / (1.34 + (n + 1) / (n - 1)); \
             null below three bars",
            "Yang and Zhang 2000",
            "SELECT symbol, yang_zhang_vol(open(candle), high(candle), low(candle), \
             close(candle), ts) FROM bars GROUP BY symbol",
        ),
        arguments: &[
            number("open"),
            number("high"),
            number("low"),
            number("close"),
        ],
        time: Time::Order,
        constants: &[factor("annualization", 1.0)],
        evaluate: yang_zhang,
    },
    Sample {
        doc: doc(
            "vpin",
            "vpin(size, side, ts, bucket_volume [, buckets = 50]) -> double precision",
            "The volume-synchronised probability of informed trading.",
            "trades fill buckets of bucket_volume in order, cut at their ends; the mean of \
             |bought - sold| / bucket_volume over the last buckets full ones; null below that \
             many",
            "Easley, Lopez de Prado and O'Hara 2012",
            "SELECT symbol, vpin(size, 'B', ts, 1, 2) FROM trades GROUP BY symbol",
        ),
        arguments: &[number("size"), SIDE],
        time: Time::Order,
        constants: &[
            Argument {
                default: None,
                ..factor("bucket_volume", 0.0)
            },
            Argument {
                kind: Kind::Between(0.0, f64::MAX, "a positive number"),
                ..optional("buckets", 50.0)
            },
        ],
        evaluate: vpin,
    },
];

fn amihud(values: &[f64], constants: &[f64]) -> f64 {
    let (rows, _) = values.as_chunks::<2>();
    let (mut sum, mut count, mut before) = (0.0, 0.0, f64::NAN);
    for &[price, volume] in rows.iter().filter(|[price, _]| *price > 0.0) {
        if volume > 0.0 && before > 0.0 {
            sum += (price / before - 1.0).abs() / volume;
            count += 1.0;
        }
        before = price;
    }
    constants[0] * sum / count
}

fn max_drawdown(returns: &[f64]) -> f64 {
    let (mut value, mut peak, mut deepest) = (1.0_f64, 1.0_f64, 0.0_f64);
    for change in returns {
        value *= 1.0 + change;
        peak = peak.max(value);
        deepest = deepest.min(value / peak - 1.0);
    }
    deepest
}

fn yang_zhang(values: &[f64], constants: &[f64]) -> f64 {
    let (bars, _) = values.as_chunks::<4>();
    let usable = |bar: &&[f64; 4]| bar.iter().all(|price| *price > 0.0);
    let bars: Vec<&[f64; 4]> = bars.iter().filter(usable).collect();
    let n = bars.len().saturating_sub(1) as f64;
    if n < 2.0 {
        return f64::NAN;
    }
    let pairs = || bars.windows(2).map(|pair| (pair[0], pair[1]));
    let overnight: Vec<f64> = pairs()
        .map(|(before, bar)| (bar[0] / before[3]).ln())
        .collect();
    let within: Vec<f64> = pairs().map(|(_, bar)| (bar[3] / bar[0]).ln()).collect();
    let terms = pairs().map(|(_, &[open, high, low, close])| {
        (high / close).ln() * (high / open).ln() + (low / close).ln() * (low / open).ln()
    });
    let range = terms.sum::<f64>() / n;
    let variance = |values: &[f64]| {
        let mean = values.iter().sum::<f64>() / n;
        values
            .iter()
            .map(|value| (value - mean).powi(2))
            .sum::<f64>()
            / (n - 1.0)
    };
    let k = 0.34 / (1.34 + (n + 1.0) / (n - 1.0));
    let sum = variance(&overnight) + k * variance(&within) + (1.0 - k) * range;
    (sum * constants[0]).sqrt()
}

fn vpin(values: &[f64], constants: &[f64]) -> f64 {
    let &[bucket, buckets] = constants else {
        return f64::NAN;
    };
    let (mut filled, mut balance) = (0.0, 0.0);
    let wanted = (buckets as usize).max(1);
    let mut imbalances = Vec::new();
    for &[size, side] in values.as_chunks::<2>().0 {
        let mut left = size.max(0.0);
        if side.abs() != 1.0 {
            continue;
        }
        if left >= bucket - filled {
            left -= bucket - filled;
            balance += side * (bucket - filled);
            imbalances.push(f64::abs(balance) / bucket);
            (filled, balance) = (0.0, 0.0);
            // Buckets that one trade fills are as one-sided as can be; no more than the last
            // ones are ever looked at.
            let whole = (left / bucket).floor();
            left -= whole * bucket;
            imbalances.extend(std::iter::repeat_n(1.0, (whole as usize).min(wanted)));
        }
        filled += left;
        balance += side * left;
    }
    let Some(start) = imbalances.len().checked_sub(wanted) else {
        return f64::NAN;
    };
    imbalances[start..].iter().sum::<f64>() / wanted as f64
}
