//! Documentation of the functions of ticks, quotes, paths and bars.

use super::super::FunctionDoc;
use super::super::FunctionKind::Aggregate;

/// Measures along a path and quotients over rows.
pub(super) const AGGREGATES: [FunctionDoc; 15] = [
    FunctionDoc {
        name: "ohlcv",
        kind: Aggregate,
        signature: "ohlcv(ts timestamp, price, size) -> struct(open, high, low, close, volume)",
        description: "The five numbers of a bar.",
        formula: "the fields of candlestick_agg(ts, price, size)",
        reference: "standard",
        example: "SELECT symbol, ohlcv(ts, price, size) FROM trades GROUP BY symbol",
    },
    FunctionDoc {
        name: "realized_variance",
        kind: Aggregate,
        signature: "realized_variance(price, ts) -> double precision",
        description: "The variation of a price: the sum of squared log returns in order of time.",
        formula: "sum of ln(p[i] / p[i-1])^2; prices at or below zero do not count; null below two \
                  prices",
        reference: "Andersen and Bollerslev 1998",
        example: "SELECT symbol, realized_variance(price, ts) FROM trades GROUP BY symbol",
    },
    FunctionDoc {
        name: "realized_vol",
        kind: Aggregate,
        signature: "realized_vol(price, ts [, annualization = 1]) -> double precision",
        description: "The realized volatility, annualized if a factor is given.",
        formula: "sqrt(realized_variance(price, ts) * annualization)",
        reference: "Andersen and Bollerslev 1998",
        example: "SELECT symbol, realized_vol(price, ts, 252) FROM trades GROUP BY symbol",
    },
    FunctionDoc {
        name: "bipower_variation",
        kind: Aggregate,
        signature: "bipower_variation(price, ts) -> double precision",
        description: "The variation of a price without its jumps.",
        formula: "pi / 2 * sum of |r[i]| * |r[i-1]|, r the log returns; null below three prices",
        reference: "Barndorff-Nielsen and Shephard 2004",
        example: "SELECT symbol, bipower_variation(price, ts) FROM trades GROUP BY symbol",
    },
    FunctionDoc {
        name: "realized_semivar_up",
        kind: Aggregate,
        signature: "realized_semivar_up(price, ts) -> double precision",
        description: "The realized variance of upward moves.",
        formula: "sum of r[i]^2 where r[i] > 0; null below two prices",
        reference: "Barndorff-Nielsen, Kinnebrock and Shephard 2010",
        example: "SELECT symbol, realized_semivar_up(price, ts) FROM trades GROUP BY symbol",
    },
    FunctionDoc {
        name: "realized_semivar_down",
        kind: Aggregate,
        signature: "realized_semivar_down(price, ts) -> double precision",
        description: "The realized variance of downward moves.",
        formula: "sum of r[i]^2 where r[i] < 0; null below two prices",
        reference: "Barndorff-Nielsen, Kinnebrock and Shephard 2010",
        example: "SELECT symbol, realized_semivar_down(price, ts) FROM trades GROUP BY symbol",
    },
    FunctionDoc {
        name: "jump_ratio",
        kind: Aggregate,
        signature: "jump_ratio(price, ts) -> double precision",
        description: "The part of the realized variance that comes from jumps, from 0 to 1.",
        formula: "max(0, 1 - bipower_variation / realized_variance); null where the price never \
                  moved",
        reference: "Huang and Tauchen 2005",
        example: "SELECT symbol, jump_ratio(price, ts) FROM trades GROUP BY symbol",
    },
    FunctionDoc {
        name: "roll_spread",
        kind: Aggregate,
        signature: "roll_spread(price, ts) -> double precision",
        description: "The spread implied by the bounce of trade prices.",
        formula: "2 * sqrt(-cov(dp[i], dp[i-1])), covariance over n - 1; null below four prices or \
                  where the covariance is not negative",
        reference: "Roll 1984",
        example: "SELECT roll_spread(price, ts) FROM trades",
    },
    FunctionDoc {
        name: "twap",
        kind: Aggregate,
        signature: "twap(price, ts [, start timestamp, end timestamp]) -> double precision",
        description: "The time-weighted average price, or that between two bounds such as those \
                      of a bucket of time.",
        formula: "sum of p[i] * (t[i+1] - t[i]) / (t[n] - t[1]); of equal times the last arrival \
                  stands; one point in time gives its price; with bounds the last price stands \
                  until end (the latest of the rows'), time before start (the earliest) or before \
                  the first price does not count, and where none is left the result is null",
        reference: "QuestDB twap",
        example: "SELECT symbol, twap(price, ts) FROM trades GROUP BY symbol",
    },
    FunctionDoc {
        name: "quoted_spread_tw",
        kind: Aggregate,
        signature: "quoted_spread_tw(bid, ask, ts) -> double precision",
        description: "The quoted spread, weighted by the time it stood.",
        formula: "twap of ask - bid",
        reference: "standard",
        example: "SELECT symbol, quoted_spread_tw(bid, ask, ts) FROM quotes GROUP BY symbol",
    },
    FunctionDoc {
        name: "order_flow_imbalance",
        kind: Aggregate,
        signature: "order_flow_imbalance(bid, bid_size, ask, ask_size, ts) -> double precision",
        description: "The net size that arrived at the best quotes.",
        formula: "sum over quote changes: a higher bid adds its size, a lower one takes the \
                  previous size, an equal one adds the change of size; less the same of the ask \
                  mirrored; 0 for a single quote",
        reference: "Cont, Kukanov and Stoikov 2014",
        example: "SELECT symbol, order_flow_imbalance(bid, bid_size, ask, ask_size, ts) \
                  FROM quotes GROUP BY symbol",
    },
    FunctionDoc {
        name: "effective_spread",
        kind: Aggregate,
        signature: "effective_spread(price, mid, size) -> double precision",
        description: "What trading against the mid price cost, weighted by size.",
        formula: "sum of 2 * |price - mid| * size / sum of size; sizes at or below zero do not \
                  count",
        reference: "standard",
        example: "SELECT symbol, effective_spread(price, price + 0.01, size) FROM trades \
                  GROUP BY symbol",
    },
    FunctionDoc {
        name: "parkinson_vol",
        kind: Aggregate,
        signature: "parkinson_vol(high, low [, annualization = 1]) -> double precision",
        description: "Volatility from the range of bars.",
        formula: "sqrt(annualization * mean of ln(high / low)^2 / (4 ln 2))",
        reference: "Parkinson 1980",
        example: "SELECT symbol, parkinson_vol(high(candle), low(candle), 252 * 390) FROM bars \
                  GROUP BY symbol",
    },
    FunctionDoc {
        name: "garman_klass_vol",
        kind: Aggregate,
        signature: "garman_klass_vol(open, high, low, close [, annualization = 1]) -> double \
                    precision",
        description: "Volatility from range and body of bars.",
        formula: "sqrt(annualization * mean of ln(high / low)^2 / 2 - (2 ln 2 - 1) * \
                  ln(close / open)^2); null where the mean is negative",
        reference: "Garman and Klass 1980",
        example: "SELECT symbol, garman_klass_vol(open(candle), high(candle), low(candle), \
                  close(candle)) FROM bars GROUP BY symbol",
    },
    FunctionDoc {
        name: "rogers_satchell_vol",
        kind: Aggregate,
        signature: "rogers_satchell_vol(open, high, low, close [, annualization = 1]) -> double \
                    precision",
        description: "Volatility from bars of a price that drifts.",
        formula: "sqrt(annualization * mean of ln(high / close) * ln(high / open) + \
                  ln(low / close) * ln(low / open))",
        reference: "Rogers and Satchell 1991",
        example: "SELECT symbol, rogers_satchell_vol(open(candle), high(candle), low(candle), \
                  close(candle)) FROM bars GROUP BY symbol",
    },
];
