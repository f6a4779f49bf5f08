//! `average(s)`, `slope(s)` and the like: the parts of what `stats_agg`, `time_weight` and sketches
//! give.
//!
//! Parts whose names aggregates have too (`sum`, `variance`, `stddev`, `skewness`, `kurtosis`,
//! `corr`) are reached through `overload`.

mod parts;

use std::sync::Arc;

use datafusion::arrow::array::{Array, ArrayRef, AsArray, BooleanArray, Float64Array, StructArray};
use datafusion::arrow::compute::kernels::numeric::div;
use datafusion::arrow::compute::{cast, is_null, nullif};
use datafusion::arrow::datatypes::{DataType, Float64Type, Int64Type};
use datafusion::common::{Result, internal_err};
use datafusion::logical_expr::{
    ColumnarValue, Documentation, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature,
};

use super::columnar::columnar;
use crate::aggregate::digest::is_digest;
use crate::aggregate::linear::rollup as moments;
use crate::aggregate::series::time_weight::{self, time_of};
use crate::aggregate::sketch::rollup::is_sketch;
use crate::arguments::{Call, argument_names, named};
use crate::error::FunctionError;
use crate::registry::{self, FunctionDoc, FunctionKind};
use parts::{PARTS, Part, SHARED};

/// Returns every accessor whose name is its own.
pub(crate) fn functions() -> impl Iterator<Item = Arc<ScalarUDF>> {
    PARTS.into_iter().map(accessor)
}

/// Returns the accessor of this name, which may be that of an aggregate.
pub(crate) fn function(name: &str) -> Option<Arc<ScalarUDF>> {
    let mut all = SHARED.into_iter().chain(PARTS);
    all.find(|part| part.name == name).map(accessor)
}

/// Returns the names that aggregates have too.
#[cfg(test)]
pub(crate) fn shared() -> impl Iterator<Item = &'static str> {
    SHARED.into_iter().map(|part| part.name)
}

/// Returns the documentation of every accessor.
pub(crate) fn docs() -> impl Iterator<Item = FunctionDoc> {
    PARTS.into_iter().chain(SHARED).map(|part| part.doc())
}

/// Returns whether `found` is what an accessor of this kind reads.
pub(crate) fn is_summary(found: &DataType) -> bool {
    is_sketch(found)
        || is_digest(found)
        || time_of(found).is_some()
        || moments::fold(found).is_some()
}

fn accessor(part: Part) -> Arc<ScalarUDF> {
    let signature = named(argument_names(part.signature));
    Arc::new(ScalarUDF::new_from_impl(Accessor { part, signature }))
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct Accessor {
    part: Part,
    signature: Signature,
}

impl Accessor {
    fn call(&self) -> Call {
        Call {
            function: self.part.name,
            signature: crate::argument::before_arrow(self.part.signature),
        }
    }

    /// Returns where the field stands in a struct that begins with a count of values, or in what
    /// `time_weight` gives.
    fn index(&self, found: &DataType) -> Result<usize> {
        let (place, has_parts) = match found {
            DataType::Struct(fields) => {
                let place = fields.iter().position(|f| f.name() == self.part.field);
                let counts = fields.first().is_some_and(|f| f.name() == "num_vals");
                (place, counts || time_of(found).is_some())
            }
            _ => (None, false),
        };
        let computed = match self.part.name {
            // The area itself; its mean is computed.
            "integral" | "average" if time_of(found).is_some() => Some(0),
            // Of a sum, that is.
            "average" if is_sketch(found) || is_digest(found) => Some(1),
            _ => None,
        };
        let index = computed.or_else(|| place.filter(|_| has_parts));
        let expected = "the result of stats_agg, of time_weight or a sketch that has this part";
        index.map_or_else(|| self.call().wrong_type("statistics", expected, found), Ok)
    }

    /// The part of each row, as it is stored.
    fn stored(&self, column: &ArrayRef) -> Result<ArrayRef> {
        let structs = column.as_struct();
        let found = column.data_type();
        let field = structs.column(self.index(found)?);
        let (is_mean, over_time) = (self.part.name == "average", time_of(found).is_some());
        Ok(match column.nulls() {
            _ if over_time && is_mean => Arc::new(time_weight::average(structs)),
            _ if is_mean && (is_sketch(found) || is_digest(found)) => {
                let counts = cast(structs.column(0), &DataType::Float64)?;
                nullif(&div(field, &counts)?, &is_null(column)?)?
            }
            None => Arc::clone(field),
            Some(nulls) => nullif(field, &BooleanArray::new(!nulls.inner(), None))?,
        })
    }

    /// The part of each row in the form that `methods` names.
    fn in_form(
        &self,
        stored: &ArrayRef,
        statistics: &StructArray,
        methods: &ArrayRef,
    ) -> Result<ArrayRef> {
        let (values, methods) = (
            stored.as_primitive::<Float64Type>(),
            methods.as_string::<i32>(),
        );
        let counts = statistics.column(0).as_primitive::<Int64Type>();
        let of_row = |row: usize| -> Result<Option<f64>> {
            if methods.is_null(row) {
                return Ok(None);
            }
            let value = values.is_valid(row).then(|| values.value(row));
            if !self.is_over_all(methods.value(row))? {
                return Ok(value);
            }
            if statistics.is_null(row) || counts.is_null(row) {
                return Ok(None);
            }
            let count = counts.value(row) as f64;
            let share = (count - 1.0) / count;
            let share = match self.part.name.starts_with("stddev") {
                true => share.sqrt(),
                false => share,
            };
            // One row deviates by nothing from itself, which over n - 1 says nothing.
            Ok(match counts.value(row) {
                1 => Some(0.0),
                _ => value.map(|value| value * share),
            })
        };
        let all = (0..values.len()).map(of_row);
        Ok(Arc::new(all.collect::<Result<Float64Array>>()?))
    }

    /// Whether a method divides by the number of rows.
    fn is_over_all(&self, method: &str) -> Result<bool> {
        match method.to_ascii_lowercase().as_str() {
            "sample" | "samp" => Ok(false),
            "population" | "pop" => Ok(true),
            _ => Err(FunctionError::OutOfRange {
                function: self.part.name,
                argument: "method",
                value: method.to_owned(),
                range: "'sample' or 'population'".into(),
            }
            .into()),
        }
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
        let is_text = |found: &DataType| {
            matches!(
                found,
                DataType::LargeUtf8 | DataType::Utf8View | DataType::Null
            )
        };
        let coerced = types.iter().enumerate().map(|(index, found)| match index {
            1 if is_text(found) => DataType::Utf8,
            _ => found.clone(),
        });
        Ok(coerced.collect())
    }

    fn return_type(&self, types: &[DataType]) -> Result<DataType> {
        let most = if self.part.has_method { 2 } else { 1 };
        self.call().count(types, 1, most)?;
        let index = self.index(&types[0])?;
        if let Some(method) = types.get(1).filter(|found| **found != DataType::Utf8) {
            return self.call().wrong_type("method", "a text", method);
        }
        match &types[0] {
            DataType::Struct(fields) => Ok(fields[index].data_type().clone()),
            _ => internal_err!("{} reads a struct", self.part.name),
        }
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        columnar(&args, |columns, _| {
            let Some(column) = columns.first() else {
                return internal_err!("{} takes one argument", self.name());
            };
            let stored = self.stored(column)?;
            match columns.get(1) {
                None => Ok(stored),
                Some(methods) => self.in_form(&stored, column.as_struct(), methods),
            }
        })
    }
}

#[cfg(test)]
mod tests;
