//! Tests of positions: by hand, against a brute-force account of unit trades, and the identity of
//! profit and cash to the last digit.

use std::sync::Arc;

use datafusion::arrow::array::{Array, ArrayRef, AsArray, Decimal128Array, Float64Array};
use datafusion::arrow::compute::concat;
use datafusion::arrow::datatypes::{DataType, Decimal128Type, i256};
use datafusion::common::ScalarValue;
use datafusion::logical_expr::{PartitionEvaluator as _, Signature, Volatility};
use datafusion::physical_expr::expressions::Literal;
use datafusion::physical_plan::PhysicalExpr;
use proptest::prelude::*;

use super::book::{Book, Exact, Method};
use super::{METHODS, Position, Trades};
use crate::running::Running as _;
use crate::trial::{refusal_text, rows};

fn positions(function: &str, trades: &str) -> Vec<String> {
    let sql = format!(
        "SELECT p['qty'], coalesce(CAST(p['avg_cost'] AS VARCHAR), '-'), p['realized_pnl'], \
         p['cost_basis'] FROM (SELECT t, {function} OVER (ORDER BY t) AS p FROM (SELECT t, \
         CAST(q AS DECIMAL(9,0)) AS q, CAST(x AS DECIMAL(9,2)) AS x FROM (VALUES {trades}) \
         AS v(t, q, x))) ORDER BY t"
    );
    rows(&sql)
}

#[test]
fn by_hand() {
    let trades = "(1, 10, 10.00), (2, 10, 20.00), (3, -5, 30.00), (4, -20, 25.00), (5, 5, 20.00)";
    assert_eq!(
        positions("position_avg(q, x)", trades),
        [
            "10 10.0000000000000000 0.0000000000000000 100.0000000000000000",
            "20 15.0000000000000000 0.0000000000000000 300.0000000000000000",
            "15 15.0000000000000000 75.0000000000000000 225.0000000000000000",
            "-5 25.0000000000000000 225.0000000000000000 -125.0000000000000000",
            "0 - 250.0000000000000000 0.0000000000000000"
        ]
    );
    assert_eq!(
        positions("position_fifo(q, x)", trades)[2..4],
        [
            "15 16.6666666666666667 100.00 250.00",
            "-5 25.0000000000000000 225.00 -125.00"
        ]
    );
    assert_eq!(
        positions("position_lifo(q, x)", trades)[2..4],
        [
            "15 13.3333333333333333 50.00 200.00",
            "-5 25.0000000000000000 225.00 -125.00"
        ]
    );
}

#[test]
fn a_sale_leaves_the_average_cost_as_it_is() {
    let trades = "(1, 1, 10.00), (2, 2, 10.01), (3, -1, 11.00), (4, -1, 9.00), (5, 1, 10.00), \
                  (6, -2, 10.00)";
    assert_eq!(
        positions("position_avg(q, x)", trades)[1..],
        [
            "3 10.0066666666666667 0.0000000000000000 30.0200000000000000",
            "2 10.0066666666666667 0.9933333333333333 20.0133333333333333",
            "1 10.0066666666666667 -0.0133333333333333 10.0066666666666667",
            "2 10.0033333333333334 -0.0133333333333333 20.0066666666666667",
            "0 - -0.0200000000000000 0.0000000000000000",
        ]
    );
    // A short position, and contracts: the average is a price, profit is that of 50 times as much.
    assert_eq!(
        positions("position_avg(-q, x, NULL, 50)", trades)[1..3],
        [
            "-3 10.0066666666666667 0.0000000000000000 -1501.0000000000000000",
            "-2 10.0066666666666667 -49.6666666666666667 -1000.6666666666666667",
        ]
    );
    // Floats too do not move.
    let floats = positions("position_avg(q, CAST(x AS DOUBLE))", trades);
    let averages = floats.iter().map(|row| row.split(' ').nth(1).unwrap());
    let averages: Vec<&str> = averages.collect();
    assert_eq!(averages[1], averages[2]);
    assert_eq!(averages[2], averages[3]);
}

#[test]
fn lots_fees_and_gaps() {
    let sql = "SELECT p['fees'], p['open_lots'] FROM (SELECT ts, position_fifo(size, price, 0.5) \
               OVER (ORDER BY ts) AS p FROM trades WHERE symbol = 'A') ORDER BY ts";
    assert_eq!(rows(sql), ["0.5 1", "", "1.0 2", "1.5 3"]);
    let sql = "SELECT position_avg(size, price) OVER (ORDER BY ts) IS NULL FROM trades \
               WHERE symbol = 'A' ORDER BY ts";
    assert_eq!(rows(sql), ["false", "true", "false", "false"]);
}

#[test]
fn a_multiplier_scales_profit_and_cost_but_no_price() {
    let trades = "(1, 10, 10.00), (2, 10, 20.00), (3, -5, 30.00), (4, -20, 25.00), (5, 5, 20.00)";
    assert_eq!(
        positions("position_avg(q, x, NULL, 50)", trades),
        [
            "10 10.0000000000000000 0.0000000000000000 5000.0000000000000000",
            "20 15.0000000000000000 0.0000000000000000 15000.0000000000000000",
            "15 15.0000000000000000 3750.0000000000000000 11250.0000000000000000",
            "-5 25.0000000000000000 11250.0000000000000000 -6250.0000000000000000",
            "0 - 12500.0000000000000000 0.0000000000000000"
        ]
    );
    let exact = "position_fifo(q, x, 0, CAST(0.25 AS DECIMAL(3,2)))";
    assert_eq!(
        positions(exact, trades)[2],
        "15 16.6666666666666667 25.0000 62.5000"
    );
    // A float makes all of it floats.
    let floats = "position_lifo(q, x, 0, CAST(0.25 AS DOUBLE))";
    assert_eq!(
        positions(floats, trades)[2],
        "15.0 13.333333333333334 12.5 50.0"
    );
    assert_eq!(
        positions("position_avg(q, x, NULL, NULL)", trades),
        positions("position_avg(q, x)", trades)
    );
    let refused = |multiplier: &str| {
        refusal_text(&format!(
            "SELECT position_avg(size, price, 0, {multiplier}) OVER (ORDER BY ts) FROM trades"
        ))
    };
    assert_eq!(
        refused("0"),
        "cannot use 0 as argument multiplier of position_avg, expected a positive number"
    );
    assert_eq!(
        refused("size"),
        "cannot use an expression as argument multiplier of position_avg, expected a constant"
    );
}

#[test]
fn refusals() {
    assert_eq!(
        refusal_text(
            "SELECT position_avg(CAST(size AS DECIMAL(38,30)), CAST(price AS DECIMAL(38,20))) \
             OVER (ORDER BY ts) FROM trades"
        ),
        "cannot express the cost of position_avg in Decimal128(38, 38)"
    );
    assert_eq!(
        refusal_text("SELECT position_fifo(size, price) OVER (PARTITION BY symbol) FROM trades"),
        "cannot use OVER without ORDER BY with position_fifo"
    );
}

/// Profit of trades taken apart into units, matched in order of time or against it.
fn by_units(trades: &[(i128, i128)], latest_first: bool) -> (i128, i128, i128) {
    let mut open: Vec<(i128, i128)> = Vec::new();
    let mut realized = 0;
    for &(quantity, price) in trades {
        for _ in 0..quantity.abs() {
            let side = quantity.signum();
            if open.first().is_none_or(|(open, _)| *open == side) {
                open.push((side, price));
                continue;
            }
            let (other, cost) = if latest_first {
                open.pop().unwrap()
            } else {
                open.remove(0)
            };
            realized += other * (price - cost);
        }
    }
    let quantity = open.iter().map(|(side, _)| side).sum();
    let basis = open.iter().map(|(side, price)| side * price).sum();
    (quantity, basis, realized)
}

/// A position begun over columns of these types.
fn begun(method: Method, types: &[DataType]) -> Trades {
    let signature = Signature::user_defined(Volatility::Immutable);
    let position = Position { method, signature };
    position
        .trades(&[], &position.coerce(types).unwrap())
        .unwrap()
}

/// The same with a multiplier, a whole number.
fn multiplied(method: Method, columns: &[ArrayRef; 2], multiplier: i128) -> Trades {
    let signature = Signature::user_defined(Volatility::Immutable);
    let position = Position { method, signature };
    let [quantity, price] = columns.each_ref().map(|c| c.data_type().clone());
    let types = [quantity, price.clone(), price, DataType::Decimal128(20, 0)];
    let value = ScalarValue::Decimal128(Some(multiplier), 20, 0);
    let literal: Arc<dyn PhysicalExpr> = Arc::new(Literal::new(value));
    let arguments = vec![literal; types.len()];
    position
        .trades(&arguments, &position.coerce(&types).unwrap())
        .unwrap()
}

/// Quantity, price and fee of a trade.
type Traded = (i32, Option<i32>, Option<i32>);

/// Trades as columns, some of them without a value.
fn columns(trades: &[Traded], exact: bool) -> Vec<ArrayRef> {
    let column = |value: &dyn Fn(&Traded) -> Option<i32>| -> ArrayRef {
        if exact {
            let values = trades.iter().map(|trade| value(trade).map(i128::from));
            let values = values.collect::<Decimal128Array>();
            return Arc::new(values.with_precision_and_scale(18, 2).unwrap());
        }
        let number = |value: Option<i32>| match value {
            // Neither of them is a price.
            Some(13) => Some(f64::NAN),
            Some(17) => Some(f64::INFINITY),
            value => value.map(f64::from),
        };
        let values = trades.iter().map(|trade| number(value(trade)));
        Arc::new(values.collect::<Float64Array>())
    };
    vec![
        column(&|trade| Some(trade.0)),
        column(&|trade| trade.1),
        column(&|trade| trade.2),
    ]
}

proptest! {
    /// For any cut into batches, with a restart after each.
    #[test]
    fn a_position_goes_on_where_it_stopped(
        trades in prop::collection::vec(
            (-9..=9_i32, prop::option::weighted(0.9, 1..40_i32), prop::option::of(0..5_i32)),
            1..40,
        ),
        cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..5),
        exact in any::<bool>(),
    ) {
        let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut.index(trades.len() + 1)).collect();
        cuts.extend([0, trades.len()]);
        cuts.sort_unstable();
        let columns = columns(&trades, exact);
        let types: Vec<DataType> = columns.iter().map(|c| c.data_type().clone()).collect();
        for method in METHODS {
            let whole = begun(method, &types).evaluate_all(&columns, trades.len()).unwrap();
            let mut position = begun(method, &types);
            let mut parts = Vec::new();
            for pair in cuts.windows(2) {
                let count = pair[1] - pair[0];
                let part: Vec<ArrayRef> = columns.iter().map(|c| c.slice(pair[0], count)).collect();
                parts.push(position.advance(&part, count).unwrap());
                let saved = position.save();
                position = begun(method, &types);
                position.load(&saved).unwrap();
                prop_assert_eq!(position.save(), saved);
            }
            let parts: Vec<&dyn Array> = parts.iter().map(AsRef::as_ref).collect();
            prop_assert_eq!(&concat(&parts).unwrap(), &whole);
        }
    }
}

/// An exact fraction, in lowest terms with a positive denominator.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Fraction(i128, i128);

impl Fraction {
    fn new(numerator: i128, denominator: i128) -> Self {
        let (mut a, mut b) = (numerator.abs(), denominator.abs());
        while b != 0 {
            (a, b) = (b, a % b);
        }
        let divisor = a.max(1) * denominator.signum();
        Self(numerator / divisor, denominator / divisor)
    }

    fn plus(self, other: Self) -> Self {
        Self::new(self.0 * other.1 + other.0 * self.1, self.1 * other.1)
    }

    fn times(self, other: Self) -> Self {
        Self::new(self.0 * other.0, self.1 * other.1)
    }

    fn minus(self, other: Self) -> Self {
        self.plus(Self(-other.0, other.1))
    }

    /// Returns how far it is from a decimal with this many digits after the point, in its digits.
    fn digits_from(self, decimal: i128, scale: u32) -> f64 {
        // The whole part first: the rest needs no more than a double has.
        let shown = Self::new(decimal, 10_i128.pow(scale));
        let unit = i256::from_i128(10_i128.pow(scale));
        let wide = |value: i128| i256::from_i128(value);
        let (a, b) = (wide(self.0) * wide(shown.1), wide(shown.0) * wide(self.1));
        let distance = (a - b) * unit;
        let whole = wide(self.1) * wide(shown.1);
        (distance / whole).to_i128().unwrap() as f64
            + (distance % whole).to_string().parse::<f64>().unwrap()
                / whole.to_string().parse::<f64>().unwrap()
    }
}

/// The accounting of positions at average cost, by its definition and without rounding.
#[derive(Clone, Copy, Debug)]
struct Account {
    quantity: i128,
    average: Fraction,
    realized: Fraction,
}

impl Account {
    fn trade(&mut self, quantity: i128, price: i128) {
        let price = Fraction(price, 1);
        let whole = |value: i128| Fraction(value, 1);
        let same = self.quantity * quantity >= 0;
        let closed = if same {
            0
        } else {
            quantity.abs().min(self.quantity.abs())
        };
        let side = whole(self.quantity.signum());
        let gain = price.minus(self.average).times(side).times(whole(closed));
        self.realized = self.realized.plus(gain);
        let after = self.quantity + quantity;
        if same && after != 0 {
            let cost = self.average.times(whole(self.quantity));
            let cost = cost.plus(price.times(whole(quantity)));
            self.average = cost.times(Fraction::new(1, after));
        } else if after * self.quantity < 0 {
            self.average = price;
        }
        self.quantity = after;
    }
}

proptest! {
    /// Against fractions: quantities with one digit after the point, prices with two.
    #[test]
    fn average_cost_is_that_of_fractions(
        trades in prop::collection::vec((-9_i128..=9, 1_i128..1_000_003), 1..10),
        multiplier in prop::option::of(1_i128..100),
    ) {
        let column = |value: &dyn Fn(&(i128, i128)) -> i128, scale: i8| -> ArrayRef {
            let values = trades.iter().map(|trade| Some(value(trade)));
            let values = values.collect::<Decimal128Array>();
            Arc::new(values.with_precision_and_scale(18, scale).unwrap())
        };
        let columns = [column(&|trade| trade.0, 1), column(&|trade| trade.1, 2)];
        let mut position = match multiplier {
            None => begun(Method::Average, &columns.each_ref().map(|c| c.data_type().clone())),
            Some(multiplier) => multiplied(Method::Average, &columns, multiplier),
        };
        let found = position.advance(&columns, trades.len()).unwrap();
        let found = found.as_struct();
        let part = |name: &str| {
            let part = found.column_by_name(name).unwrap();
            part.as_primitive::<Decimal128Type>()
        };
        let (averages, realized, bases) =
            (part("avg_cost"), part("realized_pnl"), part("cost_basis"));
        let (times, mut cash, mut before) = (multiplier.unwrap_or(1), 0, None);
        let start = Fraction(0, 1);
        let mut account = Account { quantity: 0, average: start, realized: start };
        for (row, &(quantity, price)) in trades.iter().enumerate() {
            let grows = account.quantity * quantity >= 0;
            account.trade(quantity, price);
            // Three digits in the products, sixteen in the amounts.
            cash -= quantity * price * times * 10_i128.pow(13);
            prop_assert_eq!(realized.value(row) - bases.value(row), cash);
            let profit = account.realized.times(Fraction::new(times, 1_000));
            let off = profit.digits_from(realized.value(row), 16);
            // Half a digit, and as much for each time that a part was added to.
            prop_assert!(off.abs() <= 0.5 * (row + 1) as f64, "{off} {profit:?}");
            prop_assert_eq!(averages.is_null(row), account.quantity == 0);
            if account.quantity != 0 {
                let average = account.average.times(Fraction(1, 100));
                let off = average.digits_from(averages.value(row), 16);
                prop_assert!(off.abs() <= 0.5 + 5.0 * row as f64, "{off} {average:?}");
            }
            let now = (averages.is_valid(row).then(|| averages.value(row)), realized.value(row));
            if let Some((average, profit)) = before {
                if grows {
                    prop_assert_eq!(now.1, profit, "adding realizes nothing");
                } else if account.quantity * quantity < 0 {
                    prop_assert_eq!(now.0, average, "reducing leaves the average");
                }
            }
            before = Some(now);
        }
    }
}

proptest! {
    #[test]
    fn profit_is_cash_and_value_to_the_last_digit(
        trades in prop::collection::vec((-9_i128..=9, 1_i128..1_000_003), 1..40),
        mark in 1_i128..1_000_003,
    ) {
        for method in METHODS {
            let mut book = Book::<Exact>::new(method);
            let (mut cash, mut quantity) = (0, 0);
            for (index, &(traded, price)) in trades.iter().enumerate() {
                let state = book.trade(Exact(traded), Exact(price)).unwrap();
                cash -= traded * price;
                quantity += traded;
                prop_assert_eq!(state.quantity, Exact(quantity));
                let unrealized = quantity * mark - state.basis.0;
                prop_assert_eq!(state.realized.0 + unrealized, cash + quantity * mark);
                prop_assert_eq!(state.lots == 0, quantity == 0);
                if method != Method::Average {
                    let expected = by_units(&trades[..=index], method == Method::Lifo);
                    prop_assert_eq!((quantity, state.basis.0, state.realized.0), expected);
                }
            }
        }
    }

    #[test]
    fn floats_follow_the_decimals(
        trades in prop::collection::vec((-9_i32..=9, 1_i32..10_000), 1..40),
    ) {
        for method in METHODS {
            let (mut exact, mut float) = (Book::<Exact>::new(method), Book::<f64>::new(method));
            for &(quantity, price) in &trades {
                // Amounts have twelve digits after the point.
                let unit = 10_i128.pow(12);
                let cost = Exact(i128::from(price) * unit);
                let a = exact.trade(Exact(quantity.into()), cost).unwrap();
                let b = float.trade(quantity.into(), price.into()).unwrap();
                prop_assert_eq!(a.quantity.0 as f64, b.quantity);
                let realized = a.realized.0 as f64 / unit as f64;
                let tolerance = if method == Method::Average { 1e-7 } else { 0.0 };
                prop_assert!((realized - b.realized).abs() <= tolerance);
            }
        }
    }
}
