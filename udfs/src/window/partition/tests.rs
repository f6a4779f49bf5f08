//! Every window function as it runs along, against the same function over the whole partition:
//! for any cut into batches, with any restart, over series with gaps, flat ones, and single rows.

use std::collections::BTreeSet;
use std::sync::Arc;

use datafusion::arrow::array::{
    Array, ArrayRef, AsArray, BooleanArray, Float64Array, StringArray, TimestampMicrosecondArray,
};
use datafusion::arrow::compute::{cast, concat};
use datafusion::arrow::datatypes::{DataType, Float64Type};
use datafusion::logical_expr::PartitionEvaluator as _;
use rand::rngs::StdRng;
use rand::{Rng as _, SeedableRng as _};

use super::{Course, Partition};
use crate::running::Running as _;
use crate::window::all;
use crate::window::definition::{Compute, Entry, Input, InputKind};
use crate::window::parameter::{Default, Domain, Parameter};

/// How the values of a series come about.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Market {
    /// A random walk.
    Walk,
    /// The same with values missing, NaN and infinite.
    Gaps,
    /// Prices that hardly move, in steps, with bars of no range and no volume.
    Sticky,
    /// One price, no volume.
    Flat,
}

const MARKETS: [Market; 4] = [Market::Walk, Market::Gaps, Market::Sticky, Market::Flat];

/// Open, high, low, close, volume of `rows` bars.
fn bars(market: Market, rows: usize, random: &mut StdRng) -> Vec<[f64; 5]> {
    let mut price = 100.0;
    let mut bars = Vec::with_capacity(rows);
    for _ in 0..rows {
        let step = match market {
            Market::Flat => 0.0,
            Market::Sticky if random.random_bool(0.7) => 0.0,
            Market::Sticky => f64::from(random.random_range(-2..=2)) * 0.25,
            _ => random.random_range(-1.0..1.0),
        };
        let open = price;
        price = (price + step).max(5.0);
        let wide = match market {
            Market::Flat | Market::Sticky => 0.0,
            _ => random.random_range(0.0..0.5),
        };
        let volume = match market {
            Market::Flat => 0.0,
            Market::Sticky if random.random_bool(0.5) => 0.0,
            _ => f64::from(random.random_range(1..1000)),
        };
        bars.push([
            open,
            open.max(price) + wide,
            open.min(price) - wide,
            price,
            volume,
        ]);
    }
    bars
}

/// A column for an input of a function.
fn column(input: &Input, index: usize, bars: &[[f64; 5]], gaps: bool, seed: u64) -> ArrayRef {
    let mut random = StdRng::seed_from_u64(seed ^ (index as u64) << 8);
    let part = match input.name {
        "open" => 0,
        "high" => 1,
        "low" => 2,
        "volume" | "size" => 4,
        _ => 3,
    };
    match input.kind {
        InputKind::Number => {
            let periods = input.name == "periods";
            let shift = if index > 0 && part == 3 && !periods {
                7.0
            } else {
                0.0
            };
            let value = |(row, bar): (usize, &[f64; 5])| {
                let value = match periods {
                    true => (2 + row % 29) as f64,
                    false if shift > 0.0 => bar[part] * 0.5 + bar[0] * 0.3 + shift,
                    false => bar[part],
                };
                match random.random_range(0..24) {
                    0 if gaps => None,
                    1 if gaps => Some(f64::NAN),
                    2 if gaps => Some(f64::INFINITY),
                    3 if gaps => Some(f64::NEG_INFINITY),
                    _ => Some(value),
                }
            };
            Arc::new(bars.iter().enumerate().map(value).collect::<Float64Array>())
        }
        InputKind::Flag => {
            let value = |bar: &[f64; 5]| match random.random_range(0..9) {
                0 if gaps => None,
                _ => Some((bar[3] * 4.0) as i64 % 3 == index as i64),
            };
            Arc::new(bars.iter().map(value).collect::<BooleanArray>())
        }
        InputKind::Time => {
            // Some times are equal.
            let value = |row: usize| Some((row as i64 / 3) * 1_700_000);
            Arc::new(
                (0..bars.len())
                    .map(value)
                    .collect::<TimestampMicrosecondArray>(),
            )
        }
        InputKind::Run => {
            let value = |row: usize| Some(if row % 31 < 13 { "am" } else { "pm" });
            Arc::new((0..bars.len()).map(value).collect::<StringArray>())
        }
    }
}

/// Parameters: the defaults, shorter ones, the least.
fn choices(entry: &Entry) -> Vec<Vec<f64>> {
    let parameters = entry.definition.parameters;
    let least = |domain: Domain| match domain {
        Domain::Integer(least, _) => least as f64,
        Domain::Real(least, most) => 0.25_f64.clamp(least, most),
        Domain::Choice(values) => values.first().map_or(0.0, |(value, _)| *value as f64),
        Domain::Seconds => 2.5,
    };
    let usual = |index: usize, domain: Domain, default: Default| match (default, domain) {
        (Default::Value(value), _) => value,
        (Default::Absent, _) => f64::NAN,
        (Default::Refused, Domain::Integer(least, _)) => least as f64 + 3.0 + 6.0 * index as f64,
        // Those of garch11_vol and of decays: their sum must stay below one.
        (Default::Refused, domain) => least(domain),
    };
    let defaults: Vec<f64> = parameters
        .iter()
        .enumerate()
        .map(|(index, parameter)| usual(index, parameter.domain, parameter.default))
        .collect();
    let halved =
        parameters
            .iter()
            .zip(&defaults)
            .map(|(parameter, value)| match parameter.domain {
                Domain::Integer(least, _) => (value / 2.0).floor().max(least as f64 + 1.0),
                _ => *value,
            });
    let halved: Vec<f64> = halved.collect();
    let smallest =
        parameters
            .iter()
            .zip(&defaults)
            .map(|(parameter, value)| match parameter.domain {
                Domain::Integer(least, _) => least as f64,
                _ => *value,
            });
    let smallest: Vec<f64> = smallest.collect();
    let mut all = vec![defaults, halved, smallest];
    if parameters.iter().any(|p| p.default == Default::Absent) {
        let given = |(parameter, value): (&Parameter, &f64)| match parameter.default {
            Default::Absent => least(parameter.domain),
            _ => *value,
        };
        all.push(parameters.iter().zip(&all[0]).map(given).collect());
    }
    all.dedup();
    all
}

/// A result as numbers, one list per output.
fn numbers(result: &ArrayRef) -> Vec<Vec<Option<f64>>> {
    if let Some(parts) = result.as_struct_opt() {
        return parts.columns().iter().flat_map(numbers).collect();
    }
    let values = cast(result, &DataType::Float64).unwrap();
    let values = values.as_primitive::<Float64Type>();
    vec![values.iter().collect()]
}

/// Runs along in random pieces, started anew from what was saved at some of the cuts.
fn pieces(
    entry: &'static Entry,
    parameters: &[f64],
    columns: &[ArrayRef],
    random: &mut StdRng,
) -> Option<ArrayRef> {
    let mut course = Course::begin(entry, parameters).unwrap()?;
    let rows = columns[0].len();
    let mut results = Vec::new();
    let mut from = 0;
    while from < rows {
        let count = random.random_range(1..=40.min(rows - from));
        let part: Vec<ArrayRef> = columns.iter().map(|c| c.slice(from, count)).collect();
        results.push(course.advance(&part, count).unwrap());
        from += count;
        if random.random_bool(0.3) {
            let saved = course.save();
            let mut fresh = Course::begin(entry, parameters).unwrap().unwrap();
            fresh.load(&saved).unwrap();
            assert_eq!(fresh.save(), saved, "{}", entry.definition.name);
            course = fresh;
        }
    }
    let results: Vec<&dyn Array> = results.iter().map(AsRef::as_ref).collect();
    Some(concat(&results).unwrap())
}

/// How far two results differ: of the size of the values, but at least of a hundredth of the
/// greatest, since what crosses zero has no size there.
fn difference(found: &ArrayRef, expected: &ArrayRef) -> f64 {
    let mut worst: f64 = 0.0;
    for (found, expected) in numbers(found).iter().zip(numbers(expected)) {
        let largest = expected
            .iter()
            .flatten()
            .fold(0.0, |most: f64, x| most.max(x.abs()));
        for (found, expected) in found.iter().zip(&expected) {
            worst = worst.max(match (found, expected) {
                (None, None) => 0.0,
                (Some(a), Some(b)) if a == b => 0.0,
                (Some(a), Some(b)) => (a - b).abs() / b.abs().max(1e-2 * largest),
                _ => f64::INFINITY,
            });
        }
    }
    worst
}

/// More rows than a window usually has.
const MANY: usize = 250;

/// How many rows a function keeps that would need all of them to be exact.
fn kept(entry: &'static Entry, parameters: &[f64]) -> usize {
    let course = Course::begin(entry, parameters).unwrap();
    course.map_or(0, |course| course.step.rows_kept())
}

#[test]
fn every_function_runs_along_as_over_the_whole_partition() {
    let (mut failures, mut compared) = (Vec::new(), 0);
    for entry in all() {
        let definition = &entry.definition;
        // Of its own, so that a new function changes nothing for the others.
        let name = definition.name.bytes().map(u64::from);
        let seed = name.fold(20_261_128, |seed: u64, byte| seed.rotate_left(7) ^ byte);
        let mut random = StdRng::seed_from_u64(seed);
        let mut worst: Vec<(f64, String)> = Vec::new();
        for parameters in choices(entry) {
            for market in MARKETS {
                let kept = kept(entry, &parameters);
                // What keeps many rows computes over all of them for each row.
                if kept > MANY && (market == Market::Sticky || parameters != choices(entry)[0]) {
                    continue;
                }
                for rows in [1, 2, (kept + 200).max(500)] {
                    let bars = bars(market, rows, &mut random);
                    let inputs = definition.inputs.iter().enumerate();
                    let gaps = market == Market::Gaps;
                    let columns: Vec<ArrayRef> = inputs
                        .map(|(index, input)| column(input, index, &bars, gaps, 7))
                        .collect();
                    let whole = Partition {
                        entry,
                        parameters: parameters.clone(),
                    }
                    .evaluate_all(&columns, rows)
                    .unwrap();
                    let Some(found) = pieces(entry, &parameters, &columns, &mut random) else {
                        continue;
                    };
                    let again = pieces(entry, &parameters, &columns, &mut random).unwrap();
                    assert_eq!(
                        &found, &again,
                        "{}: cuts make a difference",
                        definition.name
                    );
                    if matches!(definition.compute, Compute::Ours(_)) {
                        assert_eq!(&found, &whole, "{}", definition.name);
                    }
                    compared += 1;
                    let difference = difference(&found, &whole);
                    // A pattern may hang on a comparison of sums that are equal but for rounding.
                    let pattern = definition.name.starts_with("cdl") && market == Market::Sticky;
                    if difference > 1e-9 && !pattern {
                        worst.push((difference, format!("{market:?} {parameters:?} {rows}")));
                    }
                }
            }
        }
        worst.sort_by(|a, b| b.0.total_cmp(&a.0));
        if let Some((difference, where_)) = worst.first() {
            failures.push(format!(
                "{} {difference:.1e} {where_} ({} cases)",
                definition.name,
                worst.len()
            ));
        }
    }
    assert!(
        failures.is_empty(),
        "{} functions:\n{}",
        failures.len(),
        failures.join("\n")
    );
    assert!(compared > 3_000, "only {compared} cases");
}

#[test]
fn what_cannot_run_along_is_known_by_name() {
    let refused: BTreeSet<&str> = all()
        .iter()
        .filter(|entry| {
            let parameters = &choices(entry)[0];
            Course::begin(entry, parameters).unwrap().is_none()
        })
        .map(|entry| entry.definition.name)
        .collect();
    let mut expected = BTreeSet::from(["interpolate"]);
    expected.extend([
        "crsi",
        "fisher",
        "frama",
        "ht_dcperiod",
        "ht_dcphase",
        "ht_phasor",
        "ht_sine",
        "ht_trendline",
        "ht_trendmode",
        "kvo",
        "mama",
        "mcgd",
        "sarext",
        "stc",
        "swak_bp",
        "vidya",
        "zigzag",
    ]);
    assert_eq!(refused, expected);
}

#[test]
fn a_damaged_state_is_refused() {
    let entry = all()
        .iter()
        .find(|entry| entry.definition.name == "ema")
        .unwrap();
    let mut course = Course::begin(entry, &[3.0]).unwrap().unwrap();
    let saved = course.save();
    assert!(course.load(&saved[..saved.len() - 1]).is_err());
    assert!(course.load(&[saved.clone(), vec![0]].concat()).is_err());
    assert!(course.load(&saved).is_ok());
}
