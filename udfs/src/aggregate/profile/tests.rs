//! Tests of volume profiles and what is read from them: by hand, any cut of the rows.

use std::sync::Arc;

use datafusion::arrow::array::{ArrayRef, Float64Array};
use datafusion::logical_expr::EmitTo;
use proptest::prelude::*;

use super::ProfileFold;
use crate::fold::AnyFold;
use crate::trial::{refusal_text, rows};

/// Prices 10.0 (3), 10.5 (10), 11.0 (4), 11.5 (2).
const TICKS: &str = "(VALUES (10.1, 3), (10.5, 4), (10.4, 6), (11.0, 4), (11.6, 2), (NULL, 9), \
                     (10.0, -5), ('NaN'::double, 1)) AS t(p, s)";

#[test]
fn by_hand() {
    assert_eq!(
        rows(&format!(
            "SELECT unnest(volume_profile(p, s, 0.5)) FROM {TICKS}"
        )),
        [
            "{price: 10.0, volume: 3.0}",
            "{price: 10.5, volume: 10.0}",
            "{price: 11.0, volume: 4.0}",
            "{price: 11.5, volume: 2.0}"
        ]
    );
    let empty = format!("SELECT volume_profile(p, s, 0.5) IS NULL FROM {TICKS} WHERE p > 99");
    assert_eq!(rows(&empty), ["true"]);
}

#[test]
fn the_busiest_price_and_the_area_around_it() {
    let one = |call: &str| {
        let sql =
            format!("SELECT {call} FROM (SELECT volume_profile(p, s, 0.5) AS v FROM {TICKS})");
        rows(&sql)[0].clone()
    };
    assert_eq!(one("poc(v)"), "10.5");
    // 10 of 19 is short of 70 %; 11.0 with 4 is larger than 10.0 with 3.
    assert_eq!(one("value_area(v)"), "{low: 10.5, high: 11.0}");
    assert_eq!(one("value_area(v, 0.5)"), "{low: 10.5, high: 10.5}");
    assert_eq!(one("value_area(v, 0.8)"), "{low: 10.0, high: 11.0}");
    assert_eq!(one("value_area(v, 1)"), "{low: 10.0, high: 11.5}");
    assert_eq!(rows("SELECT poc(NULL) IS NULL"), ["true"]);
}

#[test]
fn refusals() {
    assert_eq!(
        refusal_text("SELECT volume_profile(price, size, 0) FROM trades"),
        "cannot use 0 as argument tick of volume_profile, expected a positive number"
    );
    assert_eq!(
        refusal_text("SELECT poc(price) FROM trades"),
        "cannot use Float64 as argument profile of poc, expected the result of volume_profile"
    );
}

proptest! {
    #[test]
    fn any_cut_gives_one_pass(
        drawn in prop::collection::vec((0_i32..9, 1_i32..5, 0_usize..3), 1..30),
        cut in 0_usize..30,
    ) {
        let column = |value: fn(&(i32, i32, usize)) -> i32| -> ArrayRef {
            Arc::new(drawn.iter().map(|row| Some(f64::from(value(row)))).collect::<Float64Array>())
        };
        let columns = [column(|row| row.0), column(|row| row.1)];
        let groups: Vec<usize> = drawn.iter().map(|row| row.2).collect();
        let part = |from: usize, to: usize| {
            columns.clone().map(|column| column.slice(from, to - from))
        };
        let open = || Box::new(ProfileFold { tick: 0.5 }).into_groups();
        let mut whole = open();
        whole.update_batch(&columns, &groups, None, 3).unwrap();
        let cut = cut.min(drawn.len());
        let mut merged = open();
        for (from, to) in [(cut, drawn.len()), (0, cut)] {
            let mut piece = open();
            piece.update_batch(&part(from, to), &groups[from..to], None, 3).unwrap();
            let state = piece.state(EmitTo::All).unwrap();
            merged.merge_batch(&state, &[0, 1, 2], 3).unwrap();
        }
        let expected = whole.evaluate(EmitTo::All).unwrap();
        prop_assert_eq!(&merged.evaluate(EmitTo::All).unwrap(), &expected);
    }
}
