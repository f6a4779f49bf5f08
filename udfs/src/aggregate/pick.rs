//! `first`, `last`, `arg_min`, `arg_max`: the value of the row whose key is smallest or largest.
//!
//! Rows whose value or key is null, NaN or infinite do not count. Equal keys: `last` takes the
//! row that arrived last, the others the row that arrived first.

mod stored;

use std::sync::Arc;

use datafusion::arrow::array::ArrayRef;
use datafusion::arrow::datatypes::DataType;
use datafusion::common::{Result, internal_err};
use datafusion::physical_plan::PhysicalExpr;

use super::Aggregate;
use crate::arguments::Call;
use crate::fold::{AnyFold, Fold, Rows};
use crate::ordering::{Key, KeyWidth, Keys, key_width};
use stored::{Store, with_store};

/// Which row wins.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Pick {
    /// Smallest time, first arrival.
    First,
    /// Largest time, last arrival.
    Last,
    /// Smallest key, first arrival.
    ArgMin,
    /// Largest key, first arrival.
    ArgMax,
}

impl Pick {
    /// Returns whether a row with key `new`, arriving later, takes the place of one with `old`.
    fn replaces<K: Key>(self, new: K, old: K) -> bool {
        match self {
            Self::First | Self::ArgMin => new < old,
            Self::Last => new >= old,
            Self::ArgMax => new > old,
        }
    }

    fn key_argument(self) -> &'static str {
        match self {
            Self::First | Self::Last => "time",
            Self::ArgMin | Self::ArgMax => "key",
        }
    }
}

impl Aggregate for Pick {
    fn call(&self) -> Call {
        match self {
            Self::First => Call {
                function: "first",
                signature: "first(value, time)",
            },
            Self::Last => Call {
                function: "last",
                signature: "last(value, time)",
            },
            Self::ArgMin => Call {
                function: "arg_min",
                signature: "arg_min(value, key)",
            },
            Self::ArgMax => Call {
                function: "arg_max",
                signature: "arg_max(value, key)",
            },
        }
    }

    fn aliases(&self) -> &'static [&'static str] {
        match self {
            Self::First | Self::Last => &[],
            Self::ArgMin => &["min_by"],
            Self::ArgMax => &["max_by"],
        }
    }

    fn coerce(&self, types: &[DataType]) -> Result<Vec<DataType>> {
        self.call().count(types, 2, 2)?;
        if key_width(&types[1]).is_none() {
            let expected = "a timestamp or a number of at most 38 digits";
            return self
                .call()
                .wrong_type(self.key_argument(), expected, &types[1]);
        }
        Ok(types.to_vec())
    }

    fn return_type(&self, types: &[DataType]) -> Result<DataType> {
        Ok(types[0].clone())
    }

    fn fold(
        &self,
        types: &[DataType],
        _constants: Option<&[Arc<dyn PhysicalExpr>]>,
    ) -> Result<Box<dyn AnyFold>> {
        let [value, key] = types else {
            return internal_err!("{} takes two arguments", self.call().function);
        };
        Ok(match key_width(key) {
            Some(KeyWidth::Wide) => with_store::<i128>(*self, value.clone()),
            _ => with_store::<i64>(*self, value.clone()),
        })
    }
}

/// Picks one row's value per group; `S` says how values are kept.
#[derive(Debug)]
struct PickFold<S> {
    pick: Pick,
    store: S,
}

/// The winner so far: none before the first row that counts.
#[derive(Clone, Copy, Debug, Default)]
struct Picked<K, V> {
    key: Option<K>,
    value: V,
}

impl<S: Store> PickFold<S> {
    /// Lets the rows compete. `column` holds their values.
    fn compete(
        &self,
        states: &mut [Picked<S::Key, S::Value>],
        rows: &Rows<'_>,
        column: &ArrayRef,
        keys: &Keys<S::Key>,
    ) -> Result<()> {
        let values = self.store.open(column)?;
        rows.each(&[0], |row, group| {
            if keys.is_null(row) || !self.store.usable(&values, row) {
                return Ok(());
            }
            let (state, key) = (&mut states[group], keys.values[row]);
            if state.key.is_none_or(|old| self.pick.replaces(key, old)) {
                state.key = Some(key);
                self.store.set(&mut state.value, &values, row)?;
            }
            Ok(())
        })
    }
}

impl<S: Store> Fold for PickFold<S> {
    type State = Picked<S::Key, S::Value>;

    fn state_fields(&self) -> Vec<(&'static str, DataType)> {
        vec![
            ("value", self.store.data_type()),
            ("key", S::Key::STATE_TYPE),
        ]
    }

    fn update(&self, states: &mut [Self::State], rows: &Rows<'_>) -> Result<()> {
        let keys = S::Key::read(&rows.columns[1])?;
        self.compete(states, rows, &rows.columns[0], &keys)
    }

    fn merge(&self, states: &mut [Self::State], rows: &Rows<'_>) -> Result<()> {
        let keys = S::Key::restore(&rows.columns[1]);
        self.compete(states, rows, &rows.columns[0], &keys)
    }

    fn state(&self, states: &[Self::State]) -> Result<Vec<ArrayRef>> {
        let keys = S::Key::write(states.iter().map(|state| state.key));
        Ok(vec![self.evaluate(states)?, keys])
    }

    fn evaluate(&self, states: &[Self::State]) -> Result<ArrayRef> {
        let values = states.iter().map(|state| state.key.map(|_| &state.value));
        self.store.column(values)
    }

    fn heap_bytes(&self, state: &Self::State) -> usize {
        self.store.heap_bytes(&state.value)
    }
}

#[cfg(test)]
mod tests;
