//! Tests of signed quantities: any side beside any quantity.

use datafusion::arrow::array::{
    Array, ArrayRef, AsArray, Decimal128Array, Float64Array, StringArray,
};
use datafusion::arrow::datatypes::{Decimal128Type, Float64Type};
use proptest::prelude::*;
use std::sync::Arc;

use super::{coerce, signed};

/// Words for sides, and what each stands for.
const SIDES: [(Option<&str>, i128); 9] = [
    (Some("B"), 1),
    (Some("buy"), 1),
    (Some("BUY"), 1),
    (Some("S"), -1),
    (Some("sell"), -1),
    (Some("hold"), 0),
    (Some(""), 0),
    (Some("0"), 0),
    (None, 0),
];

proptest! {
    #[test]
    fn a_quantity_has_the_sign_of_its_side_or_no_value(
        drawn in prop::collection::vec((0..SIDES.len(), prop::option::of(any::<i64>())), 1..40),
    ) {
        let sides: ArrayRef = Arc::new(
            drawn.iter().map(|(side, _)| SIDES[*side].0).collect::<StringArray>(),
        );
        let exact = drawn.iter().map(|(_, quantity)| quantity.map(i128::from));
        let exact = exact.collect::<Decimal128Array>().with_precision_and_scale(20, 4).unwrap();
        let expected: Vec<Option<i128>> = drawn
            .iter()
            .map(|(side, quantity)| {
                let sign = SIDES[*side].1;
                quantity.filter(|_| sign != 0).map(|quantity| sign * i128::from(quantity))
            })
            .collect();
        let found = signed(&[Arc::clone(&sides), Arc::new(exact.clone())], drawn.len()).unwrap();
        prop_assert_eq!(found.data_type(), exact.data_type());
        let found: Vec<Option<i128>> = found.as_primitive::<Decimal128Type>().iter().collect();
        prop_assert_eq!(&found, &expected);
        // The same in double precision, where every fifth has no value.
        let floats = drawn.iter().enumerate().map(|(row, (_, quantity))| match row % 15 {
            4 => Some(f64::NAN),
            9 => Some(f64::INFINITY),
            14 => Some(f64::NEG_INFINITY),
            _ => quantity.map(|quantity| quantity as f64),
        });
        let floats: ArrayRef = Arc::new(floats.collect::<Float64Array>());
        let found = signed(&[sides, floats], drawn.len()).unwrap();
        let found = found.as_primitive::<Float64Type>();
        for (row, expected) in expected.iter().enumerate() {
            let expected = expected.filter(|_| row % 5 != 4).map(|exact| exact as f64);
            let found = found.is_valid(row).then(|| found.value(row));
            prop_assert_eq!(found, expected);
        }
    }
}

#[test]
fn integers_are_floats_and_decimals_stay() {
    use datafusion::arrow::datatypes::DataType::{Decimal128, Float64, Int64, Utf8};
    assert_eq!(coerce(&[Utf8, Int64]).unwrap(), [Utf8, Float64]);
    assert_eq!(
        coerce(&[Utf8, Decimal128(9, 2)]).unwrap(),
        [Utf8, Decimal128(9, 2)]
    );
    assert!(coerce(&[Utf8]).is_err());
    assert!(coerce(&[Utf8, Utf8]).is_err());
}
