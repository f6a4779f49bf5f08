//! Parquet files as a sink, exactly once: one file an epoch, on a local disk or in an S3 bucket.
//!
//! ```text
//! {path}/epoch-00000000000000000042.parquet      the rows of epoch 42
//! {path}/_rtsap/00000000000000000051.json        the record: generation, epoch, that file's size
//! ```
//!
//! What an epoch holds was decided when it was committed, and its file has its number for a name:
//! whoever writes it, and however often, the same rows are there. A record is put only where none
//! lies, as the manifests of checkpoints are, so an old process is fenced and a gap is seen.
//! Readers take all files that match `epoch-*.parquet`; each epoch is among them once.

use std::sync::Arc;

use arrow::array::{RecordBatch, new_null_array};
use arrow::datatypes::{Field, Schema, SchemaRef};
use async_trait::async_trait;
use bytes::Bytes;
use object_store::path::Path;
use object_store::{Error, ObjectStore, ObjectStoreExt, PutMode, PutOptions};
use parquet::arrow::ArrowWriter;
use parquet::errors::ParquetError;
use parquet::file::metadata::KeyValue;
use parquet::file::properties::WriterProperties;
use rtsap_stream::change::{ChangeBatch, ChangelogMode};
use rtsap_stream::error::{ConnectorError, ErrorKind};
use rtsap_stream::failpoint;
use rtsap_stream::message::{Epoch, Generation};
use rtsap_stream::progress::{Move, Progress, check_owner, claim, judge};
use rtsap_stream::registry::Options;
use rtsap_stream::sink::{Sink, SinkInput, SinkReport};

mod options;
mod record;
mod storage;

use options::SinkOptions;
use record::Records;

/// Checks the options and says which changes the sink takes: rows that are only added.
///
/// # Errors
/// `Invalid` for an unknown or wrong option.
pub fn check(options: &Options) -> Result<ChangelogMode, ConnectorError> {
    SinkOptions::read("the sink", options)?;
    Ok(ChangelogMode::Append)
}

/// The sink; it opens its storage when it is fenced.
///
/// # Errors
/// `Invalid` for a wrong option or a column that Parquet has no type for.
pub fn sink(input: &SinkInput, options: &Options) -> Result<Box<dyn Sink>, ConnectorError> {
    let options = SinkOptions::read(&format!("sink \"{}\"", input.sink), options)?;
    let sink = FileSink {
        input: input.clone(),
        options,
        taken: None,
    };
    check_types(input).map_err(|error| {
        let message = format!("cannot write sink \"{}\" as Parquet", input.sink);
        ConnectorError::invalid(message)
            .with_detail(format!("{error}."))
            .with_hint("Cast the column to another type in the view.")
    })?;
    Ok(Box::new(sink))
}

/// Parquet itself says which types it has: by a row of nulls.
fn check_types(input: &SinkInput) -> Result<(), ParquetError> {
    let nullable = |field: &Arc<Field>| field.as_ref().clone().with_nullable(true);
    let fields: Vec<Field> = input.schema.fields().iter().map(nullable).collect();
    let nulls = fields.iter().map(|f| new_null_array(f.data_type(), 1));
    let nulls = nulls.collect();
    let row = RecordBatch::try_new(Arc::new(Schema::new(fields)), nulls)?;
    let mut writer = ArrowWriter::try_new(Vec::new(), row.schema(), None)?;
    writer.write(&row)?;
    writer.close().map(|_| ())
}

struct FileSink {
    input: SinkInput,
    options: SinkOptions,
    /// The storage and who we are there, once fenced.
    taken: Option<Taken>,
}

struct Taken {
    store: Arc<dyn ObjectStore>,
    records: Records,
    generation: Generation,
}

impl FileSink {
    /// The rows of an epoch as one Parquet file.
    fn encode(&self, epoch: Epoch, changes: &[ChangeBatch]) -> Result<Bytes, ConnectorError> {
        let failed = |error: ParquetError| {
            let message = format!("cannot write epoch {epoch} of sink \"{}\"", self.input.sink);
            ConnectorError::data(message).with_detail(format!("{error}."))
        };
        let note = |key: &str, value: String| KeyValue::new(key.to_owned(), value);
        let properties = WriterProperties::builder()
            .set_compression(self.options.compression)
            .set_created_by("rtsap".to_owned())
            .set_key_value_metadata(Some(vec![
                note("rtsap.sink", self.input.sink.clone()),
                note("rtsap.epoch", epoch.to_string()),
            ]))
            .build();
        let schema: SchemaRef = Arc::clone(&self.input.schema);
        let mut writer =
            ArrowWriter::try_new(Vec::new(), schema, Some(properties)).map_err(failed)?;
        for batch in changes {
            let rows = batch.rows();
            let same = rows.schema_ref().fields() == self.input.schema.fields();
            if batch.ops().is_some() || !same {
                let message = format!(
                    "cannot apply changes to sink \"{}\": they are not rows of an append-only view",
                    self.input.sink
                );
                return Err(ConnectorError::new(ErrorKind::Internal, message));
            }
            writer.write(rows).map_err(failed)?;
        }
        writer.into_inner().map(Bytes::from).map_err(failed)
    }

    async fn take(
        &self,
        generation: Generation,
        expected: Option<Epoch>,
    ) -> Result<(Taken, Epoch), ConnectorError> {
        let sink = self.input.sink.as_str();
        let store = storage::open(&self.options, expected.is_some())?;
        let mut records = Records::open(Arc::clone(&store), sink, self.input.owner).await?;
        let known = records.last();
        check_owner(sink, self.input.owner, records.found(), known, expected)?;
        let epoch = claim(sink, generation, known, expected)?;
        if known.is_none() {
            self.check_empty(&*store).await?;
        }
        let wanted = Progress {
            generation: generation.number(),
            epoch: epoch.number(),
        };
        if known != Some(wanted) {
            records.put(wanted, None).await?;
        }
        let taken = Taken {
            store,
            records,
            generation,
        };
        Ok((taken, epoch))
    }

    /// A first start on files that somebody else has left would mix them.
    async fn check_empty(&self, store: &dyn ObjectStore) -> Result<(), ConnectorError> {
        let found = store.list_with_delimiter(None).await;
        let found = found.map_err(|error| storage::failure(&self.options.place, "list", &error))?;
        let foreign = found.objects.iter().find(|object| {
            let name = object.location.filename().unwrap_or_default();
            name.ends_with(".parquet")
        });
        match foreign {
            None => Ok(()),
            Some(object) => Err(ConnectorError::invalid(format!(
                "cannot write sink \"{}\" to {}: it holds files already",
                self.input.sink, self.options.place
            ))
            .with_detail(format!("There is \"{}\".", object.location))
            .with_hint("Each sink needs a directory of its own.")),
        }
    }
}

impl Taken {
    /// Puts the file of an epoch, over what an earlier attempt left there.
    async fn put_file(&self, place: &str, name: &str, file: Bytes) -> Result<(), ConnectorError> {
        let failed = |error: &Error| storage::failure(place, &format!("write {name}"), error);
        let path = Path::from(name);
        let options = PutOptions {
            mode: PutMode::Create,
            ..PutOptions::default()
        };
        match self
            .store
            .put_opts(&path, file.clone().into(), options)
            .await
        {
            Ok(_) => return Ok(()),
            Err(Error::AlreadyExists { .. }) => {}
            Err(error) => return Err(failed(&error)),
        }
        // The file of an epoch that somebody newer has recorded stays as it is.
        self.records.check_still_last().await?;
        let put = self.store.put(&path, file.into()).await;
        put.map(|_| ()).map_err(|error| failed(&error))
    }

    async fn write(
        &mut self,
        sink: &str,
        place: &str,
        (epoch, previous): (Epoch, Epoch),
        file: Bytes,
    ) -> Result<(), ConnectorError> {
        let known = self.records.last();
        if judge(sink, self.generation, known, previous, epoch)? == Move::AlreadyApplied {
            return Ok(());
        }
        let name = format!("epoch-{:020}.parquet", epoch.number());
        let bytes = file.len() as u64;
        self.put_file(place, &name, file).await?;
        failpoint::pass("files.data_written");
        let next = Progress {
            generation: self.generation.number(),
            epoch: epoch.number(),
        };
        self.records.put(next, Some((name, bytes))).await?;
        failpoint::pass("files.record_written");
        if failpoint::fails("files.record_lost") {
            let message = format!("cannot write epoch {epoch}: its answer was lost on purpose");
            return Err(ConnectorError::unavailable(message));
        }
        self.records.forget_old().await;
        Ok(())
    }
}

#[async_trait]
impl Sink for FileSink {
    fn accepts(&self) -> ChangelogMode {
        ChangelogMode::Append
    }

    async fn fence(
        &mut self,
        generation: Generation,
        expected: Option<Epoch>,
    ) -> Result<SinkReport, ConnectorError> {
        self.taken = None;
        let (taken, applied) = self.take(generation, expected).await?;
        self.taken = Some(taken);
        Ok(SinkReport {
            target: format!("Parquet files in {}", self.options.place),
            applied,
        })
    }

    async fn apply(
        &mut self,
        epoch: Epoch,
        previous: Epoch,
        changes: &[ChangeBatch],
    ) -> Result<(), ConnectorError> {
        let file = self.encode(epoch, changes)?;
        let Some(taken) = &mut self.taken else {
            return Err(ConnectorError::new(
                ErrorKind::Internal,
                format!("sink \"{}\" was not fenced", self.input.sink),
            ));
        };
        let (sink, place) = (self.input.sink.as_str(), self.options.place.as_str());
        taken.write(sink, place, (epoch, previous), file).await
    }
}
