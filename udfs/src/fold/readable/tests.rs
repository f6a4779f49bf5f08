//! Looking at groups while they fill changes nothing and shows what taking them out would.

use std::sync::Arc;

use datafusion::arrow::array::{ArrayRef, Float64Array};
use datafusion::logical_expr::EmitTo;

use super::FoldGroups;
use crate::registry::FunctionRegistry;
use crate::trial::{Input, aggregate, assert_close, one_pass, open};

fn input() -> Input {
    let prices: ArrayRef = Arc::new(Float64Array::from(vec![10.0, 50.0, 12.0, 11.0, 49.0, 13.0]));
    let sizes: ArrayRef = Arc::new(Float64Array::from(vec![1.0, 2.0, 3.0, 4.0, 1.0, 0.0]));
    Input {
        columns: vec![prices, sizes],
        groups: vec![0, 1, 0, 0, 1, 2],
        group_count: 4,
    }
}

#[test]
fn groups_are_read_in_any_order_and_left_as_they_are() {
    let (function, input) = (aggregate("vwap"), input());
    let mut groups = FoldGroups::of(open(&function, &input.columns).unwrap()).unwrap();
    let all = [3, 1, 0, 2, 0];
    for row in 0..input.groups.len() {
        let columns: Vec<ArrayRef> = input.columns.iter().map(|c| c.slice(row, 1)).collect();
        groups
            .update_batch(&columns, &input.groups[row..=row], None, input.group_count)
            .unwrap();
        // Read again and again: what is read later does not depend on it.
        assert_eq!(groups.read(&all).unwrap().len(), all.len());
        assert!(!groups.partial().unwrap().is_empty());
    }
    let expected = one_pass(&function, &input);
    let found = groups.read(&[0, 1, 2, 3]).unwrap();
    assert_close(&found, &expected);
    let found: Float64Array = groups.read(&all).unwrap().to_data().into();
    let expected: Float64Array = expected.to_data().into();
    for (place, group) in all.iter().enumerate() {
        assert_eq!(
            found.iter().nth(place).unwrap(),
            expected.iter().nth(*group).unwrap()
        );
    }
    // The partial states are those that another table takes over.
    let mut other = open(&function, &input.columns).unwrap();
    other
        .merge_batch(&groups.partial().unwrap(), &[0, 1, 2, 3], 4)
        .unwrap();
    assert_close(
        &other.evaluate(EmitTo::All).unwrap(),
        &one_pass(&function, &input),
    );
    groups.grow(6);
    assert_eq!(groups.read(&[5]).unwrap().null_count(), 1);
}

/// None of ours is left to one accumulator a key.
#[test]
fn all_aggregates_of_two_numbers_are_recognised() {
    let columns = input().columns;
    let mut seen = 0;
    for function in FunctionRegistry::with_builtins().aggregates {
        if let Ok(accumulator) = open(&function, &columns) {
            assert!(FoldGroups::of(accumulator).is_some(), "{}", function.name());
            seen += 1;
        }
    }
    assert!(seen > 3, "{seen}");
}
