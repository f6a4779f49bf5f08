//! DataFusion's form of a [`Definition`](super::definition::Definition), and the refusal of
//! clauses that have no meaning for it.

use std::hash::{Hash, Hasher};
use std::sync::Arc;

use datafusion::arrow::datatypes::{DataType, Field, FieldRef, TimeUnit};
use datafusion::common::{Result, internal_err};
use datafusion::logical_expr::expr::WindowFunction;
use datafusion::logical_expr::function::{
    ExpressionArgs, PartitionEvaluatorArgs, WindowFunctionSimplification, WindowUDFFieldArgs,
};
use datafusion::logical_expr::{
    Documentation, Expr, LimitEffect, PartitionEvaluator, Signature, WindowFrameBound, WindowUDF,
    WindowUDFImpl,
};
use datafusion::physical_plan::PhysicalExpr;

use super::definition::{Compute, Entry, InputKind};
use super::partition::{Course, Partition};
use super::talib;
use crate::arguments::named;
use crate::error::FunctionError;
use crate::registry::{self, FunctionKind};
use crate::running::{Along, Running};

/// Makes the window function of an entry.
pub(crate) fn function(entry: &'static Entry) -> Arc<WindowUDF> {
    let definition = &entry.definition;
    let names = definition.inputs.iter().map(|input| input.name);
    let names = names.chain(definition.parameters.iter().map(|parameter| parameter.name));
    let signature = named(names.collect());
    let aliases = definition.alias.iter().map(|&alias| alias.to_owned());
    Arc::new(WindowUDF::new_from_impl(Function {
        entry,
        aliases: aliases.collect(),
        signature,
    }))
}

/// A definition as DataFusion sees it.
#[derive(Debug)]
pub(super) struct Function {
    entry: &'static Entry,
    aliases: Vec<String>,
    signature: Signature,
}

impl PartialEq for Function {
    fn eq(&self, other: &Self) -> bool {
        self.name() == other.name()
    }
}

impl Eq for Function {}

impl Hash for Function {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.name().hash(state);
    }
}

impl Function {
    fn coerce(&self, types: &[DataType]) -> Result<Vec<DataType>> {
        let (call, definition) = (self.entry.call(), &self.entry.definition);
        let required = definition.parameters.iter().filter(|p| !p.is_optional());
        let inputs = definition.inputs.len();
        let most = inputs + definition.parameters.len();
        call.count(types, inputs + required.count(), most)?;
        let mut coerced = Vec::with_capacity(types.len());
        for (input, found) in definition.inputs.iter().zip(types) {
            coerced.push(match input.kind {
                InputKind::Number => call.number(input.name, found).map(|_| DataType::Float64)?,
                InputKind::Flag if matches!(found, DataType::Boolean | DataType::Null) => {
                    DataType::Boolean
                }
                InputKind::Flag => call.wrong_type(input.name, "a boolean", found)?,
                InputKind::Time => {
                    call.time(input.name, found)?;
                    DataType::Timestamp(TimeUnit::Microsecond, None)
                }
                InputKind::Run => found.clone(),
            });
        }
        for (parameter, found) in definition.parameters.iter().zip(&types[inputs..]) {
            coerced.push(parameter.coerce(call, found)?);
        }
        Ok(coerced)
    }

    /// Reads the physical arguments after the series.
    fn parameters(&self, exprs: &[Arc<dyn PhysicalExpr>]) -> Result<Vec<f64>> {
        let (call, definition) = (self.entry.call(), &self.entry.definition);
        let given = exprs.get(definition.inputs.len()..).unwrap_or_default();
        let read = |(index, parameter): (usize, &super::parameter::Parameter)| {
            let value = given.get(index);
            let value = value.map(|expr| call.constant(parameter.name, expr));
            parameter.read(call, value.transpose()?.as_ref())
        };
        definition.parameters.iter().enumerate().map(read).collect()
    }

    /// Says how a call with these arguments runs along.
    ///
    /// # Errors
    /// What the function refuses of its parameters.
    pub(super) fn along(&self, arguments: &[Arc<dyn PhysicalExpr>]) -> Result<Along> {
        let parameters = self.parameters(arguments)?;
        if Course::begin(self.entry, &parameters)?.is_some() {
            let series = self.entry.definition.inputs.len();
            let layout = match self.entry.definition.compute {
                Compute::TaLib(id, _) => talib::layout(id, &parameters),
                _ => 1,
            };
            return Ok(Along::Running { series, layout });
        }
        Ok(match self.entry.definition.compute {
            Compute::Whole(_) => Along::Refused(
                "its value at a row depends on rows that come later",
                "Call it in the SELECT that reads the view.",
            ),
            _ => Along::Refused(
                "its value at a row depends on all rows before it, and no state of bounded size \
                 stands for them",
                "Call it in the SELECT that reads the view.",
            ),
        })
    }

    /// Begins a partition.
    ///
    /// # Errors
    /// What the function refuses of its parameters; an internal error if it cannot run along.
    pub(super) fn start(&self, arguments: &[Arc<dyn PhysicalExpr>]) -> Result<Box<dyn Running>> {
        let parameters = self.parameters(arguments)?;
        match Course::begin(self.entry, &parameters)? {
            Some(course) => Ok(Box::new(course)),
            None => internal_err!("{} does not run along", self.entry.definition.name),
        }
    }
}

impl WindowUDFImpl for Function {
    fn name(&self) -> &str {
        self.entry.definition.name
    }

    fn aliases(&self) -> &[String] {
        &self.aliases
    }

    fn documentation(&self) -> Option<&Documentation> {
        registry::documentation(self.name(), FunctionKind::Window)
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn expressions(&self, args: ExpressionArgs<'_>) -> Vec<Arc<dyn PhysicalExpr>> {
        let inputs = self.entry.definition.inputs.len();
        let exprs = args.input_exprs().iter().take(inputs);
        exprs.map(Arc::clone).collect()
    }

    fn partition_evaluator(
        &self,
        args: PartitionEvaluatorArgs<'_>,
    ) -> Result<Box<dyn PartitionEvaluator>> {
        let parameters = self.parameters(args.input_exprs())?;
        Ok(Box::new(Partition {
            entry: self.entry,
            parameters,
        }))
    }

    fn simplify(&self) -> Option<WindowFunctionSimplification> {
        let entry = self.entry;
        Some(Box::new(move |function, _context| {
            check_clauses(entry.definition.name, &function)?;
            check_literals(entry, &function.params.args)?;
            Ok(Expr::WindowFunction(Box::new(function)))
        }))
    }

    fn field(&self, args: WindowUDFFieldArgs<'_>) -> Result<FieldRef> {
        let types: Vec<_> = args
            .input_fields()
            .iter()
            .map(|field| field.data_type().clone())
            .collect();
        self.coerce(&types)?;
        let data_type = self.entry.data_type();
        Ok(Arc::new(Field::new(args.name(), data_type, true)))
    }

    fn coerce_types(&self, types: &[DataType]) -> Result<Vec<DataType>> {
        // DataFusion turns an error from here into text; `field` repeats it with its type.
        Ok(self.coerce(types).unwrap_or_else(|_| types.to_vec()))
    }

    fn limit_effect(&self, _args: &[Arc<dyn PhysicalExpr>]) -> LimitEffect {
        LimitEffect::None
    }
}

/// Refuses clauses that would change which rows a function sees: it always runs over all rows
/// from the start of the partition to the current one.
pub(super) fn check_clauses(name: &'static str, function: &WindowFunction) -> Result<()> {
    let params = &function.params;
    let frame = &params.window_frame;
    let whole_past = frame.start_bound.is_unbounded()
        && matches!(frame.start_bound, WindowFrameBound::Preceding(_))
        && matches!(frame.end_bound, WindowFrameBound::CurrentRow);
    let (clause, hint) = if params.order_by.is_empty() {
        (
            "OVER without ORDER BY",
            "Add ORDER BY with the event time to the OVER clause.",
        )
    } else if !whole_past {
        (
            "a window frame",
            "Remove it: an indicator runs from the partition's first row.",
        )
    } else if params.filter.is_some() {
        ("FILTER", "Filter the rows in a subquery.")
    } else if params.distinct {
        ("DISTINCT", "Remove duplicates in a subquery.")
    } else if params.null_treatment.is_some() {
        (
            "IGNORE or RESPECT NULLS",
            "Remove it: rows without a value are always passed over.",
        )
    } else {
        return Ok(());
    };
    Err(FunctionError::Clause {
        function: name,
        clause,
        hint,
    }
    .into())
}

/// Refuses literals out of range at planning rather than at the first row.
fn check_literals(entry: &'static Entry, args: &[Expr]) -> Result<()> {
    let definition = &entry.definition;
    let given = args.get(definition.inputs.len()..).unwrap_or_default();
    for (parameter, expr) in definition.parameters.iter().zip(given) {
        if let Expr::Literal(value, _) = expr {
            parameter.read(entry.call(), Some(value))?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
