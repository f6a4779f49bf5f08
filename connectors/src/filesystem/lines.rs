//! Text files cut into records. Owns a read buffer and the count of records; decodes nothing.

use std::fs::File;
use std::io::Read;
use std::path::Path;
use std::sync::Arc;

use rtsap_stream::error::{ConnectorError, ErrorKind};
use rtsap_stream::source::{Offset, RawBatch};

use super::file_error;
use super::options::{FileFormat, FileOptions};
use crate::format::csv::{CsvLayout, HEADER_KEY, record_end};

/// One read from the disk.
const READ_BYTES: usize = 256 * 1024;
/// A record longer than this is no record; the source stops before it fills the memory.
const RECORD_BYTES_MAX: usize = 16 * 1024 * 1024;
/// A quoted field that is not closed within this is a stray quote: the line then stands alone, to
/// be rejected.
const QUOTED_BYTES_MAX: usize = 1024 * 1024;

/// Reads the records of one file, in order.
pub struct RecordReader {
    file: File,
    path: std::path::PathBuf,
    csv: Option<CsvLayout>,
    /// Whether more may be appended: then a last line without an end is not taken yet.
    growing: bool,
    buffer: Vec<u8>,
    /// Where the first unread byte of `buffer` is.
    unread: usize,
    at_end: bool,
    /// The number of the next record.
    next: u64,
    header: Option<Arc<[u8]>>,
}

/// Records of one batch, copied out of the read buffer.
struct LineBatch {
    bytes: Vec<u8>,
    /// (number, start, end) of each record.
    records: Vec<(u64, usize, usize)>,
    resume_at: u64,
    header: Option<Arc<[u8]>>,
}

impl RecordReader {
    /// Opens `path` so that the next record is number `at`.
    ///
    /// # Errors
    /// `Data` if the file is gone or has fewer records; `Unavailable` or `Denied` if it cannot be
    /// read.
    pub fn open(path: &Path, options: &FileOptions, at: Offset) -> Result<Self, ConnectorError> {
        let file = File::open(path).map_err(|error| file_error("open", path, error))?;
        let csv = match options.format {
            FileFormat::Csv(layout) => Some(layout),
            FileFormat::Json | FileFormat::Parquet => None,
        };
        let mut reader = Self {
            file,
            path: path.to_owned(),
            csv,
            growing: options.monitor_interval.is_some(),
            buffer: Vec::new(),
            unread: 0,
            at_end: false,
            next: 0,
            header: None,
        };
        if reader.csv.is_some_and(|layout| layout.header) {
            reader.read_header()?;
        }
        while reader.next < at.0 {
            if reader.record()?.is_none() {
                return Err(ConnectorError::data(format!(
                    "cannot read file \"{}\" at record {at}: it has {} records",
                    path.display(),
                    reader.next
                ))
                .with_hint(
                    "The file has become shorter since it was read; files must not change.",
                ));
            }
        }
        Ok(reader)
    }

    fn read_header(&mut self) -> Result<(), ConnectorError> {
        if let Some((start, end)) = self.record()? {
            self.header = Some(self.buffer[start..end].into());
        }
        Ok(())
    }

    /// At most `records_max` records, or `None` if there is none now.
    ///
    /// # Errors
    /// As [`RecordReader::open`]; `Data` for a record beyond the limit.
    pub fn batch(
        &mut self,
        records_max: usize,
    ) -> Result<Option<Box<dyn RawBatch + Send>>, ConnectorError> {
        if self.header.is_none() && self.csv.is_some_and(|layout| layout.header) {
            self.read_header()?;
        }
        let mut batch = LineBatch {
            bytes: Vec::new(),
            records: Vec::new(),
            resume_at: self.next,
            header: self.header.clone(),
        };
        while batch.records.len() < records_max && batch.bytes.len() < READ_BYTES {
            let number = self.next;
            let Some((start, end)) = self.record()? else {
                break;
            };
            batch.resume_at = self.next;
            if start < end {
                // A blank line is no record, but it has a number.
                let from = batch.bytes.len();
                batch.bytes.extend_from_slice(&self.buffer[start..end]);
                batch.records.push((number, from, batch.bytes.len()));
            }
        }
        Ok((!batch.records.is_empty()).then(|| Box::new(batch) as Box<dyn RawBatch + Send>))
    }

    /// How many records have been read.
    pub fn next(&self) -> u64 {
        self.next
    }

    /// The next record as a range of the buffer, without its line end; counts it.
    fn record(&mut self) -> Result<Option<(usize, usize)>, ConnectorError> {
        loop {
            if let Some(length) = self.record_length() {
                let start = self.unread;
                let mut end = start + length;
                self.unread = (end + 1).min(self.buffer.len());
                if end > start && self.buffer[end - 1] == b'\r' {
                    end -= 1;
                }
                let bom = self.next == 0 && self.buffer[start..end].starts_with(b"\xEF\xBB\xBF");
                self.next += 1;
                return Ok(Some((if bom { start + 3 } else { start }, end)));
            }
            if self.at_end && !self.growing {
                return Ok(None);
            }
            if self.buffer.len() - self.unread > RECORD_BYTES_MAX {
                return Err(ConnectorError::new(
                    ErrorKind::Data,
                    format!(
                        "cannot read record {} of file \"{}\": it is longer than \
                         {RECORD_BYTES_MAX} bytes",
                        self.next,
                        self.path.display()
                    ),
                ));
            }
            if !self.fill()? {
                self.at_end = true;
                if self.growing {
                    return Ok(None);
                }
            }
        }
    }

    /// Bytes of the next record if the buffer holds all of it.
    fn record_length(&self) -> Option<usize> {
        let bytes = &self.buffer[self.unread..];
        let end = match self.csv {
            Some(layout) => record_end(bytes, layout.delimiter),
            None => memchr::memchr(b'\n', bytes),
        };
        if end.is_some() {
            return end;
        }
        let whole_file = self.at_end && !self.growing;
        if whole_file || bytes.len() > QUOTED_BYTES_MAX {
            // No record ends here: a line in which a quote stays open stands alone.
            if let Some(end) = memchr::memchr(b'\n', bytes) {
                return Some(end);
            }
        }
        (whole_file && !bytes.is_empty()).then_some(bytes.len())
    }

    /// Reads more; false at the end of the file.
    fn fill(&mut self) -> Result<bool, ConnectorError> {
        self.buffer.drain(..self.unread);
        self.unread = 0;
        let filled = self.buffer.len();
        self.buffer.resize(filled + READ_BYTES, 0);
        let read = loop {
            match self.file.read(&mut self.buffer[filled..]) {
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
                other => break other,
            }
        };
        self.buffer.truncate(filled + *read.as_ref().unwrap_or(&0));
        let read = read.map_err(|error| file_error("read", &self.path, error))?;
        Ok(read > 0)
    }
}

/// How many records `path` has now.
///
/// # Errors
/// As [`RecordReader::open`].
pub fn record_count(path: &Path, options: &FileOptions) -> Result<u64, ConnectorError> {
    let mut reader = RecordReader::open(path, options, Offset(0))?;
    while reader.record()?.is_some() {}
    Ok(reader.next())
}

impl RawBatch for LineBatch {
    fn len(&self) -> usize {
        self.records.len()
    }

    fn payload(&self, index: usize) -> Option<&[u8]> {
        let (_, start, end) = *self.records.get(index)?;
        self.bytes.get(start..end)
    }

    fn key(&self, _index: usize) -> Option<&[u8]> {
        None
    }

    fn timestamp(&self, _index: usize) -> Option<i64> {
        None
    }

    fn offset(&self, index: usize) -> Offset {
        Offset(
            self.records
                .get(index)
                .map_or(self.resume_at, |(number, _, _)| *number),
        )
    }

    /// The header record of the file, for the CSV decoder.
    fn headers(&self, _index: usize) -> Vec<(String, Option<Vec<u8>>)> {
        let header = self.header.iter();
        header
            .map(|line| (HEADER_KEY.to_owned(), Some(line.to_vec())))
            .collect()
    }

    fn resume_at(&self) -> Offset {
        Offset(self.resume_at)
    }
}
