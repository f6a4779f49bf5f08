//! The types of a position: which digits its amounts and its average cost have.

use datafusion::arrow::datatypes::{DECIMAL128_MAX_PRECISION, DataType, Field, Fields};
use datafusion::common::Result;

use super::book::{Exact, Method};
use crate::arguments::Call;
use crate::error::FunctionError;

/// The fields of every position; `open_lots` may follow.
pub(crate) const FIELDS: [&str; 5] = ["qty", "avg_cost", "realized_pnl", "fees", "cost_basis"];

/// Where the multiplier stands among the arguments.
pub(super) const MULTIPLIER: usize = 3;

/// Digits after the point that an average cost has at least, and amounts at average cost, as other
/// quotients.
const AVERAGE_DIGITS_MIN: i8 = 16;

/// The types of the fields of a position.
#[derive(Clone, Debug)]
pub(super) struct Shape {
    pub(super) quantity: DataType,
    pub(super) average: DataType,
    pub(super) amount: DataType,
    pub(super) fees: DataType,
    pub(super) has_lots: bool,
    /// Digits of the price.
    pub(super) price_digits: i8,
    /// What a product of quantity, price and multiplier, without its point, is multiplied by to
    /// have the digits of an amount.
    pub(super) unit: Exact,
    /// What amounts are multiplied by: as a float, that is the multiplier; as a decimal without
    /// its point, the price of a trade is, by multiplier and unit.
    pub(super) factor: (f64, Exact),
}

impl Shape {
    /// Returns the types for arguments of these types.
    ///
    /// # Errors
    /// [`FunctionError::Overflow`] if a product has more digits after the point than a decimal.
    pub(super) fn of(call: Call, method: Method, types: &[DataType]) -> Result<Self> {
        let widest = |scale: i8| DataType::Decimal128(DECIMAL128_MAX_PRECISION, scale);
        let fees = match types.get(2) {
            Some(DataType::Decimal128(_, scale)) => widest(*scale),
            Some(_) => DataType::Float64,
            None => types[1].clone(),
        };
        let has_lots = method != Method::Average;
        let (DataType::Decimal128(_, quantity), DataType::Decimal128(_, price)) =
            (&types[0], &types[1])
        else {
            let float = DataType::Float64;
            return Ok(Self {
                quantity: float.clone(),
                average: float.clone(),
                amount: float,
                fees,
                has_lots,
                price_digits: 0,
                unit: Exact(1),
                factor: (1.0, Exact(1)),
            });
        };
        let digits = match types.get(MULTIPLIER) {
            Some(DataType::Decimal128(_, digits)) => *digits,
            _ => 0,
        };
        let scale = quantity.saturating_add(*price).saturating_add(digits);
        let amount = match method {
            Method::Average => scale.max(AVERAGE_DIGITS_MIN),
            Method::Fifo | Method::Lifo => scale,
        };
        let most = DECIMAL128_MAX_PRECISION.cast_signed();
        let power = |digits: i8| {
            let power = 10_i128.checked_pow(u32::try_from(digits).ok()?);
            power.filter(|_| scale <= most).map(Exact)
        };
        let unit = power(amount.saturating_sub(scale));
        let factor = power(amount.saturating_sub(scale).saturating_add(digits));
        let (Some(unit), Some(factor)) = (unit, factor) else {
            return Err(beyond(call, widest(most)).into());
        };
        Ok(Self {
            quantity: widest(*quantity),
            average: widest((*price).max(AVERAGE_DIGITS_MIN)),
            amount: widest(amount),
            fees,
            has_lots,
            price_digits: *price,
            unit,
            factor: (1.0, factor),
        })
    }

    /// Returns the fields of the struct.
    pub(super) fn fields(&self) -> Fields {
        let kinds = [
            &self.quantity,
            &self.average,
            &self.amount,
            &self.fees,
            &self.amount,
        ];
        let fields = FIELDS.iter().zip(kinds);
        let mut fields: Vec<Field> = fields
            .map(|(name, kind)| Field::new(*name, kind.clone(), true))
            .collect();
        if self.has_lots {
            fields.push(Field::new("open_lots", DataType::Int32, true));
        }
        Fields::from(fields)
    }
}

/// The refusal of an amount that does not fit its type.
pub(super) fn beyond(call: Call, data_type: DataType) -> FunctionError {
    let (function, what) = (call.function, "the cost");
    FunctionError::Overflow {
        function,
        what,
        data_type,
    }
}
