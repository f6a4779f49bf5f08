//! How joins that DataFusion's grammar lacks go through its planner: as a function in their
//! condition, which nothing but a join of a streaming view understands.
//!
//! `parse::join` writes them; `streaming::join` reads them.

use std::sync::{Arc, LazyLock};

use datafusion::arrow::datatypes::DataType;
use datafusion::error::Result;
use datafusion::logical_expr::{
    ColumnarValue, Expr, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};

use crate::error::PlanError;

/// `asof(condition [, tolerance])`.
pub const ASOF: &str = "__asof_join";
/// `version(condition, time)`.
pub const VERSION: &str = "__version_join";

/// `times(left, right)`: a condition that always holds and keeps the event times of a join's sides
/// from being pruned.
pub const TIMES: &str = "__join_times";

/// Whether `expr` only keeps event times.
pub fn keeps_times(expr: &Expr) -> bool {
    matches!(expr, Expr::ScalarFunction(call) if call.func.name() == TIMES)
}

/// A join's condition that is one of ours.
#[derive(Clone, Copy, Debug)]
pub struct Marker<'a> {
    /// Whether it asks for a version of a table.
    pub version: bool,
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
    let version = match call.func.name() {
        ASOF => false,
        VERSION => true,
        _ => return None,
    };
    Some(Marker {
        version,
        condition: call.args.first()?,
        argument: call.args.get(1),
    })
}

/// The function called `name`, if it is a marker.
pub fn function(name: &str) -> Option<Arc<ScalarUDF>> {
    static MARKERS: LazyLock<[Arc<ScalarUDF>; 3]> = LazyLock::new(|| {
        [ASOF, VERSION, TIMES].map(|name| Arc::new(ScalarUDF::from(Mark::new(name))))
    });
    let found = MARKERS.iter().find(|marker| marker.name() == name);
    found.map(Arc::clone)
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct Mark {
    name: &'static str,
    signature: Signature,
}

impl Mark {
    fn new(name: &'static str) -> Self {
        let signature = Signature::variadic_any(Volatility::Immutable);
        Self { name, signature }
    }
}

impl ScalarUDFImpl for Mark {
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
