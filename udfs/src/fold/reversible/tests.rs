//! Every aggregate whose rows can be taken back: rows that came and went leave no trace, in any
//! order, over any cut and restart, and what is left is what the rows that stay give.

use std::sync::Arc;

use datafusion::arrow::array::{
    ArrayRef, Decimal128Array, Float64Array, Int8Array, StringArray, UInt32Array,
};
use datafusion::arrow::compute::take;
use datafusion::arrow::datatypes::DataType;
use datafusion::logical_expr::EmitTo;
use rand::rngs::StdRng;
use rand::{Rng as _, SeedableRng as _};

use crate::fold::readable::{FoldGroups, ReadGroups};
use crate::trial::{accumulator, assert_close};

const GROUPS: usize = 3;

/// The state of a call over columns of these types, if its rows can be taken back.
fn reversible(name: &str, types: &[DataType]) -> Option<Box<dyn ReadGroups>> {
    FoldGroups::of(accumulator(name, types))
        .unwrap()
        .retracting()
}

/// A column of `kind`, with gaps, infinities and values far apart.
fn column(kind: &DataType, rows: usize, random: &mut StdRng) -> ArrayRef {
    let mut number = |gaps: bool| match random.random_range(0..12) {
        0 if gaps => None,
        1 if gaps => Some(f64::INFINITY),
        2 => Some(random.random_range(-1e12..1e12)),
        _ => Some(f64::from(random.random_range(-40..80)) / 8.0),
    };
    match kind {
        DataType::Utf8 => {
            let sides = ["B", "sell", "?"];
            let word = |_| Some(sides[random.random_range(0..3)]);
            Arc::new((0..rows).map(word).collect::<StringArray>())
        }
        DataType::Decimal128(..) => {
            let values = (0..rows).map(|_| number(false).map(|value| (value * 1e4) as i128));
            let values = values.collect::<Decimal128Array>();
            Arc::new(values.with_data_type(kind.clone()))
        }
        _ => Arc::new((0..rows).map(|_| number(true)).collect::<Float64Array>()),
    }
}

fn weighted(columns: &[ArrayRef], weights: &[i8]) -> Vec<ArrayRef> {
    let weights: ArrayRef = Arc::new(Int8Array::from(weights.to_vec()));
    columns.iter().map(Arc::clone).chain([weights]).collect()
}

/// Feeds rows in random order with random restarts, those of `gone` once more to take them away.
fn come_and_go(
    make: &dyn Fn() -> Box<dyn ReadGroups>,
    columns: &[ArrayRef],
    groups: &[usize],
    gone: &[bool],
    random: &mut StdRng,
) -> Box<dyn ReadGroups> {
    let mut events: Vec<(usize, i8)> = Vec::new();
    for (row, gone) in gone.iter().enumerate() {
        let at = random.random_range(0..=events.len());
        events.insert(at, (row, 1));
        if *gone {
            let after = random.random_range(at + 1..=events.len());
            events.insert(after, (row, -1));
        }
    }
    let mut state = make();
    while !events.is_empty() {
        let count = random.random_range(1..=events.len().min(9));
        let piece: Vec<(usize, i8)> = events.drain(..count).collect();
        let rows = piece.iter().map(|(row, _)| *row as u32);
        let rows = UInt32Array::from_iter_values(rows);
        let taken = columns
            .iter()
            .map(|column| take(column, &rows, None).unwrap());
        let taken: Vec<ArrayRef> = taken.collect();
        let weights: Vec<i8> = piece.iter().map(|(_, weight)| *weight).collect();
        let of: Vec<usize> = piece.iter().map(|(row, _)| groups[*row]).collect();
        state
            .update_batch(&weighted(&taken, &weights), &of, None, GROUPS)
            .unwrap();
        if random.random_bool(0.2) {
            let partial = state.partial().unwrap();
            state = make();
            let all: Vec<usize> = (0..GROUPS).collect();
            state.merge_batch(&partial, &all, GROUPS).unwrap();
        }
    }
    state
}

fn check(name: &str, types: &[DataType]) {
    let mut random = StdRng::seed_from_u64(17);
    let make = || reversible(name, types).unwrap_or_else(|| panic!("{name} cannot"));
    for round in 0..12 {
        let rows = random.random_range(1..60);
        let columns: Vec<ArrayRef> = types
            .iter()
            .map(|kind| column(kind, rows, &mut random))
            .collect();
        let groups: Vec<usize> = (0..rows).map(|_| random.random_range(0..GROUPS)).collect();
        // In the first round everything goes again.
        let gone: Vec<bool> = (0..rows)
            .map(|_| round == 0 || random.random_bool(0.6))
            .collect();
        let state = come_and_go(&make, &columns, &groups, &gone, &mut random);
        let stays: Vec<usize> = (0..rows).filter(|row| !gone[*row]).collect();
        let places = stays.iter().map(|row| *row as u32);
        let places = UInt32Array::from_iter_values(places);
        let left = columns
            .iter()
            .map(|column| take(column, &places, None).unwrap());
        let left: Vec<ArrayRef> = left.collect();
        let of: Vec<usize> = stays.iter().map(|row| groups[*row]).collect();
        let mut fresh = make();
        let ones = vec![1; stays.len()];
        fresh
            .update_batch(&weighted(&left, &ones), &of, None, GROUPS)
            .unwrap();
        let all: Vec<usize> = (0..GROUPS).collect();
        let (found, expected) = (state.read(&all).unwrap(), fresh.read(&all).unwrap());
        assert_eq!(&found, &expected, "{name} {types:?}, round {round}");
        // And the same as over rows that never change, up to the rounding of their sums.
        let mut plain = accumulator(name, types);
        plain.update_batch(&left, &of, None, GROUPS).unwrap();
        let plain = plain.evaluate(EmitTo::All).unwrap();
        assert_close(&found, &plain);
    }
}

#[test]
fn what_comes_and_goes_leaves_no_trace() {
    let float = || DataType::Float64;
    check("vwap", &[float(), float()]);
    check(
        "vwap",
        &[DataType::Decimal128(18, 4), DataType::Decimal128(18, 4)],
    );
    check("trade_imbalance", &[float(), DataType::Utf8]);
    check("kyle_lambda", &[float(), float()]);
    check("gross_exposure", &[float()]);
    check("net_exposure", &[float()]);
    check("long_exposure", &[float()]);
    check("stats_agg", &[float()]);
    check("stats_agg", &[float(), float()]);
    check("beta_agg", &[float(), float()]);
}

#[test]
fn all_aggregates_of_sums_take_rows_back_and_the_others_say_that_they_cannot() {
    let float = || DataType::Float64;
    for name in ["hit_rate", "profit_factor", "hhi", "fill_ratio"] {
        let arguments = if name == "fill_ratio" { 2 } else { 1 };
        assert!(
            reversible(name, &vec![float(); arguments]).is_some(),
            "{name}"
        );
    }
    for name in ["percentile_agg", "value_at_risk"] {
        assert!(reversible(name, &[float()]).is_none(), "{name}");
    }
}
