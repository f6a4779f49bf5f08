//! `poc(profile)` and `value_area(profile, share)`: what is read from a volume profile.

use std::sync::Arc;

use datafusion::arrow::array::{Array, ArrayRef, AsArray, Float64Array, StructArray};
use datafusion::arrow::buffer::NullBuffer;
use datafusion::arrow::datatypes::{DataType, Field, Fields, Float64Type};
use datafusion::common::{Result, internal_err};
use datafusion::logical_expr::ScalarUDF;

use super::plain::Plain;
use crate::arguments::Call;
use crate::registry::{FunctionDoc, FunctionKind};

/// The share of the volume that a value area holds if none is given.
const SHARE: f64 = 0.7;

/// What a person wants to know about them.
pub(crate) const DOCS: [FunctionDoc; 2] = [
    FunctionDoc {
        name: "poc",
        kind: FunctionKind::Scalar,
        signature: "poc(profile) -> double precision",
        description: "The point of control: the price at which most was traded.",
        formula: "the price of the level with the greatest volume, the lowest of equal ones",
        reference: "Steidlmayer's market profile",
        example: "SELECT symbol, poc(volume_profile(price, size, 0.5)) FROM trades GROUP BY symbol",
    },
    FunctionDoc {
        name: "value_area",
        kind: FunctionKind::Scalar,
        signature: "value_area(profile [, share = 0.7]) -> struct(low, high)",
        description: "The range of prices around the point of control that holds a share of the \
                      volume.",
        formula: "from poc the next level above or below is added, whichever has more volume (the \
                  lower of equal ones), until the sum is at least share of all",
        reference: "Steidlmayer's market profile",
        example: "SELECT symbol, value_area(volume_profile(price, size, 0.5), 0.8) FROM trades \
                  GROUP BY symbol",
    },
];

/// Makes both functions.
pub(crate) fn functions() -> [Arc<ScalarUDF>; 2] {
    let poc = Plain {
        call: POC.call(),
        coerce: |types| POC.coerce(types),
        return_type: |_| Ok(DataType::Float64),
        evaluate: |columns, row_count| POC.read(columns, row_count),
    };
    let area = Plain {
        call: VALUE_AREA.call(),
        coerce: |types| VALUE_AREA.coerce(types),
        return_type: |_| Ok(DataType::Struct(area_fields())),
        evaluate: |columns, row_count| VALUE_AREA.read(columns, row_count),
    };
    [poc.function(), area.function()]
}

/// The function `poc`.
const POC: Reading = Reading { is_area: false };

/// The function `value_area`.
const VALUE_AREA: Reading = Reading { is_area: true };

#[derive(Clone, Copy, Debug)]
struct Reading {
    is_area: bool,
}

impl Reading {
    fn call(&self) -> Call {
        let (function, signature) = if self.is_area {
            ("value_area", "value_area(profile [, share])")
        } else {
            ("poc", "poc(profile)")
        };
        Call {
            function,
            signature,
        }
    }

    fn coerce(&self, types: &[DataType]) -> Result<Vec<DataType>> {
        let call = self.call();
        call.count(types, 1, 1 + usize::from(self.is_area))?;
        let is_profile = match &types[0] {
            DataType::Null => true,
            DataType::List(element) => match element.data_type() {
                DataType::Struct(fields) => {
                    let names = fields.iter().map(|field| field.name().as_str());
                    names.eq(["price", "volume"])
                        && fields
                            .iter()
                            .all(|field| field.data_type() == &DataType::Float64)
                }
                _ => false,
            },
            _ => false,
        };
        if !is_profile {
            return call.wrong_type("profile", "the result of volume_profile", &types[0]);
        }
        let mut coerced = vec![types[0].clone()];
        if let Some(share) = types.get(1) {
            call.number("share", share)?;
            coerced.push(DataType::Float64);
        }
        Ok(coerced)
    }

    fn read(&self, columns: &[ArrayRef], row_count: usize) -> Result<ArrayRef> {
        let [profiles, shares @ ..] = columns else {
            return internal_err!("{} takes a profile", self.call().function);
        };
        let shares = shares.first();
        let areas: Vec<Option<Area>> = (0..row_count)
            .map(|row| {
                let share = match shares {
                    Some(shares) if shares.is_null(row) => return None,
                    Some(shares) => shares.as_primitive::<Float64Type>().value(row),
                    None => SHARE,
                };
                area(profiles, row, share)
            })
            .collect();
        let column = |value: fn(&Area) -> f64| -> ArrayRef {
            let values = areas.iter().map(|area| area.as_ref().map(value));
            Arc::new(values.collect::<Float64Array>())
        };
        if !self.is_area {
            return Ok(column(|area| area.center));
        }
        let nulls = NullBuffer::from_iter(areas.iter().map(Option::is_some));
        let columns = vec![column(|area| area.low), column(|area| area.high)];
        let areas = StructArray::try_new(area_fields(), columns, Some(nulls))?;
        Ok(Arc::new(areas))
    }
}

fn area_fields() -> Fields {
    Fields::from(vec![
        Field::new("low", DataType::Float64, true),
        Field::new("high", DataType::Float64, true),
    ])
}

/// The point of control and the area around it.
struct Area {
    center: f64,
    low: f64,
    high: f64,
}

/// Returns the area of a row; `None` without a profile, for one with a null, NaN or infinite price
/// or volume, and with a share outside [0, 1].
fn area(profiles: &ArrayRef, row: usize, share: f64) -> Option<Area> {
    let profiles = profiles
        .as_list_opt::<i32>()
        .filter(|list| list.is_valid(row))?;
    let levels = profiles.value(row);
    let levels = levels.as_struct();
    let [prices, volumes] = [0, 1].map(|part| levels.column(part).as_primitive::<Float64Type>());
    let is_known = |part: &Float64Array| {
        part.null_count() == 0 && part.values().iter().all(|value| value.is_finite())
    };
    if levels.null_count() > 0 || !is_known(prices) || !is_known(volumes) {
        return None;
    }
    let (prices, volumes) = (prices.values(), volumes.values());
    let mut center = 0;
    for (level, volume) in volumes.iter().enumerate() {
        if *volume > volumes[center] {
            center = level;
        }
    }
    let wanted = share * volumes.iter().sum::<f64>();
    let (mut low, mut high, mut sum) = (center, center, *volumes.get(center)?);
    while sum < wanted && (low > 0 || high + 1 < volumes.len()) {
        let below = low
            .checked_sub(1)
            .map_or(f64::NEG_INFINITY, |level| volumes[level]);
        let above = volumes.get(high + 1).copied().unwrap_or(f64::NEG_INFINITY);
        if above > below {
            (high, sum) = (high + 1, sum + above);
        } else {
            (low, sum) = (low - 1, sum + below);
        }
    }
    (0.0..=1.0).contains(&share).then(|| Area {
        center: prices[center],
        low: prices[low],
        high: prices[high],
    })
}

#[cfg(test)]
mod tests;
