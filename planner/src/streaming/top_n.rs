//! Top-N and deduplication: `WHERE rn <= n` over a row number, `QUALIFY`, and `ORDER BY … LIMIT`.
//!
//! The layers between the condition and the number (projections, aliases) are dissolved: their
//! expressions are written over the columns of the ranked input.

use datafusion::arrow::compute::SortOptions;
use datafusion::arrow::datatypes::DataType;
use datafusion::common::DFSchema;
use datafusion::logical_expr::expr::{Sort as SortExpr, WindowFunction};
use datafusion::logical_expr::logical_plan::{Filter, Limit, Projection, Sort, Window};
use datafusion::logical_expr::utils::{conjunction, split_conjunction_owned};
use datafusion::logical_expr::{Expr, LogicalPlan, WindowFunctionDefinition};
use datafusion::physical_expr::PhysicalSortExpr;
use rtsap_plan::graph::NodeIndex;
use rtsap_plan::operator::{Emit, OperatorSpec};
use rtsap_plan::properties::{StateBound, StreamProperties};
use rtsap_plan::rank::{Closing, Numbering, TopNSpec};
use rtsap_stream::change::ChangelogMode;

use crate::error::{Cause, PlanError};
use crate::streaming::peel::substitute;
use crate::streaming::{Compiler, Twin, with_column};

mod closing;
mod condition;

use closing::by_overlapping_window;
use condition::{bounds, count, is_column};

/// A condition on a row number.
struct Ranked<'a> {
    window: &'a Window,
    function: &'a WindowFunction,
    numbering: Numbering,
    /// What stands between the condition and the window, topmost first.
    layers: Vec<&'a LogicalPlan>,
    first: u64,
    last: u64,
    /// The other conditions, over the window's columns.
    rest: Vec<Expr>,
}

/// What is ranked, and how.
pub(super) struct Ranking<'a> {
    pub input: NodeIndex,
    pub schema: &'a DFSchema,
    pub partition: &'a [Expr],
    pub order: &'a [SortExpr],
    pub numbering: Numbering,
    pub first: u64,
    pub last: u64,
    pub numbered: bool,
    pub emit: Emit,
}

impl Ranking<'_> {
    /// Where the number stands in the result.
    fn number_at(&self) -> Option<usize> {
        self.numbered.then(|| self.schema.fields().len())
    }

    /// Where a column of the input stands in the result.
    fn moved(&self, column: usize) -> usize {
        column + usize::from(self.number_at().is_some_and(|at| column >= at))
    }
}

impl Compiler<'_> {
    /// A filter on a row number as one operator; `None` if `filter` is something else. `above` is
    /// the projection over it, if there is one: where it does not use the number, the number is
    /// not computed.
    pub(super) fn top_n(
        &mut self,
        filter: &Filter,
        above: Option<&Projection>,
        emit: Emit,
    ) -> Result<Option<NodeIndex>, PlanError> {
        let Some(ranked) = self.ranked(filter)? else {
            return Ok(None);
        };
        let from = ranked.window.input.schema();
        let number = from.fields().len();
        let through = |expr: &Expr| {
            substitute(expr.clone(), &ranked.layers).map_err(|error| self.ours(&error))
        };
        let (wanted, to) = match above {
            Some(projection) => (projection.expr.clone(), &projection.schema),
            None => {
                let all = filter.input.schema().iter().map(Expr::from);
                (all.collect::<Vec<_>>(), filter.input.schema())
            }
        };
        let wanted = wanted.iter().map(through).collect::<Result<Vec<_>, _>>()?;
        let names_number = |expr: &Expr| {
            let column =
                |column| ranked.window.schema.maybe_index_of_column(column) == Some(number);
            expr.column_refs().into_iter().any(column)
        };
        let numbered = wanted.iter().chain(&ranked.rest).any(names_number);
        let before = self.nodes.len();
        let params = &ranked.function.params;
        // Rows that are late for some of their windows are so before they are numbered.
        let overlaps = by_overlapping_window(&params.partition_by, &ranked.window.input);
        let compile = |compiler: &mut Self| compiler.node(&ranked.window.input, emit);
        let input = self.finding_late(overlaps || self.finds_late, compile)?;
        if emit != Emit::Changes && self.grows_in_order(input, &ranked) {
            // Rows get their final number as event time passes them: no row ever changes.
            self.truncate(before);
            return Ok(None);
        }
        let node = self.rank(Ranking {
            input,
            schema: from,
            partition: &params.partition_by,
            order: &params.order_by,
            numbering: ranked.numbering,
            first: ranked.first,
            last: ranked.last,
            numbered,
            emit,
        })?;
        let schema = if numbered {
            &ranked.window.schema
        } else {
            from
        };
        let node = match conjunction(ranked.rest.clone()) {
            Some(rest) => self.filter_onto(node, &rest, schema)?,
            None => node,
        };
        self.project_onto(node, &wanted, schema, to).map(Some)
    }

    /// `ORDER BY … LIMIT n OFFSET m` as one operator.
    pub(super) fn limit(&mut self, limit: &Limit, emit: Emit) -> Result<NodeIndex, PlanError> {
        let mut layers = Vec::new();
        let mut at = &*limit.input;
        let sort: &Sort = loop {
            at = match at {
                LogicalPlan::Projection(projection) => {
                    layers.push(at);
                    &projection.input
                }
                LogicalPlan::SubqueryAlias(alias) => {
                    layers.push(at);
                    &alias.input
                }
                LogicalPlan::Sort(sort) => break sort,
                _ => {
                    let error = PlanError::new(Cause::ReadOnlyClause { clause: "LIMIT" });
                    return Err(error.hint(
                        "Rows of a view have no order: add ORDER BY to say which rows are the \
                         first, or put LIMIT into the SELECT that reads it.",
                    ));
                }
            };
        };
        let skip = match limit.skip.as_deref() {
            None => 0,
            Some(expr) => count(expr)?,
        };
        let Some(fetch) = limit.fetch.as_deref() else {
            let error = PlanError::unsupported("OFFSET without LIMIT in a streaming view");
            return Err(error.hint("Add LIMIT, or put OFFSET into the SELECT that reads the view."));
        };
        let last = skip.saturating_add(count(fetch)?);
        if last == skip {
            return Err(PlanError::unsupported("LIMIT 0 in a streaming view"));
        }
        let input = self.node(&sort.input, emit)?;
        let schema = sort.input.schema();
        let node = self.rank(Ranking {
            input,
            schema,
            partition: &[],
            order: &sort.expr,
            numbering: Numbering::RowNumber,
            first: skip + 1,
            last,
            numbered: false,
            emit,
        })?;
        let visible = limit
            .input
            .schema()
            .iter()
            .map(Expr::from)
            .collect::<Vec<_>>();
        let through =
            |expr: &Expr| substitute(expr.clone(), &layers).map_err(|error| self.ours(&error));
        let visible = visible.iter().map(through).collect::<Result<Vec<_>, _>>()?;
        self.project_onto(node, &visible, schema, limit.input.schema())
    }

    fn ranked<'a>(&self, filter: &'a Filter) -> Result<Option<Ranked<'a>>, PlanError> {
        let mut layers = Vec::new();
        let mut at = &*filter.input;
        let window = loop {
            at = match at {
                LogicalPlan::Projection(projection) => {
                    layers.push(at);
                    &projection.input
                }
                LogicalPlan::SubqueryAlias(alias) => {
                    layers.push(at);
                    &alias.input
                }
                LogicalPlan::Window(window) => break window,
                _ => return Ok(None),
            };
        };
        let [expr] = window.window_expr.as_slice() else {
            return Ok(None);
        };
        let Some((function, numbering)) = numbering(expr) else {
            return Ok(None);
        };
        let number = window.input.schema().fields().len();
        let predicate = substitute(filter.predicate.clone(), &layers);
        let predicate = predicate.map_err(|error| self.ours(&error))?;
        let (mut first, mut last, mut rest) = (1, None, Vec::new());
        for condition in split_conjunction_owned(predicate) {
            let is_number = |expr: &Expr| is_column(expr, &window.schema, number);
            let Some(bounds) = bounds(&condition, &is_number) else {
                rest.push(condition);
                continue;
            };
            first = first.max(bounds.first.unwrap_or(1));
            last = match (last, bounds.last) {
                (Some(a), Some(b)) => Some(std::cmp::min::<i64>(a, b)),
                (a, b) => a.or(b),
            };
        }
        let Some(last) = last else {
            return Ok(None);
        };
        if last < first {
            let what = format!("a condition that no {} fulfils", numbering.name());
            let error = PlanError::unsupported(what);
            return Err(error.hint("Numbers begin with 1."));
        }
        let (first, last) = (first.unsigned_abs(), last.unsigned_abs());
        Ok(Some(Ranked {
            window,
            function,
            numbering,
            layers,
            first,
            last,
            rest,
        }))
    }

    /// Whether numbers follow event time on rows that never change: then a row's number is final
    /// when event time has passed it.
    fn grows_in_order(&self, input: NodeIndex, ranked: &Ranked<'_>) -> bool {
        let params = &ranked.function.params;
        let properties = self.properties(input);
        let [order] = params.order_by.as_slice() else {
            return false;
        };
        let schema = ranked.window.input.schema();
        properties.mode == ChangelogMode::Append
            && order.asc
            && column(&order.expr, schema).is_some_and(|at| properties.event_time == Some(at))
            && self.closing(input, &params.partition_by, schema).is_none()
    }

    pub(super) fn rank(&mut self, ranking: Ranking<'_>) -> Result<NodeIndex, PlanError> {
        let Ranking {
            input,
            schema,
            partition,
            order,
            ..
        } = ranking;
        if order.is_empty() {
            let what = format!(
                "{} without ORDER BY in a streaming view",
                ranking.numbering.name()
            );
            let error = PlanError::unsupported(what);
            return Err(error.hint("Say which rows come first: OVER (PARTITION BY k ORDER BY x)."));
        }
        self.require_columns(input)?;
        let closing = self.closing(input, partition, schema);
        if let (Some(_), Emit::OnClose { delay_nanos: 1.. }) = (closing, ranking.emit)
            && !self.has_waited(input)
        {
            // What a window's rows are promised by goes on from window to window, not in between.
            let error = PlanError::unsupported("WITH DELAY for rows numbered by window");
            return Err(error.hint("Declare a longer delay in WATERMARK FOR."));
        }
        if closing.is_none() {
            self.check_forgotten(partition, schema)?;
        }
        let emit = match closing {
            Some(_) => ranking.emit,
            None => Emit::Changes,
        };
        let properties = self.rank_properties(&ranking, closing, emit);
        let moved = |column: usize| ranking.moved(column);
        let exprs = partition.iter().map(|expr| self.physical(expr, schema));
        let partition = exprs.collect::<Result<Vec<_>, _>>()?;
        let sorts = order.iter().map(|sort| self.sort_expr(sort, schema));
        let order = sorts.collect::<Result<_, _>>()?;
        let keeps_rows = self.properties(input).mode != ChangelogMode::Append;
        let spec = OperatorSpec::TopN(TopNSpec {
            partition,
            order,
            numbering: ranking.numbering,
            first: ranking.first,
            last: ranking.last,
            number_at: ranking.number_at(),
            closing,
            emit,
            keeps_rows,
        });
        let twins = self.twins(input).iter().map(|twin| Twin {
            column: moved(twin.column),
            ..*twin
        });
        let twins = twins.collect();
        let node = self.push(spec, vec![input], properties);
        // Without a closing it promises nothing about time.
        if closing.is_some() {
            self.set_twins(node, twins);
        }
        Ok(node)
    }

    fn rank_properties(
        &self,
        ranking: &Ranking<'_>,
        closing: Option<Closing>,
        emit: Emit,
    ) -> StreamProperties {
        let before = self.properties(ranking.input).clone();
        let (mode, key) = match emit {
            Emit::OnClose { .. } => (ChangelogMode::Append, Vec::new()),
            Emit::Changes => (ChangelogMode::Retract, self.rank_key(ranking)),
        };
        let state = match (closing, before.mode) {
            (Some(_), _) => StateBound::UntilClosed,
            (None, ChangelogMode::Append) => StateBound::RowsPerKey(ranking.last),
            (None, _) => StateBound::PerRow,
        };
        let name = ranking.numbering.name();
        let schema = match ranking.number_at() {
            Some(at) => with_column(&before.schema, at, name, DataType::UInt64),
            None => before.schema,
        };
        let event_time = closing.map(|closing| ranking.moved(closing.column));
        StreamProperties {
            schema,
            mode,
            key,
            event_time,
            state,
        }
    }

    /// What identifies a row of the result: its partition, with its number where there are several;
    /// else what identified it before.
    fn rank_key(&self, ranking: &Ranking<'_>) -> Vec<usize> {
        let width = ranking.schema.fields().len();
        let columns = ranking
            .partition
            .iter()
            .map(|expr| column(expr, ranking.schema));
        let columns: Option<Vec<usize>> = columns.collect();
        let one = ranking.first == ranking.last;
        match columns {
            Some(mut columns)
                if ranking.numbering == Numbering::RowNumber && (one || ranking.numbered) =>
            {
                if !one {
                    columns.push(width);
                }
                columns
            }
            _ => {
                let key = self.properties(ranking.input).key.iter();
                key.map(|column| ranking.moved(*column)).collect()
            }
        }
    }

    /// A sort expression over columns of `schema`.
    pub(super) fn sort_expr(
        &self,
        sort: &SortExpr,
        schema: &DFSchema,
    ) -> Result<PhysicalSortExpr, PlanError> {
        let options = SortOptions {
            descending: !sort.asc,
            nulls_first: sort.nulls_first,
        };
        Ok(PhysicalSortExpr {
            expr: self.physical(&sort.expr, schema)?,
            options,
        })
    }
}

fn numbering(expr: &Expr) -> Option<(&WindowFunction, Numbering)> {
    let function = match expr {
        Expr::Alias(alias) => return numbering(&alias.expr),
        Expr::WindowFunction(function) => function,
        _ => return None,
    };
    let WindowFunctionDefinition::WindowUDF(fun) = &function.fun else {
        return None;
    };
    let numbering = match fun.name() {
        "row_number" => Numbering::RowNumber,
        "rank" => Numbering::Rank,
        "dense_rank" => Numbering::DenseRank,
        _ => return None,
    };
    Some((function, numbering))
}

/// The plain column that `expr` is.
pub(super) fn column(expr: &Expr, schema: &DFSchema) -> Option<usize> {
    match expr {
        Expr::Alias(alias) => column(&alias.expr, schema),
        Expr::Column(column) => schema.maybe_index_of_column(column),
        _ => None,
    }
}
