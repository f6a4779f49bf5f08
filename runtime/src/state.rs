//! The form in which operators hand over their state: named sections of Arrow batches.
//!
//! A snapshot is a *base*, which holds all state, or a *delta*, which holds what has changed since
//! the snapshot before it: sections that are replaced as a whole, and rows of sections that have
//! numbers ([`StateWriter`]). A base with the deltas behind it is put together by [`layers`] before
//! anybody reads it, so operators restore themselves from one form only.
//!
//! Owns the byte format of a snapshot object; never touches storage.

use std::collections::BTreeMap;
use std::io::Cursor;

use arrow::error::ArrowError;
use arrow::ipc::reader::StreamReader;
use arrow::ipc::writer::StreamWriter;
use arrow::record_batch::RecordBatch;

pub mod layers;
pub mod marks;
pub mod partitions;
mod writer;

pub use writer::{Sections, StateWriter};

/// The first bytes of a snapshot object, with the version of its form.
const MAGIC: &[u8; 8] = b"RTSAPST1";

/// A section name or count beyond this is damage, not data.
const SECTIONS_MAX: u32 = 1 << 20;

/// Why state cannot be written or read.
#[derive(Debug, thiserror::Error)]
pub enum StateError {
    /// Arrow's IPC form failed.
    #[error("cannot encode state: {0}")]
    Arrow(#[from] ArrowError),
    /// An aggregate could not give or take its state.
    #[error("cannot take aggregate state: {0}")]
    Aggregate(#[from] datafusion::error::DataFusionError),
    /// The bytes are not a snapshot.
    #[error("snapshot is damaged at byte {at}: {found}")]
    Damaged {
        /// Where.
        at: usize,
        /// What is wrong.
        found: &'static str,
    },
    /// A section that must be there is not, or has another shape.
    #[error("snapshot section {section:?} {found}")]
    Section {
        /// Its name.
        section: String,
        /// What is wrong.
        found: String,
    },
}

impl StateError {
    /// `section` is not there or not as it must be.
    pub fn section(section: &str, found: impl Into<String>) -> Self {
        Self::Section {
            section: section.to_owned(),
            found: found.into(),
        }
    }
}

/// Reads the sections of one snapshot.
#[derive(Clone, Debug, Default)]
pub struct StateReader {
    prefix: String,
    sections: BTreeMap<String, Vec<RecordBatch>>,
}

impl StateReader {
    /// A reader over `sections`.
    pub fn new(sections: BTreeMap<String, Vec<RecordBatch>>) -> Self {
        Self {
            prefix: String::new(),
            sections,
        }
    }

    /// The batches of `section`; none if it was never written.
    pub fn get(&self, section: &str) -> &[RecordBatch] {
        let name = format!("{}{section}", self.prefix);
        self.sections.get(&name).map_or(&[], Vec::as_slice)
    }

    /// The sections of this reader that start with `prefix`, under their names without it.
    #[must_use]
    pub fn under(&self, prefix: &str) -> Self {
        let full = format!("{}{prefix}", self.prefix);
        let sections = self.sections.iter().filter_map(|(name, batches)| {
            name.strip_prefix(&full)
                .map(|rest| (rest.to_owned(), batches.clone()))
        });
        Self {
            prefix: String::new(),
            sections: sections.collect(),
        }
    }

    /// Names of all sections, in order.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.sections.keys().map(String::as_str)
    }
}

/// Writes sections as bytes: magic, count, then per section name and an Arrow IPC stream, each with
/// its length.
///
/// # Errors
/// [`StateError::Arrow`] if a batch does not have its section's schema.
pub fn encode(sections: &BTreeMap<String, Vec<RecordBatch>>) -> Result<Vec<u8>, StateError> {
    let held = sections.values().flatten();
    let bytes: usize = held.map(RecordBatch::get_array_memory_size).sum();
    let mut out = Vec::with_capacity(bytes + bytes / 16);
    out.extend_from_slice(MAGIC);
    out.extend_from_slice(&length(sections.len())?.to_le_bytes());
    for (name, batches) in sections {
        out.extend_from_slice(&length(name.len())?.to_le_bytes());
        out.extend_from_slice(name.as_bytes());
        // The length is known once the stream is written behind it.
        let length_at = out.len();
        out.extend_from_slice(&[0; 8]);
        if let Some(first) = batches.first() {
            let mut writer = StreamWriter::try_new(&mut out, &first.schema())?;
            for batch in batches {
                writer.write(batch)?;
            }
            writer.finish()?;
        }
        let ipc_bytes = (out.len() - length_at - 8) as u64;
        out[length_at..length_at + 8].copy_from_slice(&ipc_bytes.to_le_bytes());
    }
    Ok(out)
}

/// Reads what [`encode`] wrote.
///
/// # Errors
/// [`StateError::Damaged`] if the bytes are not a snapshot.
pub fn decode(bytes: &[u8]) -> Result<BTreeMap<String, Vec<RecordBatch>>, StateError> {
    let mut cursor = Bytes { bytes, at: 0 };
    if cursor.take(MAGIC.len())? != MAGIC {
        return Err(StateError::Damaged {
            at: 0,
            found: "unknown magic",
        });
    }
    let count = cursor.u32()?;
    if count > SECTIONS_MAX {
        return Err(StateError::Damaged {
            at: cursor.at,
            found: "absurd section count",
        });
    }
    let mut sections = BTreeMap::new();
    for _ in 0..count {
        let name_bytes = cursor.u32()? as usize;
        let at = cursor.at;
        let name = std::str::from_utf8(cursor.take(name_bytes)?)
            .map_err(|_| StateError::Damaged {
                at,
                found: "section name is not UTF-8",
            })?
            .to_owned();
        let ipc_bytes = usize::try_from(cursor.u64()?).map_err(|_| StateError::Damaged {
            at: cursor.at,
            found: "absurd section length",
        })?;
        let ipc = cursor.take(ipc_bytes)?;
        let batches = if ipc.is_empty() {
            Vec::new()
        } else {
            StreamReader::try_new(Cursor::new(ipc), None)?.collect::<Result<Vec<_>, _>>()?
        };
        sections.insert(name, batches);
    }
    Ok(sections)
}

fn length(value: usize) -> Result<u32, StateError> {
    u32::try_from(value).map_err(|_| StateError::Damaged {
        at: 0,
        found: "section too long",
    })
}

struct Bytes<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Bytes<'a> {
    fn take(&mut self, count: usize) -> Result<&'a [u8], StateError> {
        let end = self
            .at
            .checked_add(count)
            .filter(|end| *end <= self.bytes.len());
        let Some(end) = end else {
            return Err(StateError::Damaged {
                at: self.at,
                found: "cut short",
            });
        };
        let taken = &self.bytes[self.at..end];
        self.at = end;
        Ok(taken)
    }

    fn u32(&mut self) -> Result<u32, StateError> {
        let mut word = [0; 4];
        word.copy_from_slice(self.take(4)?);
        Ok(u32::from_le_bytes(word))
    }

    fn u64(&mut self) -> Result<u64, StateError> {
        let mut word = [0; 8];
        word.copy_from_slice(self.take(8)?);
        Ok(u64::from_le_bytes(word))
    }
}
