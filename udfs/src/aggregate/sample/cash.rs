//! Returns of an account into which money is paid and out of which it is taken.

use super::{Sample, Time, doc};
use crate::argument::number;

/// The seconds of a year of 365 days.
const YEAR_SECONDS: f64 = 365.0 * 86_400.0;

/// The logarithms of yearly growth between which a rate is looked for: from losing all but a
/// billionth to growing by as much.
const GROWTH_MAX: f64 = 20.7;

/// Where the present value is looked at before a root is pinned down: every rate that is at least
/// 5 % of growth away from the next one is told apart.
const GRID: i32 = 828;

/// Halvings that bring the width of a grid cell below the last digit.
const HALVINGS: usize = 60;

/// The aggregates of this subject.
pub(super) const AGGREGATES: [Sample; 2] = [
    Sample {
        doc: doc(
            "twr",
            "twr(value, flow, ts) -> double precision",
            "The time-weighted return of an account: that of its investments, whatever was paid in \
             or taken out.",
            "product of (value[i] - flow[i]) / value[i-1], less 1; value is that of the account \
             right after flow was paid in (negative: taken out) at ts; the flow of the first row \
             does not matter; null below two rows, or where a value before the last is not above \
             zero",
            "GIPS standards, true time-weighted return",
            "SELECT symbol, twr(price * 10, 0.0, ts) FROM trades GROUP BY symbol",
        ),
        arguments: &[number("value"), number("flow")],
        time: Time::Order,
        constants: &[],
        evaluate: |values, _| time_weighted(values),
    },
    Sample {
        doc: doc(
            "mwr",
            "mwr(flow, ts) -> double precision",
            "The money-weighted return per year of cash flows, their internal rate of return.",
            "the rate r with sum(flow[i] / (1 + r)^years[i]) = 0, years the seconds since the \
             first flow over those of 365 days; what is paid in and what comes out have opposite \
             signs, and the value at the end is a flow that comes out; null where no rate solves \
             it or more than one does",
            "spreadsheets' XIRR",
            "SELECT symbol, mwr(CASE WHEN size > 2 THEN 9 * size ELSE -10 * size END, ts) FROM \
             trades GROUP BY symbol",
        ),
        arguments: &[number("flow")],
        time: Time::Seconds,
        constants: &[],
        evaluate: |values, _| money_weighted(values),
    },
];

fn time_weighted(values: &[f64]) -> f64 {
    let rows = values.as_chunks::<2>().0;
    if rows.len() < 2 {
        return f64::NAN;
    }
    let growth = |pair: &[[f64; 2]]| {
        let ([before, _], [value, flow]) = (pair[0], pair[1]);
        if before > 0.0 {
            (value - flow) / before
        } else {
            f64::NAN
        }
    };
    rows.windows(2).map(growth).product::<f64>() - 1.0
}

fn money_weighted(values: &[f64]) -> f64 {
    let flows = values.as_chunks::<2>().0;
    // Scaled, so that neither the currency nor the account's size matters.
    let scale = flows.iter().map(|[flow, _]| flow.abs()).sum::<f64>();
    let present = |growth: f64| {
        let terms = flows
            .iter()
            .map(|[flow, seconds]| flow / scale * (-growth * seconds / YEAR_SECONDS).exp());
        terms.sum::<f64>()
    };
    let at = |point: i32| GROWTH_MAX * f64::from(2 * point - GRID) / f64::from(GRID);
    let cells = (0..GRID).map(|point| (at(point), at(point + 1)));
    let mut roots = cells.filter(|&(from, to)| {
        let (low, high) = (present(from), present(to));
        // A root on the grid belongs to the cell that begins there.
        low == 0.0 && high != 0.0 || low * high < 0.0
    });
    let (Some((mut low, mut high)), None) = (roots.next(), roots.next()) else {
        return f64::NAN;
    };
    let rises = present(high) > 0.0 || present(low) < 0.0;
    for _ in 0..HALVINGS {
        let middle = f64::midpoint(low, high);
        if (present(middle) > 0.0) == rises {
            high = middle;
        } else {
            low = middle;
        }
    }
    f64::midpoint(low, high).exp_m1()
}
