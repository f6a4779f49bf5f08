//! `position_avg`, `position_fifo`, `position_lifo`: a position and its profit after every trade.
//!
//! A trade is a quantity (bought positive, sold negative; `signed_qty` makes it from a side) and a
//! price, both of contracts whose multiplier may follow. Decimals are exact:
//! after every trade `realized_pnl + qty * mark - cost_basis` equals the cash that flowed plus
//! `qty * mark`, to the last digit, for every mark.
//!
//! Oldest and latest lots first, only `avg_cost` is rounded. At average cost what a part of a
//! position cost is a quotient: `cost_basis` and `realized_pnl` are rounded to 16 digits after the
//! point (or as many as the products of quantity, price and multiplier have), and `avg_cost` stays
//! as it is when a trade reduces the position. Rows whose quantity or price is null, NaN or
//! infinite give null and change nothing.

mod book;
mod columns;
pub(crate) mod shape;

use std::sync::Arc;

use datafusion::arrow::array::{Array, ArrayRef, AsArray};
use datafusion::arrow::datatypes::{DataType, Decimal128Type, Field, FieldRef, Float64Type};
use datafusion::common::{Result, ScalarValue, internal_err};
use datafusion::logical_expr::function::{
    ExpressionArgs, PartitionEvaluatorArgs, WindowFunctionSimplification, WindowUDFFieldArgs,
};
use datafusion::logical_expr::{
    Documentation, Expr, LimitEffect, PartitionEvaluator, Signature, WindowUDF, WindowUDFImpl,
};
use datafusion::physical_plan::PhysicalExpr;

use super::function::check_clauses;
use super::step::Walk;
use crate::arguments::{Call, named};
use crate::error::FunctionError;
use crate::registry::{self, FunctionDoc, FunctionKind};
use crate::running::{Along, Running};
use book::{Amount as _, Book, Exact, Method};
use columns::Fees;
use shape::{MULTIPLIER, Shape, beyond};

/// The form of what a position saves. 2: lots remember what was opened, amounts have the digits
/// that are shown.
pub(super) const LAYOUT: u32 = 2;

/// Every method.
const METHODS: [Method; 3] = [Method::Average, Method::Fifo, Method::Lifo];

/// Returns the function of each method.
pub(crate) fn functions() -> impl Iterator<Item = Arc<WindowUDF>> {
    METHODS.into_iter().map(|method| {
        let signature = named(vec!["quantity", "price", "fee", "multiplier"]);
        Arc::new(WindowUDF::new_from_impl(Position { method, signature }))
    })
}

/// Returns the documentation of each function.
pub(crate) fn docs() -> impl Iterator<Item = FunctionDoc> {
    METHODS.into_iter().map(|method| {
        let (name, signature, description, formula, example) = match method {
            Method::Average => (
                "position_avg",
                "position_avg(quantity, price [, fee [, multiplier]]) \
                 -> struct(qty, avg_cost, realized_pnl, fees, cost_basis)",
                "A position and its profit after every trade, at average cost.",
                "a trade that adds raises cost_basis by quantity * price; one that reduces leaves \
                 avg_cost as it is and realizes closed quantity * (price - avg_cost); crossing \
                 zero closes and opens anew; unrealized is qty * mark - cost_basis; avg_cost is \
                 cost_basis / qty, null at 0; realized_pnl and cost_basis are times multiplier, \
                 avg_cost is not; profits are before fees; decimals: realized_pnl and cost_basis \
                 have 16 digits after the point, or those of quantity * price * multiplier if \
                 these are more, and realized_pnl - cost_basis is the cash that flowed, exactly",
                "SELECT symbol, ts, position_avg(size, price) OVER (PARTITION BY symbol ORDER BY \
                 ts) FROM trades",
            ),
            Method::Fifo => (
                "position_fifo",
                "position_fifo(quantity, price [, fee [, multiplier]]) \
                 -> struct(qty, avg_cost, realized_pnl, fees, cost_basis, open_lots)",
                "A position and its profit after every trade, the oldest lots sold first.",
                "every trade that adds opens a lot; one that reduces closes the oldest lots, and \
                 realizes closed quantity * (price - price of the lot); the rest as position_avg, \
                 but nothing is rounded except avg_cost",
                "SELECT symbol, ts, position_fifo(signed_qty('B', size), price, 0.01) OVER \
                 (PARTITION BY symbol ORDER BY ts) FROM trades",
            ),
            Method::Lifo => (
                "position_lifo",
                "position_lifo(quantity, price [, fee [, multiplier]]) \
                 -> struct(qty, avg_cost, realized_pnl, fees, cost_basis, open_lots)",
                "A position and its profit after every trade, the latest lots sold first.",
                "as position_fifo, with the latest lots first",
                "SELECT symbol, ts, position_lifo(size, price) OVER (PARTITION BY symbol ORDER BY \
                 ts) FROM trades",
            ),
        };
        FunctionDoc {
            name,
            kind: FunctionKind::Window,
            signature,
            description,
            formula,
            reference: "standard accounting of positions",
            example,
        }
    })
}

/// One of the functions.
#[derive(Debug, PartialEq, Eq, Hash)]
pub(super) struct Position {
    method: Method,
    signature: Signature,
}

impl Position {
    fn call(&self) -> Call {
        let (function, signature) = match self.method {
            Method::Average => (
                "position_avg",
                "position_avg(quantity, price [, fee [, multiplier]])",
            ),
            Method::Fifo => (
                "position_fifo",
                "position_fifo(quantity, price [, fee [, multiplier]])",
            ),
            Method::Lifo => (
                "position_lifo",
                "position_lifo(quantity, price [, fee [, multiplier]])",
            ),
        };
        Call {
            function,
            signature,
        }
    }

    fn coerce(&self, types: &[DataType]) -> Result<Vec<DataType>> {
        let call = self.call();
        call.count(types, 2, 4)?;
        let price = call.number("price", &types[1])?;
        let quantity = call.size("quantity", &types[0], &price)?;
        let multiplier = types.get(MULTIPLIER);
        let multiplier = multiplier.map(|found| call.size("multiplier", found, &price));
        let multiplier = multiplier.transpose()?;
        // A float among them makes all of it floats.
        let is_exact = [Some(&quantity), multiplier.as_ref()]
            .into_iter()
            .flatten()
            .all(|kind| matches!(kind, DataType::Decimal128(..)));
        let mut coerced = match is_exact {
            true => vec![quantity, price],
            false => vec![DataType::Float64, DataType::Float64],
        };
        if let Some(fee) = types.get(2) {
            coerced.push(call.size("fee", fee, &coerced[1])?);
        }
        coerced.extend(multiplier.map(|kind| if is_exact { kind } else { DataType::Float64 }));
        Ok(coerced)
    }

    /// Reads the multiplier among the physical arguments of a call; 1 if it is left out.
    fn multiplier(&self, arguments: &[Arc<dyn PhysicalExpr>]) -> Result<ScalarValue> {
        let call = self.call();
        match arguments.get(MULTIPLIER) {
            None => Ok(ScalarValue::Null),
            Some(expr) => checked(call, call.constant("multiplier", expr)?),
        }
    }

    fn shape(&self, types: &[DataType]) -> Result<Shape> {
        Shape::of(self.call(), self.method, types)
    }

    /// Begins a partition of a call whose arguments have these coerced types.
    fn trades(&self, arguments: &[Arc<dyn PhysicalExpr>], types: &[DataType]) -> Result<Trades> {
        let mut shape = self.shape(types)?;
        let multiplier = self.multiplier(arguments)?;
        match multiplier.cast_to(types.get(MULTIPLIER).unwrap_or(&DataType::Null))? {
            ScalarValue::Decimal128(Some(exact), ..) => {
                let factor = shape.unit.times(Exact(exact));
                shape.factor.1 = factor.ok_or_else(|| beyond(self.call(), shape.amount.clone()))?;
            }
            ScalarValue::Float64(Some(float)) => shape.factor.0 = float,
            // NULL stands for 1, whatever the digits of its type.
            _ => {}
        }
        Ok(Trades::new(self.call(), self.method, shape))
    }
}

/// Refuses a multiplier that is not above zero; NULL stands for 1.
fn checked(call: Call, value: ScalarValue) -> Result<ScalarValue> {
    let number = value.cast_to(&DataType::Float64)?;
    match number {
        ScalarValue::Float64(Some(number)) if !(number > 0.0 && number.is_finite()) => {
            Err(FunctionError::OutOfRange {
                function: call.function,
                argument: "multiplier",
                value: value.to_string(),
                range: "a positive number".into(),
            }
            .into())
        }
        _ => Ok(value),
    }
}

impl WindowUDFImpl for Position {
    fn name(&self) -> &str {
        self.call().function
    }

    fn documentation(&self) -> Option<&Documentation> {
        registry::documentation(self.name(), FunctionKind::Window)
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn partition_evaluator(
        &self,
        args: PartitionEvaluatorArgs<'_>,
    ) -> Result<Box<dyn PartitionEvaluator>> {
        let types: Vec<DataType> = args
            .input_fields()
            .iter()
            .map(|field| field.data_type().clone())
            .collect();
        Ok(Box::new(self.trades(args.input_exprs(), &types)?))
    }

    fn expressions(&self, args: ExpressionArgs<'_>) -> Vec<Arc<dyn PhysicalExpr>> {
        let series = args.input_exprs().iter().take(MULTIPLIER);
        series.map(Arc::clone).collect()
    }

    fn simplify(&self) -> Option<WindowFunctionSimplification> {
        let call = self.call();
        Some(Box::new(move |function, _context| {
            check_clauses(call.function, &function)?;
            if let Some(Expr::Literal(value, _)) = function.params.args.get(MULTIPLIER) {
                checked(call, value.clone())?;
            }
            Ok(Expr::WindowFunction(Box::new(function)))
        }))
    }

    fn field(&self, args: WindowUDFFieldArgs<'_>) -> Result<FieldRef> {
        let types: Vec<DataType> = args
            .input_fields()
            .iter()
            .map(|field| field.data_type().clone())
            .collect();
        let shape = self.shape(&self.coerce(&types)?)?;
        let data_type = DataType::Struct(shape.fields());
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

impl Position {
    /// Says how a call with these arguments runs along.
    pub(super) fn along(&self, arguments: &[Arc<dyn PhysicalExpr>]) -> Along {
        let series = arguments.len().min(MULTIPLIER);
        Along::Running {
            series,
            layout: LAYOUT,
        }
    }

    /// Begins a partition of arguments of these types.
    ///
    /// # Errors
    /// [`FunctionError`] if the types do not fit.
    pub(super) fn start(
        &self,
        arguments: &[Arc<dyn PhysicalExpr>],
        types: &[DataType],
    ) -> Result<Box<dyn Running>> {
        Ok(Box::new(self.trades(arguments, &self.coerce(types)?)?))
    }
}

/// A position that goes on over the trades of one partition.
#[derive(Debug)]
struct Trades {
    call: Call,
    shape: Shape,
    floats: Book<f64>,
    exact: Book<Exact>,
    fees: Fees,
}

impl Trades {
    fn new(call: Call, method: Method, shape: Shape) -> Self {
        Self {
            call,
            shape,
            floats: Book::new(method),
            exact: Book::new(method),
            fees: Fees::default(),
        }
    }

    fn walk(&mut self, walk: &mut Walk<'_>) {
        self.floats.walk(walk);
        self.exact.walk(walk);
        self.fees.walk(walk);
    }
}

impl PartitionEvaluator for Trades {
    fn evaluate_all(&mut self, values: &[ArrayRef], num_rows: usize) -> Result<ArrayRef> {
        self.advance(values, num_rows)
    }
}

impl Running for Trades {
    fn advance(&mut self, values: &[ArrayRef], num_rows: usize) -> Result<ArrayRef> {
        let [quantities, prices, fees @ ..] = values else {
            return internal_err!("{} needs two columns", self.call.function);
        };
        let fees = fees.first();
        let Some(exact) = quantities.as_primitive_opt::<Decimal128Type>() else {
            let quantities = quantities.as_primitive::<Float64Type>();
            let prices = prices.as_primitive::<Float64Type>();
            let trade = |row: usize| {
                let known = quantities.is_valid(row) && prices.is_valid(row);
                let (quantity, price) = (quantities.value(row), prices.value(row));
                let usable = known && quantity.is_finite() && price.is_finite();
                Ok(usable.then(|| self.floats.trade(quantity, price)).flatten())
            };
            let states = (0..num_rows).map(trade).collect::<Result<Vec<_>>>()?;
            let fees = self.fees.so_far(&self.shape, &states, fees, self.call)?;
            return columns::floats(&self.shape, &states, fees);
        };
        let prices = prices.as_primitive::<Decimal128Type>();
        let trade = |row: usize| {
            if exact.is_null(row) || prices.is_null(row) {
                return Ok(None);
            }
            let price = Exact(prices.value(row)).times(self.shape.factor.1);
            let state = price.and_then(|price| self.exact.trade(Exact(exact.value(row)), price));
            match state {
                Some(state) => Ok(Some(state)),
                None => Err(beyond(self.call, self.shape.amount.clone()).into()),
            }
        };
        let states = (0..num_rows).map(trade).collect::<Result<Vec<_>>>()?;
        let fees = self.fees.so_far(&self.shape, &states, fees, self.call)?;
        columns::decimals(&self.shape, &states, fees, self.call)
    }

    fn save(&mut self) -> Vec<u8> {
        let mut bytes = Vec::new();
        self.walk(&mut Walk::Save(&mut bytes));
        bytes
    }

    fn load(&mut self, saved: &[u8]) -> Result<()> {
        let mut walk = Walk::Load {
            bytes: saved,
            damaged: false,
        };
        self.walk(&mut walk);
        match walk {
            Walk::Load {
                bytes: [],
                damaged: false,
            } => Ok(()),
            _ => internal_err!("the state of {} does not fit it", self.call.function),
        }
    }

    fn size(&self) -> usize {
        size_of::<Self>() + self.floats.heap_bytes() + self.exact.heap_bytes()
    }
}

#[cfg(test)]
mod tests;
