//! `open(c)`, `high(c)`, … `close_time(c)`: the parts of a candlestick.
//!
//! The part that is called `vwap` shares its name with an aggregate; see `overload`.

use std::sync::Arc;

use datafusion::arrow::array::{Array, AsArray, BooleanArray};
use datafusion::arrow::compute::nullif;
use datafusion::arrow::datatypes::DataType;
use datafusion::common::{Result, internal_err};
use datafusion::logical_expr::{
    ColumnarValue, Documentation, Expr, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature,
};

use super::columnar::columnar;
use crate::aggregate::candlestick::shape::{FIELDS, Shape};
use crate::arguments::{Call, named};
use crate::registry::{self, FunctionKind};

/// The name under which the accessor of `vwap` is registered.
pub(crate) const CANDLESTICK_VWAP: &str = "candlestick_vwap";

/// Returns the accessor of each field, in the order of the fields.
pub(crate) fn functions() -> Vec<Arc<ScalarUDF>> {
    FIELDS.iter().map(|field| function(field)).collect()
}

/// Returns the accessor of `field`.
pub(crate) fn function(field: &'static str) -> Arc<ScalarUDF> {
    let signature = named(vec!["candlestick"]);
    Arc::new(ScalarUDF::new_from_impl(Accessor { field, signature }))
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct Accessor {
    field: &'static str,
    signature: Signature,
}

impl Accessor {
    fn call(&self) -> Call {
        Call {
            function: self.field,
            signature: "accessor(candlestick)",
        }
    }

    fn index(&self) -> usize {
        FIELDS
            .iter()
            .position(|field| *field == self.field)
            .unwrap_or(0)
    }
}

impl ScalarUDFImpl for Accessor {
    fn name(&self) -> &str {
        if self.field == "vwap" {
            CANDLESTICK_VWAP
        } else {
            self.field
        }
    }

    fn schema_name(&self, args: &[Expr]) -> Result<String> {
        let names: Vec<String> = args
            .iter()
            .map(|arg| arg.schema_name().to_string())
            .collect();
        Ok(format!("{}({})", self.field, names.join(",")))
    }

    fn documentation(&self) -> Option<&Documentation> {
        registry::documentation(self.name(), FunctionKind::Scalar)
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, types: &[DataType]) -> Result<Vec<DataType>> {
        Ok(types.to_vec())
    }

    fn return_type(&self, types: &[DataType]) -> Result<DataType> {
        self.call().count(types, 1, 1)?;
        let Some(shape) = Shape::of(&types[0]) else {
            let expected = "the result of candlestick_agg";
            return self.call().wrong_type("candlestick", expected, &types[0]);
        };
        match shape.fields().get(self.index()) {
            Some(field) => Ok(field.data_type().clone()),
            None => internal_err!("a candlestick has no field {}", self.field),
        }
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        columnar(&args, |columns, _| {
            let [column] = columns else {
                return internal_err!("{} takes one argument", self.field);
            };
            let bars = column.as_struct();
            let part = bars.column(self.index());
            Ok(match bars.nulls() {
                None => Arc::clone(part),
                Some(nulls) => nullif(part, &BooleanArray::new(!nulls.inner(), None))?,
            })
        })
    }
}

#[cfg(test)]
mod tests;
