//! Every window function as it runs along, against the same function over the whole partition:
//! for any cut into batches, with any restart, over series with gaps, flat ones, and single rows.

use std::collections::BTreeSet;
use std::sync::Arc;

use datafusion::arrow::array::{
    Array, ArrayRef, AsArray, BooleanArray, Float64Array, StringArray, TimestampMicrosecondArray,
    UInt32Array,
};
use datafusion::arrow::compute::{cast, concat, take};
use datafusion::arrow::datatypes::{DataType, Float64Type};
use datafusion::logical_expr::PartitionEvaluator as _;
use rand::rngs::StdRng;
use rand::{Rng as _, SeedableRng as _};

use super::{Course, Partition};
use crate::running::Running as _;
use crate::trial::{lines, run, session};
use crate::window::all;
use crate::window::definition::{Compute, Entry, Gaps, Input, InputKind};
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
fn rows_without_a_value_are_passed_over_by_every_function() {
    let mut tried = 0;
    for entry in all() {
        let definition = &entry.definition;
        if definition.gaps != Gaps::PassedOver {
            continue;
        }
        let mut random = StdRng::seed_from_u64(20_261_129);
        let bars = bars(Market::Walk, 300, &mut random);
        let inputs = definition.inputs.iter().enumerate();
        let clean: Vec<ArrayRef> = inputs
            .map(|(index, input)| column(input, index, &bars, false, 7))
            .collect();
        // Which row of them each row repeats, and whether it stands there without a value.
        let mut rows: Vec<(u32, bool)> = Vec::new();
        for row in 0..300 {
            let bad = random.random_range(0..3) * random.random_range(0..2);
            rows.extend((0..bad).map(|_| (row, true)));
            rows.push((row, false));
        }
        let indices: UInt32Array = rows.iter().map(|(row, _)| Some(*row)).collect();
        let with_gaps: Vec<ArrayRef> = clean
            .iter()
            .enumerate()
            .map(|(index, column)| {
                let column = take(column, &indices, None).unwrap();
                match index {
                    0 => without_values(&column, &rows),
                    _ => column,
                }
            })
            .collect();
        let evaluate = |columns: &[ArrayRef]| {
            let parameters = choices(entry)[0].clone();
            Partition { entry, parameters }
                .evaluate_all(columns, columns[0].len())
                .unwrap()
        };
        let (expected, found) = (evaluate(&clean), evaluate(&with_gaps));
        let (gaps, kept): (Vec<u32>, Vec<u32>) =
            (0..rows.len() as u32).partition(|row| rows[*row as usize].1);
        let part = |rows: Vec<u32>| take(&found, &UInt32Array::from(rows), None).unwrap();
        assert_eq!(
            part(gaps.clone()).logical_null_count(),
            gaps.len(),
            "{}",
            definition.name
        );
        assert_eq!(&part(kept), &expected, "{}", definition.name);
        tried += 1;
    }
    assert!(tried > 250, "only {tried}");
}

/// The column with null, NaN or an infinite number in the rows that have no value.
fn without_values(column: &ArrayRef, rows: &[(u32, bool)]) -> ArrayRef {
    if let Some(flags) = column.as_boolean_opt() {
        let flags = flags.iter().zip(rows);
        let flags = flags.map(|(flag, (_, bad))| flag.filter(|_| !bad));
        return Arc::new(flags.collect::<BooleanArray>());
    }
    let numbers = column.as_primitive::<Float64Type>().iter().zip(rows);
    let numbers = numbers
        .enumerate()
        .map(|(at, (number, (_, bad)))| match at % 4 {
            _ if !bad => number,
            0 => None,
            1 => Some(f64::NAN),
            2 => Some(f64::INFINITY),
            _ => Some(f64::NEG_INFINITY),
        });
    Arc::new(numbers.collect::<Float64Array>())
}

/// What a function gives in the last of thirty rows that do not move, and in a single row; `-` is
/// null. Prices are 10, sizes 5; TA-Lib's have a range of zero, so they answer as TA-Lib does.
const EDGES: &[(&str, [&str; 2])] = &[
    ("rsi(p)", ["50", "-"]),
    ("cmo(p)", ["0", "-"]),
    ("cci(p, p, p)", ["0", "-"]),
    ("willr(p, p, p)", ["0", "-"]),
    ("stoch_k(p, p, p)", ["0", "-"]),
    ("stoch_d(p, p, p)", ["0", "-"]),
    ("adx(p, p, p)", ["0", "-"]),
    ("mfi(p, p, p, q)", ["0", "-"]),
    ("cmf(p, p, p, q)", ["0", "-"]),
    ("bop(p, p, p, p)", ["0", "0"]),
    ("natr(p, p, p)", ["0", "-"]),
    ("ta_vwap(p, p, p, q)", ["10", "10"]),
    ("ta_vwap(p, p, p, q - 5)", ["0", "0"]),
    ("sma(p, 3)", ["10", "-"]),
    ("ema(p, 3)", ["10", "-"]),
    ("zscore(p, 3)", ["-", "-"]),
    ("rolling_corr(p, q, 3)", ["-", "-"]),
    ("rolling_cov(p, q, 3)", ["0", "-"]),
    ("rolling_beta(p, q, 3)", ["-", "-"]),
    ("rolling_skew(p, 4)", ["-", "-"]),
    ("rolling_kurt(p, 5)", ["-", "-"]),
    ("rolling_quantile(p, 3, 0.5)", ["10", "-"]),
    ("autocorr(p, 1, 5)", ["-", "-"]),
    ("half_life(p, 8)", ["-", "-"]),
    ("pair_spread_z(p, q, 5)", ["-", "-"]),
    ("returns(p)", ["0", "-"]),
    ("log_returns(p)", ["0", "-"]),
    ("returns(p - 10)", ["-", "-"]),
    ("log_returns(p - 10)", ["-", "-"]),
    ("drawdown(p)", ["0", "0"]),
    ("max_drawdown(p)", ["0", "0"]),
    ("drawdown_duration(p)", ["0", "0"]),
    ("ewma(p, 0.5)", ["10", "10"]),
    ("ewm_var(p, 0.5)", ["0", "-"]),
    ("ewm_corr(p, q, 0.5)", ["-", "-"]),
    ("ewma_time(p, t, INTERVAL '1 second')", ["10", "10"]),
    ("ewma_vol(p)", ["10", "10"]),
    ("session_vwap(p, q, 'am')", ["10", "10"]),
    ("session_vwap(p, q - 5, 'am')", ["-", "-"]),
    ("anchored_vwap(p, q - 5, true)", ["-", "-"]),
    ("crossover(p, q)", ["false", "false"]),
    ("rising(p)", ["false", "false"]),
    ("bars_since(p > 10)", ["-", "-"]),
    ("bars_since(p > 9)", ["0", "0"]),
    ("cumprod(q - 4)", ["1", "1"]),
];

#[test]
fn at_the_edges() {
    let ctx = session();
    let table = "CREATE TABLE edges AS SELECT to_timestamp(value / 2) AS t, value, CAST(10 AS \
                 DOUBLE) AS p, CAST(5 AS DOUBLE) AS q FROM generate_series(1, 30)";
    run(&ctx, table).unwrap();
    let mut wrong = Vec::new();
    for (call, expected) in EDGES {
        let sql = format!("SELECT {call} OVER (ORDER BY value) AS x FROM edges ORDER BY value");
        let found = lines(&run(&ctx, &sql).unwrap_or_else(|error| panic!("{sql}: {error}")));
        for (found, expected) in [&found[29], &found[0]].into_iter().zip(expected) {
            let found = if found.is_empty() { "-" } else { found };
            let number = |text: &str| text.parse::<f64>().ok();
            let near = number(found).zip(number(expected));
            if found != *expected && !near.is_some_and(|(a, b)| (a - b).abs() < 1e-9) {
                wrong.push(format!("{call}: {found}, not {expected}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
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
