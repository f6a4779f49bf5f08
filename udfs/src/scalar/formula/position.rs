//! `unrealized_pnl(position, mark)` and `total_pnl(position, mark)`: profit of what `position_avg`,
//! `position_fifo` and `position_lifo` give, read from its cost basis, so that nothing is rounded.

use datafusion::arrow::array::{Array, ArrayRef, AsArray, BooleanArray};
use datafusion::arrow::compute::{cast, nullif};
use datafusion::arrow::datatypes::DataType;
use datafusion::common::{Result, internal_err};

use super::{Formula, doc, money, one};
use crate::argument::{Argument, number as argument, optional};
use crate::registry::FunctionDoc;
use crate::window::position::shape::FIELDS;

/// The fields that are read of a position, in the order of the arguments that they become.
pub(super) const READ: [&str; 3] = ["qty", "cost_basis", "realized_pnl"];

/// How many arguments a call with a position has at least and at most.
const COUNT: (usize, usize) = (2, 3);

/// What a person wants to know about `unrealized_pnl`.
pub(super) const UNREALIZED_DOC: FunctionDoc = doc(
    "unrealized_pnl",
    "unrealized_pnl(quantity, average_price, mark [, multiplier = 1]) | unrealized_pnl(position, \
     mark [, multiplier = 1]) -> amount",
    "What closing a position at a mark would earn.",
    "quantity * (mark - average_price) * multiplier; of what position_avg, position_fifo or \
     position_lifo gives: qty * mark * multiplier - cost_basis, multiplier that of the position, \
     which is the profit to the last digit, while avg_cost is rounded; exact if all are decimals \
     or integers and one is a decimal, else double precision",
    "standard",
    "SELECT ts, unrealized_pnl(100, 9.5, price), unrealized_pnl(position_avg(size, price) OVER \
     (ORDER BY ts), price) FROM trades",
);

/// What a person wants to know about `total_pnl`.
pub(super) const TOTAL_DOC: FunctionDoc = doc(
    "total_pnl",
    "total_pnl(realized, quantity, average_price, mark [, multiplier = 1]) | total_pnl(position, \
     mark [, multiplier = 1]) -> amount",
    "Realized and unrealized profit together.",
    "realized + unrealized_pnl(quantity, average_price, mark, multiplier); of a position: \
     realized_pnl + unrealized_pnl(position, mark, multiplier), which is the cash that flowed and \
     the value of what is held; exact as that is",
    "standard",
    "SELECT ts, total_pnl(12.5, 100, 9.5, price), total_pnl(position_fifo(size, price) OVER \
     (ORDER BY ts), price) FROM trades",
);

/// What a position and the other arguments become.
const ARGUMENTS: &[Argument] = &[
    argument("quantity"),
    argument("cost_basis"),
    argument("realized"),
    argument("mark"),
    optional("multiplier", 1.0),
];

/// `unrealized_pnl` of a position.
pub(super) const UNREALIZED: Formula = money(
    UNREALIZED_DOC,
    ARGUMENTS,
    |&[quantity, basis, _, mark, multiplier, ..]| one(quantity * mark * multiplier - basis),
    |given| match *given {
        [quantity, basis, _, mark, multiplier] => {
            quantity.times(mark)?.times(multiplier)?.minus(basis)
        }
        _ => None,
    },
);

/// `total_pnl` of a position.
pub(super) const TOTAL: Formula = money(
    TOTAL_DOC,
    ARGUMENTS,
    |&[quantity, basis, realized, mark, multiplier, ..]| {
        one(realized + (quantity * mark * multiplier - basis))
    },
    |given| match *given {
        [quantity, basis, realized, mark, multiplier] => {
            let open = quantity.times(mark)?.times(multiplier)?.minus(basis)?;
            realized.plus(open)
        }
        _ => None,
    },
);

/// Returns the formula of a call whose first argument is a position, and the types of its
/// arguments with the position's parts in its place; `None` for any other call.
///
/// # Errors
/// [`FunctionError::ArgumentCount`](crate::error::FunctionError::ArgumentCount).
pub(super) fn form(
    formula: &Formula,
    types: &[DataType],
) -> Result<Option<(&'static Formula, Vec<DataType>)>> {
    let (Some(inner), Some(DataType::Struct(fields))) = (formula.of_position, types.first()) else {
        return Ok(None);
    };
    let names = fields.iter().map(|field| field.name().as_str());
    if !names.take(FIELDS.len()).eq(FIELDS) {
        return Ok(None);
    }
    formula.call().count(types, COUNT.0, COUNT.1)?;
    let parts = READ.iter().filter_map(|name| fields.find(name));
    let parts = parts.map(|(_, field)| field.data_type().clone());
    let opened = parts.chain(types[1..].iter().cloned()).collect();
    Ok(Some((inner, opened)))
}

/// Returns the formula of a call whose first column is a position, and its columns; `None` for any
/// other call.
///
/// # Errors
/// [`FunctionError`](crate::error::FunctionError) as of the call's types.
pub(super) fn opened(
    formula: &Formula,
    columns: &[ArrayRef],
) -> Result<Option<(&'static Formula, Vec<ArrayRef>)>> {
    let types: Vec<DataType> = columns.iter().map(|c| c.data_type().clone()).collect();
    let Some((inner, opened)) = form(formula, &types)? else {
        return Ok(None);
    };
    let positions = columns[0].as_struct();
    let mut parts = Vec::with_capacity(opened.len());
    for name in READ {
        let Some(part) = positions.column_by_name(name) else {
            return internal_err!("a position has no field {name}");
        };
        parts.push(match positions.nulls() {
            None => ArrayRef::clone(part),
            Some(nulls) => nullif(part, &BooleanArray::new(!nulls.inner(), None))?,
        });
    }
    parts.extend_from_slice(&columns[1..]);
    let coerced = inner.coerce(&opened)?;
    let cast = parts
        .iter()
        .zip(&coerced)
        .map(|(part, kind)| cast(part, kind));
    let parts = cast.collect::<std::result::Result<_, _>>()?;
    Ok(Some((inner, parts)))
}

#[cfg(test)]
mod tests;
