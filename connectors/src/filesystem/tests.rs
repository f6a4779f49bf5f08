//! Files as a source: order, offsets, following, refusals.

use std::collections::BTreeMap;
use std::fs;
use std::io::Write;
use std::path::Path;
use std::time::Duration;

use ::parquet::arrow::ArrowWriter;
use ::parquet::file::properties::WriterProperties;
use arrow::array::{
    Array, ArrayRef, Int64Array, RecordBatch, StringArray, TimestampMillisecondArray,
};
use arrow::datatypes::{DataType, Field, Schema, TimeUnit};
use rtsap_stream::registry::Options;
use rtsap_stream::source::Payloads;

use super::*;

fn request(path: &str, options: &[(&str, &str)]) -> SourceRequest {
    let fields = vec![
        Field::new("symbol", DataType::Utf8, true),
        Field::new("size", DataType::Int64, true),
        Field::new("line", DataType::Int64, false),
    ];
    let mut origins = vec![ColumnOrigin::Payload; 2];
    origins.push(ColumnOrigin::Metadata(Metadata::Offset));
    let fixed = [("path", path), ("connector", "filesystem")];
    let all = options.iter().chain(&fixed);
    let options = all
        .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
        .collect();
    SourceRequest {
        primary_key: Vec::new(),
        name: "f".to_owned(),
        columns: DecodeSchema {
            schema: Arc::new(Schema::new(fields)),
            origins: origins.into(),
        },
        options: Options(options),
    }
}

fn write(path: &Path, text: &str) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, text).unwrap();
}

/// One line per payload or row: `split/offset: text`.
fn take(reader: &mut dyn SourceReader, rows_max: usize, found: &mut Vec<String>) -> Option<()> {
    let batch = reader.poll(rows_max, Duration::ZERO).unwrap()?;
    let split = batch.split;
    match batch.payloads {
        Payloads::Raw(raw) => {
            assert!(raw.len() <= rows_max && !raw.is_empty());
            for index in 0..raw.len() {
                let text = String::from_utf8_lossy(raw.payload(index).unwrap()).into_owned();
                found.push(format!("{split}/{}: {text}", raw.offset(index)));
            }
        }
        Payloads::Rows { rows, first, .. } => {
            let names: &StringArray = rows.column(0).as_any().downcast_ref().unwrap();
            let numbers: &Int64Array = rows.column(2).as_any().downcast_ref().unwrap();
            for row in 0..rows.num_rows() {
                assert_eq!(numbers.value(row), first.0 as i64 + row as i64);
                found.push(format!(
                    "{split}/{}: {}",
                    numbers.value(row),
                    names.value(row)
                ));
            }
        }
        Payloads::Found { .. } => panic!("files are splits from the beginning"),
        Payloads::Ended => found.push(format!("{split}: end")),
    }
    Some(())
}

async fn read_from(request: &SourceRequest, positions: &Positions, rows_max: usize) -> Vec<String> {
    let source = source(request).unwrap();
    let mut reader = source
        .open(positions, &request.columns.schema)
        .await
        .unwrap();
    let mut found = Vec::new();
    while take(reader.as_mut(), rows_max, &mut found).is_some() {}
    found
}

async fn read(request: &SourceRequest, rows_max: usize) -> Vec<String> {
    let positions = source(request).unwrap().start_positions().await.unwrap();
    read_from(request, &positions, rows_max).await
}

fn ends(positions: Positions) -> BTreeMap<String, u64> {
    positions
        .into_iter()
        .map(|(split, end)| (split.to_string(), end.0))
        .collect()
}

#[tokio::test]
async fn files_are_read_in_the_order_of_their_names_and_end() {
    let root = tempfile::tempdir().unwrap();
    write(&root.path().join("b.jsonl"), "{\"n\":1}\r\n\n{\"n\":2}");
    write(&root.path().join("a/x.jsonl"), "\u{FEFF}{}\n");
    write(&root.path().join("a/_temporary"), "{}\n");
    write(&root.path().join(".hidden"), "{}\n");
    write(&root.path().join("empty"), "");
    let request = request(root.path().to_str().unwrap(), &[("format", "json")]);
    check(&request).unwrap();
    let expected = [
        "a/x.jsonl/0: {}",
        "a/x.jsonl: end",
        "b.jsonl/0: {\"n\":1}",
        "b.jsonl/2: {\"n\":2}",
        "b.jsonl: end",
        "empty: end",
    ];
    assert_eq!(read(&request, 100).await, expected);
    assert_eq!(read(&request, 1).await, expected);
    let source = source(&request).unwrap();
    assert!(source.is_bounded());
    let end = ends(source.end_positions().await.unwrap());
    assert_eq!(
        end,
        [("a/x.jsonl", 1), ("b.jsonl", 3), ("empty", 0)]
            .map(|(k, v)| (k.to_owned(), v))
            .into()
    );
}

#[tokio::test]
async fn reading_goes_on_at_any_offset_exactly() {
    let root = tempfile::tempdir().unwrap();
    // Long enough for several reads from the disk.
    let lines: Vec<String> = (0..20_000)
        .map(|n| format!("{{\"n\":{n},\"pad\":\"{n:060}\"}}"))
        .collect();
    let path = root.path().join("t.jsonl");
    write(&path, &lines.join("\n"));
    let request = request(path.to_str().unwrap(), &[("format", "json")]);
    for at in [0, 1, 4_999, 19_999, 20_000] {
        let positions = [(SplitId::new("t.jsonl"), Offset(at))].into();
        let found = read_from(&request, &positions, 1_000).await;
        assert_eq!(found.len() as u64, 20_000 - at + 1);
        if at < 20_000 {
            assert_eq!(found[0], format!("t.jsonl/{at}: {}", lines[at as usize]));
        }
    }
    let source = source(&request).unwrap();
    for (split, at) in [("t.jsonl", 20_001), ("gone.jsonl", 0)] {
        let positions = [(SplitId::new(split), Offset(at))].into();
        let mut reader = source
            .open(&positions, &request.columns.schema)
            .await
            .unwrap();
        let failed = reader.poll(10, Duration::ZERO);
        if split == "t.jsonl" {
            assert_eq!(failed.err().unwrap().kind, ErrorKind::Data);
        }
    }
}

#[tokio::test]
async fn csv_records_keep_quoted_line_ends_and_reach_the_decoder_with_their_header() {
    let root = tempfile::tempdir().unwrap();
    write(
        &root.path().join("1.csv"),
        "size,symbol\n1,AAPL\n2,\"MS\nFT\"\nbad\n3,\"open\n4,IBM\n",
    );
    write(&root.path().join("2.csv"), "symbol,size\nKO,5");
    let pattern = format!("{}/*.csv", root.path().display());
    let request = request(&pattern, &[("format", "csv")]);
    check(&request).unwrap();
    let source = source(&request).unwrap();
    let positions = source.start_positions().await.unwrap();
    let mut reader = source
        .open(&positions, &request.columns.schema)
        .await
        .unwrap();
    let mut decoder = decoder(&request, &request.columns).unwrap();
    let mut found = Vec::new();
    while let Some(batch) = reader.poll(3, Duration::ZERO).unwrap() {
        let Payloads::Raw(raw) = batch.payloads else {
            continue;
        };
        let decoded = decoder.decode(&batch.split, raw.as_ref());
        let symbols: &StringArray = decoded.rows.column(0).as_any().downcast_ref().unwrap();
        let lines: &Int64Array = decoded.rows.column(2).as_any().downcast_ref().unwrap();
        found.extend(
            (0..symbols.len()).map(|row| format!("{} {:?}", lines.value(row), symbols.value(row))),
        );
        found.extend(
            decoded
                .rejects
                .iter()
                .map(|reject| format!("{} {}", reject.offset, reject.reason)),
        );
    }
    let expected = [
        "1 \"AAPL\"",
        "2 \"MS\\nFT\"",
        "3 1 fields where 2 are expected",
        "5 \"IBM\"",
        "4 the quote of field 2 is not closed",
        "1 \"KO\"",
    ];
    assert_eq!(found, expected);
    assert_eq!(ends(source.end_positions().await.unwrap())["1.csv"], 6);
}

#[tokio::test]
async fn new_lines_and_new_files_are_followed() {
    let root = tempfile::tempdir().unwrap();
    let first = root.path().join("1.jsonl");
    write(&first, "{\"n\":1}\n{\"n\":2");
    let options = [("format", "json"), ("source.monitor-interval", "10 ms")];
    let request = request(root.path().to_str().unwrap(), &options);
    let source = source(&request).unwrap();
    assert!(!source.is_bounded());
    let positions = source.start_positions().await.unwrap();
    let mut reader = source
        .open(&positions, &request.columns.schema)
        .await
        .unwrap();
    let mut found = Vec::new();
    while take(reader.as_mut(), 10, &mut found).is_some() {}
    assert_eq!(
        found,
        ["1.jsonl/0: {\"n\":1}"],
        "a line without an end is still being written"
    );
    fs::OpenOptions::new()
        .append(true)
        .open(&first)
        .unwrap()
        .write_all(b"}\n{\"n\":3}\n")
        .unwrap();
    write(&root.path().join("0.jsonl"), "{\"n\":0}\n");
    let batch = |reader: &mut dyn SourceReader, found: &mut Vec<String>| {
        let batch = reader.poll(10, Duration::from_secs(10)).unwrap().unwrap();
        let Payloads::Raw(raw) = batch.payloads else {
            panic!("lines are raw")
        };
        found.push(format!(
            "{} {} {}",
            batch.split,
            raw.offset(0),
            raw.resume_at()
        ));
    };
    found.clear();
    batch(reader.as_mut(), &mut found);
    batch(reader.as_mut(), &mut found);
    assert_eq!(found, ["0.jsonl 0 1", "1.jsonl 1 3"]);
}

fn write_parquet(path: &Path, rows: i64) {
    let fields = vec![
        Field::new("size", DataType::Int32, true),
        Field::new("unused", DataType::Boolean, true),
        Field::new("symbol", DataType::LargeUtf8, true),
        Field::new(
            "ts",
            DataType::Timestamp(TimeUnit::Millisecond, None),
            false,
        ),
    ];
    let schema = Arc::new(Schema::new(fields));
    let symbols = (0..rows).map(|row| format!("S{row}"));
    let columns: Vec<ArrayRef> = vec![
        Arc::new(arrow::array::Int32Array::from_iter_values(
            (0..rows).map(|row| row as i32),
        )),
        Arc::new(arrow::array::BooleanArray::from(vec![true; rows as usize])),
        Arc::new(arrow::array::LargeStringArray::from_iter_values(symbols)),
        Arc::new(TimestampMillisecondArray::from_iter_values(0..rows)),
    ];
    let batch = RecordBatch::try_new(Arc::clone(&schema), columns).unwrap();
    let properties = WriterProperties::builder()
        .set_max_row_group_row_count(Some(100))
        .build();
    let file = fs::File::create(path).unwrap();
    let mut writer = ArrowWriter::try_new(file, schema, Some(properties)).unwrap();
    writer.write(&batch).unwrap();
    writer.close().unwrap();
}

#[tokio::test]
async fn parquet_rows_have_exact_offsets_and_the_declared_types() {
    let root = tempfile::tempdir().unwrap();
    write_parquet(&root.path().join("t.parquet"), 1_000);
    let request = request(root.path().to_str().unwrap(), &[("format", "parquet")]);
    check(&request).unwrap();
    for at in [0, 99, 100, 555, 1_000] {
        let positions = [(SplitId::new("t.parquet"), Offset(at))].into();
        let found = read_from(&request, &positions, 64).await;
        assert_eq!(found.len() as u64, 1_000 - at + 1);
        if at < 1_000 {
            assert_eq!(found[0], format!("t.parquet/{at}: S{at}"));
        }
    }
    let source = source(&request).unwrap();
    assert_eq!(
        ends(source.end_positions().await.unwrap())["t.parquet"],
        1_000
    );
    assert!(decoder(&request, &request.columns).is_err());
}

#[tokio::test]
async fn parquet_columns_that_would_lose_something_are_refused() {
    let root = tempfile::tempdir().unwrap();
    write_parquet(&root.path().join("t.parquet"), 10);
    let second = DataType::Timestamp(TimeUnit::Second, None);
    for (name, data_type) in [
        ("symbol", DataType::Int64),
        ("ts", second),
        ("missing", DataType::Utf8),
    ] {
        let mut request = request(root.path().to_str().unwrap(), &[("format", "parquet")]);
        let schema = Arc::new(Schema::new(vec![Field::new(name, data_type, true)]));
        request.columns = DecodeSchema {
            schema,
            origins: [ColumnOrigin::Payload].into(),
        };
        let source = source(&request).unwrap();
        let positions = source.start_positions().await.unwrap();
        let mut reader = source
            .open(&positions, &request.columns.schema)
            .await
            .unwrap();
        let error = reader.poll(10, Duration::ZERO).err().unwrap();
        assert_eq!(error.kind, ErrorKind::Data, "{name}");
        assert!(error.message.contains(name), "{}", error.message);
    }
}

#[tokio::test]
async fn what_cannot_be_read_is_refused_clearly() {
    let root = tempfile::tempdir().unwrap();
    write(&root.path().join("t.jsonl.gz"), "");
    let root = root.path().to_str().unwrap();
    let offline = |path: &str, options: &[(&str, &str)]| {
        let error = check(&request(path, options)).unwrap_err();
        assert_eq!(error.kind, ErrorKind::Invalid);
        format!("{} {}", error.message, error.hint.unwrap_or_default())
    };
    let s3 = offline("s3://bucket/x", &[("format", "json")]);
    assert!(s3.contains("only local paths can be read"), "{s3}");
    assert!(offline(root, &[]).contains("\"format\""));
    assert!(offline(root, &[("format", "jsn")]).contains("Did you mean 'json'?"));
    assert!(offline(root, &[("format", "json"), ("csv.header", "true")]).contains("csv.header"));
    assert!(offline(root, &[("format", "csv"), ("csv.heder", "true")]).contains("csv.header"));
    for path in [
        format!("{root}/none"),
        format!("{root}/*.csv"),
        root.to_owned(),
    ] {
        let source = source(&request(&path, &[("format", "json")])).unwrap();
        let error = source.start_positions().await.err().unwrap();
        assert_eq!(error.kind, ErrorKind::Invalid, "{path}");
    }
}
