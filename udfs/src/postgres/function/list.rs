//! What ordered-set aggregates are planned as, over the sorted list of their values; bounds of
//! lists.

use std::sync::Arc;

use datafusion::arrow::array::{Array, ArrayRef, AsArray, Float64Array, Int32Array, UInt64Array};
use datafusion::arrow::compute::{partition, take};
use datafusion::arrow::datatypes::{DataType, Float64Type, Int64Type};
use datafusion::common::{Result, internal_err};

use super::{Entry, Types, is_number, rows};
use crate::error::FunctionError;

pub(super) const ALL: [Entry; 5] = [
    Entry {
        name: "list_mode",
        signature: "list_mode(sorted list) -> value",
        description: "The most frequent value of a sorted list, the first of several: what mode() \
                      WITHIN GROUP (ORDER BY x) is planned as, over array_agg.",
        example: "SELECT list_mode(array_agg(price ORDER BY price)) FROM trades",
        parameters: &[],
        types: |types| match types {
            [list] => of_list(list, vec![]),
            _ => None,
        },
        compute: |columns, _| picked(columns, |values, _| mode(values)),
    },
    Entry {
        name: "list_percentile_cont",
        signature: "list_percentile_cont(sorted list, share double precision) -> double precision",
        description: "The value at a share of a sorted list, on a straight line between its \
                      neighbours: what percentile_cont(share) WITHIN GROUP (ORDER BY x) is planned \
                      as.",
        example: "SELECT list_percentile_cont(array_agg(price ORDER BY price), 0.5) FROM trades",
        parameters: &[],
        types: |types| match types {
            [DataType::List(item), share] if is_number(share) && is_number(item.data_type()) => {
                let list = DataType::new_list(DataType::Float64, true);
                Some((vec![list, DataType::Float64], DataType::Float64))
            }
            _ => None,
        },
        compute: |columns, _| interpolated(columns),
    },
    Entry {
        name: "list_percentile_disc",
        signature: "list_percentile_disc(sorted list, share double precision) -> value",
        description: "The first value of a sorted list at or behind a share of it: what \
                      percentile_disc(share) WITHIN GROUP (ORDER BY x) is planned as.",
        example: "SELECT list_percentile_disc(array_agg(price ORDER BY price), 0.5) FROM trades",
        parameters: &[],
        types: |types| match types {
            [list, share] if is_number(share) => of_list(list, vec![DataType::Float64]),
            _ => None,
        },
        compute: |columns, _| picked(columns, |values, row| share(columns, values, row)),
    },
    Entry {
        name: "array_upper",
        signature: "array_upper(list, dimension) -> integer",
        description: "The place of the last element of a list; null of an empty one, and of \
                      another dimension than 1.",
        example: "SELECT array_upper(string_to_array(symbol, '-'), 1) FROM trades",
        parameters: &[],
        types: bound_types,
        compute: |columns, _| bounds(columns, |length| length),
    },
    Entry {
        name: "array_lower",
        signature: "array_lower(list, dimension) -> integer",
        description: "The place of the first element of a list, which is 1; null of an empty one, \
                      and of another dimension than 1.",
        example: "SELECT array_lower(string_to_array(symbol, '-'), 1) FROM trades",
        parameters: &[],
        types: bound_types,
        compute: |columns, _| bounds(columns, |_| 1),
    },
];

fn of_list(list: &DataType, rest: Vec<DataType>) -> Option<Types> {
    let DataType::List(item) = list else {
        return None;
    };
    let mut types = vec![list.clone()];
    types.extend(rest);
    Some((types, item.data_type().clone()))
}

fn bound_types(types: &[DataType]) -> Option<Types> {
    match types {
        [list @ DataType::List(_), dimension]
            if dimension.is_integer() || *dimension == DataType::Null =>
        {
            Some((vec![list.clone(), DataType::Int64], DataType::Int32))
        }
        _ => None,
    }
}

fn bounds(columns: &[ArrayRef], of: fn(i32) -> i32) -> Result<ArrayRef> {
    let lists = columns[0].as_list::<i32>();
    let dimensions = columns[1].as_primitive::<Int64Type>();
    let found = rows(columns, |row| {
        let length = lists.value_length(row);
        let known = dimensions.value(row) == 1 && length > 0;
        Ok(known.then(|| of(length)))
    })?;
    let found: Int32Array = found.into_iter().map(Option::flatten).collect();
    Ok(Arc::new(found))
}

/// The element that `place` finds in the list of each row.
fn picked(
    columns: &[ArrayRef],
    place: impl Fn(&ArrayRef, usize) -> Result<Option<usize>>,
) -> Result<ArrayRef> {
    let DataType::List(_) = columns[0].data_type() else {
        return internal_err!("a list is {}", columns[0].data_type());
    };
    let lists = columns[0].as_list::<i32>();
    let offsets = lists.value_offsets();
    let mut places = Vec::with_capacity(lists.len());
    for (row, start) in offsets.iter().enumerate().take(lists.len()) {
        let found = match lists.is_null(row) || lists.value_length(row) == 0 {
            true => None,
            false => place(&lists.value(row), row)?,
        };
        let start = u64::try_from(*start).unwrap_or(0);
        places.push(found.map(|place| start + place as u64));
    }
    Ok(take(lists.values(), &UInt64Array::from(places), None)?)
}

fn mode(values: &ArrayRef) -> Result<Option<usize>> {
    let runs = partition(&[Arc::clone(values)])?.ranges();
    // The first of the longest runs.
    let longest = runs.into_iter().rev().max_by_key(|run| run.len());
    Ok(longest.map(|run| run.start))
}

/// The share that a row asks for.
fn share_of(columns: &[ArrayRef], row: usize) -> Result<Option<f64>> {
    let shares = columns[1].as_primitive::<Float64Type>();
    if shares.is_null(row) {
        return Ok(None);
    }
    let share = shares.value(row);
    if !(0.0..=1.0).contains(&share) {
        let message = format!("percentile value {share} is not between 0 and 1");
        return Err(FunctionError::value("22003", message).into());
    }
    Ok(Some(share))
}

/// What lies at the share of each row's list.
fn interpolated(columns: &[ArrayRef]) -> Result<ArrayRef> {
    let lists = columns[0].as_list::<i32>();
    let mut found = Vec::with_capacity(lists.len());
    for row in 0..lists.len() {
        let share = share_of(columns, row)?;
        let (Some(share), true) = (share, lists.is_valid(row)) else {
            found.push(None);
            continue;
        };
        let values = lists.value(row);
        let values = values.as_primitive::<Float64Type>().values();
        found.push(values.len().checked_sub(1).map(|last| {
            #[expect(
                clippy::cast_precision_loss,
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                reason = "a place in a list"
            )]
            let (place, first) = (share * last as f64, (share * last as f64).floor() as usize);
            let (low, high) = (values[first], values[(first + 1).min(last)]);
            low + (high - low) * place.fract()
        }));
    }
    Ok(Arc::new(Float64Array::from(found)))
}

fn share(columns: &[ArrayRef], values: &ArrayRef, row: usize) -> Result<Option<usize>> {
    let Some(share) = share_of(columns, row)? else {
        return Ok(None);
    };
    #[expect(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a place in a list"
    )]
    let place = (share * values.len() as f64).ceil() as usize;
    Ok(Some(place.clamp(1, values.len()) - 1))
}
