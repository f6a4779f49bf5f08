//! CSV records to rows, the good ones and the bad ones.

use arrow::datatypes::{DataType, Field, Schema, TimeUnit};
use arrow::util::display::{ArrayFormatter, FormatOptions};
use expect_test::{Expect, expect};
use rtsap_stream::registry::Options;
use rtsap_stream::source::Offset;

use super::*;

struct Lines(Vec<&'static str>, Option<&'static str>);

impl RawBatch for Lines {
    fn len(&self) -> usize {
        self.0.len()
    }
    fn payload(&self, index: usize) -> Option<&[u8]> {
        self.0.get(index).map(|line| line.as_bytes())
    }
    fn key(&self, _index: usize) -> Option<&[u8]> {
        None
    }
    fn timestamp(&self, _index: usize) -> Option<i64> {
        None
    }
    fn offset(&self, index: usize) -> Offset {
        Offset(10 + index as u64)
    }
    fn headers(&self, _index: usize) -> Vec<(String, Option<Vec<u8>>)> {
        let header = self.1.iter();
        header
            .map(|line| (HEADER_KEY.to_owned(), Some(line.as_bytes().to_vec())))
            .collect()
    }
    fn resume_at(&self) -> Offset {
        Offset(10 + self.0.len() as u64)
    }
}

fn schema() -> DecodeSchema {
    let fields = vec![
        Field::new("symbol", DataType::Utf8, false),
        Field::new("price", DataType::Decimal128(10, 4), true),
        Field::new("size", DataType::Int16, true),
        Field::new(
            "ts",
            DataType::Timestamp(TimeUnit::Microsecond, Some("+00:00".into())),
            true,
        ),
        Field::new("flag", DataType::Boolean, true),
        Field::new("x", DataType::Float64, true),
        Field::new("day", DataType::Date32, true),
        Field::new("bytes", DataType::Binary, true),
        Field::new("line", DataType::Int64, false),
        Field::new("file", DataType::Utf8, false),
    ];
    let mut origins = vec![ColumnOrigin::Payload; 8];
    origins.push(ColumnOrigin::Metadata(Metadata::Offset));
    origins.push(ColumnOrigin::Metadata(Metadata::Topic));
    DecodeSchema {
        schema: Arc::new(Schema::new(fields)),
        origins: origins.into(),
    }
}

fn request() -> SourceRequest {
    SourceRequest {
        primary_key: Vec::new(),
        name: "f".to_owned(),
        columns: schema(),
        options: Options::default(),
    }
}

const HEADER: &str = "ts,symbol,price,size,flag,x,day,bytes,unused";

/// One line a row.
fn table(batch: &RecordBatch) -> String {
    let options = FormatOptions::default().with_null("NULL");
    let columns: Vec<ArrayFormatter<'_>> = batch
        .columns()
        .iter()
        .map(|column| ArrayFormatter::try_new(column, &options).unwrap())
        .collect();
    let cells = |row: usize| {
        columns
            .iter()
            .map(move |column| column.value(row).to_string())
    };
    let rows = (0..batch.num_rows()).map(|row| cells(row).collect::<Vec<_>>().join(" | "));
    rows.collect::<Vec<_>>().join("\n")
}

fn check(
    layout: CsvLayout,
    header: Option<&'static str>,
    lines: &[&'static str],
    expected: &Expect,
) {
    let mut decoder = decoder(&request(), &schema(), layout).unwrap();
    let split = SplitId::new("a.csv");
    let decoded = decoder.decode(&split, &Lines(lines.to_vec(), header));
    assert_eq!(decoded.rows.num_rows() + decoded.rejects.len(), lines.len());
    let mut text = table(&decoded.rows);
    for reject in decoded.rejects {
        text.push_str(&format!("\n{}: {}", reject.offset, reject.reason));
    }
    expected.assert_eq(&text);
}

const COMMAS: CsvLayout = CsvLayout {
    delimiter: b',',
    header: true,
};

#[test]
fn good_records_become_rows_by_the_names_of_the_header() {
    let lines = [
        "2024-01-02T14:30:00.123456Z,AAPL,189.2300,100,true,1e3,2024-01-02,\\x00ff,",
        "2024-01-02 14:30:00-05:00,\"MS\"\"FT\n,\",-0.5,,f,NaN,,,x",
        ",\"\",,-5,0,,,,",
        "2024-01-02T14:30:00.1234567Z,ROUNDED,-1.23455,1,,,,,",
    ];
    check(
        COMMAS,
        Some(HEADER),
        &lines,
        &expect![[r#"
        AAPL | 189.2300 | 100 | 2024-01-02T14:30:00.123456Z | true | 1000.0 | 2024-01-02 | 00ff | 10 | a.csv
        MS"FT
        , | -0.5000 | NULL | 2024-01-02T19:30:00Z | false | NaN | NULL | NULL | 11 | a.csv
         | NULL | -5 | NULL | false | NULL | NULL | NULL | 12 | a.csv
        ROUNDED | -1.2346 | 1 | 2024-01-02T14:30:00.123457Z | NULL | NULL | NULL | NULL | 13 | a.csv"#]],
    );
}

#[test]
fn bad_records_are_rejected_with_the_reason() {
    let lines = [
        "2024-13-02T14:30:00Z,AAPL,1,1,,,,,",
        "2024-01-02T14:30:00.12:34Z,AAPL,1,1,,,,,",
        ",AAPL,1.2.3,1,,,,,",
        ",AAPL,1234567.0,1,,,,,",
        ",AAPL,1,40000,,,,,",
        ",AAPL,1,1,maybe,,,,",
        ",,1,1,,,,,",
        ",AAPL,1,1",
        ",\"AAPL,1,1,,,,,",
        ",\"AAPL\"x,1,1,,,,,",
        ",AAPL,1,1,,,,00ff,",
        ",GOOD,1,1,,,,,",
    ];
    check(
        COMMAS,
        Some(HEADER),
        &lines,
        &expect![[r#"
        GOOD | 1.0000 | 1 | NULL | NULL | NULL | NULL | NULL | 21 | a.csv
        10: field "ts": cannot read "2024-13-02T14:30:00Z" as TIMESTAMP(6) WITH TIME ZONE
        11: field "ts": cannot read "2024-01-02T14:30:00.12:34Z" as TIMESTAMP(6) WITH TIME ZONE
        12: field "price": cannot read "1.2.3" as DECIMAL(10,4)
        13: field "price": cannot read "1234567.0" as DECIMAL(10,4)
        14: field "size": cannot read "40000" as SMALLINT
        15: field "flag": cannot read "maybe" as BOOLEAN
        16: field "symbol" is null
        17: 4 fields where 9 are expected
        18: the quote of field 2 is not closed
        19: text follows the closing quote of field 2
        20: field "bytes": cannot read "00ff" as BYTEA"#]],
    );
}

#[test]
fn without_a_header_the_declared_order_counts_and_a_header_must_name_all() {
    let layout = CsvLayout {
        delimiter: b';',
        header: false,
    };
    let line = "A;1;2;2024-01-02T00:00:00Z;t;1;2024-01-02;";
    check(
        layout,
        None,
        &[line],
        &expect![
            "A | 1.0000 | 2 | 2024-01-02T00:00:00Z | true | 1.0 | 2024-01-02 | NULL | 10 | a.csv"
        ],
    );
    check(
        COMMAS,
        Some("symbol,price"),
        &["A,1"],
        &expect![[r#"

        10: the header names no field "size""#]],
    );
    check(
        COMMAS,
        None,
        &["A,1"],
        &expect![[r#"

        10: the file has no header"#]],
    );
}

#[test]
fn decimals_are_read_exactly_or_not_at_all() {
    let cases = [
        ("1", 2, Some(100)),
        ("-1.5", 2, Some(-150)),
        ("+.5", 2, Some(50)),
        ("1.500", 2, Some(150)),
        ("1.505", 2, None),
        (
            "170141183460469231731687303715884105727",
            0,
            Some(i128::MAX),
        ),
        ("170141183460469231731687303715884105728", 0, None),
        ("", 0, None),
        (".", 0, None),
        ("-", 0, None),
        ("1e3", 0, None),
        ("1,0", 0, None),
        ("--1", 0, None),
    ];
    for (text, scale, expected) in cases {
        assert_eq!(parse_decimal(text, scale), expected, "{text}");
    }
}

#[test]
fn a_record_ends_at_a_line_end_outside_of_quotes() {
    let cases = [
        ("a,b\nc", Some(3)),
        ("a,\"b\nc\",d\ne", Some(9)),
        ("a,\"b\"\"\nc\"\n", Some(9)),
        ("a,5\" pipe\nb", Some(9)),
        ("a,\"b\nc", None),
        ("a,b", None),
    ];
    for (text, expected) in cases {
        assert_eq!(record_end(text.as_bytes(), b','), expected, "{text}");
    }
}

#[test]
fn types_and_delimiters_without_a_csv_form_are_refused() {
    let list = DataType::new_list(DataType::Int64, true);
    let columns = DecodeSchema {
        schema: Arc::new(Schema::new(vec![Field::new("levels", list, true)])),
        origins: [ColumnOrigin::Payload].into(),
    };
    assert!(decoder(&request(), &columns, COMMAS).is_err());
    for delimiter in ["", "ab", "\"", "é"] {
        let options = Options([("csv.field-delimiter".to_owned(), delimiter.to_owned())].into());
        let mut reader = OptionReader::new("source \"f\"", &options);
        assert!(CsvLayout::read(&mut reader).is_err(), "{delimiter}");
    }
}
