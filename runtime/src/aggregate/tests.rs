//! Kernels at the edges: values that are no numbers, ties, nulls, and results that do not fit.

use std::cmp::Ordering;
use std::marker::PhantomData;
use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, BooleanArray, Decimal128Array, Float64Array, Int8Array, Int64Array,
    StringArray,
};
use arrow::compute::SortOptions;
use arrow::datatypes::{DataType, Decimal128Type, Float64Type, Int64Type};

use super::extreme::Extreme;
use super::first_last::FirstLast;
use super::keys::group_keys;
use super::moment::Moment;
use super::native::{Kernel, Native};
use super::sum::{ExactResult, ExactSum, FloatSum, RetractableFloatSum};
use super::values::{Fixed, Text, Values};
use super::{GroupAggregate, Rows};

fn floats(values: &[Option<f64>]) -> ArrayRef {
    Arc::new(values.iter().copied().collect::<Float64Array>())
}

fn take(
    aggregate: &mut dyn GroupAggregate,
    values: &[ArrayRef],
    ops: Option<&Int8Array>,
) -> datafusion::common::Result<()> {
    let groups = vec![0; values[0].len()];
    aggregate.update(&Rows {
        values,
        groups: &groups,
        filter: None,
        ops,
        total: 1,
    })
}

fn float<K: Kernel>(kernel: K, values: &[Option<f64>]) -> Option<f64> {
    let mut aggregate = Native::new(kernel);
    take(&mut aggregate, &[floats(values)], None).unwrap();
    let result = aggregate.read(&[0]).unwrap();
    result
        .is_valid(0)
        .then(|| result.as_primitive::<Float64Type>().value(0))
}

#[test]
fn not_a_number_is_greatest_whatever_its_sign_and_place() {
    let values = || Fixed::<Float64Type>::new(DataType::Float64);
    for nan in [f64::NAN, -f64::NAN] {
        for rows in [
            [Some(nan), Some(1.0), Some(2.0)],
            [Some(1.0), Some(2.0), Some(nan)],
        ] {
            assert!(float(Extreme::greatest(values()), &rows).unwrap().is_nan());
            assert_eq!(float(Extreme::least(values()), &rows), Some(1.0));
        }
        assert!(
            float(Extreme::least(values()), &[Some(nan)])
                .unwrap()
                .is_nan()
        );
        assert_eq!(
            <Fixed<Float64Type> as Values>::compare(nan, &nan),
            Ordering::Equal
        );
    }
    assert_eq!(float(Extreme::least(values()), &[None]), None);
}

#[test]
fn infinities_can_be_taken_back_and_small_values_survive_large_ones() {
    let mut sum = Native::new(RetractableFloatSum { average: false });
    let rows = floats(&[Some(f64::INFINITY), Some(0.1), Some(1e17), Some(f64::NAN)]);
    take(&mut sum, &[rows], None).unwrap();
    let back = floats(&[Some(f64::INFINITY), Some(f64::NAN)]);
    take(&mut sum, &[back], Some(&Int8Array::from(vec![-1, -1]))).unwrap();
    let back = floats(&[Some(1e17)]);
    take(&mut sum, &[back], Some(&Int8Array::from(vec![-1]))).unwrap();
    let partial = sum.partial().unwrap();
    assert_eq!(
        sum.read(&[0])
            .unwrap()
            .as_primitive::<Float64Type>()
            .value(0),
        0.1
    );
    let mut merged = Native::new(RetractableFloatSum { average: false });
    merged.merge(&partial, &[0], 1).unwrap();
    assert_eq!(
        merged
            .read(&[0])
            .unwrap()
            .as_primitive::<Float64Type>()
            .value(0),
        0.1
    );
    take(
        &mut sum,
        &[floats(&[Some(0.1)])],
        Some(&Int8Array::from(vec![-1])),
    )
    .unwrap();
    assert!(sum.read(&[0]).unwrap().is_null(0));
}

#[test]
fn an_aggregate_that_cannot_take_rows_back_says_so() {
    let mut sum = Native::new(FloatSum { average: false });
    let ops = Int8Array::from(vec![-1]);
    assert!(take(&mut sum, &[floats(&[Some(1.0)])], Some(&ops)).is_err());
}

#[test]
fn decimals_are_exact_and_refuse_what_does_not_fit() {
    let decimals = |values: &[i128], precision| -> ArrayRef {
        let array = Decimal128Array::from(values.to_vec());
        Arc::new(array.with_precision_and_scale(precision, 2).unwrap())
    };
    let result = ExactResult::Sum {
        min: -999,
        max: 999,
    };
    let data_type = DataType::Decimal128(3, 2);
    let mut sum = Native::new(ExactSum::<Decimal128Type> {
        result,
        data_type,
        phantom: PhantomData,
    });
    take(&mut sum, &[decimals(&[999, 1], 3)], None).unwrap();
    assert!(sum.read(&[0]).is_err());
    take(&mut sum, &[decimals(&[-1], 3)], None).unwrap();
    assert_eq!(
        sum.read(&[0])
            .unwrap()
            .as_primitive::<Decimal128Type>()
            .value(0),
        999
    );

    let result = ExactResult::Average {
        factor: 10_000,
        max: i128::MAX,
    };
    let data_type = DataType::Decimal128(38, 6);
    let mut average = Native::new(ExactSum::<Decimal128Type> {
        result,
        data_type,
        phantom: PhantomData,
    });
    take(&mut average, &[decimals(&[-100, -100, 0], 38)], None).unwrap();
    // Minus two thirds, rounded.
    let found = average.read(&[0]).unwrap();
    assert_eq!(found.as_primitive::<Decimal128Type>().value(0), -666_667);
    let largest = 10_i128.pow(38) - 1;
    let mut sum = Native::new(ExactSum::<Decimal128Type> {
        result: ExactResult::Sum {
            min: -largest,
            max: largest,
        },
        data_type: DataType::Decimal128(38, 2),
        phantom: PhantomData,
    });
    assert!(take(&mut sum, &[decimals(&[largest, largest], 38)], None).is_err());
}

#[test]
fn equal_in_order_first_takes_the_earliest_and_last_the_latest() {
    let order = |values: &[Option<i64>]| -> ArrayRef {
        Arc::new(values.iter().copied().collect::<Int64Array>())
    };
    let texts: ArrayRef = Arc::new(StringArray::from(vec!["a", "b", "c", "d"]));
    let pick = |last, options: SortOptions, keys: &[Option<i64>]| {
        let values = Text {
            data_type: DataType::Utf8,
        };
        let mut picked = Native::new(FirstLast::new(values, last, false, Some(options)));
        take(&mut picked, &[Arc::clone(&texts), order(keys)], None).unwrap();
        picked
            .read(&[0])
            .unwrap()
            .as_string::<i32>()
            .value(0)
            .to_owned()
    };
    let ascending = SortOptions {
        descending: false,
        nulls_first: false,
    };
    let descending = SortOptions {
        descending: true,
        nulls_first: true,
    };
    let ties = [Some(5), Some(5), Some(5), Some(5)];
    assert_eq!(pick(false, ascending, &ties), "a");
    assert_eq!(pick(true, ascending, &ties), "d");
    let mixed = [Some(3), None, Some(1), None];
    assert_eq!(pick(false, ascending, &mixed), "c");
    assert_eq!(pick(true, ascending, &mixed), "d");
    assert_eq!(pick(false, descending, &mixed), "b");
    assert_eq!(pick(true, descending, &mixed), "c");
}

#[test]
fn a_saved_moment_is_the_same_to_the_last_bit() {
    let mut moment = Native::new(Moment {
        sample: true,
        root: true,
    });
    take(
        &mut moment,
        &[floats(&[Some(0.1), Some(0.7), Some(1e9), None])],
        None,
    )
    .unwrap();
    let mut again = Native::new(Moment {
        sample: true,
        root: true,
    });
    again.merge(&moment.partial().unwrap(), &[0], 1).unwrap();
    assert_eq!(&moment.partial().unwrap(), &again.partial().unwrap());
    assert_eq!(&moment.read(&[0]).unwrap(), &again.read(&[0]).unwrap());
}

#[test]
fn a_filter_that_is_null_keeps_the_row_out() {
    let mut sum = Native::new(FloatSum { average: false });
    let filter = BooleanArray::from(vec![Some(true), None, Some(false)]);
    let values = [floats(&[Some(1.0), Some(2.0), Some(4.0)])];
    let (groups, filter) = (vec![0; 3], Some(&filter));
    sum.update(&Rows {
        values: &values,
        groups: &groups,
        filter,
        ops: None,
        total: 1,
    })
    .unwrap();
    assert_eq!(
        sum.read(&[0])
            .unwrap()
            .as_primitive::<Float64Type>()
            .value(0),
        1.0
    );
}

fn check_keys(types: &[DataType], columns: &[ArrayRef], groups: &[usize]) {
    let mut keys = group_keys(types).unwrap();
    let mut found = Vec::new();
    for _ in 0..2 {
        keys.intern(columns, groups.len(), &mut found).unwrap();
        assert_eq!(found, groups);
    }
    let again = keys.read(&found).unwrap();
    let mut fresh = group_keys(types).unwrap();
    fresh.intern(&again, groups.len(), &mut found).unwrap();
    assert_eq!(found, groups, "keys read back are not the keys");
    assert_eq!(keys.len(), groups.iter().max().unwrap() + 1);
}

#[test]
fn keys_are_numbered_in_order_of_first_sight() {
    let long = "a key of more than eleven bytes";
    let longer = "a key of more than eleven bytes, and more";
    let texts = vec![
        Some("b"),
        None,
        Some(""),
        Some("b"),
        Some(long),
        None,
        Some(longer),
        Some(long),
        Some("b\0"),
        Some("elevenbytes"),
        Some("elevenbytes!"),
        Some("elevenbyte"),
        Some("b\0"),
    ];
    let groups = [0, 1, 2, 0, 3, 1, 4, 3, 5, 6, 7, 8, 5];
    let small: ArrayRef = Arc::new(StringArray::from(texts));
    check_keys(&[DataType::Utf8], &[Arc::clone(&small)], &groups);
    for data_type in [DataType::LargeUtf8, DataType::Utf8View] {
        let column = arrow::compute::cast(&small, &data_type).unwrap();
        check_keys(&[data_type], &[column], &groups);
    }
    check_keys(
        &[DataType::Utf8, DataType::Utf8],
        &[Arc::clone(&small), small],
        &groups,
    );
    let zeros = floats(&[Some(0.0), Some(-0.0), None, Some(f64::NAN), Some(f64::NAN)]);
    check_keys(&[DataType::Float64], &[zeros], &[0, 0, 1, 2, 2]);
    let numbers: ArrayRef = Arc::new(Int64Array::from(vec![
        Some(7),
        None,
        Some(0),
        None,
        Some(7),
    ]));
    check_keys(
        &[DataType::Int64],
        &[Arc::clone(&numbers)],
        &[0, 1, 2, 1, 0],
    );
    assert_eq!(numbers.as_primitive::<Int64Type>().len(), 5);
    let dictionary = DataType::Dictionary(Box::new(DataType::Int32), Box::new(DataType::Utf8));
    assert!(group_keys(&[dictionary]).is_err());
}

#[test]
fn many_keys_survive_growth() {
    let texts: Vec<String> = (0..20_000).map(|n| format!("symbol {}", n * n)).collect();
    let column: ArrayRef = Arc::new(StringArray::from(texts.clone()));
    let mut keys = group_keys(&[DataType::Utf8]).unwrap();
    let mut groups = Vec::new();
    keys.intern(&[Arc::clone(&column)], texts.len(), &mut groups)
        .unwrap();
    keys.intern(&[Arc::clone(&column)], texts.len(), &mut groups)
        .unwrap();
    assert_eq!(groups, (0..texts.len()).collect::<Vec<_>>());
    assert_eq!(&keys.read(&groups).unwrap()[0], &column);
}
