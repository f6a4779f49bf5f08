//! The registry of our functions, with what a person wants to know about each.
//!
//! It holds RTSAP's own functions only; DataFusion's are added by whoever builds a session.

mod docs;
mod reference;

use std::collections::HashMap;
use std::sync::{Arc, LazyLock};

use datafusion::arrow::datatypes::DataType;
use datafusion::logical_expr::planner::ExprPlanner;
use datafusion::logical_expr::{AggregateUDF, DocSection, Documentation, ScalarUDF, WindowUDF};

use crate::aggregate::candlestick::CandlestickAgg;
use crate::aggregate::candlestick::ohlcv::Ohlcv;
use crate::aggregate::digest::{self, TDigest};
use crate::aggregate::mean::{AMIHUD_DOC, Mean};
use crate::aggregate::pick::Pick;
use crate::aggregate::rollup::{self, Rollup};
use crate::aggregate::series::{Measure, asap, downsample, time_weight};
use crate::aggregate::sketch::{self, Sketch};
use crate::aggregate::{self, Aggregate as _, histogram, linear, profile, sample, vwap::Vwap};
use crate::overload::OverloadPlanner;
use crate::postgres::PostgresOperators;
use crate::scalar::{
    accessor, calendar, candlestick, formula, interpolated, list, percentile, signed_qty,
    statistic, time_bucket,
};
use crate::window;

/// How a function is used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum FunctionKind {
    /// One value for each row.
    Scalar,
    /// One value for each group, or for each row with `OVER`.
    Aggregate,
    /// One value for each row from the rows of its window; needs `OVER`.
    Window,
}

impl FunctionKind {
    /// Returns the kind in one word: `scalar`, `aggregate` or `window`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Scalar => "scalar",
            Self::Aggregate => "aggregate",
            Self::Window => "window",
        }
    }
}

/// What a person wants to know about a function.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FunctionDoc {
    /// The name as written in a query.
    pub name: &'static str,
    /// How it is used.
    pub kind: FunctionKind,
    /// Arguments and result, such as `vwap(price, size) -> price`.
    pub signature: &'static str,
    /// One or two sentences.
    pub description: &'static str,
    /// The definition, with its rules for nulls and ties.
    pub formula: &'static str,
    /// Whose definition it is.
    pub reference: &'static str,
    /// A query over `trades(symbol, ts, price, size)`, `bars(symbol, ts, candle)` or
    /// `quotes(symbol, ts, bid, ask, bid_size, ask_size)`.
    pub example: &'static str,
}

/// Functions by kind, the rules by which their calls are planned, and their documentation.
#[derive(Clone, Debug, Default)]
pub struct FunctionRegistry {
    /// Functions of one row.
    pub scalars: Vec<Arc<ScalarUDF>>,
    /// Functions of a group of rows.
    pub aggregates: Vec<Arc<AggregateUDF>>,
    /// Functions of a window of rows.
    pub windows: Vec<Arc<WindowUDF>>,
    /// Planners that a session must add (`SessionStateBuilder::with_expr_planners`) so that
    /// names shared by two functions reach the right one.
    pub expr_planners: Vec<Arc<dyn ExprPlanner>>,
    /// One entry per name, aliases included, sorted by name.
    pub docs: Vec<FunctionDoc>,
}

impl FunctionRegistry {
    /// Returns all functions that RTSAP adds to DataFusion.
    #[must_use]
    pub fn with_builtins() -> Self {
        let mut scalars = vec![time_bucket::function()];
        scalars.extend(accessor::functions());
        scalars.extend(formula::all().map(formula::function));
        scalars.extend(list::all().map(list::function));
        scalars.push(signed_qty::function());
        scalars.extend(statistic::functions());
        scalars.extend(calendar::functions());
        scalars.push(candlestick::function());
        scalars.push(interpolated::function());
        scalars.extend(percentile::functions());
        scalars.extend(crate::scalar::profile::functions());
        scalars.extend(crate::postgres::function::functions());
        let mut aggregates = vec![
            aggregate::function(Vwap),
            aggregate::function(Pick::First),
            aggregate::function(Pick::Last),
            aggregate::function(Pick::ArgMin),
            aggregate::function(Pick::ArgMax),
            aggregate::function(CandlestickAgg),
            aggregate::function(Rollup),
            aggregate::function(Ohlcv),
            aggregate::function(profile::VolumeProfile),
            aggregate::function(histogram::Histogram),
            aggregate::function(downsample::Lttb),
            aggregate::function(asap::Asap),
            aggregate::function(linear::stats::StatsAgg),
            aggregate::function(time_weight::TimeWeight),
            aggregate::function(Sketch::Usual),
            aggregate::function(Sketch::Given),
            aggregate::function(TDigest),
        ];
        aggregates.extend(linear::all().copied().map(aggregate::function));
        aggregates.extend(sample::all().copied().map(aggregate::function));
        aggregates.extend(Measure::ALL.map(aggregate::function));
        aggregates.extend(Mean::ALL.map(aggregate::function));
        let windows = window::all()
            .iter()
            .map(window::function::function)
            .chain(window::position::functions())
            .collect();
        let docs = all_docs();
        let expr_planners: Vec<Arc<dyn ExprPlanner>> =
            vec![Arc::new(OverloadPlanner), Arc::new(PostgresOperators)];
        Self {
            scalars,
            aggregates,
            windows,
            expr_planners,
            docs,
        }
    }

    /// Returns the function reference as a page of Markdown: what `docs/functions.md` holds.
    #[must_use]
    pub fn reference(&self) -> String {
        reference::page(&self.docs)
    }

    /// Returns the documentation of `name`: two entries where an aggregate and a scalar share it.
    pub fn docs_of(&self, name: &str) -> impl Iterator<Item = &FunctionDoc> {
        self.docs
            .iter()
            .filter(move |doc| doc.name.eq_ignore_ascii_case(name))
    }
}

/// Returns the documentation of every name, sorted by name.
fn all_docs() -> Vec<FunctionDoc> {
    let mut docs = docs::builtins();
    docs.extend(formula::all().map(formula::Formula::doc));
    docs.extend(list::all().map(list::ListFunction::doc));
    docs.push(signed_qty::DOC);
    docs.extend(statistic::docs());
    docs.extend(calendar::DOCS);
    docs.push(candlestick::DOC);
    docs.push(interpolated::DOC);
    docs.push(profile::DOC);
    docs.push(histogram::DOC);
    docs.push(downsample::DOC);
    docs.extend([asap::DOC, asap::ALIAS]);
    docs.push(time_weight::DOC);
    docs.extend(sketch::DOCS);
    docs.extend([digest::DOC, rollup::DOC, rollup::ALIAS]);
    docs.extend(percentile::DOCS);
    docs.extend([linear::stats::DOC, AMIHUD_DOC]);
    docs.extend(crate::scalar::profile::DOCS);
    docs.extend(crate::postgres::function::docs());
    docs.extend(linear::all().flat_map(linear::Linear::docs));
    docs.extend(sample::all().flat_map(sample::Sample::docs));
    docs.extend(window::position::docs());
    docs.extend(window::all().iter().flat_map(|entry| entry.docs()));
    docs.sort_by_key(|doc| (doc.name, doc.kind));
    docs
}

/// Returns what DataFusion shows of a function, by its first name.
pub(crate) fn documentation(name: &str, kind: FunctionKind) -> Option<&'static Documentation> {
    static ALL: LazyLock<HashMap<FunctionKind, HashMap<&'static str, Documentation>>> =
        LazyLock::new(|| {
            let mut all: HashMap<_, HashMap<_, _>> = HashMap::new();
            for doc in all_docs() {
                let section = DocSection {
                    include: true,
                    label: "RTSAP",
                    description: None,
                };
                let builder = Documentation::builder(section, doc.description, doc.signature);
                let document = builder.with_sql_example(doc.example).build();
                all.entry(doc.kind).or_default().insert(doc.name, document);
            }
            all
        });
    ALL.get(&kind)?.get(name)
}

/// Returns whether an aggregate over arguments of these types keeps every row of a group, so that
/// its state grows with them.
#[must_use]
pub fn keeps_rows(aggregate: &str, arguments: &[DataType]) -> bool {
    let measures = Measure::ALL.map(|measure| measure.call().function);
    let areas = || arguments.first().and_then(time_weight::time_of);
    measures.contains(&aggregate)
        || (aggregate == rollup::DOC.name && areas().is_some())
        || (aggregate == AMIHUD_DOC.name && arguments.get(2).is_some_and(DataType::is_temporal))
        || [time_weight::DOC.name, downsample::DOC.name, asap::DOC.name].contains(&aggregate)
        || sample::all().any(|sample| sample.doc().name == aggregate)
}

#[cfg(test)]
mod tests;
