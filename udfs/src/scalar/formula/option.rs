//! Formulas of European options: price, greeks, implied volatility.

use super::{ARGUMENTS_MAX, Formula, doc, number, one};
use crate::argument::{Argument, Kind, number as argument};
use crate::distribution::{normal_density, normal_probability, root};

/// The formulas of this subject.
pub(super) const FORMULAS: [Formula; 7] = [
    number(
        doc(
            "bs_price",
            "bs_price(type, spot, strike, years, rate, dividend, volatility) -> double precision",
            "The price of a European option.",
            "Black-Scholes-Merton with continuous rate and dividend yield; without volatility or \
             time the discounted intrinsic value; null unless spot and strike > 0, years and \
             volatility >= 0",
            "Black and Scholes 1973, Merton 1973",
            "SELECT bs_price('c', price, price + 1, 0.5, 0.03, 0.01, 0.2) FROM trades",
        ),
        &[
            TYPE,
            argument("spot"),
            argument("strike"),
            argument("years"),
            argument("rate"),
            argument("dividend"),
            argument("volatility"),
        ],
        |values| one(price(&Terms::of(values))),
    ),
    number(
        doc(
            "bs_delta",
            "bs_delta(type, spot, strike, years, rate, dividend, volatility) -> double precision",
            "The change of an option price with its underlying.",
            "the derivative of bs_price by spot",
            "Black and Scholes 1973, Merton 1973",
            "SELECT bs_delta('c', price, price + 1, 0.5, 0.03, 0.01, 0.2) FROM trades",
        ),
        &[
            TYPE,
            argument("spot"),
            argument("strike"),
            argument("years"),
            argument("rate"),
            argument("dividend"),
            argument("volatility"),
        ],
        |values| one(delta(&Terms::of(values))),
    ),
    number(
        doc(
            "bs_gamma",
            "bs_gamma(type, spot, strike, years, rate, dividend, volatility) -> double precision",
            "The change of delta with the underlying.",
            "the second derivative of bs_price by spot",
            "Black and Scholes 1973, Merton 1973",
            "SELECT bs_gamma('c', price, price + 1, 0.5, 0.03, 0.01, 0.2) FROM trades",
        ),
        &[
            TYPE,
            argument("spot"),
            argument("strike"),
            argument("years"),
            argument("rate"),
            argument("dividend"),
            argument("volatility"),
        ],
        |values| one(gamma(&Terms::of(values))),
    ),
    number(
        doc(
            "bs_vega",
            "bs_vega(type, spot, strike, years, rate, dividend, volatility) -> double precision",
            "The change of an option price with volatility.",
            "the derivative of bs_price by volatility, per 1.0 of volatility",
            "Black and Scholes 1973, Merton 1973",
            "SELECT bs_vega('c', price, price + 1, 0.5, 0.03, 0.01, 0.2) FROM trades",
        ),
        &[
            TYPE,
            argument("spot"),
            argument("strike"),
            argument("years"),
            argument("rate"),
            argument("dividend"),
            argument("volatility"),
        ],
        |values| one(vega(&Terms::of(values))),
    ),
    number(
        doc(
            "bs_theta",
            "bs_theta(type, spot, strike, years, rate, dividend, volatility) -> double precision",
            "The change of an option price with the passing of time.",
            "minus the derivative of bs_price by years, per year",
            "Black and Scholes 1973, Merton 1973",
            "SELECT bs_theta('c', price, price + 1, 0.5, 0.03, 0.01, 0.2) FROM trades",
        ),
        &[
            TYPE,
            argument("spot"),
            argument("strike"),
            argument("years"),
            argument("rate"),
            argument("dividend"),
            argument("volatility"),
        ],
        |values| one(theta(&Terms::of(values))),
    ),
    number(
        doc(
            "bs_rho",
            "bs_rho(type, spot, strike, years, rate, dividend, volatility) -> double precision",
            "The change of an option price with the rate.",
            "the derivative of bs_price by rate, per 1.0 of rate",
            "Black and Scholes 1973, Merton 1973",
            "SELECT bs_rho('c', price, price + 1, 0.5, 0.03, 0.01, 0.2) FROM trades",
        ),
        &[
            TYPE,
            argument("spot"),
            argument("strike"),
            argument("years"),
            argument("rate"),
            argument("dividend"),
            argument("volatility"),
        ],
        |values| one(rho(&Terms::of(values))),
    ),
    number(
        doc(
            "implied_vol",
            "implied_vol(type, price, spot, strike, years, rate, dividend) -> double precision",
            "The volatility at which bs_price equals a price.",
            "the root of bs_price between 0 and 1000; null outside the bounds that arbitrage sets",
            "Black and Scholes 1973",
            "SELECT implied_vol('c', price / 20, price, price + 1, 0.5, 0.03, 0.01) FROM trades",
        ),
        &[
            TYPE,
            argument("price"),
            argument("spot"),
            argument("strike"),
            argument("years"),
            argument("rate"),
            argument("dividend"),
        ],
        |values| one(implied(values)),
    ),
];

/// Whether an option is a call (1) or a put (−1).
const TYPE: Argument = Argument {
    kind: Kind::Word(
        &[("c", 1.0), ("call", 1.0), ("p", -1.0), ("put", -1.0)],
        "'c', 'call', 'p' or 'put'",
    ),
    ..argument("type")
};

/// The most that a volatility can be.
const VOLATILITY_MAX: f64 = 1e3;

/// The terms of an option and what every formula shares.
struct Terms {
    /// 1 for a call, −1 for a put.
    sign: f64,
    strike: f64,
    spot: f64,
    years: f64,
    rate: f64,
    dividend: f64,
    volatility: f64,
}

impl Terms {
    fn of(values: &[f64; ARGUMENTS_MAX]) -> Self {
        let &[sign, spot, strike, years, rate, dividend, volatility] = values;
        let usable = spot > 0.0 && strike > 0.0 && years >= 0.0 && volatility >= 0.0;
        Self {
            sign: if usable { sign } else { f64::NAN },
            strike,
            spot,
            years,
            rate,
            dividend,
            volatility,
        }
    }

    /// Standard deviation of the log price at expiry.
    fn deviation(&self) -> f64 {
        self.volatility * self.years.sqrt()
    }

    /// What one unit of the underlying, and of money, at expiry is worth today.
    fn discounts(&self) -> (f64, f64) {
        let growth = |rate: f64| (-rate * self.years).exp();
        (growth(self.dividend), growth(self.rate))
    }

    /// The d1 and d2 of the formula; infinite without deviation.
    fn d(&self) -> (f64, f64) {
        let deviation = self.deviation();
        let drift = (self.rate - self.dividend) * self.years;
        let moneyness = (self.spot / self.strike).ln() + drift;
        if deviation == 0.0 && moneyness == 0.0 {
            return (0.0, 0.0);
        }
        let d1 = moneyness / deviation + 0.5 * deviation;
        (d1, d1 - deviation)
    }
}

fn price(terms: &Terms) -> f64 {
    let (d1, d2) = terms.d();
    let (asset, money) = terms.discounts();
    let sign = terms.sign;
    let received = terms.spot * asset * normal_probability(sign * d1);
    let paid = terms.strike * money * normal_probability(sign * d2);
    sign * (received - paid)
}

fn delta(terms: &Terms) -> f64 {
    terms.sign * terms.discounts().0 * normal_probability(terms.sign * terms.d().0)
}

fn gamma(terms: &Terms) -> f64 {
    let density = normal_density(terms.d().0) * terms.sign.abs();
    terms.discounts().0 * density / (terms.spot * terms.deviation())
}

fn vega(terms: &Terms) -> f64 {
    let density = normal_density(terms.d().0) * terms.sign.abs();
    terms.spot * terms.discounts().0 * density * terms.years.sqrt()
}

fn theta(terms: &Terms) -> f64 {
    let (d1, d2) = terms.d();
    let (asset, money) = terms.discounts();
    let sign = terms.sign;
    let decay = -terms.spot * asset * normal_density(d1) * terms.volatility;
    let carry = terms.dividend * terms.spot * asset * normal_probability(sign * d1);
    let interest = terms.rate * terms.strike * money * normal_probability(sign * d2);
    decay / (2.0 * terms.years.sqrt()) + sign * (carry - interest)
}

fn rho(terms: &Terms) -> f64 {
    let money = terms.discounts().1;
    let probability = normal_probability(terms.sign * terms.d().1);
    terms.sign * terms.strike * terms.years * money * probability
}

/// Returns the volatility that gives a price.
fn implied(values: &[f64; ARGUMENTS_MAX]) -> f64 {
    let &[sign, wanted, spot, strike, years, rate, dividend] = values;
    let at = |volatility: f64| {
        let terms = Terms::of(&[sign, spot, strike, years, rate, dividend, volatility]);
        price(&terms) - wanted
    };
    root(at, 0.0, VOLATILITY_MAX)
}
