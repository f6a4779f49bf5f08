//! `unnest(list)` in a SELECT, and `CROSS JOIN UNNEST(t.list) AS u (x)`: one row for each element.

use std::sync::Arc;

use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::common::{JoinType, NullHandling, Result, UnnestOptions};
use datafusion::logical_expr::logical_plan::{Join, Unnest};
use datafusion::logical_expr::{Expr, LogicalPlan, LogicalPlanBuilder};
use rtsap_plan::graph::NodeIndex;
use rtsap_plan::operator::{Emit, OperatorSpec};
use rtsap_plan::properties::{StateBound, StreamProperties};
use rtsap_plan::unnest::{UnnestSpec, WithoutElements};
use rtsap_stream::change::ChangelogMode;

use crate::error::PlanError;
use crate::streaming::{Compiler, Twin, arrow_schema};

/// The plan with joins of a relation and the elements of its own lists as one node over the
/// relation.
///
/// # Errors
/// DataFusion's, if a node cannot be built.
pub fn beside_their_rows(plan: LogicalPlan) -> Result<LogicalPlan> {
    let moved = plan.transform_up_with_subqueries(|node| {
        let LogicalPlan::Join(join) = &node else {
            return Ok(Transformed::no(node));
        };
        Ok(match beside(join)? {
            Some(moved) => Transformed::yes(moved),
            None => Transformed::no(node),
        })
    })?;
    Ok(moved.data)
}

fn beside(join: &Join) -> Result<Option<LogicalPlan>> {
    let outer = match join.join_type {
        JoinType::Inner => false,
        JoinType::Left => true,
        _ => return Ok(None),
    };
    if !unnests(&join.right) {
        return Ok(None);
    }
    let Some(plan) = over(&join.right, &join.left, outer)? else {
        return Ok(None);
    };
    let always = |expr: &Expr| *expr == datafusion::logical_expr::lit(true);
    match join.filter.as_ref().filter(|filter| !always(filter)) {
        None => Ok(Some(plan)),
        Some(_) if outer => {
            let error = PlanError::unsupported("LEFT JOIN UNNEST with a condition");
            Err(error
                .hint("Write LEFT JOIN UNNEST(…) AS u (x) ON true.")
                .into())
        }
        Some(filter) => LogicalPlanBuilder::from(plan)
            .filter(filter.clone())?
            .build()
            .map(Some),
    }
}

/// Whether a relation is nothing but the elements of lists of an outer row.
fn unnests(plan: &LogicalPlan) -> bool {
    match plan {
        LogicalPlan::SubqueryAlias(alias) => unnests(&alias.input),
        LogicalPlan::Subquery(subquery) => unnests(&subquery.subquery),
        LogicalPlan::Projection(projection) => unnests(&projection.input),
        LogicalPlan::Filter(filter) => unnests(&filter.input),
        LogicalPlan::Unnest(unnest) => match unnest.input.as_ref() {
            LogicalPlan::Projection(lists) => {
                matches!(lists.input.as_ref(), LogicalPlan::EmptyRelation(_))
            }
            _ => false,
        },
        _ => false,
    }
}

/// `plan`, which reads one empty row, over the rows of `left`, whose columns come first.
fn over(plan: &LogicalPlan, left: &Arc<LogicalPlan>, outer: bool) -> Result<Option<LogicalPlan>> {
    let own = |exprs: Vec<Expr>| {
        let columns = left.schema().iter().map(Expr::from);
        columns.chain(exprs).collect::<Vec<Expr>>()
    };
    let built = match plan {
        LogicalPlan::EmptyRelation(_) => return Ok(Some(left.as_ref().clone())),
        LogicalPlan::Subquery(subquery) => return over(&subquery.subquery, left, outer),
        LogicalPlan::Projection(projection) => {
            let Some(input) = over(&projection.input, left, outer)? else {
                return Ok(None);
            };
            let exprs = projection.expr.iter().cloned().map(plain);
            let exprs = exprs.collect::<Result<Vec<Expr>>>()?;
            LogicalPlanBuilder::from(input).project(own(exprs))?
        }
        LogicalPlan::Filter(filter) if !outer => {
            let Some(input) = over(&filter.input, left, outer)? else {
                return Ok(None);
            };
            LogicalPlanBuilder::from(input).filter(plain(filter.predicate.clone())?)?
        }
        LogicalPlan::SubqueryAlias(alias) => {
            let Some(input) = over(&alias.input, left, outer)? else {
                return Ok(None);
            };
            let fields = alias.input.schema().iter();
            let exprs = fields.map(|(qualifier, field)| {
                Expr::from((qualifier, field))
                    .alias_qualified(Some(alias.alias.clone()), field.name())
            });
            LogicalPlanBuilder::from(input).project(own(exprs.collect()))?
        }
        LogicalPlan::Unnest(unnest) => {
            let Some(input) = over(&unnest.input, left, outer)? else {
                return Ok(None);
            };
            let options = UnnestOptions {
                null_handling: match outer {
                    true => NullHandling::PreserveAndExpandEmpty,
                    false => unnest.options.null_handling,
                },
                ..unnest.options.clone()
            };
            let columns = unnest.exec_columns.clone();
            LogicalPlanBuilder::from(input).unnest_columns_with_options(columns, options)?
        }
        _ => return Ok(None),
    };
    built.build().map(Some)
}

/// Columns of the outer row as columns of this one.
fn plain(expr: Expr) -> Result<Expr> {
    let plain = expr.transform_up(|expr| match expr {
        Expr::OuterReferenceColumn(_, column) => Ok(Transformed::yes(Expr::Column(column))),
        other => Ok(Transformed::no(other)),
    })?;
    Ok(plain.data)
}

impl Compiler<'_> {
    pub(super) fn unnest(&mut self, unnest: &Unnest, emit: Emit) -> Result<NodeIndex, PlanError> {
        let deep = unnest
            .list_type_columns
            .iter()
            .any(|(_, list)| list.depth != 1);
        if deep || !unnest.struct_type_columns.is_empty() {
            let error = PlanError::unsupported("unnest of lists of lists or of structs");
            return Err(error.hint("Unnest one level in a subquery, and the next one over it."));
        }
        let input = self.node(&unnest.input, emit)?;
        let before = self.properties(input).clone();
        let lists: Vec<usize> = unnest.list_type_columns.iter().map(|(at, _)| *at).collect();
        let output = unnest.dependency_indices.clone();
        let place = |column: usize| {
            let passed = !lists.contains(&column);
            output.iter().position(|from| *from == column && passed)
        };
        let append = before.mode == ChangelogMode::Append;
        let twins = self.twins(input).iter().filter_map(|twin| {
            let column = place(twin.column)?;
            Some(Twin { column, ..*twin })
        });
        let twins: Vec<Twin> = twins.collect();
        let properties = StreamProperties {
            schema: arrow_schema(&unnest.schema),
            mode: match append {
                true => ChangelogMode::Append,
                // Elements have no key: rows are taken back as they were.
                false => ChangelogMode::Retract,
            },
            key: Vec::new(),
            event_time: before.event_time.and_then(place).filter(|_| append),
            state: StateBound::None,
        };
        let spec = OperatorSpec::Unnest(UnnestSpec {
            lists,
            output,
            empty: match unnest.options.null_handling {
                NullHandling::Drop => WithoutElements::Vanish,
                NullHandling::Preserve => WithoutElements::KeepNull,
                NullHandling::PreserveAndExpandEmpty => WithoutElements::Keep,
            },
        });
        let node = self.push(spec, vec![input], properties);
        self.set_twins(node, twins);
        Ok(node)
    }
}
