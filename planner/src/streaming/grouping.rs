//! `GROUP BY GROUPING SETS (…)`, `ROLLUP (…)` and `CUBE (…)`: an aggregation by all their
//! expressions and an id, which is told in which ways to group.

use std::collections::HashMap;
use std::sync::Arc;

use datafusion::common::ScalarValue;
use datafusion::logical_expr::logical_plan::Aggregate;
use datafusion::logical_expr::{Expr, GroupingSet as LogicalSet, lit};
use rtsap_plan::graph::NodeIndex;
use rtsap_plan::grouping::GroupingSet;
use rtsap_plan::operator::{OperatorSpec, WindowColumn};
use rtsap_plan::session::SessionSpec;

use rtsap_stream::change::ChangelogMode;

use crate::error::PlanError;
use crate::streaming::Compiler;

/// More sets than this would multiply every row without anyone meaning it: CUBE of 8 columns.
const SETS_MAX: usize = 256;

/// An aggregation by plain expressions, and the ways to group.
pub(super) struct Grouping {
    /// Grouped by the distinct expressions of all sets, then by the id.
    pub aggregate: Aggregate,
    sets: Vec<GroupingSet>,
}

impl Grouping {
    /// The grouping of `aggregate`, if it has sets.
    ///
    /// # Errors
    /// If there are too many sets.
    pub fn of(aggregate: &Aggregate) -> Result<Option<Self>, PlanError> {
        let [Expr::GroupingSet(set)] = aggregate.group_expr.as_slice() else {
            return Ok(None);
        };
        let exprs: Vec<Expr> = set.distinct_expr().into_iter().cloned().collect();
        let too_many = || {
            let error = PlanError::unsupported(format!("more than {SETS_MAX} grouping sets"));
            error.hint("Group by fewer columns, or name the sets with GROUPING SETS.")
        };
        let sets: Vec<Vec<bool>> = match set {
            LogicalSet::GroupingSets(sets) => {
                let present =
                    |set: &Vec<Expr>| exprs.iter().map(|expr| set.contains(expr)).collect();
                sets.iter().map(present).collect()
            }
            LogicalSet::Rollup(of) => (0..=of.len())
                .rev()
                .map(|count| {
                    exprs
                        .iter()
                        .map(|expr| of[..count].contains(expr))
                        .collect()
                })
                .collect(),
            LogicalSet::Cube(of) if of.len() > 8 => return Err(too_many()),
            LogicalSet::Cube(_) => (0..1_usize << exprs.len())
                .map(|absent| {
                    let bit = |index: usize| absent >> (exprs.len() - 1 - index) & 1 == 0;
                    (0..exprs.len()).map(bit).collect()
                })
                .collect(),
        };
        if sets.len() > SETS_MAX || exprs.len() > 32 {
            return Err(too_many());
        }
        let mut seen: HashMap<Vec<bool>, u64> = HashMap::new();
        let sets = sets.into_iter().map(|present| {
            let ordinal = seen
                .entry(present.clone())
                .and_modify(|count| *count += 1)
                .or_insert(0);
            let bits = present
                .iter()
                .fold(0, |bits, present| bits << 1 | u64::from(!present));
            GroupingSet {
                id: bits | *ordinal << exprs.len(),
                present,
            }
        });
        let sets: Vec<GroupingSet> = sets.collect();
        let id_type = aggregate.schema.field(exprs.len()).data_type();
        let id = ScalarValue::UInt64(Some(0)).cast_to(id_type);
        let id = id.map_err(|error| PlanError::internal(error.to_string()))?;
        let plain = Aggregate::try_new_with_schema(
            Arc::clone(&aggregate.input),
            exprs.into_iter().chain([lit(id)]).collect(),
            aggregate.aggr_expr.clone(),
            Arc::clone(&aggregate.schema),
        );
        let aggregate = plain.map_err(|error| PlanError::internal(error.to_string()))?;
        Ok(Some(Self { aggregate, sets }))
    }

    /// Which expressions, the id among them, are in all sets.
    pub fn everywhere(&self) -> Vec<bool> {
        let in_all = |index: usize| {
            let present = |set: &GroupingSet| set.present.get(index).is_none_or(|present| *present);
            self.sets.iter().all(present)
        };
        (0..self.aggregate.group_expr.len()).map(in_all).collect()
    }

    /// Tells the aggregation, which is `node` or right below it, in which ways to group.
    ///
    /// # Errors
    /// If a set leaves the window out.
    pub fn tell(self, compiler: &mut Compiler<'_>, node: NodeIndex) -> Result<(), PlanError> {
        let at = match &compiler.nodes[node].spec {
            OperatorSpec::Project { .. } => compiler.nodes[node].inputs[0],
            _ => node,
        };
        // The id that tells sets apart is hidden: changes carry whole rows instead.
        for changes in [at, node] {
            let properties = &mut compiler.nodes[changes].properties;
            if properties.mode == ChangelogMode::Upsert {
                properties.mode = ChangelogMode::Retract;
            }
        }
        if let OperatorSpec::SessionAggregate(spec) = &compiler.nodes[at].spec
            && !spec.partition.is_empty()
        {
            let error = PlanError::unsupported("grouping sets over SESSION with PARTITION BY");
            return Err(error.hint("Write one view for each grouping."));
        }
        match &mut compiler.nodes[at].spec {
            OperatorSpec::GroupAggregate(spec) => spec.sets = self.sets,
            OperatorSpec::WindowAggregate(spec)
            | OperatorSpec::SessionAggregate(SessionSpec {
                aggregate: spec, ..
            }) => {
                let groups = self.aggregate.group_expr.len() - 1;
                let output = spec.output[..groups].to_vec();
                let keys = output
                    .iter()
                    .map(|column| matches!(column, WindowColumn::Key(_)));
                let keys: Vec<bool> = keys.collect();
                for mut set in self.sets {
                    let mut columns = set.present.iter().zip(&keys);
                    if columns.any(|(present, key)| !present && !key) {
                        let what = "a grouping set without the window";
                        let error = PlanError::unsupported(what);
                        let hint = "Write GROUP BY window_start, window_end, ROLLUP (…), so that \
                                    the window is in all sets.";
                        return Err(error.hint(hint));
                    }
                    let mut key = keys.iter();
                    set.present.retain(|_| key.next().is_some_and(|key| *key));
                    spec.sets.push(set);
                }
            }
            other => {
                return Err(PlanError::internal(format!(
                    "grouping sets on {}",
                    other.name()
                )));
            }
        }
        Ok(())
    }
}
