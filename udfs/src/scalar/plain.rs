//! DataFusion's form of a function of one row that has no table of its own: what it is called with,
//! what it gives, and how.

use std::hash::{Hash, Hasher};
use std::sync::Arc;

use datafusion::arrow::array::ArrayRef;
use datafusion::arrow::datatypes::DataType;
use datafusion::common::Result;
use datafusion::logical_expr::{
    ColumnarValue, Documentation, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature,
};

use super::columnar::columnar;
use crate::arguments::Call;
use crate::registry::{self, FunctionKind};

/// One function.
#[derive(Clone, Copy, Debug)]
pub(super) struct Plain {
    /// Its name and the way it is called.
    pub(super) call: Call,
    /// Returns the types that arguments are coerced to.
    pub(super) coerce: fn(&[DataType]) -> Result<Vec<DataType>>,
    /// Returns the type of the result for coerced arguments.
    pub(super) return_type: fn(&[DataType]) -> Result<DataType>,
    /// Returns the result for columns of arguments, all of so many rows.
    pub(super) evaluate: fn(&[ArrayRef], usize) -> Result<ArrayRef>,
}

impl Plain {
    /// Makes the function.
    pub(super) fn function(self) -> Arc<ScalarUDF> {
        Arc::new(ScalarUDF::new_from_impl(Function {
            plain: self,
            signature: self.call.named(),
        }))
    }
}

#[derive(Debug)]
struct Function {
    plain: Plain,
    signature: Signature,
}

impl PartialEq for Function {
    fn eq(&self, other: &Self) -> bool {
        self.plain.call == other.plain.call
    }
}

impl Eq for Function {}

impl Hash for Function {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.plain.call.hash(state);
    }
}

impl ScalarUDFImpl for Function {
    fn name(&self) -> &str {
        self.plain.call.function
    }

    fn documentation(&self) -> Option<&Documentation> {
        registry::documentation(self.name(), FunctionKind::Scalar)
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, types: &[DataType]) -> Result<Vec<DataType>> {
        // DataFusion turns an error from here into text; `return_type` repeats it with its type.
        Ok((self.plain.coerce)(types).unwrap_or_else(|_| types.to_vec()))
    }

    fn return_type(&self, types: &[DataType]) -> Result<DataType> {
        (self.plain.return_type)(&(self.plain.coerce)(types)?)
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        columnar(&args, self.plain.evaluate)
    }
}
