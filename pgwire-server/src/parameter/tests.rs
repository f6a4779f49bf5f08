//! Parameters in both formats, and bytes that are no value.

use arrow::datatypes::DataType;
use rtsap_engine::session::ScalarValue;

use super::{bytea, read};
use crate::encode::Format;
use crate::oid;

fn binary(wire: u32, bytes: &[u8]) -> Result<String, String> {
    let value = read(wire, &DataType::Utf8, Format::Binary, Some(bytes));
    value
        .map(|value| value.to_string())
        .map_err(|failure| failure.sqlstate.to_owned())
}

fn text(wire: u32, text: &str) -> Result<String, String> {
    let value = read(wire, &DataType::Utf8, Format::Text, Some(text.as_bytes()));
    value
        .map(|value| value.to_string())
        .map_err(|failure| failure.sqlstate.to_owned())
}

fn ok(text: &str) -> Result<String, String> {
    Ok(text.to_owned())
}

fn error(sqlstate: &str) -> Result<String, String> {
    Err(sqlstate.to_owned())
}

#[test]
fn binary_values_are_read_as_their_type_sends_them() {
    assert_eq!(binary(oid::INT4, &258_i32.to_be_bytes()), ok("258"));
    assert_eq!(binary(oid::BOOL, &[1]), ok("true"));
    assert_eq!(binary(oid::DATE, &1_i32.to_be_bytes()), ok("2000-01-02"));
    assert_eq!(binary(oid::TEXT, "é".as_bytes()), ok("é"));
    assert_eq!(binary(oid::JSONB, b"\x01{}"), ok("{}"));
    assert_eq!(
        binary(oid::UUID, &[0x11; 16]),
        ok("11111111-1111-1111-1111-111111111111")
    );
    let array =
        b"\0\0\0\x01\0\0\0\0\0\0\0\x17\0\0\0\x02\0\0\0\x01\0\0\0\x04\0\0\0\x07\xff\xff\xff\xff";
    assert_eq!(binary(1007, array), ok("[7, ]"));
}

#[test]
fn binary_numbers_of_any_scale_keep_every_digit() {
    let numeric = |groups: &[u16], weight: i16, sign: u16, scale: u16| {
        let mut bytes = u16::try_from(groups.len()).unwrap().to_be_bytes().to_vec();
        bytes.extend(weight.to_be_bytes());
        bytes.extend(sign.to_be_bytes());
        bytes.extend(scale.to_be_bytes());
        bytes.extend(groups.iter().flat_map(|group| group.to_be_bytes()));
        binary(oid::NUMERIC, &bytes)
    };
    assert_eq!(numeric(&[123, 4500], 0, 0, 2), ok("123.45"));
    assert_eq!(numeric(&[5], -1, 0x4000, 4), ok("-0.0005"));
    assert_eq!(numeric(&[1], 2, 0, 0), ok("100000000"));
    assert_eq!(numeric(&[1], -3, 0, 12), ok("0.000000000001"));
    assert_eq!(numeric(&[], 0, 0, 2), ok("0.00"));
    assert_eq!(numeric(&[], 0, 0xc000, 0), ok("NaN"));
    assert_eq!(numeric(&[10_000], 0, 0, 0), error("22P03"));
}

#[test]
fn bytes_that_are_no_value_are_errors() {
    assert_eq!(binary(oid::INT4, &[0; 3]), error("22P03"));
    assert_eq!(binary(oid::INT4, &[0; 5]), error("22P03"));
    assert_eq!(binary(oid::TEXT, &[0xff]), error("22021"));
    assert_eq!(
        binary(oid::TIMESTAMP, &i64::MAX.to_be_bytes()),
        error("0A000")
    );
    assert_eq!(
        binary(oid::DATE, &(i32::MAX - 1).to_be_bytes()),
        error("22008")
    );
    assert_eq!(
        binary(
            1007,
            b"\0\0\0\x01\0\0\0\0\0\0\0\x17\x7f\xff\xff\xff\0\0\0\x01"
        ),
        error("22P03")
    );
    assert_eq!(
        binary(1007, b"\0\0\0\x02\0\0\0\0\0\0\0\x17"),
        error("0A000")
    );
    assert_eq!(text(oid::INT4, "1x"), error("22P02"));
    assert_eq!(text(oid::INT2, "40000"), error("22P02"));
    assert_eq!(text(oid::BOOL, "maybe"), error("22P02"));
    assert_eq!(text(1009, "{a"), error("22P02"));
    assert_eq!(text(1009, "{\"a}"), error("22P02"));
    assert_eq!(text(1007, "{{1},{2}}"), error("0A000"));
}

#[test]
fn text_values_take_the_spellings_of_postgres() {
    assert_eq!(text(oid::BOOL, " T "), ok("true"));
    assert_eq!(text(oid::BOOL, "off"), ok("false"));
    assert_eq!(text(oid::INT8, " 7 "), ok("7"));
    assert_eq!(
        text(1009, "{a,\"b,\\\"c\",NULL,\"NULL\"}"),
        ok("[a, b,\"c, , NULL]")
    );
    assert_eq!(text(1007, "{}"), ok("[]"));
    assert_eq!(bytea("\\xAb01").unwrap(), [0xab, 1]);
    assert_eq!(bytea("a\\\\\\001").unwrap(), [b'a', b'\\', 1]);
    assert!(bytea("\\xa").is_err());
}

#[test]
fn digits_are_never_rounded_away_and_null_has_the_type_wanted() {
    let decimal = DataType::Decimal128(10, 2);
    let given = |text: &str| read(oid::NUMERIC, &decimal, Format::Text, Some(text.as_bytes()));
    assert!(given("1.255").is_err());
    assert!(given("1.250").is_ok());
    let null = read(oid::NUMERIC, &decimal, Format::Text, None).unwrap();
    assert_eq!(null, ScalarValue::Decimal128(None, 10, 2));
}
