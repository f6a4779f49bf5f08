//! `average(s)`, `slope(s)` and the like: the parts of what `stats_agg`, `time_weight` and sketches
//! give.
//!
//! Parts whose names other functions have (`sum`, `variance`, `stddev`, `skewness`, `kurtosis`,
//! `corr`) are read as fields: `s['stddev']`.

use std::sync::Arc;

use datafusion::arrow::array::{Array, AsArray, BooleanArray};
use datafusion::arrow::compute::kernels::numeric::div;
use datafusion::arrow::compute::{cast, is_null, nullif};
use datafusion::arrow::datatypes::DataType;
use datafusion::common::{Result, internal_err};
use datafusion::logical_expr::{
    ColumnarValue, Documentation, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature,
};

use super::columnar::columnar;
use crate::aggregate::digest::is_digest;
use crate::aggregate::series::time_weight::{self, FIELDS};
use crate::aggregate::sketch::rollup::is_sketch;
use crate::arguments::{Call, argument_names, named};
use crate::registry::{self, FunctionDoc, FunctionKind};

/// One accessor: its name, which is that of the field, and its words.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Part {
    name: &'static str,
    signature: &'static str,
    description: &'static str,
    example: &'static str,
}

/// Every accessor.
const PARTS: [Part; 9] = [
    Part {
        name: "num_vals",
        signature: "num_vals(statistics) -> bigint",
        description: "How many rows counted.",
        example: "SELECT num_vals(stats_agg(price)) FROM trades",
    },
    Part {
        name: "average",
        signature: "average(statistics) -> double precision",
        description: "The mean of a variable, of the values of a sketch, or of a value over time.",
        example: "SELECT average(stats_agg(price)) FROM trades",
    },
    Part {
        name: "error",
        signature: "error(sketch) -> double precision",
        description: "How far a percentile of a sketch may lie off, as a share of itself.",
        example: "SELECT error(percentile_agg(price)) FROM trades",
    },
    Part {
        name: "integral",
        signature: "integral(time_weight) -> double precision",
        description: "The area under a value over time, in seconds times its unit.",
        example: "SELECT integral(time_weight('LINEAR', ts, price)) FROM trades",
    },
    Part {
        name: "covariance",
        signature: "covariance(statistics) -> double precision",
        description: "The sample covariance of two variables.",
        example: "SELECT covariance(stats_agg(price, size)) FROM trades",
    },
    Part {
        name: "slope",
        signature: "slope(statistics) -> double precision",
        description: "The slope of the least-squares line of y over x.",
        example: "SELECT slope(stats_agg(price, size)) FROM trades",
    },
    Part {
        name: "intercept",
        signature: "intercept(statistics) -> double precision",
        description: "Where the least-squares line meets x = 0.",
        example: "SELECT intercept(stats_agg(price, size)) FROM trades",
    },
    Part {
        name: "x_intercept",
        signature: "x_intercept(statistics) -> double precision",
        description: "Where the least-squares line meets y = 0.",
        example: "SELECT x_intercept(stats_agg(price, size)) FROM trades",
    },
    Part {
        name: "determination_coeff",
        signature: "determination_coeff(statistics) -> double precision",
        description: "The squared correlation of two variables.",
        example: "SELECT determination_coeff(stats_agg(price, size)) FROM trades",
    },
];

/// Returns every accessor.
pub(crate) fn functions() -> impl Iterator<Item = Arc<ScalarUDF>> {
    PARTS.into_iter().map(|part| {
        let signature = named(argument_names(part.signature));
        Arc::new(ScalarUDF::new_from_impl(Accessor { part, signature }))
    })
}

/// Returns the documentation of every accessor.
pub(crate) fn docs() -> impl Iterator<Item = FunctionDoc> {
    PARTS.into_iter().map(|part| FunctionDoc {
        name: part.name,
        kind: FunctionKind::Scalar,
        signature: part.signature,
        description: part.description,
        formula: "the field of that name; null for a group without rows",
        reference: "TimescaleDB toolkit stats_agg accessors",
        example: part.example,
    })
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct Accessor {
    part: Part,
    signature: Signature,
}

impl Accessor {
    /// Returns where the field stands in a struct that begins with a count of values.
    fn index(&self, found: &DataType) -> Result<usize> {
        let call = Call {
            function: self.part.name,
            signature: crate::argument::before_arrow(self.part.signature),
        };
        let begins = |name: &str| match found {
            DataType::Struct(fields) => fields.first().is_some_and(|first| first.name() == name),
            _ => false,
        };
        let place = match found {
            DataType::Struct(fields) => fields
                .iter()
                .position(|field| field.name() == self.part.name),
            _ => None,
        };
        let computed = match self.part.name {
            // The area itself; its mean is computed.
            "integral" | "average" if begins(FIELDS[0]) => Some(0),
            // Of a sum, that is.
            "average" if is_sketch(found) || is_digest(found) => Some(1),
            _ => None,
        };
        let index = computed.or_else(|| place.filter(|_| begins("num_vals")));
        let expected = "the result of stats_agg, of time_weight or a sketch that has this part";
        index.map_or_else(|| call.wrong_type("statistics", expected, found), Ok)
    }
}

impl ScalarUDFImpl for Accessor {
    fn name(&self) -> &str {
        self.part.name
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
        let call = Call {
            function: self.part.name,
            signature: crate::argument::before_arrow(self.part.signature),
        };
        call.count(types, 1, 1)?;
        self.index(&types[0])?;
        Ok(if self.part.name == "num_vals" {
            DataType::Int64
        } else {
            DataType::Float64
        })
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        columnar(&args, |columns, _| {
            let Some(column) = columns.first() else {
                return internal_err!("{} takes one argument", self.name());
            };
            let structs = column.as_struct();
            let field = structs.column(self.index(column.data_type())?);
            let (found, is_mean) = (column.data_type(), self.part.name == "average");
            let over_time = structs.column_names().first() == Some(&FIELDS[0]);
            Ok(match column.nulls() {
                _ if over_time && is_mean => Arc::new(time_weight::average(structs)),
                _ if is_mean && (is_sketch(found) || is_digest(found)) => {
                    let counts = cast(structs.column(0), &DataType::Float64)?;
                    nullif(&div(field, &counts)?, &is_null(column)?)?
                }
                None => Arc::clone(field),
                Some(nulls) => nullif(field, &BooleanArray::new(!nulls.inner(), None))?,
            })
        })
    }
}

#[cfg(test)]
mod tests;
