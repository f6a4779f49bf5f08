//! What JSON becomes which rows, and which becomes a reject.

use std::fmt::Write as _;
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::{DataType, Field, Schema, TimeUnit};
use arrow::util::display::{ArrayFormatter, FormatOptions};
use expect_test::{Expect, expect};
use rtsap_stream::decode::{ColumnOrigin, DecodeSchema, Decoded, Decoder};
use rtsap_stream::source::{Offset, RawBatch, SplitId};

use super::{JsonDecoder, TimestampFormat};

mod nested;
mod properties;

/// Payloads at offsets 100, 101, …
struct Batch(Vec<Option<Vec<u8>>>);

impl RawBatch for Batch {
    fn len(&self) -> usize {
        self.0.len()
    }
    fn payload(&self, index: usize) -> Option<&[u8]> {
        self.0[index].as_deref()
    }
    fn key(&self, index: usize) -> Option<&[u8]> {
        [Some(&b"k0"[..]), None, Some(&b"\xff"[..])][index % 3]
    }
    fn timestamp(&self, index: usize) -> Option<i64> {
        Some(1_700_000_000_000_000 + index as i64 * 1_000)
    }
    fn offset(&self, index: usize) -> Offset {
        Offset(100 + index as u64)
    }
    fn headers(&self, index: usize) -> Vec<(String, Option<Vec<u8>>)> {
        (0..index % 2)
            .map(|_| ("h".to_owned(), Some(b"v".to_vec())))
            .collect()
    }
    fn resume_at(&self) -> Offset {
        Offset(100 + self.0.len() as u64)
    }
}

impl<T: AsRef<[u8]>> FromIterator<T> for Batch {
    fn from_iter<I: IntoIterator<Item = T>>(payloads: I) -> Self {
        Self(
            payloads
                .into_iter()
                .map(|payload| Some(payload.as_ref().to_vec()))
                .collect(),
        )
    }
}

fn payload_columns(fields: Vec<Field>) -> DecodeSchema {
    let origins = vec![ColumnOrigin::Payload; fields.len()];
    DecodeSchema {
        schema: Arc::new(Schema::new(fields)),
        origins: origins.into(),
    }
}

/// Rows as `a | b`, then rejects as `! offset: reason`.
fn show(decoded: &Decoded) -> String {
    let mut shown = String::new();
    let options = FormatOptions::default().with_null("NULL");
    let columns = decoded.rows.columns().iter();
    let formatters: Vec<ArrayFormatter<'_>> = columns
        .map(|column| ArrayFormatter::try_new(column, &options).unwrap())
        .collect();
    for row in 0..decoded.rows.num_rows() {
        let values: Vec<String> = formatters
            .iter()
            .map(|f| f.value(row).to_string())
            .collect();
        writeln!(shown, "{}", values.join(" | ")).unwrap();
    }
    for reject in &decoded.rejects {
        writeln!(shown, "! {}: {}", reject.offset, reject.reason).unwrap();
    }
    visible(&shown)
}

/// Control characters in a form that survives an editor.
fn visible(text: &str) -> String {
    let escape = |c: char| match c {
        '\n' => "\n".to_owned(),
        c if c.is_control() => c.escape_default().to_string(),
        c => c.to_string(),
    };
    text.chars().map(escape).collect()
}

fn check(fields: Vec<Field>, payloads: &[&str], expected: &Expect) {
    check_with(TimestampFormat::Auto, fields, payloads, expected);
}

/// Decodes all payloads at once, then one by one with the same decoder: the cut into batches must
/// not matter.
fn check_with(
    timestamps: TimestampFormat,
    fields: Vec<Field>,
    payloads: &[&str],
    expected: &Expect,
) {
    let columns = payload_columns(fields);
    let mut decoder = JsonDecoder::with_timestamps(&columns, timestamps).unwrap();
    let split = SplitId::new("0");
    let whole = decoder.decode(&split, &payloads.iter().collect::<Batch>());
    expected.assert_eq(&show(&whole));
    let single: Vec<RecordBatch> = payloads
        .iter()
        .map(|payload| {
            decoder
                .decode(&split, &[payload].into_iter().collect::<Batch>())
                .rows
        })
        .collect();
    let single = arrow::compute::concat_batches(&columns.schema, &single).unwrap();
    assert_eq!(single, whole.rows);
}

fn nullable(name: &str, data_type: DataType) -> Field {
    Field::new(name, data_type, true)
}

fn required(name: &str, data_type: DataType) -> Field {
    Field::new(name, data_type, false)
}

fn trades() -> Vec<Field> {
    vec![
        required("symbol", DataType::Utf8),
        nullable("price", DataType::Decimal128(18, 8)),
        nullable("size", DataType::Float64),
        nullable(
            "ts",
            DataType::Timestamp(TimeUnit::Microsecond, Some("+00:00".into())),
        ),
    ]
}

#[test]
fn trades_in_any_order_spacing_and_with_fields_nobody_wants() {
    check(
        trades(),
        &[
            concat!(
                r#"{"symbol":"BTC","price":42000.5,"size":0.25,"#,
                r#""ts":"2024-01-02T03:04:05.123456Z","venue":"X","id":1}"#,
            ),
            concat!(
                r#"{"symbol":"ETH","price":"2300.12345678","size":"1e1","#,
                r#""ts":1704164645123456,"venue":"X","id":2}"#,
            ),
            r#" { "id" : 3 , "ts" : null , "price":1e-8,"size":2,"symbol":"SOL" } "#,
            r#"{"symbol":"A","deep":{"a":[1,{"b":"}]"}],"c":null},"price":1.234567885}"#,
            r#"{"symbol":"B","symbol":"C","price":1,"price":2}"#,
            r#"{"s\u0079mbol":"D"}"#,
            r#"{"Symbol":"E","symbol":"F"}"#,
        ],
        &expect![[r#"
            BTC | 42000.50000000 | 0.25 | 2024-01-02T03:04:05.123456Z
            ETH | 2300.12345678 | 10.0 | 2024-01-02T03:04:05.123456Z
            SOL | 0.00000001 | 2.0 | NULL
            A | 1.23456789 | NULL | NULL
            C | 2.00000000 | NULL | NULL
            D | NULL | NULL | NULL
            F | NULL | NULL | NULL
        "#]],
    );
}

#[test]
fn rejects_say_field_value_and_type_and_leave_their_neighbours_alone() {
    check(
        trades(),
        &[
            r#"{"symbol":"A","price":1,"size":1,"ts":1}"#,
            r#"{"symbol":"B","price":"abc","size":1,"ts":1}"#,
            r#"{"symbol":"B","price":12345678901,"size":1,"ts":1}"#,
            r#"{"symbol":"B","price":true}"#,
            r#"{"symbol":"B","price":1,"size":[1,2]}"#,
            r#"{"symbol":"B","price":1,"ts":"yesterday, when all my troubles seemed so far away"}"#,
            r#"{"symbol":null}"#,
            r#"{"price":1}"#,
            r#"{"symbol":"C","price":2,"size":2,"ts":2}"#,
            r#"[{"symbol":"B"}]"#,
            r#""#,
            r#"{"symbol":"B""#,
            r#"{"symbol":"B",}"#,
            r#"{"symbol":"B"} x"#,
            r#"{"symbol":"B","x":tru}"#,
            r#"{"symbol":"B","x":01}"#,
            r#"{"symbol":"B" "x":1}"#,
            r#"{"symbol":"unfinished"#,
            r#"nonsense"#,
            r#"{"symbol":"D","price":3,"size":3,"ts":3}"#,
        ],
        &expect![[r#"
            A | 1.00000000 | 1.0 | 1970-01-01T00:00:00.000001Z
            C | 2.00000000 | 2.0 | 1970-01-01T00:00:00.000002Z
            D | 3.00000000 | 3.0 | 1970-01-01T00:00:00.000003Z
            ! 101: field "price": cannot read "abc" as DECIMAL(18,8)
            ! 102: field "price": cannot read 12345678901 as DECIMAL(18,8): out of range
            ! 103: field "price": cannot read true as DECIMAL(18,8)
            ! 104: field "size": cannot read [1,2] as DOUBLE PRECISION
            ! 105: field "ts": cannot read "yesterday, when all my troubles seemed … as TIMESTAMP(6) WITH TIME ZONE: not an ISO 8601 timestamp
            ! 106: field "symbol": null, but the column is NOT NULL
            ! 107: field "symbol": missing, but the column is NOT NULL
            ! 109: the payload is a JSON array; one JSON object a payload is expected
            ! 110: the payload is empty
            ! 111: not valid JSON: expected ',' or '}' but the payload ends at byte 13
            ! 112: not valid JSON at byte 14: expected a string but found }
            ! 113: not valid JSON at byte 15: expected the end of the payload but found x
            ! 114: not valid JSON at byte 18: expected a value but found tru}
            ! 115: not valid JSON at byte 18: expected a value but found 01}
            ! 116: not valid JSON at byte 14: expected ',' or '}' but found "x":1}
            ! 117: field "symbol": not valid JSON: expected the end of a string but the payload ends at byte 21
            ! 118: not valid JSON at byte 0: expected an object but found nonsense
        "#]],
    );
}

#[test]
fn text_keeps_what_was_sent() {
    check(
        vec![nullable("t", DataType::Utf8)],
        &[
            r#"{"t":""}"#,
            r#"{"t":"plain"}"#,
            r#"{"t":"a\"b\\c\/d\b\f\n\r\te"}"#,
            r#"{"t":"caf\u00e9 \ud83d\ude00 é😀"}"#,
            r#"{"t":12.50}"#,
            r#"{"t":true}"#,
            r#"{"t": {"a" : [1, "x"]} }"#,
            r#"{"t":"\ud83d"}"#,
            r#"{"t":"\ude00\ud83d"}"#,
            r#"{"t":"\u12"}"#,
            r#"{"t":"\x"}"#,
            r#"{"t":"nul \u0000"}"#,
            "{\"t\":\"line\nbreak\"}",
        ],
        &expect![[r#"

            plain
            a"b\c/d\u{8}\u{c}
            \r\te
            café 😀 é😀
            12.50
            true
            {"a" : [1, "x"]}
            ! 107: field "t": cannot read "\ud83d" as TEXT: a surrogate without its partner
            ! 108: field "t": cannot read "\ude00\ud83d" as TEXT: a surrogate without its partner
            ! 109: field "t": cannot read "\u12" as TEXT: an unfinished escape sequence
            ! 110: field "t": cannot read "\x" as TEXT: an unknown escape sequence
            ! 111: field "t": cannot read "nul \u0000" as TEXT: the character U+0000 cannot be stored
            ! 112: field "t": not valid JSON at byte 10: expected no control character in a string but found \nbreak"}
        "#]],
    );
}

#[test]
fn text_must_be_utf_8() {
    let columns = payload_columns(vec![nullable("t", DataType::Utf8)]);
    let mut decoder = JsonDecoder::with_timestamps(&columns, TimestampFormat::Auto).unwrap();
    let batch: Batch = [
        &b"{\"t\":\"\xff\"}"[..],
        b"{\"t\":[\"\xc3\"]}",
        b"{\"u\":\"\xff\",\"t\":\"ok\"}",
    ]
    .into_iter()
    .collect();
    let decoded = decoder.decode(&SplitId::new("0"), &batch);
    expect![[r#"
        ok
        ! 100: field "t": cannot read "�" as TEXT: not UTF-8
        ! 101: field "t": cannot read ["�"] as TEXT: not UTF-8
    "#]]
    .assert_eq(&show(&decoded));
}

#[test]
fn whole_numbers_fit_or_are_rejected() {
    check(
        vec![
            nullable("s", DataType::Int16),
            nullable("i", DataType::Int32),
            nullable("l", DataType::Int64),
        ],
        &[
            r#"{"s":32767,"i":2147483647,"l":9223372036854775807}"#,
            r#"{"s":"-32768","i":-2147483648,"l":-9223372036854775808}"#,
            r#"{"s":1e2,"i":12.0,"l":"7"}"#,
            r#"{"s":32768}"#,
            r#"{"i":1.5}"#,
            r#"{"l":9223372036854775808}"#,
            r#"{"l":""}"#,
            r#"{"l":false}"#,
        ],
        &expect![[r#"
            32767 | 2147483647 | 9223372036854775807
            -32768 | -2147483648 | -9223372036854775808
            100 | 12 | 7
            ! 103: field "s": cannot read 32768 as SMALLINT: not a whole number in its range
            ! 104: field "i": cannot read 1.5 as INT: not a whole number in its range
            ! 105: field "l": cannot read 9223372036854775808 as BIGINT: not a whole number in its range
            ! 106: field "l": cannot read "" as BIGINT
            ! 107: field "l": cannot read false as BIGINT
        "#]],
    );
}

#[test]
fn floats_booleans_dates_and_bytes() {
    check(
        vec![
            nullable("d", DataType::Float64),
            nullable("r", DataType::Float32),
            nullable("b", DataType::Boolean),
            nullable("day", DataType::Date32),
            nullable("x", DataType::Binary),
        ],
        &[
            r#"{"d":"NaN","r":"-Infinity","b":true,"day":"2024-02-29","x":"\\x00ff"}"#,
            r#"{"d":1e-5,"r":0.1,"b":"FALSE","day":1,"x":"aGk="}"#,
            r#"{"d":"1.5","r":16777217,"b":null,"day":null,"x":"aGk"}"#,
            r#"{"d":1e999}"#,
            r#"{"b":1}"#,
            r#"{"day":"2023-02-29"}"#,
            r#"{"x":"a"}"#,
            r#"{"x":"\\x0"}"#,
        ],
        &expect![[r#"
            NaN | -inf | true | 2024-02-29 | 00ff
            0.00001 | 0.1 | false | 1970-01-02 | 6869
            1.5 | 16777216.0 | NULL | NULL | 6869
            ! 103: field "d": cannot read 1e999 as DOUBLE PRECISION: out of range
            ! 104: field "b": cannot read 1 as BOOLEAN
            ! 105: field "day": cannot read "2023-02-29" as DATE
            ! 106: field "x": cannot read "a" as BYTEA: neither \x and hexadecimal nor base64
            ! 107: field "x": cannot read "\\x0" as BYTEA: neither \x and hexadecimal nor base64
        "#]],
    );
}

fn timestamps() -> Vec<Field> {
    vec![
        nullable(
            "ms",
            DataType::Timestamp(TimeUnit::Millisecond, Some("+00:00".into())),
        ),
        nullable("us", DataType::Timestamp(TimeUnit::Microsecond, None)),
        nullable(
            "ns",
            DataType::Timestamp(TimeUnit::Nanosecond, Some("+00:00".into())),
        ),
    ]
}

#[test]
fn timestamps_are_iso_strings_or_counts_of_the_columns_unit() {
    check(
        timestamps(),
        &[
            r#"{"ms":1704164645123,"us":1704164645123456,"ns":1704164645123456789}"#,
            concat!(
                r#"{"ms":"2024-01-02T05:04:05.1235+02:00","us":"2024-01-02 03:04:05","#,
                r#""ns":"2024-01-02T03:04:05.123456789Z"}"#,
            ),
            r#"{"ms":1704164645123.5,"us":"2024-01-02T03:04:05Z"}"#,
            r#"{"us":"2024-01-02T03:04:05+02:00"}"#,
            r#"{"ns":"9999-12-31T00:00:00Z"}"#,
            r#"{"ms":"1704164645123"}"#,
            r#"{"ms":{}}"#,
        ],
        &expect![[r#"
            2024-01-02T03:04:05.123Z | 2024-01-02T03:04:05.123456 | 2024-01-02T03:04:05.123456789Z
            2024-01-02T03:04:05.124Z | 2024-01-02T03:04:05 | 2024-01-02T03:04:05.123456789Z
            2024-01-02T03:04:05.124Z | 2024-01-02T03:04:05 | NULL
            ! 103: field "us": cannot read "2024-01-02T03:04:05+02:00" as TIMESTAMP(6): it has a UTC offset, but the column is without time zone
            ! 104: field "ns": cannot read "9999-12-31T00:00:00Z" as TIMESTAMP(9) WITH TIME ZONE: out of range
            ! 105: field "ms": cannot read "1704164645123" as TIMESTAMP(3) WITH TIME ZONE: not an ISO 8601 timestamp
            ! 106: field "ms": cannot read {} as TIMESTAMP(3) WITH TIME ZONE
        "#]],
    );
}

#[test]
fn timestamps_in_a_named_unit() {
    check_with(
        TimestampFormat::Epoch(0),
        timestamps(),
        &[
            r#"{"ms":1704164645,"us":1704164645.123456,"ns":"1704164645.5"}"#,
            r#"{"ms":"2024-01-02T03:04:05Z"}"#,
        ],
        &expect![[r#"
            2024-01-02T03:04:05Z | 2024-01-02T03:04:05.123456 | 2024-01-02T03:04:05.500Z
            ! 101: field "ms": cannot read "2024-01-02T03:04:05Z" as TIMESTAMP(3) WITH TIME ZONE
        "#]],
    );
    check_with(
        TimestampFormat::Iso,
        timestamps(),
        &[
            r#"{"ms":"2024-01-02T03:04:05Z"}"#,
            r#"{"ms":1704164645123}"#,
        ],
        &expect![[r#"
            2024-01-02T03:04:05Z | NULL | NULL
            ! 101: field "ms": cannot read 1704164645123 as TIMESTAMP(3) WITH TIME ZONE
        "#]],
    );
}
