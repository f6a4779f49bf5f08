//! Integer arithmetic that does not wrap, and quotients of decimals with PostgreSQL's digits.

use std::fmt;
use std::sync::Arc;

use datafusion::arrow::array::{Array, ArrayRef, AsArray, Datum, Decimal128Array};
use datafusion::arrow::compute::kernels::arity::try_binary;
use datafusion::arrow::compute::kernels::numeric::{add, mul, sub};
use datafusion::arrow::datatypes::{DataType, Decimal128Type, i256};
use datafusion::arrow::error::ArrowError;
use datafusion::common::{Result, ScalarValue};
use datafusion::logical_expr::{
    ColumnarValue, Expr, Operator, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature,
    Volatility,
};

use crate::error::FunctionError;
use crate::postgres::cast::power;
use crate::postgres::out_of_range;

/// Digits after the point that a quotient of numerics has at least: PostgreSQL's for quotients of
/// one digit before the point and more.
pub(crate) const QUOTIENT_SCALE_MIN: i8 = 16;

/// Digits of the largest decimal.
const DIGITS_MAX: u8 = 38;

/// `left op right` over integers of one type, with an error where the result does not fit; `None`
/// for other operators.
pub(crate) fn checked(left: Expr, op: Operator, right: Expr) -> Option<Expr> {
    let name = match op {
        Operator::Plus => "int_plus",
        Operator::Minus => "int_minus",
        Operator::Multiply => "int_times",
        _ => return None,
    };
    let signature = Signature::any(2, Volatility::Immutable);
    let function = Checked {
        op,
        name,
        signature,
    };
    Some(ScalarUDF::new_from_impl(function).call(vec![left, right]))
}

#[derive(PartialEq, Eq, Hash)]
struct Checked {
    op: Operator,
    name: &'static str,
    signature: Signature,
}

impl fmt::Debug for Checked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)
    }
}

impl ScalarUDFImpl for Checked {
    fn name(&self) -> &str {
        self.name
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, types: &[DataType]) -> Result<DataType> {
        Ok(types[0].clone())
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let kernel = match self.op {
            Operator::Plus => add,
            Operator::Minus => sub,
            _ => mul,
        };
        let data_type = args.args[0].data_type();
        let scalar = |value: &ScalarValue| value.to_scalar();
        let apply = |left: &dyn Datum, right: &dyn Datum| {
            kernel(left, right).map_err(|error| match error {
                ArrowError::ArithmeticOverflow(_) => out_of_range(&data_type).into(),
                other => datafusion::error::DataFusionError::from(other),
            })
        };
        use ColumnarValue::{Array as A, Scalar as S};
        Ok(match (&args.args[0], &args.args[1]) {
            (A(left), A(right)) => A(apply(left, right)?),
            (A(left), S(right)) => A(apply(left, &scalar(right)?)?),
            (S(left), A(right)) => A(apply(&scalar(left)?, right)?),
            (S(left), S(right)) => {
                let result = apply(&scalar(left)?, &scalar(right)?)?;
                S(ScalarValue::try_from_array(&result, 0)?)
            }
        })
    }
}

/// The quotient of two numbers of which at least one is a decimal and none is a double; `None` for
/// other types.
pub(crate) fn quotient(left: Expr, right: Expr, types: [&DataType; 2]) -> Option<Expr> {
    let is_decimal = |t: &DataType| matches!(t, DataType::Decimal128(..));
    let exact = |t: &DataType| is_decimal(t) || (t.is_integer() && *t != DataType::UInt64);
    if !types.iter().all(|t| exact(t)) || !types.iter().any(|t| is_decimal(t)) {
        return None;
    }
    let function = ScalarUDF::new_from_impl(Quotient {
        signature: Signature::user_defined(Volatility::Immutable),
    });
    Some(function.call(vec![left, right]))
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct Quotient {
    signature: Signature,
}

/// Precision and scale of an operand.
fn decimal(data_type: &DataType) -> Option<(u8, i8)> {
    Some(match data_type {
        DataType::Decimal128(precision, scale) => (*precision, *scale),
        DataType::Int8 | DataType::UInt8 => (3, 0),
        DataType::Int16 | DataType::UInt16 => (5, 0),
        DataType::Int32 | DataType::UInt32 => (10, 0),
        DataType::Int64 | DataType::Null => (19, 0),
        _ => return None,
    })
}

fn scale_of(left: i8, right: i8) -> i8 {
    left.max(right).max(QUOTIENT_SCALE_MIN)
}

impl ScalarUDFImpl for Quotient {
    fn name(&self) -> &str {
        "numeric_div"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, types: &[DataType]) -> Result<Vec<DataType>> {
        let operand = |t: &DataType| {
            let (precision, scale) = decimal(t).unwrap_or((DIGITS_MAX, 0));
            DataType::Decimal128(precision, scale)
        };
        Ok(types.iter().map(operand).collect())
    }

    fn return_type(&self, types: &[DataType]) -> Result<DataType> {
        let scale = |t: Option<&DataType>| t.and_then(decimal).map_or(0, |(_, scale)| scale);
        let scale = scale_of(scale(types.first()), scale(types.get(1)));
        Ok(DataType::Decimal128(DIGITS_MAX, scale))
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let is_scalar = args
            .args
            .iter()
            .all(|arg| matches!(arg, ColumnarValue::Scalar(_)));
        let rows = if is_scalar { 1 } else { args.number_rows };
        let left = args.args[0].to_array(rows)?;
        let right = args.args[1].to_array(rows)?;
        let result: ArrayRef = Arc::new(divide(&left, &right)?);
        if is_scalar {
            let value = ScalarValue::try_from_array(&result, 0)?;
            return Ok(ColumnarValue::Scalar(value));
        }
        Ok(ColumnarValue::Array(result))
    }
}

fn divide(left: &ArrayRef, right: &ArrayRef) -> Result<Decimal128Array> {
    let scale = |array: &ArrayRef| decimal(array.data_type()).map_or(0, |(_, scale)| scale);
    let (left_scale, right_scale) = (scale(left), scale(right));
    let result_scale = scale_of(left_scale, right_scale);
    // left / 10^l over right / 10^r in units of 10^-s: left · 10^(s + r − l) / right.
    let factor = power(result_scale + right_scale - left_scale)?;
    let quotients: Decimal128Array = try_binary(
        left.as_primitive::<Decimal128Type>(),
        right.as_primitive::<Decimal128Type>(),
        |left, right| quotient_of(left, factor, right).map_err(external),
    )?;
    Ok(quotients.with_precision_and_scale(DIGITS_MAX, result_scale)?)
}

fn external(error: FunctionError) -> ArrowError {
    ArrowError::ExternalError(Box::new(error))
}

/// `left · factor / right`, halves away from zero.
pub(super) fn quotient_of(left: i128, factor: i128, right: i128) -> Result<i128, FunctionError> {
    /// The largest decimal and one.
    const LIMIT: i128 = 10_i128.pow(38);
    if right == 0 {
        return Err(FunctionError::value("22012", "division by zero".to_owned()));
    }
    let overflow = || out_of_range(&DataType::Decimal128(DIGITS_MAX, 0));
    let quotient = match left.checked_mul(factor) {
        Some(product) => super::cast::divide(product, right),
        None => {
            let product = i256::from_i128(left).checked_mul(i256::from_i128(factor));
            let product = product.ok_or_else(overflow)?;
            let divisor = i256::from_i128(right);
            let quotient = product.checked_div(divisor).and_then(i256::to_i128);
            let rest = product.checked_rem(divisor).and_then(i256::to_i128);
            let (quotient, rest) = quotient.zip(rest).ok_or_else(overflow)?;
            let half = rest.unsigned_abs() >= right.unsigned_abs() - rest.unsigned_abs();
            let sign = left.signum() * right.signum();
            quotient + if half && rest != 0 { sign } else { 0 }
        }
    };
    match quotient.unsigned_abs() < LIMIT.unsigned_abs() {
        true => Ok(quotient),
        false => Err(overflow()),
    }
}
