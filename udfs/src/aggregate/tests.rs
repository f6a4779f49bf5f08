//! Tests of the aggregates together: DataFusion's own functions as oracle, over many groups and
//! through both phases of its parallel aggregation.

use datafusion::execution::session_state::SessionStateBuilder;
use datafusion::prelude::{SessionConfig, SessionContext};

use crate::trial::{lines, run, session};

/// 60,000 ticks of 5,000 symbols; times and prices are distinct within a symbol.
const TICKS: &str = "CREATE TABLE ticks AS
    SELECT value * 7919 % 5000 AS symbol,
           to_timestamp_micros(value * 104729 % 1000003) AS ts,
           CAST(100 + (value * 15485863 % 1000003) AS DECIMAL(18,4)) / 100 AS price,
           CAST(1 + value % 97 AS DECIMAL(12,2)) AS size
    FROM generate_series(1, 60000)";

/// The session of [`session`] with four partitions and small batches.
fn parallel_session() -> SessionContext {
    let config = SessionConfig::new()
        .with_target_partitions(4)
        .with_batch_size(512);
    let state = SessionStateBuilder::new_from_existing(session().state()).with_config(config);
    SessionContext::new_with_state(state.build())
}

#[test]
fn both_phases_agree_with_datafusions_functions() {
    let ctx = parallel_session();
    run(&ctx, TICKS).unwrap();
    let sql = "SELECT count(*), bool_and(f = f0), bool_and(l = l0), bool_and(high(c) = h0), \
        bool_and(low(c) = w0), bool_and(volume(c) = v0), bool_and(trades(c) = n0), \
        bool_and(open(c) = f0), bool_and(close(c) = l0), bool_and(high_time(c) = t0), \
        bool_and(abs(vwap(c) - s0) < 0.0001), bool_and(v = vwap(c)), bool_and(t = t0) \
        FROM (SELECT symbol, first(price, ts) AS f, last(price, ts) AS l, \
            candlestick_agg(ts, price, size) AS c, vwap(price, size) AS v, \
            arg_max(ts, price) AS t, first_value(price ORDER BY ts) AS f0, \
            last_value(price ORDER BY ts) AS l0, max(price) AS h0, min(price) AS w0, \
            sum(size) AS v0, count(*) AS n0, first_value(ts ORDER BY price DESC) AS t0, \
            CAST(sum(price * size) AS DOUBLE) / CAST(sum(size) AS DOUBLE) AS s0 \
            FROM ticks GROUP BY symbol)";
    let expected = format!("5000{}", " true".repeat(12));
    assert_eq!(lines(&run(&ctx, sql).unwrap()), [expected]);
}

#[test]
fn one_group_over_all_partitions_agrees_too() {
    let ctx = parallel_session();
    run(&ctx, TICKS).unwrap();
    let sql = "SELECT first(symbol, ts) = first_value(symbol ORDER BY ts), \
        last(symbol, ts) = last_value(symbol ORDER BY ts), \
        volume(candlestick_agg(ts, price, size)) = sum(size), \
        abs(vwap(p, s) / CAST(vwap(price, size) AS DOUBLE) - 1) < 1e-9 \
        FROM (SELECT *, CAST(price AS DOUBLE) AS p, CAST(size AS DOUBLE) AS s FROM ticks)";
    assert_eq!(lines(&run(&ctx, sql).unwrap()), ["true true true true"]);
}

mod cuts;
mod edges;
