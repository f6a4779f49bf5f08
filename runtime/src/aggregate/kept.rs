//! Aggregates over rows that may be taken back, where the function itself cannot do so: each group
//! keeps its rows, ordered and counted.
//!
//! `min`, `max`, `first_value`, `last_value` and `count(DISTINCT)` are read off the ends or the
//! length of that multiset; every other function is computed anew over the rows of a group when the
//! group is read. Equal rows are kept once with their number, so the state is bounded by the rows
//! that are there.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, Int64Array, ListArray, UInt64Array, new_empty_array, new_null_array,
};
use arrow::buffer::OffsetBuffer;
use arrow::compute::{SortOptions, cast, take};
use arrow::datatypes::{DataType, Field, Schema, UInt64Type};
use arrow::row::{RowConverter, SortField};
use datafusion::common::{Result, ScalarValue, exec_err, internal_err};
use datafusion::physical_expr::aggregate::AggregateFunctionExpr;

use super::choose::{Choice, Make};
use super::{GroupAggregate, Rows};

/// How a group's result is found in its rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Reading {
    /// The argument of the first row.
    First,
    /// The argument of the last row.
    Last,
    /// The number of different rows.
    Count,
    /// The function's accumulator over all rows.
    Accumulate,
}

/// What is kept, in which order, and how it is read.
#[derive(Clone)]
struct Recipe {
    call: Arc<AggregateFunctionExpr>,
    reading: Reading,
    /// Rows whose first argument is null take no part.
    skips_nulls: bool,
    /// Number of argument columns; the columns of ORDER BY come behind them.
    arguments: usize,
    /// Types of the arguments, then of the ORDER BY columns.
    types: Vec<DataType>,
    /// How the rows are ordered: by ORDER BY, then by the arguments.
    fields: Vec<SortField>,
}

/// Chooses for a call whose rows may be taken back.
///
/// # Errors
/// If its columns cannot be kept in order.
pub fn choose(call: &Arc<AggregateFunctionExpr>, schema: &Schema) -> Result<Choice> {
    let mut arguments = call.expressions();
    let count = arguments.len();
    arguments.extend(call.order_bys().iter().map(|order| Arc::clone(&order.expr)));
    let types = arguments.iter().map(|expr| expr.data_type(schema));
    let types: Vec<DataType> = types.collect::<Result<_>>()?;
    let orders = types[count..].iter().zip(call.order_bys());
    let plain = SortOptions::default();
    let fields = orders
        .map(|(of, order)| SortField::new_with_options(of.clone(), order.options))
        .chain(
            types[..count]
                .iter()
                .map(|of| SortField::new_with_options(of.clone(), plain)),
        );
    let fields: Vec<SortField> = fields.collect();
    let (reading, skips_nulls) = match (call.fun().name(), count) {
        ("min", 1) => (Reading::First, true),
        ("max", 1) => (Reading::Last, true),
        ("first_value", 1) => (Reading::First, call.ignore_nulls()),
        ("last_value", 1) => (Reading::Last, call.ignore_nulls()),
        ("count", 1) if call.is_distinct() => (Reading::Count, true),
        _ => (Reading::Accumulate, false),
    };
    let recipe = Recipe {
        call: Arc::clone(call),
        reading,
        skips_nulls,
        arguments: count,
        types,
        fields,
    };
    // Made once here so that what cannot be served is refused now.
    recipe.call.create_accumulator()?;
    Kept::new(recipe.clone())?;
    let make: Make = Box::new(move || Ok(Box::new(Kept::new(recipe.clone())?)));
    Ok(Choice { make, arguments })
}

/// The rows of each group.
struct Kept {
    recipe: Recipe,
    converter: RowConverter,
    groups: Vec<BTreeMap<Box<[u8]>, u64>>,
    bytes: usize,
}

/// Bytes of a row besides its own: pointer, length, number, and its share of tree nodes.
const ROW_BYTES: usize = 40;

impl Kept {
    fn new(recipe: Recipe) -> Result<Self> {
        let converter = RowConverter::new(recipe.fields.clone())?;
        Ok(Self {
            recipe,
            converter,
            groups: Vec::new(),
            bytes: 0,
        })
    }

    /// The columns in the order in which rows are compared.
    fn compared(&self, values: &[ArrayRef]) -> Vec<ArrayRef> {
        let (arguments, order) = values.split_at(self.recipe.arguments);
        order.iter().chain(arguments).map(Arc::clone).collect()
    }

    fn add(&mut self, group: usize, row: &[u8], count: u64) {
        if let Some(known) = self.groups[group].get_mut(row) {
            *known += count;
            return;
        }
        self.bytes += row.len() + ROW_BYTES;
        self.groups[group].insert(row.into(), count);
    }

    fn take_back(&mut self, group: usize, row: &[u8]) -> Result<()> {
        let Some(known) = self.groups[group].get_mut(row) else {
            return exec_err!(
                "a row was taken back from {} that was not there",
                self.recipe.call.name()
            );
        };
        *known -= 1;
        if *known == 0 {
            self.groups[group].remove(row);
            self.bytes = self.bytes.saturating_sub(row.len() + ROW_BYTES);
        }
        Ok(())
    }

    /// The columns of `rows`, arguments first.
    fn columns<'a>(&self, rows: impl Iterator<Item = &'a [u8]>) -> Result<Vec<ArrayRef>> {
        let parser = self.converter.parser();
        let columns = self
            .converter
            .convert_rows(rows.map(|row| parser.parse(row)))?;
        let orders = columns.len() - self.recipe.arguments;
        let (order, arguments) = columns.split_at(orders);
        let found = arguments.iter().chain(order).zip(&self.recipe.types);
        // A dictionary comes back as its values.
        found
            .map(|(column, wanted)| match column.data_type() == wanted {
                true => Ok(Arc::clone(column)),
                false => Ok(cast(column, wanted)?),
            })
            .collect()
    }

    /// The arguments at one end of each group, null for a group without rows.
    fn ends(&self, groups: &[usize]) -> Result<ArrayRef> {
        let end = |group: &usize| match self.recipe.reading {
            Reading::First => self.groups[*group].first_key_value(),
            _ => self.groups[*group].last_key_value(),
        };
        let found: Vec<Option<&[u8]>> = groups
            .iter()
            .map(|group| end(group).map(|(row, _)| row.as_ref()))
            .collect();
        let columns = self.columns(found.iter().flatten().copied())?;
        let mut next = 0_u64;
        let places = found.iter().map(|row| {
            row.map(|_| {
                next += 1;
                next - 1
            })
        });
        let places: UInt64Array = places.collect();
        let Some(values) = columns.first() else {
            return internal_err!("{} has no argument", self.recipe.call.name());
        };
        if values.is_empty() {
            return Ok(new_null_array(values.data_type(), groups.len()));
        }
        Ok(take(values, &places, None)?)
    }

    fn accumulate(&self, group: usize) -> Result<ScalarValue> {
        let mut accumulator = self.recipe.call.create_accumulator()?;
        let rows = &self.groups[group];
        if !rows.is_empty() {
            let columns = self.columns(rows.keys().map(AsRef::as_ref))?;
            let repeats = rows.values().enumerate();
            let repeats = repeats.flat_map(|(row, count)| (0..*count).map(move |_| row as u64));
            let all = rows.values().all(|count| *count == 1);
            let columns = match all {
                true => columns,
                false => {
                    let indices: UInt64Array = repeats.map(Some).collect();
                    let taken = columns.iter().map(|column| take(column, &indices, None));
                    taken.collect::<std::result::Result<_, _>>()?
                }
            };
            accumulator.update_batch(&columns)?;
        }
        accumulator.evaluate()
    }
}

impl GroupAggregate for Kept {
    fn update(&mut self, rows: &Rows<'_>) -> Result<()> {
        self.grow(rows.total)?;
        let encoded = self
            .converter
            .convert_columns(&self.compared(rows.values))?;
        let nulls = match rows.values.first() {
            Some(first) if self.recipe.skips_nulls => first.logical_nulls(),
            _ => None,
        };
        let mut taking_part = Vec::with_capacity(rows.groups.len());
        rows.each_weighted(nulls.as_ref(), |row, group, weight| {
            taking_part.push((row, group, weight))
        });
        for (row, group, weight) in taking_part {
            let row = encoded.row(row);
            if weight > 0 {
                self.add(group, row.data(), 1);
            } else {
                self.take_back(group, row.data())?;
            }
        }
        Ok(())
    }

    fn merge(&mut self, partial: &[ArrayRef], groups: &[usize], total: usize) -> Result<()> {
        self.grow(total)?;
        let Some((counts, columns)) = partial.split_last() else {
            return internal_err!("no partial states");
        };
        let lists = |column: &ArrayRef| match column.as_list_opt::<i32>() {
            Some(list) => Ok(list.clone()),
            None => internal_err!("kept rows have type {}", column.data_type()),
        };
        let columns = columns.iter().map(lists).collect::<Result<Vec<_>>>()?;
        let counts = lists(counts)?;
        for (row, group) in groups.iter().enumerate() {
            let values: Vec<ArrayRef> = columns.iter().map(|column| column.value(row)).collect();
            let counts = counts.value(row);
            let Some(counts) = counts.as_primitive_opt::<UInt64Type>() else {
                return internal_err!("kept rows have numbers of type {}", counts.data_type());
            };
            if counts.is_empty() {
                continue;
            }
            let encoded = self.converter.convert_columns(&self.compared(&values))?;
            for (row, count) in encoded.iter().zip(counts.values()) {
                self.add(*group, row.data(), *count);
            }
        }
        Ok(())
    }

    fn grow(&mut self, total: usize) -> Result<()> {
        if self.groups.len() < total {
            self.groups.resize_with(total, BTreeMap::new);
        }
        Ok(())
    }

    fn read(&mut self, groups: &[usize]) -> Result<ArrayRef> {
        let output = self.recipe.call.field().data_type().clone();
        if groups.is_empty() {
            return Ok(new_empty_array(&output));
        }
        let values: ArrayRef = match self.recipe.reading {
            Reading::First | Reading::Last => self.ends(groups)?,
            Reading::Count => {
                let counts = groups.iter().map(|group| self.groups[*group].len() as i64);
                Arc::new(Int64Array::from_iter_values(counts))
            }
            Reading::Accumulate => {
                let results = groups.iter().map(|group| self.accumulate(*group));
                ScalarValue::iter_to_array(results.collect::<Result<Vec<_>>>()?)?
            }
        };
        match values.data_type() == &output {
            true => Ok(values),
            false => Ok(cast(&values, &output)?),
        }
    }

    fn partial(&mut self) -> Result<Vec<ArrayRef>> {
        let groups: Vec<usize> = (0..self.groups.len()).collect();
        self.partial_of(&groups)
    }

    fn partial_of(&mut self, groups: &[usize]) -> Result<Vec<ArrayRef>> {
        let groups: Vec<_> = groups.iter().map(|group| &self.groups[*group]).collect();
        let rows = groups
            .iter()
            .flat_map(|rows| rows.keys().map(AsRef::as_ref));
        let columns = self.columns(rows)?;
        let counts = groups.iter().flat_map(|rows| rows.values().copied());
        let counts: ArrayRef = Arc::new(UInt64Array::from_iter_values(counts));
        let lists = columns.into_iter().chain([counts]).map(|values| {
            let offsets = OffsetBuffer::from_lengths(groups.iter().map(|rows| rows.len()));
            let field = Arc::new(Field::new_list_field(values.data_type().clone(), true));
            // A saved table has one array a column, so what `columns` made in one go is one list.
            let list: ArrayRef = Arc::new(ListArray::try_new(field, offsets, values, None)?);
            Ok(list)
        });
        lists.collect()
    }

    fn size(&self) -> usize {
        self.bytes + self.groups.capacity() * size_of::<BTreeMap<Box<[u8]>, u64>>()
    }
}
