//! The decoder against serde_json, on random objects in random spellings.

use arrow::array::{Array, AsArray};
use arrow::datatypes::{DataType, Float64Type, Int64Type};
use proptest::prelude::*;
use rtsap_stream::decode::Decoder;
use rtsap_stream::source::SplitId;
use serde_json::{Map, Value};

use super::{Batch, JsonDecoder, TimestampFormat, nullable, payload_columns};

/// Any JSON value, a few levels deep.
fn value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>()
            .prop_filter("finite", |v| v.is_finite())
            .prop_map(Value::from),
        ".*".prop_map(Value::from),
        "[a-z\"\\\\/é😀\n]{0,20}".prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 24, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::vec(("[a-e\"\\\\é]{0,3}", inner), 0..4)
                .prop_map(|fields| Value::Object(fields.into_iter().collect())),
        ]
    })
}

/// Objects whose fields are often the ones that the schema knows.
fn object() -> impl Strategy<Value = Map<String, Value>> {
    let name = prop_oneof![
        Just("i".to_owned()),
        Just("f".to_owned()),
        Just("s".to_owned()),
        "[a-z]{1,3}"
    ];
    prop::collection::vec((name, value()), 0..8).prop_map(|fields| fields.into_iter().collect())
}

/// What the schema makes of an object, if it takes it.
fn expected(object: &Map<String, Value>) -> Option<(Option<i64>, Option<f64>, Option<String>)> {
    let integer = match object.get("i") {
        None | Some(Value::Null) => None,
        Some(Value::Number(number)) => Some(match number.as_i64() {
            Some(whole) => whole,
            // Written as a float: taken if it is whole and fits.
            None => {
                let text = number.to_string();
                let float = number.as_f64().filter(|f| f.fract() == 0.0)?;
                if float.abs() >= 9.3e18 {
                    return None;
                }
                exact_whole(&text)?
            }
        }),
        Some(Value::String(text)) => Some(text.trim().parse().ok()?),
        Some(_) => return None,
    };
    let float = match object.get("f") {
        None | Some(Value::Null) => None,
        Some(Value::Number(number)) => number.as_f64(),
        Some(Value::String(text)) => Some(text.trim().parse().ok()?),
        Some(_) => return None,
    };
    let text = match object.get("s") {
        None | Some(Value::Null) => None,
        Some(Value::String(text)) if text.contains('\0') => return None,
        Some(Value::String(text)) => Some(text.clone()),
        Some(other) => Some(other.to_string()),
    };
    Some((integer, float, text))
}

/// The whole number that `text` (`1.5e17`) stands for.
fn exact_whole(text: &str) -> Option<i64> {
    let (digits, exponent) = text.split_once('e').unwrap_or((text, "0"));
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    let shift = exponent.parse::<i32>().ok()? - i32::try_from(fraction.len()).ok()?;
    let mantissa: i128 = format!("{whole}{fraction}").parse().ok()?;
    let power = 10_i128.checked_pow(shift.unsigned_abs())?;
    let exact = if shift >= 0 {
        mantissa.checked_mul(power)?
    } else {
        mantissa / power
    };
    i64::try_from(exact).ok()
}

/// Whether the loose text rules of the two sides may differ on it: words for special floats, other
/// number systems.
fn is_ambiguous(object: &Map<String, Value>) -> bool {
    ["i", "f"].iter().any(|name| match object.get(*name) {
        Some(Value::String(text)) => !text.trim().is_empty(),
        _ => false,
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn the_decoder_agrees_with_serde_json(
        objects in prop::collection::vec((object(), any::<bool>()), 1..12),
    ) {
        let objects: Vec<_> = objects.into_iter().filter(|(o, _)| !is_ambiguous(o)).collect();
        let payloads: Batch = objects
            .iter()
            .map(|(object, pretty)| if *pretty {
                serde_json::to_vec_pretty(object).unwrap()
            } else {
                serde_json::to_vec(object).unwrap()
            })
            .collect();
        let columns = payload_columns(vec![
            nullable("i", DataType::Int64),
            nullable("f", DataType::Float64),
            nullable("s", DataType::Utf8),
        ]);
        let mut decoder = JsonDecoder::with_timestamps(&columns, TimestampFormat::Auto).unwrap();
        let decoded = decoder.decode(&SplitId::new("0"), &payloads);
        let wanted: Vec<_> = objects.iter().map(|(object, _)| expected(object)).collect();
        prop_assert_eq!(decoded.rejects.len(), wanted.iter().filter(|w| w.is_none()).count());
        let integers = decoded.rows.column(0).as_primitive::<Int64Type>();
        let floats = decoded.rows.column(1).as_primitive::<Float64Type>();
        let texts = decoded.rows.column(2).as_string::<i32>();
        for (row, (integer, float, text)) in wanted.into_iter().flatten().enumerate() {
            prop_assert_eq!(integers.is_valid(row).then(|| integers.value(row)), integer);
            prop_assert_eq!(floats.is_valid(row).then(|| floats.value(row)), float);
            let found = texts.is_valid(row).then(|| texts.value(row));
            match (found, text) {
                (Some(found), Some(text)) if found.starts_with(['{', '[']) => {
                    // Raw JSON: the same value, in the spelling that was sent.
                    let equal = found == text
                        || serde_json::from_str::<Value>(found).ok()
                            == serde_json::from_str::<Value>(&text).ok();
                    prop_assert!(equal, "{} != {}", found, text);
                }
                (found, text) => prop_assert_eq!(found.map(str::to_owned), text),
            }
        }
    }

    #[test]
    fn no_bytes_bring_the_decoder_down(
        payloads in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..40), 1..6),
        cut in 0_usize..60,
    ) {
        let columns = payload_columns(vec![
            nullable("s", DataType::Utf8),
            nullable("i", DataType::Int64),
        ]);
        let mut decoder = JsonDecoder::with_timestamps(&columns, TimestampFormat::Auto).unwrap();
        let good: &[u8] = br#"{"s":"caf\u00e9","i":12,"x":[1,{"y":null}],"z":1.5e3}"#;
        let mut all: Vec<&[u8]> = vec![good, &good[..cut.min(good.len())], good];
        all.extend(payloads.iter().map(Vec::as_slice));
        all.push(good);
        let batch: Batch = all.iter().collect();
        let decoded = decoder.decode(&SplitId::new("0"), &batch);
        prop_assert_eq!(decoded.rows.num_rows() + decoded.rejects.len(), all.len());
        prop_assert!(decoded.rows.num_rows() >= 3);
    }
}
