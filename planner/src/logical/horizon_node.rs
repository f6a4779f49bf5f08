//! The logical node of `HORIZON JOIN`: each row once for each distance from its time, with columns
//! `offset` (microseconds) and `timestamp` (its time moved by that).
//!
//! Stands in `FROM` as `__horizon(relation, 'h', offsets)`, which `parse::horizon` writes.

use std::cmp::Ordering;
use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use datafusion::arrow::datatypes::{DataType, Field};
use datafusion::common::{DFSchema, DFSchemaRef, ExprSchema, TableReference};
use datafusion::error::Result;
use datafusion::logical_expr::planner::{
    PlannedRelation, RelationPlanner, RelationPlannerContext, RelationPlanning,
};
use datafusion::logical_expr::{Expr, Extension, LogicalPlan, UserDefinedLogicalNodeCore};
use datafusion::sql::sqlparser::ast::{
    Expr as SqlExpr, FunctionArg, FunctionArgExpr, Query, SetExpr, TableFactor,
};

use crate::error::PlanError;
use crate::streaming::join::push::event_time;

/// The table function that stands for the node.
pub const HORIZON: &str = "__horizon";

/// Each row of `input` once for each of `offsets_nanos`.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct HorizonNode {
    input: LogicalPlan,
    time: Expr,
    offsets_nanos: Vec<i64>,
    /// What qualifies the two columns.
    alias: String,
    schema: DFSchemaRef,
}

impl HorizonNode {
    /// The node over `input`, whose event time is the column `time`.
    ///
    /// # Errors
    /// If names clash, or the column is not there.
    pub fn try_new(
        input: LogicalPlan,
        time: Expr,
        offsets_nanos: Vec<i64>,
        alias: String,
    ) -> Result<Self> {
        let fields = input.schema();
        let time_type = match &time {
            Expr::Column(column) => fields.field_from_column(column)?.data_type().clone(),
            _ => return Err(PlanError::internal("a horizon's time is not a column").into()),
        };
        let mut all: Vec<_> = fields
            .iter()
            .map(|(q, f)| (q.cloned(), Arc::clone(f)))
            .collect();
        let qualifier = Some(TableReference::bare(alias.clone()));
        let offset = Field::new("offset", DataType::Int64, false);
        all.push((qualifier.clone(), Arc::new(offset)));
        all.push((
            qualifier,
            Arc::new(Field::new("timestamp", time_type, false)),
        ));
        let schema = DFSchema::new_with_metadata(all, HashMap::new())?;
        Ok(Self {
            input,
            time,
            offsets_nanos,
            alias,
            schema: Arc::new(schema),
        })
    }

    /// What is moved.
    pub fn input(&self) -> &LogicalPlan {
        &self.input
    }

    /// By how much.
    pub fn offsets_nanos(&self) -> &[i64] {
        &self.offsets_nanos
    }

    /// Index of the time column in the input.
    ///
    /// # Errors
    /// If the input has lost it, which would be a bug.
    pub fn time_index(&self) -> Result<usize> {
        match &self.time {
            Expr::Column(column) => self.input.schema().index_of_column(column),
            _ => Err(PlanError::internal("a horizon's time is not a column").into()),
        }
    }

    /// Index of the moved time among the node's columns.
    pub fn timestamp_index(&self) -> Option<usize> {
        self.schema.fields().len().checked_sub(1)
    }
}

impl fmt::Debug for HorizonNode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.fmt_for_explain(f)
    }
}

impl PartialOrd for HorizonNode {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        let input = self.input.partial_cmp(&other.input);
        if input != Some(Ordering::Equal) {
            return input;
        }
        Some(self.offsets_nanos.cmp(&other.offsets_nanos))
    }
}

impl UserDefinedLogicalNodeCore for HorizonNode {
    fn name(&self) -> &str {
        "Horizon"
    }

    fn inputs(&self) -> Vec<&LogicalPlan> {
        vec![&self.input]
    }

    fn schema(&self) -> &DFSchemaRef {
        &self.schema
    }

    fn expressions(&self) -> Vec<Expr> {
        vec![self.time.clone()]
    }

    fn fmt_for_explain(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Horizon: {} by {:?}", self.time, self.offsets_nanos)
    }

    fn with_exprs_and_inputs(&self, exprs: Vec<Expr>, inputs: Vec<LogicalPlan>) -> Result<Self> {
        match (exprs.as_slice(), inputs.as_slice()) {
            ([time], [input]) => {
                let (offsets, alias) = (self.offsets_nanos.clone(), self.alias.clone());
                Self::try_new(input.clone(), time.clone(), offsets, alias)
            }
            _ => Err(PlanError::internal("a horizon has one input and one expression").into()),
        }
    }

    fn necessary_children_exprs(&self, output_columns: &[usize]) -> Option<Vec<Vec<usize>>> {
        let width = self.input.schema().fields().len();
        let mut needed: Vec<usize> = output_columns.to_vec();
        needed.retain(|index| *index < width);
        needed.push(self.time_index().ok()?);
        needed.sort_unstable();
        needed.dedup();
        Some(vec![needed])
    }
}

/// Plans `__horizon(…)` in `FROM` of a streaming view.
#[derive(Debug, Default)]
pub struct HorizonPlanner;

impl RelationPlanner for HorizonPlanner {
    fn plan_relation(
        &self,
        relation: TableFactor,
        context: &mut dyn RelationPlannerContext,
    ) -> Result<RelationPlanning> {
        let TableFactor::Table {
            name,
            args: Some(args),
            ..
        } = &relation
        else {
            return Ok(RelationPlanning::Original(Box::new(relation)));
        };
        if name.to_string() != HORIZON {
            return Ok(RelationPlanning::Original(Box::new(relation)));
        }
        let values = args.args.iter().map(|arg| match arg {
            FunctionArg::Unnamed(FunctionArgExpr::Expr(value)) => Some(value),
            _ => None,
        });
        let values: Option<Vec<&SqlExpr>> = values.collect();
        let Some([SqlExpr::Subquery(left), alias, offsets]) = values.as_deref() else {
            return Err(PlanError::internal("a horizon with other arguments").into());
        };
        let Some(factor) = relation_of(left) else {
            return Err(PlanError::internal("a horizon over no relation").into());
        };
        let input = context.plan(factor)?;
        let Some(time) = event_time(&input) else {
            let error = PlanError::unsupported("HORIZON JOIN of a relation without event time");
            let hint = "Declare WATERMARK FOR its time column; in a subquery, select that column.";
            return Err(error.hint(hint).into());
        };
        let time = Expr::from(input.schema().qualified_field(time));
        let offsets = text(offsets);
        let offsets = offsets.split(',').filter_map(|offset| offset.parse().ok());
        let node = HorizonNode::try_new(input, time, offsets.collect(), text(alias))?;
        let plan = LogicalPlan::Extension(Extension {
            node: Arc::new(node),
        });
        Ok(RelationPlanning::Planned(Box::new(PlannedRelation::new(
            plan, None,
        ))))
    }
}

/// The relation of `SELECT * FROM relation`.
fn relation_of(query: &Query) -> Option<TableFactor> {
    match query.body.as_ref() {
        SetExpr::Select(select) => match select.from.as_slice() {
            [only] if only.joins.is_empty() => Some(only.relation.clone()),
            _ => None,
        },
        _ => None,
    }
}

fn text(expr: &SqlExpr) -> String {
    match expr {
        SqlExpr::Value(value) => value.clone().into_string().unwrap_or_default(),
        _ => String::new(),
    }
}
