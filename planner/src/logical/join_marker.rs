//! How joins that DataFusion's grammar lacks go through its planner: as a function in their
//! condition, which nothing but a join of a streaming view understands.
//!
//! `parse::join` writes them; `streaming::join` reads them.

use std::sync::{Arc, LazyLock};

use datafusion::arrow::datatypes::DataType;
use datafusion::error::Result;
use datafusion::logical_expr::{
    ColumnarValue, Expr, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility, lit,
};

use crate::error::PlanError;

/// `asof(condition [, tolerance or null])`.
pub const ASOF: &str = "__asof_join";
/// `implied(condition, strict, tolerance or null)`: as `asof`, by the event times of both sides.
pub const IMPLIED: &str = "__asof_implied";
/// `version(condition, time)`.
pub const VERSION: &str = "__version_join";
/// `arrival(condition)`.
pub const ARRIVAL: &str = "__arrival_join";

/// `times(left, right)`: a condition that always holds and keeps the event times of a join's sides
/// from being pruned.
pub const TIMES: &str = "__join_times";

/// Whether `expr` only keeps event times.
pub fn keeps_times(expr: &Expr) -> bool {
    matches!(expr, Expr::ScalarFunction(call) if call.func.name() == TIMES)
}

/// What a marked join asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mark {
    /// The latest row by the times that the condition compares.
    Asof,
    /// The latest row by the event times of both sides.
    Implied {
        /// Whether a row of the same time is none.
        strict: bool,
    },
    /// A version of a table.
    Version,
    /// What a relation holds when a row comes.
    Arrival,
}

/// A join's condition that is one of ours.
#[derive(Clone, Copy, Debug)]
pub struct Marker<'a> {
    /// What it asks for.
    pub mark: Mark,
    /// The condition itself.
    pub condition: &'a Expr,
    /// The tolerance, or the time of the version.
    pub argument: Option<&'a Expr>,
}

/// The marker that `expr` is, if it is one.
pub fn of(expr: &Expr) -> Option<Marker<'_>> {
    let Expr::ScalarFunction(call) = expr else {
        return None;
    };
    let mark = match call.func.name() {
        ASOF => Mark::Asof,
        IMPLIED => Mark::Implied {
            strict: call.args.get(1) == Some(&lit(true)),
        },
        VERSION => Mark::Version,
        ARRIVAL => Mark::Arrival,
        _ => return None,
    };
    let argument = match mark {
        Mark::Implied { .. } => call.args.get(2).filter(|given| !is_null(given)),
        Mark::Asof => call.args.get(1).filter(|given| !is_null(given)),
        Mark::Version | Mark::Arrival => call.args.get(1),
    };
    Some(Marker {
        mark,
        condition: call.args.first()?,
        argument,
    })
}

fn is_null(expr: &Expr) -> bool {
    match expr {
        Expr::Literal(value, _) => value.is_null(),
        Expr::Cast(cast) => is_null(&cast.expr),
        _ => false,
    }
}

/// The function called `name`, if it is a marker.
pub fn function(name: &str) -> Option<Arc<ScalarUDF>> {
    static MARKERS: LazyLock<[Arc<ScalarUDF>; 5]> = LazyLock::new(|| {
        [ASOF, IMPLIED, VERSION, ARRIVAL, TIMES]
            .map(|name| Arc::new(ScalarUDF::from(Function::new(name))))
    });
    let found = MARKERS.iter().find(|marker| marker.name() == name);
    found.map(Arc::clone)
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct Function {
    name: &'static str,
    signature: Signature,
}

impl Function {
    fn new(name: &'static str) -> Self {
        let signature = Signature::variadic_any(Volatility::Immutable);
        Self { name, signature }
    }
}

impl ScalarUDFImpl for Function {
    fn name(&self) -> &str {
        self.name
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _types: &[DataType]) -> Result<DataType> {
        Ok(DataType::Boolean)
    }

    fn invoke_with_args(&self, _args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let error = PlanError::unsupported("an ASOF JOIN whose condition names no column");
        Err(error
            .hint("Write ON t.symbol = q.symbol AND t.ts >= q.ts.")
            .into())
    }
}
