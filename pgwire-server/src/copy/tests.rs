//! COPY's formats: what is written is read back, however it is cut into pieces.

use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, Int64Array, StringArray};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use arrow::record_batch::RecordBatch;
use bytes::BytesMut;
use rtsap_engine::copy::{CopyFormat, CopyOptions};

use super::read::CopyReader;
use super::write::CopyWriter;
use crate::encode::Columns;
use crate::encode::zone::Zone;

fn options(format: CopyFormat) -> CopyOptions {
    let (delimiter, null) = match format {
        CopyFormat::Csv => (',', ""),
        _ => ('\t', "\\N"),
    };
    CopyOptions {
        format,
        header: true,
        delimiter,
        null: null.to_owned(),
    }
}

fn schema() -> SchemaRef {
    Arc::new(Schema::new(vec![
        Field::new("n", DataType::Int64, true),
        Field::new("word", DataType::Utf8, true),
    ]))
}

const WORDS: [Option<&str>; 8] = [
    Some("plain"),
    Some(""),
    None,
    Some("a,b\tc"),
    Some("two\nlines\r\n"),
    Some("\"quoted\\"),
    Some("\\N"),
    Some("\\."),
];

fn written(format: CopyFormat) -> BytesMut {
    let numbers: Vec<Option<i64>> = (0..8).map(|n| (n != 3).then_some(n)).collect();
    let columns: Vec<ArrayRef> = vec![
        Arc::new(Int64Array::from(numbers)),
        Arc::new(StringArray::from(WORDS.to_vec())),
    ];
    let batch = RecordBatch::try_new(schema(), columns).unwrap();
    let (columns, writer) = (
        Columns::new(&batch).unwrap(),
        CopyWriter::new(&options(format), Zone::Fixed(0)),
    );
    let mut out = BytesMut::new();
    writer.put_head(&schema(), &mut out).unwrap();
    for row in 0..8 {
        writer.put_row(&columns, row, &mut out).unwrap();
    }
    writer.put_tail(&mut out).unwrap();
    out
}

/// The content of CopyData messages.
fn content(mut messages: BytesMut) -> Vec<u8> {
    let mut content = Vec::new();
    while !messages.is_empty() {
        assert_eq!(messages[0], b'd');
        let length = u32::from_be_bytes(messages[1..5].try_into().unwrap()) as usize;
        let message = messages.split_to(1 + length);
        content.extend_from_slice(&message[5..]);
    }
    content
}

fn read(options: &CopyOptions, bytes: &[u8], piece: usize) -> Result<Vec<RecordBatch>, String> {
    let told = |failure: crate::error::Failure| {
        format!(
            "{} {} ({})",
            failure.sqlstate,
            failure.message,
            failure.context.unwrap_or_default()
        )
    };
    let mut reader = CopyReader::new(options, &schema());
    let mut batches = Vec::new();
    for piece in bytes.chunks(piece) {
        batches.extend(reader.read(piece).map_err(told)?);
    }
    batches.extend(reader.end().map_err(told)?);
    Ok(batches)
}

#[test]
fn text_and_csv_come_back_as_they_went_in_any_pieces() {
    for format in [CopyFormat::Text, CopyFormat::Csv] {
        let bytes = content(written(format));
        for piece in [1, 2, 3, 7, 1000] {
            let batches = read(&options(format), &bytes, piece).unwrap();
            let words: Vec<_> = batches[0].column(1).as_string::<i32>().iter().collect();
            assert_eq!(words, WORDS, "{format:?} in pieces of {piece}");
            let numbers: Vec<_> = batches[0].column(0).as_string::<i32>().iter().collect();
            assert_eq!(numbers[2..5], [Some("2"), None, Some("4")]);
        }
    }
}

#[test]
fn csv_is_written_as_postgres_writes_it() {
    let text = String::from_utf8(content(written(CopyFormat::Csv))).unwrap();
    assert!(
        text.starts_with("n,word\n0,plain\n1,\"\"\n2,\n,\"a,b\tc\"\n"),
        "{text}"
    );
    let bytes = content(written(CopyFormat::Binary));
    assert!(bytes.starts_with(b"PGCOPY\n\xff\r\n\0\0\0\0\0\0\0\0\0\0\x02\0\0\0\x08"));
    assert!(bytes.ends_with(b"\xff\xff"));
}

#[test]
fn rows_of_another_shape_are_errors_with_their_line() {
    let mut text = options(CopyFormat::Text);
    text.header = false;
    assert_eq!(
        read(&text, b"1\ta\n2\n", 100).unwrap_err(),
        "22P04 missing data for column \"word\" (COPY, line 2)"
    );
    assert_eq!(
        read(&text, b"1\ta\tb\n", 100).unwrap_err(),
        "22P04 extra data after last expected column (COPY, line 1)"
    );
    assert!(
        read(&text, b"1\t\xff\n", 100)
            .unwrap_err()
            .starts_with("22021")
    );
    assert!(
        read(&text, b"1\t\\303\\251\n", 100)
            .unwrap_err()
            .starts_with("0A000")
    );
    let csv = options(CopyFormat::Csv);
    assert!(
        read(&csv, b"n,word\n1,\"open\n", 100)
            .unwrap_err()
            .contains("unterminated")
    );
    let ended = read(&text, b"1\ta\r\n\\.\nrubbish", 100).unwrap();
    assert_eq!(ended[0].num_rows(), 1);
}
