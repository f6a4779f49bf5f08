//! The file sink on a local directory always, and on the S3 server at `RTSAP_TEST_S3` where one is
//! given. What is read back is read by `parquet` itself.

use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, Int64Array, RecordBatch, StringArray};
use arrow::datatypes::{DataType, Field, Int64Type, Schema, SchemaRef};
use bytes::Bytes;
use futures::TryStreamExt;
use object_store::aws::AmazonS3Builder;
use object_store::local::LocalFileSystem;
use object_store::prefix::PrefixStore;
use object_store::{ObjectStore, ObjectStoreExt};
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use rtsap_connectors::filesystem::sink;
use rtsap_stream::change::{ChangeBatch, ChangelogMode};
use rtsap_stream::error::{ConnectorError, ErrorKind};
use rtsap_stream::message::{Epoch, Generation};
use rtsap_stream::progress::Owner;
use rtsap_stream::registry::Options;
use rtsap_stream::sink::{Sink, SinkInput};

/// A directory of one test, and what it holds.
struct Corner {
    options: Options,
    store: Arc<dyn ObjectStore>,
    _folder: Option<tempfile::TempDir>,
}

fn options(pairs: &[(&str, &str)]) -> Options {
    let all = [("connector", "filesystem"), ("format", "parquet")];
    let all = all.iter().chain(pairs);
    Options(
        all.map(|(k, v)| ((*k).to_owned(), (*v).to_owned()))
            .collect(),
    )
}

fn corners(name: &str) -> Vec<Corner> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(name);
    std::fs::create_dir(&path).unwrap();
    let mut corners = vec![Corner {
        options: options(&[("path", path.to_str().unwrap())]),
        store: Arc::new(LocalFileSystem::new_with_prefix(&path).unwrap()),
        _folder: Some(folder),
    }];
    let Ok(endpoint) = std::env::var("RTSAP_TEST_S3") else {
        println!("SKIPPED: RTSAP_TEST_S3 is not set");
        return corners;
    };
    let now = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .unwrap();
    let prefix = format!("{name}-{}-{}", std::process::id(), now.as_nanos());
    let path = format!("s3://rtsap/{prefix}");
    // Fails only if another test has done it already.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let bucket = AmazonS3Builder::new()
        .with_endpoint(&endpoint)
        .with_allow_http(true)
        .with_region("us-east-1")
        .with_access_key_id("any")
        .with_secret_access_key("any")
        .with_bucket_name("rtsap")
        .build()
        .unwrap();
    corners.push(Corner {
        options: options(&[
            ("path", path.as_str()),
            ("s3.endpoint", endpoint.as_str()),
            ("s3.allow-http", "true"),
            ("s3.region", "us-east-1"),
            ("s3.access-key-id", "any"),
            ("s3.secret-access-key", "any"),
        ]),
        store: Arc::new(PrefixStore::new(bucket, prefix)),
        _folder: None,
    });
    corners
}

fn schema() -> SchemaRef {
    Arc::new(Schema::new(vec![
        Field::new("symbol", DataType::Utf8, false),
        Field::new("n", DataType::Int64, false),
    ]))
}

fn trades() -> SinkInput {
    SinkInput {
        sink: "s".to_owned(),
        owner: rtsap_stream::progress::Owner::default(),
        schema: schema(),
        key: Vec::new(),
        event_time: None,
        mode: ChangelogMode::Append,
    }
}

fn rows(numbers: &[i64]) -> Vec<ChangeBatch> {
    let symbols = StringArray::from(vec!["AAPL"; numbers.len()]);
    let columns: Vec<ArrayRef> = vec![
        Arc::new(symbols),
        Arc::new(Int64Array::from(numbers.to_vec())),
    ];
    vec![ChangeBatch::inserts(
        RecordBatch::try_new(schema(), columns).unwrap(),
    )]
}

impl Corner {
    fn sink(&self) -> Box<dyn Sink> {
        sink::sink(&trades(), &self.options).unwrap()
    }

    /// The numbers in all files, sorted.
    async fn numbers(&self) -> Vec<i64> {
        let all: Vec<_> = self.store.list(None).try_collect().await.unwrap();
        let mut numbers = Vec::new();
        for object in all
            .iter()
            .filter(|o| o.location.as_ref().ends_with(".parquet"))
        {
            let bytes: Bytes = self
                .store
                .get(&object.location)
                .await
                .unwrap()
                .bytes()
                .await
                .unwrap();
            let reader = ParquetRecordBatchReaderBuilder::try_new(bytes)
                .unwrap()
                .build()
                .unwrap();
            for batch in reader {
                let batch = batch.unwrap();
                let column = batch.column_by_name("n").unwrap();
                numbers.extend(column.as_primitive::<Int64Type>().values());
            }
        }
        numbers.sort_unstable();
        numbers
    }
}

fn epoch(number: u64) -> Epoch {
    Epoch::new(number)
}

fn generation(number: u64) -> Generation {
    Generation::new(number)
}

fn kind<T: std::fmt::Debug>(result: Result<T, ConnectorError>) -> ErrorKind {
    result.unwrap_err().kind
}

#[tokio::test]
async fn each_epoch_is_one_file_once() {
    for corner in corners("once") {
        let mut sink = corner.sink();
        let report = sink.fence(generation(1), None).await.unwrap();
        assert_eq!(report.applied, Epoch::ZERO);
        assert!(
            report.target.starts_with("Parquet files in \""),
            "{}",
            report.target
        );
        sink.apply(epoch(1), epoch(0), &rows(&[1, 2]))
            .await
            .unwrap();
        sink.apply(epoch(1), epoch(0), &rows(&[1, 2]))
            .await
            .unwrap();
        sink.apply(epoch(4), epoch(1), &rows(&[3])).await.unwrap();
        let mut again = corner.sink();
        let report = again.fence(generation(2), Some(epoch(1))).await.unwrap();
        assert_eq!(report.applied, epoch(4));
        again.apply(epoch(4), epoch(1), &rows(&[3])).await.unwrap();
        again.apply(epoch(5), epoch(4), &rows(&[4])).await.unwrap();
        assert_eq!(corner.numbers().await, [1, 2, 3, 4]);
    }
}

#[tokio::test]
async fn an_older_generation_is_fenced_and_what_it_wrote_is_the_same() {
    for corner in corners("fence") {
        let mut old = corner.sink();
        old.fence(generation(4), None).await.unwrap();
        let mut new = corner.sink();
        new.fence(generation(5), None).await.unwrap();
        // The epoch is durable, so both have the same rows of it.
        assert_eq!(
            kind(old.apply(epoch(1), epoch(0), &rows(&[1])).await),
            ErrorKind::Fenced
        );
        new.apply(epoch(1), epoch(0), &rows(&[1])).await.unwrap();
        new.apply(epoch(2), epoch(1), &rows(&[2])).await.unwrap();
        // Nor does it write over what is recorded, were it to hold other rows of that epoch.
        assert_eq!(
            kind(old.apply(epoch(1), epoch(0), &rows(&[99])).await),
            ErrorKind::Fenced
        );
        assert_eq!(
            kind(old.fence(generation(4), None).await),
            ErrorKind::Fenced
        );
        assert_eq!(corner.numbers().await, [1, 2]);
    }
}

#[tokio::test]
async fn a_gap_lost_records_and_foreign_files_stop_the_sink() {
    for corner in corners("gap") {
        let mut sink = corner.sink();
        sink.fence(generation(1), None).await.unwrap();
        assert_eq!(
            kind(sink.apply(epoch(9), epoch(8), &rows(&[9])).await),
            ErrorKind::Data
        );
        sink.apply(epoch(1), epoch(0), &rows(&[1])).await.unwrap();
        let rewound = corner.sink().fence(generation(2), Some(epoch(3))).await;
        assert_eq!(kind(rewound), ErrorKind::Data);
        let records: Vec<_> = corner
            .store
            .list(Some(&"_rtsap".into()))
            .try_collect()
            .await
            .unwrap();
        for record in records {
            corner.store.delete(&record.location).await.unwrap();
        }
        let lost = corner.sink().fence(generation(2), Some(epoch(1))).await;
        assert_eq!(kind(lost), ErrorKind::Data);
        // And without a memory of its own it finds what it does not know.
        let foreign = corner.sink().fence(generation(2), None).await;
        assert_eq!(kind(foreign), ErrorKind::Invalid);
        assert_eq!(corner.numbers().await, [1]);
    }
}

#[test]
fn a_type_that_parquet_lacks_is_refused_at_once() {
    let interval = DataType::Interval(arrow::datatypes::IntervalUnit::MonthDayNano);
    let input = SinkInput {
        schema: Arc::new(Schema::new(vec![Field::new("i", interval, true)])),
        ..trades()
    };
    let refused = sink::sink(&input, &options(&[("path", "/nowhere")]));
    assert_eq!(
        refused.err().map(|error| error.kind),
        Some(ErrorKind::Invalid)
    );
}

#[tokio::test]
async fn a_directory_of_another_sink_of_that_name_is_never_taken_over() {
    for corner in corners("owner") {
        let mut sink = corner.sink();
        sink.fence(Generation::new(1), None).await.unwrap();
        let first = rows(&[1]);
        let applied = sink.apply(Epoch::new(5), Epoch::ZERO, &first).await;
        applied.unwrap();
        let input = SinkInput {
            owner: Owner {
                directory: 7,
                sink: 3,
            },
            ..trades()
        };
        let mut other = sink::sink(&input, &corner.options).unwrap();
        for expected in [None, Some(Epoch::new(5))] {
            let refused = other.fence(Generation::new(9), expected).await.unwrap_err();
            assert_eq!(refused.kind, ErrorKind::Data);
            assert!(
                refused.message.contains("belongs to another sink"),
                "{refused}"
            );
        }
        let second = rows(&[2]);
        let applied = sink.apply(Epoch::new(6), Epoch::new(5), &second).await;
        applied.unwrap();
        let mut restarted = corner.sink();
        let report = restarted
            .fence(Generation::new(2), Some(Epoch::new(6)))
            .await;
        assert_eq!(report.unwrap().applied, Epoch::new(6));
        assert_eq!(corner.numbers().await, [1, 2]);
    }
}
