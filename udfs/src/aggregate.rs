//! Aggregate functions: each states its arguments and chooses a fold, and [`function`] makes
//! DataFusion's `AggregateUDF` of it.

pub(crate) mod candlestick;
pub(crate) mod digest;
pub(crate) mod histogram;
pub(crate) mod linear;
pub(crate) mod mean;
pub(crate) mod pick;
pub(crate) mod profile;
pub(crate) mod rollup;
pub(crate) mod sample;
pub(crate) mod series;
pub(crate) mod sketch;
pub(crate) mod vwap;

use std::fmt::Debug;
use std::hash::Hash;
use std::sync::Arc;

use datafusion::arrow::datatypes::{DataType, Field, FieldRef};
use datafusion::common::Result;
use datafusion::logical_expr::function::{AccumulatorArgs, StateFieldsArgs};
use datafusion::logical_expr::utils::AggregateOrderSensitivity;
use datafusion::logical_expr::utils::format_state_name;
use datafusion::logical_expr::{
    Accumulator, AggregateUDF, AggregateUDFImpl, Documentation, GroupsAccumulator, Signature,
};
use datafusion::physical_plan::PhysicalExpr;

use crate::arguments::{self, Call};
use crate::error::FunctionError;
use crate::fold::AnyFold;
use crate::registry::{self, FunctionKind};

/// One aggregate function, apart from DataFusion's bookkeeping.
pub(crate) trait Aggregate: Debug + Eq + Hash + Send + Sync + 'static {
    /// Returns the name and the way it is called.
    fn call(&self) -> Call;

    /// Returns other names it answers to.
    fn aliases(&self) -> &'static [&'static str] {
        &[]
    }

    /// Returns the names of the arguments in order, which calls may use.
    fn argument_names(&self) -> Vec<&'static str> {
        arguments::argument_names(self.call().signature)
    }

    /// Returns the types that arguments of `types` are coerced to.
    ///
    /// # Errors
    /// [`FunctionError`] if the call does not fit.
    fn coerce(&self, types: &[DataType]) -> Result<Vec<DataType>>;

    /// Returns the type of the result for coerced argument types.
    ///
    /// # Errors
    /// [`FunctionError`] if the call does not fit.
    fn return_type(&self, types: &[DataType]) -> Result<DataType>;

    /// Chooses the fold for coerced argument types. `constants` are the physical arguments, if
    /// the call is about to run; constant arguments are read from there.
    ///
    /// # Errors
    /// [`FunctionError`] if a constant argument is out of range.
    fn fold(
        &self,
        types: &[DataType],
        constants: Option<&[Arc<dyn PhysicalExpr>]>,
    ) -> Result<Box<dyn AnyFold>>;
}

/// Where a table of aggregates is the aggregate: its name is its identity.
macro_rules! identified_by_name {
    ($kind:ty) => {
        impl PartialEq for $kind {
            fn eq(&self, other: &Self) -> bool {
                self.doc.name == other.doc.name
            }
        }

        impl Eq for $kind {}

        impl std::hash::Hash for $kind {
            fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
                self.doc.name.hash(state);
            }
        }
    };
}
pub(crate) use identified_by_name;

/// Makes DataFusion's form of an aggregate.
pub(crate) fn function(aggregate: impl Aggregate) -> Arc<AggregateUDF> {
    let aliases = aggregate
        .aliases()
        .iter()
        .map(|&alias| alias.to_owned())
        .collect();
    let signature = arguments::named(aggregate.argument_names());
    Arc::new(AggregateUDF::new_from_impl(Function {
        aggregate,
        aliases,
        signature,
    }))
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct Function<A: Aggregate> {
    aggregate: A,
    aliases: Vec<String>,
    signature: Signature,
}

impl<A: Aggregate> Function<A> {
    fn open(&self, args: &AccumulatorArgs<'_>) -> Result<Box<dyn AnyFold>> {
        let function = self.aggregate.call().function;
        if args.is_distinct {
            let hint = "Remove duplicates in a subquery first.";
            return Err(FunctionError::Clause {
                function,
                clause: "DISTINCT",
                hint,
            }
            .into());
        }
        if !args.order_bys.is_empty() {
            let hint = "Remove it: the order is that of the time argument, then of arrival.";
            return Err(FunctionError::Clause {
                function,
                clause: "ORDER BY",
                hint,
            }
            .into());
        }
        let types = types_of(args.expr_fields);
        self.aggregate.fold(&types, Some(args.exprs))
    }
}

impl<A: Aggregate> AggregateUDFImpl for Function<A> {
    fn name(&self) -> &str {
        self.aggregate.call().function
    }

    fn aliases(&self) -> &[String] {
        &self.aliases
    }

    fn documentation(&self) -> Option<&Documentation> {
        registry::documentation(self.name(), FunctionKind::Aggregate)
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, types: &[DataType]) -> Result<Vec<DataType>> {
        // DataFusion turns an error from here into text; `return_type` repeats it with its type.
        Ok(self
            .aggregate
            .coerce(types)
            .unwrap_or_else(|_| types.to_vec()))
    }

    fn return_type(&self, types: &[DataType]) -> Result<DataType> {
        self.aggregate.return_type(&self.aggregate.coerce(types)?)
    }

    fn state_fields(&self, args: StateFieldsArgs<'_>) -> Result<Vec<FieldRef>> {
        let types = types_of(args.input_fields);
        let columns = self.aggregate.fold(&types, None)?.state_columns();
        let field = |(name, data_type): (&str, DataType)| {
            Arc::new(Field::new(
                format_state_name(args.name, name),
                data_type,
                true,
            ))
        };
        Ok(columns.into_iter().map(field).collect())
    }

    fn accumulator(&self, args: AccumulatorArgs<'_>) -> Result<Box<dyn Accumulator>> {
        Ok(self.open(&args)?.into_single())
    }

    fn create_sliding_accumulator(
        &self,
        args: AccumulatorArgs<'_>,
    ) -> Result<Box<dyn Accumulator>> {
        Ok(self.open(&args)?.into_sliding())
    }

    fn groups_accumulator_supported(&self, _args: AccumulatorArgs<'_>) -> bool {
        true
    }

    fn create_groups_accumulator(
        &self,
        args: AccumulatorArgs<'_>,
    ) -> Result<Box<dyn GroupsAccumulator>> {
        Ok(self.open(&args)?.into_groups())
    }

    fn order_sensitivity(&self) -> AggregateOrderSensitivity {
        AggregateOrderSensitivity::Insensitive
    }
}

fn types_of(fields: &[FieldRef]) -> Vec<DataType> {
    fields
        .iter()
        .map(|field| field.data_type().clone())
        .collect()
}

#[cfg(test)]
mod tests;
