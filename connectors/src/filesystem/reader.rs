//! Reads files one after another, and looks for new ones if asked to. Owns the order of reading.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use arrow::datatypes::SchemaRef;
use rtsap_stream::decode::DecodeSchema;
use rtsap_stream::error::ConnectorError;
use rtsap_stream::source::{Offset, Payloads, Positions, SourceReader, SplitBatch, SplitId};

use super::lines::RecordReader;
use super::listing;
use super::options::{FileFormat, FileOptions};
use super::parquet::RowReader;

/// Open files of a source that follows appended lines: well below the usual limit of 1,024 of a
/// process.
const OPEN_FILES_MAX: usize = 64;
/// How long one pause of a waiting reader lasts at most.
const PAUSE_MAX: Duration = Duration::from_millis(50);

/// A file that is being read.
enum OpenFile {
    Records(Box<RecordReader>),
    Rows(Box<RowReader>),
}

/// Where a file stands.
struct Progress {
    next: Offset,
    /// Nothing more will come.
    finished: bool,
    /// Bytes when it was last found read to its end; a longer one has more.
    seen_bytes: u64,
    file: Option<OpenFile>,
}

/// Reads the files of a source in the order of their names.
pub struct FileReader {
    options: Arc<FileOptions>,
    columns: DecodeSchema,
    projection: SchemaRef,
    files: BTreeMap<SplitId, Progress>,
    looked: Option<Instant>,
}

impl FileReader {
    /// A reader of the files at `positions`.
    pub fn new(
        options: Arc<FileOptions>,
        positions: &Positions,
        columns: DecodeSchema,
        projection: SchemaRef,
    ) -> Self {
        let files = positions
            .iter()
            .map(|(split, at)| (split.clone(), Progress::at(*at)))
            .collect();
        Self {
            options,
            columns,
            projection,
            files,
            looked: None,
        }
    }

    /// Looks for new files and longer ones, if it is time to.
    fn look(&mut self) -> Result<(), ConnectorError> {
        let Some(interval) = self.options.monitor_interval else {
            return Ok(());
        };
        if self
            .looked
            .is_some_and(|looked| looked.elapsed() < interval)
        {
            return Ok(());
        }
        self.looked = Some(Instant::now());
        for (split, path) in listing::list(&self.options.path, false)? {
            let bytes = std::fs::metadata(&path).map_or(0, |metadata| metadata.len());
            match self.files.get_mut(&split) {
                Some(progress) if progress.finished && bytes > progress.seen_bytes => {
                    progress.finished = self.options.format == FileFormat::Parquet;
                }
                Some(_) => {}
                None => {
                    self.files.insert(split, Progress::at(Offset(0)));
                }
            }
        }
        Ok(())
    }

    /// The next payloads of the first file that has any.
    fn read(&mut self, rows_max: usize) -> Result<Option<SplitBatch>, ConnectorError> {
        let open = self
            .files
            .values()
            .filter(|progress| progress.file.is_some())
            .count();
        let unfinished = self
            .files
            .iter_mut()
            .filter(|(_, progress)| !progress.finished);
        for (split, progress) in unfinished {
            let path = self.options.path.file(split);
            let bytes = std::fs::metadata(&path).map_or(0, |metadata| metadata.len());
            let mut file = match progress.file.take() {
                Some(file) => file,
                None if self.options.format == FileFormat::Parquet => {
                    let (columns, schema) = (&self.columns, &self.projection);
                    let at = progress.next;
                    let rows = RowReader::open(&path, split, at, columns, schema, rows_max)?;
                    OpenFile::Rows(Box::new(rows))
                }
                None => {
                    let records = RecordReader::open(&path, &self.options, progress.next)?;
                    OpenFile::Records(Box::new(records))
                }
            };
            if let Some(payloads) = progress.take(&mut file, rows_max)? {
                progress.file = Some(file);
                return Ok(Some(SplitBatch {
                    split: split.clone(),
                    payloads,
                }));
            }
            progress.finished = true;
            progress.seen_bytes = bytes;
            if self.options.monitor_interval.is_none() {
                return Ok(Some(SplitBatch {
                    split: split.clone(),
                    payloads: Payloads::Ended,
                }));
            }
            // A file that may grow stays open, within the limit; the others are found again by
            // their position.
            progress.file = (open < OPEN_FILES_MAX).then_some(file);
        }
        Ok(None)
    }
}

impl Progress {
    fn at(next: Offset) -> Self {
        Self {
            next,
            finished: false,
            seen_bytes: 0,
            file: None,
        }
    }

    /// What `file` has now, up to `rows_max`.
    fn take(
        &mut self,
        file: &mut OpenFile,
        rows_max: usize,
    ) -> Result<Option<Payloads>, ConnectorError> {
        match file {
            OpenFile::Records(reader) => {
                let batch = reader.batch(rows_max)?;
                self.next = Offset(reader.next());
                Ok(batch.map(Payloads::Raw))
            }
            OpenFile::Rows(reader) => {
                let Some((rows, first)) = reader.batch()? else {
                    return Ok(None);
                };
                let resume_at = Offset(first.0 + rows.num_rows() as u64);
                self.next = resume_at;
                Ok(Some(Payloads::Rows {
                    rows,
                    first,
                    resume_at,
                }))
            }
        }
    }
}

impl SourceReader for FileReader {
    fn poll(
        &mut self,
        rows_max: usize,
        wait: Duration,
    ) -> Result<Option<SplitBatch>, ConnectorError> {
        let deadline = Instant::now() + wait;
        loop {
            self.look()?;
            if let Some(batch) = self.read(rows_max.max(1))? {
                return Ok(Some(batch));
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Ok(None);
            }
            std::thread::sleep(left.min(PAUSE_MAX));
        }
    }
}
