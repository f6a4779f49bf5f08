//! The logical node that puts rows into windows: its input's columns, then `window_start`,
//! `window_end`, `window_time`.

use std::cmp::Ordering;
use std::collections::{HashMap, HashSet};
use std::fmt;
use std::sync::Arc;

use datafusion::arrow::datatypes::{DataType, Field};
use datafusion::common::{Column, DFSchema, DFSchemaRef, ExprSchema};
use datafusion::error::Result;
use datafusion::logical_expr::{Expr, LogicalPlan, UserDefinedLogicalNodeCore};
use rtsap_plan::window::WindowSpec;

use crate::error::PlanError;
use crate::logical::spelling::{WINDOW_END, WINDOW_START, WINDOW_TIME};

/// Names of the three columns that the node adds, in order.
pub const WINDOW_COLUMNS: [&str; 3] = [WINDOW_START, WINDOW_END, WINDOW_TIME];

/// Puts each row of `input` into its windows. A row whose time is null is in none.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct WindowNode {
    input: LogicalPlan,
    time: Expr,
    window: WindowSpec,
    /// What sessions are apart by.
    partition: Vec<Expr>,
    schema: DFSchemaRef,
}

impl WindowNode {
    /// The node over `input`; `time` is a timestamp column of it. No column of `input` has one of
    /// the [`WINDOW_COLUMNS`]' names.
    ///
    /// # Errors
    /// If the names clash.
    pub fn try_new(
        input: LogicalPlan,
        time: Expr,
        window: WindowSpec,
        partition: Vec<Expr>,
    ) -> Result<Self> {
        let fields = input.schema();
        let time_type = match &time {
            Expr::Column(column) => fields.field_from_column(column)?.data_type().clone(),
            _ => return Err(PlanError::internal("a window's time is not a column").into()),
        };
        let mut all: Vec<_> = fields
            .iter()
            .map(|(q, f)| (q.cloned(), Arc::clone(f)))
            .collect();
        // Where all columns are of one relation, `t.window_start` reads well too.
        let first = fields
            .iter()
            .next()
            .and_then(|(qualifier, _)| qualifier.cloned());
        let common = fields
            .iter()
            .all(|(qualifier, _)| qualifier == first.as_ref());
        let qualifier = if common { first } else { None };
        for name in WINDOW_COLUMNS {
            let field = Field::new(name, time_type.clone(), false);
            all.push((qualifier.clone(), Arc::new(field)));
        }
        let schema = DFSchema::new_with_metadata(all, HashMap::new())?;
        Ok(Self {
            input,
            time,
            window,
            partition,
            schema: Arc::new(schema),
        })
    }

    /// What is put into windows.
    pub fn input(&self) -> &LogicalPlan {
        &self.input
    }

    /// The timestamp column.
    pub fn time(&self) -> &Expr {
        &self.time
    }

    /// Columns of the input that sessions are apart by; empty for all other windows.
    pub fn partition(&self) -> &[Expr] {
        &self.partition
    }

    /// Which windows.
    pub fn window(&self) -> WindowSpec {
        self.window
    }

    /// Index of the timestamp column in the input.
    ///
    /// # Errors
    /// If the input has lost it, which would be a bug.
    pub fn time_index(&self) -> Result<usize> {
        match &self.time {
            Expr::Column(column) => self.input.schema().index_of_column(column),
            _ => Err(PlanError::internal("a window's time is not a column").into()),
        }
    }

    /// Which of the three window columns a column of this node is, if one: 0, 1, 2.
    pub fn window_column(&self, column: &Column) -> Option<usize> {
        let index = self.schema.maybe_index_of_column(column)?;
        index.checked_sub(self.input.schema().fields().len())
    }

    /// The type of the timestamp column.
    pub fn time_type(&self) -> &DataType {
        self.schema
            .field(self.input.schema().fields().len())
            .data_type()
    }
}

impl fmt::Debug for WindowNode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.fmt_for_explain(f)
    }
}

impl PartialOrd for WindowNode {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        let time = self.time.partial_cmp(&other.time);
        if time != Some(Ordering::Equal) {
            return time;
        }
        let input = self.input.partial_cmp(&other.input);
        if input != Some(Ordering::Equal) {
            return input;
        }
        let same = self.window == other.window && self.partition == other.partition;
        same.then_some(Ordering::Equal)
    }
}

impl UserDefinedLogicalNodeCore for WindowNode {
    fn name(&self) -> &str {
        "WindowAssign"
    }

    fn inputs(&self) -> Vec<&LogicalPlan> {
        vec![&self.input]
    }

    fn schema(&self) -> &DFSchemaRef {
        &self.schema
    }

    fn expressions(&self) -> Vec<Expr> {
        let partition = self.partition.iter().cloned();
        std::iter::once(self.time.clone())
            .chain(partition)
            .collect()
    }

    /// A condition on anything but the window's own columns may be checked before rows are put into
    /// windows.
    fn prevent_predicate_push_down_columns(&self) -> HashSet<String> {
        WINDOW_COLUMNS
            .iter()
            .map(|name| (*name).to_owned())
            .collect()
    }

    fn fmt_for_explain(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "WindowAssign: {} on {}", self.window, self.time)
    }

    fn with_exprs_and_inputs(&self, exprs: Vec<Expr>, inputs: Vec<LogicalPlan>) -> Result<Self> {
        match (exprs.as_slice(), inputs.as_slice()) {
            ([time, partition @ ..], [input]) => {
                let (input, time) = (input.clone(), time.clone());
                Self::try_new(input, time, self.window, partition.to_vec())
            }
            _ => Err(PlanError::internal("a window has one input and one expression").into()),
        }
    }

    fn necessary_children_exprs(&self, output_columns: &[usize]) -> Option<Vec<Vec<usize>>> {
        let width = self.input.schema().fields().len();
        let mut needed: Vec<usize> = output_columns
            .iter()
            .copied()
            .filter(|index| *index < width)
            .collect();
        needed.push(self.time_index().ok()?);
        for expr in &self.partition {
            for column in expr.column_refs() {
                needed.push(self.input.schema().index_of_column(column).ok()?);
            }
        }
        needed.sort_unstable();
        needed.dedup();
        Some(vec![needed])
    }
}
