//! The keys and calls of one aggregation, compiled: every distinct expression is computed once a
//! batch.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, Int8Array, UInt32Array, UInt64Array, new_null_array};
use arrow::compute::{cast, take_arrays};
use arrow::datatypes::{DataType, Schema};
use arrow::record_batch::RecordBatch;
use datafusion::common::cast::as_boolean_array;
use datafusion::common::{Result, internal_err};
use datafusion::physical_expr::PhysicalExpr;
use rtsap_plan::grouping::GroupingSet;
use rtsap_plan::operator::AggregateSpec;

use super::choose::{Choice, Make, Reading, choose};
use super::keys::{GroupKeys, group_keys};
use super::{GroupAggregate, Rows};

/// The keys and calls of one aggregation.
pub struct Calls {
    /// Distinct expressions; the keys come first.
    exprs: Vec<Arc<dyn PhysicalExpr>>,
    key_types: Vec<DataType>,
    calls: Vec<Call>,
}

struct Call {
    /// Which expressions it is fed.
    arguments: Vec<usize>,
    filter: Option<usize>,
    make: Make,
}

/// The computed expressions of *n* rows.
pub struct Inputs {
    columns: Vec<ArrayRef>,
    /// The keys of a grouping set; else they are the first columns.
    keys: Option<Vec<ArrayRef>>,
    ops: Option<Int8Array>,
    row_count: usize,
}

impl Inputs {
    /// Number of rows.
    pub const fn row_count(&self) -> usize {
        self.row_count
    }

    /// The weight of each row; absent when all are +1.
    pub const fn ops(&self) -> Option<&Int8Array> {
        self.ops.as_ref()
    }

    /// The key columns, of which there are `count`.
    pub fn keys(&self, count: usize) -> &[ArrayRef] {
        match &self.keys {
            Some(keys) => keys,
            None => &self.columns[..count.min(self.columns.len())],
        }
    }

    /// Returns the same rows with their `count` keys as `set` groups them.
    ///
    /// # Errors
    /// If the id does not fit its type.
    pub fn grouped(&self, count: usize, set: &GroupingSet) -> Result<Self> {
        let mut keys = self.columns[..count.min(self.columns.len())].to_vec();
        for (key, present) in keys.iter_mut().zip(&set.present) {
            if !present {
                *key = new_null_array(key.data_type(), self.row_count);
            }
        }
        if let Some(id) = keys.last_mut() {
            let ids = UInt64Array::from_value(set.id, self.row_count);
            *id = cast(&ids, id.data_type())?;
        }
        Ok(Self {
            columns: self.columns.clone(),
            keys: Some(keys),
            ops: self.ops.clone(),
            row_count: self.row_count,
        })
    }

    /// Returns the rows at `indices`, which grow; a range of neighbours is not copied.
    ///
    /// # Errors
    /// If a column cannot be gathered.
    pub fn select(&self, indices: &[u32]) -> Result<Self> {
        let (Some(first), Some(last)) = (indices.first(), indices.last()) else {
            return internal_err!("no rows were selected");
        };
        let (start, row_count) = (*first as usize, indices.len());
        let columns = if (last - first) as usize + 1 == row_count {
            self.columns
                .iter()
                .map(|column| column.slice(start, row_count))
                .collect()
        } else {
            let indices = UInt32Array::from_iter_values(indices.iter().copied());
            take_arrays(&self.columns, &indices, None)?
        };
        // Window inputs carry no ops; group aggregation takes whole batches.
        Ok(Self {
            columns,
            keys: None,
            ops: None,
            row_count,
        })
    }
}

impl Calls {
    /// Compiles for input rows of `schema`.
    ///
    /// # Errors
    /// If a key or a call cannot be served; the words say why.
    pub fn compile(
        keys: &[Arc<dyn PhysicalExpr>],
        aggregates: &[AggregateSpec],
        schema: &Schema,
        reading: Reading,
    ) -> Result<Self> {
        let key_types = keys
            .iter()
            .map(|key| key.data_type(schema))
            .collect::<Result<Vec<_>>>()?;
        group_keys(&key_types)?;
        let mut exprs = keys.to_vec();
        let mut calls = Vec::with_capacity(aggregates.len());
        for aggregate in aggregates {
            let Choice { make, arguments } = choose(aggregate, schema, reading)?;
            let arguments = arguments
                .iter()
                .map(|expr| place(&mut exprs, expr))
                .collect();
            let filter = aggregate
                .filter
                .as_ref()
                .map(|expr| place(&mut exprs, expr));
            calls.push(Call {
                arguments,
                filter,
                make,
            });
        }
        Ok(Self {
            exprs,
            key_types,
            calls,
        })
    }

    /// Number of key columns.
    pub fn key_count(&self) -> usize {
        self.key_types.len()
    }

    /// Number of aggregates.
    pub fn call_count(&self) -> usize {
        self.calls.len()
    }

    /// Computes the expressions over `batch`.
    ///
    /// # Errors
    /// If one cannot be computed for a row.
    pub fn evaluate(&self, batch: &RecordBatch, ops: Option<&Int8Array>) -> Result<Inputs> {
        let row_count = batch.num_rows();
        let columns = self
            .exprs
            .iter()
            .map(|expr| expr.evaluate(batch)?.into_array(row_count));
        Ok(Inputs {
            columns: columns.collect::<Result<_>>()?,
            keys: None,
            ops: ops.cloned(),
            row_count,
        })
    }

    /// Returns an empty set of keys.
    ///
    /// # Errors
    /// If keys of these types cannot be told apart.
    pub fn new_keys(&self) -> Result<Box<dyn GroupKeys>> {
        group_keys(&self.key_types)
    }

    /// Returns the aggregates over no rows.
    ///
    /// # Errors
    /// If an accumulator cannot be made.
    pub fn new_aggregates(&self) -> Result<Vec<Box<dyn GroupAggregate>>> {
        self.calls.iter().map(|call| (call.make)()).collect()
    }

    /// Updates `aggregates` with rows whose groups are known.
    ///
    /// # Errors
    /// As [`GroupAggregate::update`].
    pub fn update(
        &self,
        aggregates: &mut [Box<dyn GroupAggregate>],
        inputs: &Inputs,
        groups: &[usize],
        total: usize,
    ) -> Result<()> {
        let mut values = Vec::new();
        for (call, aggregate) in self.calls.iter().zip(aggregates) {
            values.clear();
            values.extend(
                call.arguments
                    .iter()
                    .map(|index| Arc::clone(&inputs.columns[*index])),
            );
            let filter = match call.filter {
                Some(index) => Some(as_boolean_array(&inputs.columns[index])?),
                None => None,
            };
            let ops = inputs.ops.as_ref();
            aggregate.update(&Rows {
                values: &values,
                groups,
                filter,
                ops,
                total,
            })?;
        }
        Ok(())
    }
}

/// Returns where `expr` stands in `exprs`, adding it if it does not.
fn place(exprs: &mut Vec<Arc<dyn PhysicalExpr>>, expr: &Arc<dyn PhysicalExpr>) -> usize {
    if let Some(index) = exprs.iter().position(|known| known == expr) {
        return index;
    }
    exprs.push(Arc::clone(expr));
    exprs.len() - 1
}
