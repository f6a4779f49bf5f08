//! `rollup(summary)`: one summary out of many, of whatever aggregate made them. `rolling` is the
//! same under the name by which it is called with `OVER`.

use std::sync::Arc;

use datafusion::arrow::datatypes::DataType;
use datafusion::common::{Result, internal_err};
use datafusion::physical_plan::PhysicalExpr;

use super::candlestick::rollup as bars;
use super::linear::rollup as moments;
use super::series::time_weight::rollup as areas;
use super::sketch::rollup::{Sketches, is_sketch};
use super::{Aggregate, digest};
use crate::arguments::Call;
use crate::fold::AnyFold;
use crate::registry::{FunctionDoc, FunctionKind};

const CALL: Call = Call {
    function: "rollup",
    signature: "rollup(summary)",
};

/// What a person wants to know about it.
pub(crate) const DOC: FunctionDoc = FunctionDoc {
    name: "rollup",
    kind: FunctionKind::Aggregate,
    signature: "rollup(summary) -> summary",
    description: "One summary out of many: a coarser bar of candlesticks, the moments, area, \
                  sketch or digest of all values. With OVER and a frame, that of the last buckets.",
    formula: "candlestick: the bar of all ticks together, vwap the mean of the bars' own, weighted \
              by volume; stats_agg: the moments of all rows together, up to the rounding of each \
              summary; time_weight: the area over all rows, for summaries of one method whose \
              times follow each other; percentile_agg, uddsketch: the sketch of all values, which \
              must have one size and error; tdigest: the digest of all means, which must have one \
              size",
    reference: "TimescaleDB toolkit rollup and rolling",
    example: "SELECT time_bucket('1 hour', ts) AS hour, symbol, rollup(candle) FROM bars \
              GROUP BY hour, symbol",
};

/// The other name.
pub(crate) const ALIAS: FunctionDoc = FunctionDoc {
    name: "rolling",
    example: "SELECT minute, rolling(moments) OVER (ORDER BY minute ROWS 4 PRECEDING) FROM (SELECT \
              time_bucket('1 minute', ts) AS minute, stats_agg(price) AS moments FROM trades GROUP \
              BY minute)",
    ..DOC
};

/// The aggregate function `rollup`.
#[derive(Debug, PartialEq, Eq, Hash)]
pub(crate) struct Rollup;

/// Returns the fold of summaries of type `found`.
fn fold(found: &DataType) -> Option<Box<dyn AnyFold>> {
    if is_sketch(found) {
        return Some(Box::new(Sketches { call: CALL }));
    }
    if digest::is_digest(found) {
        return Some(digest::rollup(CALL));
    }
    moments::fold(found)
        .or_else(|| areas::fold(CALL, found))
        .or_else(|| bars::fold(CALL, found))
}

impl Aggregate for Rollup {
    fn call(&self) -> Call {
        CALL
    }

    fn aliases(&self) -> &'static [&'static str] {
        &[ALIAS.name]
    }

    fn coerce(&self, types: &[DataType]) -> Result<Vec<DataType>> {
        CALL.count(types, 1, 1)?;
        if fold(&types[0]).is_none() {
            let expected = "the result of candlestick_agg, stats_agg, time_weight, percentile_agg, \
                            uddsketch or tdigest";
            return CALL.wrong_type("summary", expected, &types[0]);
        }
        Ok(types.to_vec())
    }

    fn return_type(&self, types: &[DataType]) -> Result<DataType> {
        Ok(types[0].clone())
    }

    fn fold(
        &self,
        types: &[DataType],
        _constants: Option<&[Arc<dyn PhysicalExpr>]>,
    ) -> Result<Box<dyn AnyFold>> {
        match types.first().and_then(fold) {
            Some(fold) => Ok(fold),
            None => internal_err!("{} takes a summary", CALL.function),
        }
    }
}
