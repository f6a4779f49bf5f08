//! `ema(value, timeperiod)` and `rsi(value, timeperiod)`: TA-Lib's indicators as window functions.
//!
//! Rows whose value is null, NaN or infinite give null and leave the indicator as it is; the
//! others form the series that TA-Lib sees. The first rows, up to TA-Lib's lookback, give null.

use std::sync::Arc;

use datafusion::arrow::array::{Array, ArrayRef, AsArray, Float64Builder};
use datafusion::arrow::datatypes::{DataType, Field, FieldRef, Float64Type};
use datafusion::common::{Result, ScalarValue, internal_err};
use datafusion::logical_expr::expr::WindowFunction;
use datafusion::logical_expr::function::{
    ExpressionArgs, PartitionEvaluatorArgs, WindowFunctionSimplification, WindowUDFFieldArgs,
};
use datafusion::logical_expr::{
    Expr, LimitEffect, PartitionEvaluator, Signature, Volatility, WindowFrameBound, WindowUDF,
    WindowUDFImpl,
};
use datafusion::physical_plan::PhysicalExpr;
use ta_lib::{Core, OutRange, RetCode};

use crate::arguments::Call;
use crate::error::FunctionError;

/// An indicator of TA-Lib with one input series and one period.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Indicator {
    /// Exponential moving average, seeded with a simple average.
    Ema,
    /// Relative strength index with Wilder's smoothing.
    Rsi,
}

impl Indicator {
    fn call(self) -> Call {
        match self {
            Self::Ema => Call {
                function: "ema",
                signature: "ema(value [, timeperiod])",
            },
            Self::Rsi => Call {
                function: "rsi",
                signature: "rsi(value [, timeperiod])",
            },
        }
    }

    /// TA-Lib's name with its prefix.
    fn alias(self) -> &'static str {
        match self {
            Self::Ema => "ta_ema",
            Self::Rsi => "ta_rsi",
        }
    }

    /// TA-Lib's default period.
    fn default_period(self) -> i32 {
        match self {
            Self::Ema => 30,
            Self::Rsi => 14,
        }
    }

    /// TA-Lib's limits of the period, in words.
    fn range(self) -> &'static str {
        match self {
            Self::Ema => "an integer from 1 to 100000",
            Self::Rsi => "an integer from 2 to 100000",
        }
    }

    fn accepts(self, period: i32) -> bool {
        let least = match self {
            Self::Ema => 1,
            Self::Rsi => 2,
        };
        (least..=100_000).contains(&period)
    }

    /// Runs the indicator over a series that is not empty.
    fn evaluate(self, series: &[f64], period: i32, out: &mut [f64]) -> Result<OutRange, RetCode> {
        let (core, last) = (Core::new(), series.len() - 1);
        match self {
            Self::Ema => core.ema(0, last, series, period, out),
            Self::Rsi => core.rsi(0, last, series, period, out),
        }
    }

    /// Reads a period that planning accepted as an integer.
    fn period(self, value: &ScalarValue) -> Result<i32> {
        let period = match value {
            ScalarValue::Int64(Some(period)) => i32::try_from(*period).ok(),
            _ => None,
        };
        match period.filter(|&period| self.accepts(period)) {
            Some(period) => Ok(period),
            None => Err(FunctionError::OutOfRange {
                function: self.call().function,
                argument: "timeperiod",
                value: value.to_string(),
                range: self.range(),
            }
            .into()),
        }
    }
}

/// Makes the window function of an indicator.
pub(crate) fn function(indicator: Indicator) -> Arc<WindowUDF> {
    let unnamed = Signature::user_defined(Volatility::Immutable);
    let signature = unnamed
        .clone()
        .with_parameter_names(vec!["value", "timeperiod"])
        .unwrap_or(unnamed);
    let aliases = vec![indicator.alias().to_owned()];
    Arc::new(WindowUDF::new_from_impl(Technical {
        indicator,
        aliases,
        signature,
    }))
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct Technical {
    indicator: Indicator,
    aliases: Vec<String>,
    signature: Signature,
}

impl Technical {
    fn coerce(&self, types: &[DataType]) -> Result<Vec<DataType>> {
        let call = self.indicator.call();
        call.count(types, 1, 2)?;
        call.number("value", &types[0])?;
        let mut coerced = vec![DataType::Float64];
        if let Some(period) = types.get(1) {
            if !period.is_integer() {
                return call.wrong_type("timeperiod", "an integer", period);
            }
            coerced.push(DataType::Int64);
        }
        Ok(coerced)
    }
}

impl WindowUDFImpl for Technical {
    fn name(&self) -> &str {
        self.indicator.call().function
    }

    fn aliases(&self) -> &[String] {
        &self.aliases
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn expressions(&self, args: ExpressionArgs<'_>) -> Vec<Arc<dyn PhysicalExpr>> {
        args.input_exprs().iter().take(1).map(Arc::clone).collect()
    }

    fn partition_evaluator(
        &self,
        args: PartitionEvaluatorArgs<'_>,
    ) -> Result<Box<dyn PartitionEvaluator>> {
        let indicator = self.indicator;
        let period = match args.input_exprs().get(1) {
            Some(expr) => indicator.period(&indicator.call().constant("timeperiod", expr)?)?,
            None => indicator.default_period(),
        };
        Ok(Box::new(Series { indicator, period }))
    }

    fn simplify(&self) -> Option<WindowFunctionSimplification> {
        let indicator = self.indicator;
        Some(Box::new(move |function, _context| {
            check_clauses(indicator, &function)?;
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
        Ok(Arc::new(Field::new(args.name(), DataType::Float64, true)))
    }

    fn coerce_types(&self, types: &[DataType]) -> Result<Vec<DataType>> {
        // DataFusion turns an error from here into text; `field` repeats it with its type.
        Ok(self.coerce(types).unwrap_or_else(|_| types.to_vec()))
    }

    fn limit_effect(&self, _args: &[Arc<dyn PhysicalExpr>]) -> LimitEffect {
        LimitEffect::None
    }
}

/// Refuses clauses that would change which rows an indicator sees: it always runs over all rows
/// from the start of the partition to the current one.
fn check_clauses(indicator: Indicator, function: &WindowFunction) -> Result<()> {
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
        if let [_, Expr::Literal(period @ ScalarValue::Int64(_), _)] = params.args.as_slice() {
            indicator.period(period)?;
        }
        return Ok(());
    };
    Err(FunctionError::Clause {
        function: indicator.call().function,
        clause,
        hint,
    }
    .into())
}

/// Evaluates an indicator over one partition.
#[derive(Debug)]
struct Series {
    indicator: Indicator,
    period: i32,
}

impl PartitionEvaluator for Series {
    fn evaluate_all(&mut self, values: &[ArrayRef], num_rows: usize) -> Result<ArrayRef> {
        let Some(column) = values.first() else {
            return internal_err!("{} has no value argument", self.indicator.call().function);
        };
        let column = column.as_primitive::<Float64Type>();
        let usable = |row: usize| column.is_valid(row) && column.value(row).is_finite();
        let series: Vec<f64> = (0..num_rows)
            .filter(|&row| usable(row))
            .map(|row| column.value(row))
            .collect();
        let mut out = vec![0.0; series.len()];
        let range = if series.is_empty() {
            OutRange {
                beg_idx: 0,
                count: 0,
            }
        } else {
            let range = self.indicator.evaluate(&series, self.period, &mut out);
            range.map_err(|code| self.failed(series.len(), code))?
        };

        let mut results = Float64Builder::with_capacity(num_rows);
        let mut position = 0_usize;
        for row in 0..num_rows {
            if !usable(row) {
                results.append_null();
                continue;
            }
            let index = position
                .checked_sub(range.beg_idx)
                .filter(|&index| index < range.count);
            results.append_option(index.map(|index| out[index]));
            position += 1;
        }
        Ok(Arc::new(results.finish()))
    }
}

impl Series {
    /// Makes the error for a series that TA-Lib does not take: above 100 million rows.
    fn failed(&self, row_count: usize, code: RetCode) -> datafusion::common::DataFusionError {
        let function = self.indicator.call().function;
        datafusion::common::exec_datafusion_err!(
            "cannot compute {function} over a partition of {row_count} rows: {code:?}"
        )
    }
}

#[cfg(test)]
mod tests;
