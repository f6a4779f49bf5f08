//! Literals of `INSERT … VALUES` that would lose something on their way through DataFusion's types,
//! written as what their columns take: exact decimals, and bytes in PostgreSQL's notation.

use arrow::datatypes::{DataType, Schema};
use datafusion::sql::sqlparser::ast::{
    CastKind, DataType as SqlType, ExactNumberInfo, Expr, SetExpr, Statement, UnaryOperator, Value,
};
use rtsap_planner::logical::function_spelling::call;
use rtsap_planner::logical::row_spelling::row;

use crate::error::EngineError;
use crate::query::names::folded;

/// Digits that a double always keeps.
const EXACT_DIGITS: usize = 15;

/// `insert` with its literals as the columns of `schema` need them.
///
/// # Errors
/// `RT0536` for bytes in wrong notation.
pub(crate) fn exact(mut insert: Statement, schema: &Schema) -> Result<Statement, EngineError> {
    let Statement::Insert(statement) = &mut insert else {
        return Ok(insert);
    };
    let named: Vec<&DataType> = match statement.columns.as_slice() {
        [] => schema.fields().iter().map(|f| f.data_type()).collect(),
        columns => {
            let types = columns.iter().map(|column| {
                let name = column.0.last()?.as_ident()?;
                schema
                    .field_with_name(&folded(name))
                    .ok()
                    .map(|f| f.data_type())
            });
            // An unknown column is the planner's to report.
            types.map(|each| each.unwrap_or(&DataType::Null)).collect()
        }
    };
    let Some(source) = &mut statement.source else {
        return Ok(insert);
    };
    let SetExpr::Values(values) = source.body.as_mut() else {
        return Ok(insert);
    };
    for row in &mut values.rows {
        for (literal, data_type) in row.iter_mut().zip(&named) {
            write_exactly(literal, data_type)?;
        }
    }
    Ok(insert)
}

fn write_exactly(literal: &mut Expr, data_type: &DataType) -> Result<(), EngineError> {
    match data_type {
        DataType::Decimal128(precision, scale) | DataType::Decimal256(precision, scale) => {
            if let Some(digits) = long_number(literal) {
                *literal = decimal(digits, *precision, *scale);
            }
        }
        DataType::Binary | DataType::LargeBinary | DataType::BinaryView => {
            let Expr::Value(value) = literal else {
                return Ok(());
            };
            if let Value::SingleQuotedString(text) = &value.value
                && let Some(digits) = text.strip_prefix("\\x")
            {
                value.value = Value::HexStringLiteral(hexadecimal(digits)?);
            }
        }
        DataType::List(item) => {
            if let Expr::Array(array) = literal {
                for element in &mut array.elem {
                    write_exactly(element, item.data_type())?;
                }
            }
        }
        DataType::Struct(fields) => {
            if let Some(mut values) = row(literal).filter(|values| values.len() == fields.len()) {
                let each = values.iter_mut().zip(fields);
                each.into_iter()
                    .try_for_each(|(value, field)| write_exactly(value, field.data_type()))?;
                let names = fields.iter().map(|field| {
                    Expr::Value(Value::SingleQuotedString(field.name().clone()).into())
                });
                let pairs = names.zip(values).flat_map(|(name, value)| [name, value]);
                *literal = call("named_struct", pairs.collect());
            }
        }
        _ => {}
    }
    Ok(())
}

/// The text of a number, signed or not, that a double may not keep.
fn long_number(literal: &Expr) -> Option<String> {
    let (sign, literal) = match literal {
        Expr::UnaryOp {
            op: UnaryOperator::Minus,
            expr,
        } => ("-", expr.as_ref()),
        other => ("", other),
    };
    let Expr::Value(value) = literal else {
        return None;
    };
    let Value::Number(text, _) = &value.value else {
        return None;
    };
    let digits = text.bytes().filter(u8::is_ascii_digit).count();
    let plain = text
        .bytes()
        .all(|byte| byte.is_ascii_digit() || byte == b'.');
    (plain && digits > EXACT_DIGITS).then(|| format!("{sign}{text}"))
}

fn decimal(digits: String, precision: u8, scale: i8) -> Expr {
    let info = ExactNumberInfo::PrecisionAndScale(u64::from(precision), i64::from(scale));
    Expr::Cast {
        kind: CastKind::Cast,
        expr: Box::new(Expr::Value(Value::SingleQuotedString(digits).into())),
        data_type: SqlType::Numeric(info),
        array: false,
        format: None,
    }
}

/// Pairs of digits, with the blanks between pairs that PostgreSQL allows taken out.
fn hexadecimal(text: &str) -> Result<String, EngineError> {
    let digits: String = text.chars().filter(|c| !c.is_ascii_whitespace()).collect();
    let wrong = digits.chars().find(|c| !c.is_ascii_hexdigit());
    let message = match wrong {
        Some(digit) => format!("invalid hexadecimal digit: \"{digit}\""),
        None if digits.len() % 2 == 1 => {
            "invalid hexadecimal data: odd number of digits".to_owned()
        }
        None => return Ok(digits),
    };
    Err(EngineError::invalid("RT0536", message).sqlstate("22023"))
}
