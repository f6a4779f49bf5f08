//! Per-row formulas of quotes and returns: `mid`, `spread`, `microprice`, `log_return` and more.
//!
//! All compute in double precision. A null, NaN or infinite argument gives null, as does a
//! division by zero or a logarithm of what is not above zero.

use std::sync::Arc;

use datafusion::arrow::array::{Array, ArrayRef, AsArray, Float64Array};
use datafusion::arrow::datatypes::{DataType, Float64Type};
use datafusion::common::{Result, ScalarValue, internal_err};
use datafusion::logical_expr::{
    ColumnarValue, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};

use crate::arguments::Call;

/// A formula over two or four numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Formula {
    /// (bid + ask) / 2.
    Mid,
    /// ask - bid.
    Spread,
    /// Spread over mid, times 10,000.
    SpreadBps,
    /// Mid weighted by the opposite side's size.
    Microprice,
    /// (bid_size - ask_size) / (bid_size + ask_size).
    Imbalance,
    /// ln(price / previous).
    LogReturn,
    /// price / previous - 1.
    SimpleReturn,
    /// (a / b - 1) times 10,000.
    Bps,
    /// volatility times the root of the periods per year.
    AnnualizeVol,
}

impl Formula {
    /// All formulas.
    pub(crate) const ALL: [Self; 9] = [
        Self::Mid,
        Self::Spread,
        Self::SpreadBps,
        Self::Microprice,
        Self::Imbalance,
        Self::LogReturn,
        Self::SimpleReturn,
        Self::Bps,
        Self::AnnualizeVol,
    ];

    fn call(self) -> Call {
        let (function, signature) = match self {
            Self::Mid => ("mid", "mid(bid, ask)"),
            Self::Spread => ("spread", "spread(bid, ask)"),
            Self::SpreadBps => ("spread_bps", "spread_bps(bid, ask)"),
            Self::Microprice => ("microprice", "microprice(bid, ask, bid_size, ask_size)"),
            Self::Imbalance => ("imbalance", "imbalance(bid_size, ask_size)"),
            Self::LogReturn => ("log_return", "log_return(price, previous)"),
            Self::SimpleReturn => ("simple_return", "simple_return(price, previous)"),
            Self::Bps => ("bps", "bps(value, reference)"),
            Self::AnnualizeVol => (
                "annualize_vol",
                "annualize_vol(volatility, periods_per_year)",
            ),
        };
        Call {
            function,
            signature,
        }
    }

    fn arguments(self) -> &'static [&'static str] {
        match self {
            Self::Mid | Self::Spread | Self::SpreadBps => &["bid", "ask"],
            Self::Microprice => &["bid", "ask", "bid_size", "ask_size"],
            Self::Imbalance => &["bid_size", "ask_size"],
            Self::LogReturn | Self::SimpleReturn => &["price", "previous"],
            Self::Bps => &["value", "reference"],
            Self::AnnualizeVol => &["volatility", "periods_per_year"],
        }
    }

    /// Returns the value for finite arguments; what is not finite means null.
    fn evaluate(self, values: [f64; 4]) -> f64 {
        let [a, b, a_size, b_size] = values;
        match self {
            Self::Mid => a + (b - a) / 2.0,
            Self::Spread => b - a,
            Self::SpreadBps => 1e4 * (b - a) / (a + (b - a) / 2.0),
            Self::Microprice => (b * a_size + a * b_size) / (a_size + b_size),
            Self::Imbalance => (a - b) / (a + b),
            Self::LogReturn if a > 0.0 && b > 0.0 => (a / b).ln(),
            Self::LogReturn => f64::NAN,
            Self::SimpleReturn => a / b - 1.0,
            Self::Bps => 1e4 * (a / b - 1.0),
            Self::AnnualizeVol => a * b.sqrt(),
        }
    }

    fn column(self, columns: &[&Float64Array], row_count: usize) -> Float64Array {
        let result = |row: usize| {
            let mut values = [0.0; 4];
            for (value, column) in values.iter_mut().zip(columns) {
                *value = column.is_valid(row).then(|| column.value(row))?;
            }
            let result = values.iter().all(|value| value.is_finite());
            result
                .then(|| self.evaluate(values))
                .filter(|result| result.is_finite())
        };
        (0..row_count).map(result).collect()
    }
}

/// Makes the scalar function of a formula.
pub(crate) fn function(formula: Formula) -> Arc<ScalarUDF> {
    let unnamed = Signature::user_defined(Volatility::Immutable);
    let names = formula.arguments().to_vec();
    let signature = unnamed
        .clone()
        .with_parameter_names(names)
        .unwrap_or(unnamed);
    Arc::new(ScalarUDF::new_from_impl(FormulaFunction {
        formula,
        signature,
    }))
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct FormulaFunction {
    formula: Formula,
    signature: Signature,
}

impl ScalarUDFImpl for FormulaFunction {
    fn name(&self) -> &str {
        self.formula.call().function
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, types: &[DataType]) -> Result<Vec<DataType>> {
        // DataFusion turns an error from here into text; `return_type` repeats it with its type.
        match self.return_type(types) {
            Ok(_) => Ok(vec![DataType::Float64; types.len()]),
            Err(_) => Ok(types.to_vec()),
        }
    }

    fn return_type(&self, types: &[DataType]) -> Result<DataType> {
        let (call, names) = (self.formula.call(), self.formula.arguments());
        call.count(types, names.len(), names.len())?;
        for (name, found) in names.iter().zip(types) {
            call.number(name, found)?;
        }
        Ok(DataType::Float64)
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let is_scalar = args
            .args
            .iter()
            .all(|arg| matches!(arg, ColumnarValue::Scalar(_)));
        let row_count = if is_scalar { 1 } else { args.number_rows };
        let columns: Vec<ArrayRef> = args
            .args
            .iter()
            .map(|arg| arg.to_array(row_count))
            .collect::<Result<_>>()?;
        let numbers: Option<Vec<&Float64Array>> = columns
            .iter()
            .map(|column| column.as_primitive_opt::<Float64Type>())
            .collect();
        let Some(numbers) = numbers else {
            return internal_err!("{} takes double precision", self.name());
        };
        let result: ArrayRef = Arc::new(self.formula.column(&numbers, row_count));
        if is_scalar {
            return Ok(ColumnarValue::Scalar(ScalarValue::try_from_array(
                &result, 0,
            )?));
        }
        Ok(ColumnarValue::Array(result))
    }
}

#[cfg(test)]
mod tests;
