//! `volume_profile(price, size, tick)`: how much was traded at which price.
//!
//! The state of a group is one sum for each price that was traded; it grows with the range of
//! prices, not with the rows. Rows with a null, NaN or infinite argument or a size at or below
//! zero do not count.

use std::collections::BTreeMap;
use std::sync::Arc;

use datafusion::arrow::array::{
    Array, ArrayRef, AsArray, Float64Array, Int64Array, ListArray, StructArray,
};
use datafusion::arrow::buffer::{NullBuffer, OffsetBuffer};
use datafusion::arrow::datatypes::{DataType, Field, Fields, Float64Type, Int64Type};
use datafusion::common::Result;
use datafusion::physical_plan::PhysicalExpr;

use super::Aggregate;
use crate::argument::{self, Argument, factor, number};
use crate::arguments::Call;
use crate::fold::{AnyFold, Fold, Rows};
use crate::registry::{FunctionDoc, FunctionKind};
use crate::weighting::Compensated;

/// What a person wants to know about it.
pub(crate) const DOC: FunctionDoc = FunctionDoc {
    name: "volume_profile",
    kind: FunctionKind::Aggregate,
    signature: "volume_profile(price, size, tick) -> struct(price, volume)[]",
    description: "How much was traded at which price, lowest price first.",
    formula: "sum(size) by the multiple of tick that is nearest to the price (half away from \
              zero), over rows with size > 0",
    reference: "standard",
    example: "SELECT symbol, volume_profile(price, size, 0.5) FROM trades GROUP BY symbol",
};

const CALL: Call = Call {
    function: "volume_profile",
    signature: "volume_profile(price, size, tick)",
};

const ARGUMENTS: &[Argument] = &[number("price"), number("size")];

const TICK: &[Argument] = &[Argument {
    default: None,
    ..factor("tick", 0.0)
}];

/// The aggregate function.
#[derive(Debug, PartialEq, Eq, Hash)]
pub(crate) struct VolumeProfile;

impl Aggregate for VolumeProfile {
    fn call(&self) -> Call {
        CALL
    }

    fn coerce(&self, types: &[DataType]) -> Result<Vec<DataType>> {
        argument::coerce(CALL, &[ARGUMENTS, TICK].concat(), types)
    }

    fn return_type(&self, _types: &[DataType]) -> Result<DataType> {
        Ok(DataType::List(element()))
    }

    fn fold(
        &self,
        _types: &[DataType],
        exprs: Option<&[Arc<dyn PhysicalExpr>]>,
    ) -> Result<Box<dyn AnyFold>> {
        let exprs = exprs.map(|exprs| exprs.get(ARGUMENTS.len()..).unwrap_or_default());
        let constants = argument::constants(CALL, TICK, exprs)?;
        Ok(Box::new(ProfileFold {
            tick: constants.first().copied().unwrap_or(1.0),
        }))
    }
}

fn fields() -> Fields {
    Fields::from(vec![
        Field::new("price", DataType::Float64, true),
        Field::new("volume", DataType::Float64, true),
    ])
}

fn element() -> Arc<Field> {
    Arc::new(Field::new_list_field(DataType::Struct(fields()), true))
}

/// The element of a list in a partial state.
fn list_field(data_type: DataType) -> Arc<Field> {
    Arc::new(Field::new_list_field(data_type, false))
}

/// Sums sizes by price.
#[derive(Debug)]
struct ProfileFold {
    tick: f64,
}

impl ProfileFold {
    /// Returns the price of a level, as the double nearest to it in decimals.
    fn price(&self, level: i64) -> f64 {
        let per_unit = (1.0 / self.tick).round();
        if per_unit >= 1.0 && (per_unit * self.tick - 1.0).abs() < 1e-12 {
            level as f64 / per_unit
        } else {
            level as f64 * self.tick
        }
    }
}

impl Fold for ProfileFold {
    type State = BTreeMap<i64, Compensated>;

    fn state_fields(&self) -> Vec<(&'static str, DataType)> {
        vec![
            ("levels", DataType::List(list_field(DataType::Int64))),
            ("volumes", DataType::List(list_field(DataType::Float64))),
        ]
    }

    fn update(&self, states: &mut [Self::State], rows: &Rows<'_>) -> Result<()> {
        let prices = rows.columns[0].as_primitive::<Float64Type>().values();
        let sizes = rows.columns[1].as_primitive::<Float64Type>().values();
        rows.each(&[0, 1], |row, group| {
            let (level, size) = ((prices[row] / self.tick).round(), sizes[row]);
            // Beyond 2^53 a level is no longer one price.
            if level.abs() < 9e15 && size > 0.0 && size.is_finite() {
                states[group].entry(level as i64).or_default().add(size);
            }
            Ok(())
        })
    }

    fn merge(&self, states: &mut [Self::State], rows: &Rows<'_>) -> Result<()> {
        let levels = rows.columns[0].as_list::<i32>();
        let volumes = rows.columns[1].as_list::<i32>();
        rows.each(&[0, 1], |row, group| {
            let (levels, volumes) = (levels.value(row), volumes.value(row));
            let volumes = volumes.as_primitive::<Float64Type>().values();
            let parts = volumes.as_chunks::<2>().0;
            let levels = levels.as_primitive::<Int64Type>().values();
            for (level, &[sum, error]) in levels.iter().zip(parts) {
                let volume = states[group].entry(*level).or_default();
                volume.merge(Compensated::from_parts(sum, error));
            }
            Ok(())
        })
    }

    fn state(&self, states: &[Self::State]) -> Result<Vec<ArrayRef>> {
        let levels = states.iter().flat_map(|state| state.keys().copied());
        let levels: ArrayRef = Arc::new(Int64Array::from_iter_values(levels));
        let volumes = states.iter().flat_map(|state| state.values());
        let volumes = volumes.flat_map(|volume| volume.parts());
        let volumes: ArrayRef = Arc::new(Float64Array::from_iter_values(volumes));
        let list = |column: ArrayRef, width: usize| {
            let counts = states.iter().map(|state| state.len() * width);
            let counts = OffsetBuffer::from_lengths(counts);
            ListArray::try_new(list_field(column.data_type().clone()), counts, column, None)
        };
        Ok(vec![
            Arc::new(list(levels, 1)?),
            Arc::new(list(volumes, 2)?),
        ])
    }

    fn evaluate(&self, states: &[Self::State]) -> Result<ArrayRef> {
        let levels = states.iter().flat_map(|state| state.keys());
        let prices = Float64Array::from_iter_values(levels.map(|level| self.price(*level)));
        let volumes = states.iter().flat_map(|state| state.values());
        let volumes = volumes
            .map(|volume| volume.value())
            .collect::<Float64Array>();
        let columns: Vec<ArrayRef> = vec![Arc::new(prices), Arc::new(volumes)];
        let elements = StructArray::try_new(fields(), columns, None)?;
        let counts = OffsetBuffer::from_lengths(states.iter().map(BTreeMap::len));
        let nulls = NullBuffer::from_iter(states.iter().map(|state| !state.is_empty()));
        let nulls = Some(nulls).filter(|nulls| nulls.null_count() > 0);
        let lists = ListArray::try_new(element(), counts, Arc::new(elements), nulls)?;
        Ok(Arc::new(lists))
    }

    fn heap_bytes(&self, state: &Self::State) -> usize {
        // Nodes of a B-tree are at least half full.
        state.len() * 2 * (size_of::<i64>() + size_of::<Compensated>())
    }
}

#[cfg(test)]
mod tests;
