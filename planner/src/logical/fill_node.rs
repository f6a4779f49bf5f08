//! The logical node of `SAMPLE BY … FILL(…)`: the rows of its input, and one for each window in
//! which a key has none.
//!
//! Stands in `FROM` as `__fill((SELECT …), 'start', 'key', 'prev', …)`, with a word for each
//! column, which [`crate::logical::sample`] writes.

use std::cmp::Ordering;
use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use datafusion::arrow::datatypes::{DataType, Field};
use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion::common::{DFSchema, DFSchemaRef};
use datafusion::error::Result;
use datafusion::logical_expr::planner::{
    PlannedRelation, RelationPlanner, RelationPlannerContext, RelationPlanning,
};
use datafusion::logical_expr::{
    Expr, Extension, LogicalPlan, LogicalPlanBuilder, UserDefinedLogicalNodeCore, cast,
};
use datafusion::scalar::ScalarValue;
use datafusion::sql::sqlparser::ast::{Expr as SqlExpr, FunctionArg, FunctionArgExpr, TableFactor};
use rtsap_plan::window::WindowSpec;

use crate::error::{Cause, PlanError};
use crate::logical::window_node::WindowNode;

/// The table function that stands for the node.
pub const FILL: &str = "__fill";

/// A column of rows that are made.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum FillColumn {
    /// The start of the window.
    Start,
    /// A key.
    Key,
    /// As the row before.
    Previous,
    /// On the line to the row after.
    Linear,
    /// Null, or a number.
    Value(ScalarValue),
}

/// The rows of `input` and those for windows without rows.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct FillNode {
    input: LogicalPlan,
    window: WindowSpec,
    columns: Vec<FillColumn>,
    schema: DFSchemaRef,
}

impl FillNode {
    /// The node over `input`, with one entry of `columns` for each of its columns.
    ///
    /// # Errors
    /// If names clash.
    pub fn try_new(
        input: LogicalPlan,
        window: WindowSpec,
        columns: Vec<FillColumn>,
    ) -> Result<Self> {
        let fields = input.schema().iter().zip(&columns);
        let fields = fields.map(|((qualifier, field), column)| {
            let nullable = match column {
                FillColumn::Start | FillColumn::Key | FillColumn::Previous => field.is_nullable(),
                FillColumn::Linear => true,
                FillColumn::Value(value) => field.is_nullable() || value.is_null(),
            };
            let field = Field::new(field.name(), field.data_type().clone(), nullable);
            (qualifier.cloned(), Arc::new(field))
        });
        let schema = DFSchema::new_with_metadata(fields.collect(), HashMap::new())?;
        Ok(Self {
            input,
            window,
            columns,
            schema: Arc::new(schema),
        })
    }

    /// What is filled.
    pub fn input(&self) -> &LogicalPlan {
        &self.input
    }

    /// Which windows.
    pub fn window(&self) -> WindowSpec {
        self.window
    }

    /// What each column of a made row holds.
    pub fn columns(&self) -> &[FillColumn] {
        &self.columns
    }
}

impl fmt::Debug for FillNode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.fmt_for_explain(f)
    }
}

impl PartialOrd for FillNode {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        self.input.partial_cmp(&other.input)
    }
}

impl UserDefinedLogicalNodeCore for FillNode {
    fn name(&self) -> &str {
        "Fill"
    }

    fn inputs(&self) -> Vec<&LogicalPlan> {
        vec![&self.input]
    }

    fn schema(&self) -> &DFSchemaRef {
        &self.schema
    }

    fn expressions(&self) -> Vec<Expr> {
        Vec::new()
    }

    fn fmt_for_explain(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Fill: {} {:?}", self.window, self.columns)
    }

    fn with_exprs_and_inputs(&self, _exprs: Vec<Expr>, inputs: Vec<LogicalPlan>) -> Result<Self> {
        match inputs.as_slice() {
            [input] => Self::try_new(input.clone(), self.window, self.columns.clone()),
            _ => Err(PlanError::internal("a fill has one input").into()),
        }
    }

    /// Every column is needed to make rows.
    fn necessary_children_exprs(&self, _output_columns: &[usize]) -> Option<Vec<Vec<usize>>> {
        Some(vec![(0..self.columns.len()).collect()])
    }
}

/// Plans `__fill(…)` in `FROM` of a streaming view.
#[derive(Debug, Default)]
pub struct FillPlanner;

impl RelationPlanner for FillPlanner {
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
        if name.to_string() != FILL {
            return Ok(RelationPlanning::Original(Box::new(relation)));
        }
        let values = args.args.iter().map(|arg| match arg {
            FunctionArg::Unnamed(FunctionArgExpr::Expr(value)) => Some(value),
            _ => None,
        });
        let values: Option<Vec<&SqlExpr>> = values.collect();
        let Some([SqlExpr::Subquery(sampled), words @ ..]) = values.as_deref() else {
            return Err(PlanError::internal("a fill with other arguments").into());
        };
        let input = context.plan(TableFactor::Derived {
            lateral: false,
            subquery: sampled.clone(),
            alias: None,
            sample: None,
        })?;
        let plan = filled(
            input,
            &words.iter().map(|word| text(word)).collect::<Vec<_>>(),
        )?;
        Ok(RelationPlanning::Planned(Box::new(PlannedRelation::new(
            plan, None,
        ))))
    }
}

fn filled(input: LogicalPlan, words: &[String]) -> Result<LogicalPlan> {
    let Some(window) = window_of(&input)? else {
        return Err(PlanError::internal("a fill without a window").into());
    };
    if words.len() != input.schema().fields().len() {
        return Err(PlanError::internal("a fill of other columns").into());
    }
    let exprs = input
        .schema()
        .iter()
        .zip(words)
        .map(|((qualifier, field), word)| {
            let expr = Expr::from((qualifier, field));
            if word != "linear" || *field.data_type() == DataType::Float64 {
                return Ok(expr);
            }
            if !field.data_type().is_numeric() {
                let message = format!("column \"{}\" is no number: FILL(LINEAR)", field.name());
                let error = PlanError::new(Cause::Expression { message });
                return Err(error.hint("Write FILL(PREV) or FILL(NULL) for it.").into());
            }
            Ok(cast(expr, DataType::Float64).alias_qualified(qualifier.cloned(), field.name()))
        });
    let exprs = exprs.collect::<Result<Vec<Expr>>>()?;
    let input = LogicalPlanBuilder::from(input).project(exprs)?.build()?;
    let fields = input.schema().fields().iter().zip(words);
    let columns = fields.map(|(field, word)| column(field, word));
    let columns = columns.collect::<Result<Vec<FillColumn>>>()?;
    let node = FillNode::try_new(input, window, columns)?;
    Ok(LogicalPlan::Extension(Extension {
        node: Arc::new(node),
    }))
}

fn column(field: &Field, word: &str) -> Result<FillColumn> {
    Ok(match word {
        "start" => FillColumn::Start,
        "key" => FillColumn::Key,
        "prev" => FillColumn::Previous,
        "linear" => FillColumn::Linear,
        "null" => FillColumn::Value(ScalarValue::try_from(field.data_type())?),
        number => {
            let value = match field.data_type().is_numeric() {
                true => ScalarValue::try_from_string(number.to_owned(), field.data_type()).ok(),
                false => None,
            };
            let value = value.ok_or_else(|| {
                let (name, of) = (field.name(), field.data_type());
                let message = format!("cannot fill column \"{name}\" of type {of} with {number}");
                let error = PlanError::new(Cause::Expression { message });
                error.hint("Write FILL(NULL), or one fill a column: FILL(PREV, 0).")
            })?;
            FillColumn::Value(value)
        }
    })
}

fn window_of(plan: &LogicalPlan) -> Result<Option<WindowSpec>> {
    let mut found = None;
    plan.apply(|node| {
        if let LogicalPlan::Extension(extension) = node
            && let Some(window) = extension.node.as_any().downcast_ref::<WindowNode>()
        {
            found = Some(window.window());
            return Ok(TreeNodeRecursion::Stop);
        }
        Ok(TreeNodeRecursion::Continue)
    })?;
    Ok(found)
}

fn text(expr: &SqlExpr) -> String {
    match expr {
        SqlExpr::Value(value) => value.clone().into_string().unwrap_or_default(),
        _ => String::new(),
    }
}
