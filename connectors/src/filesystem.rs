//! Files as a source: JSON lines, CSV and Parquet under one local root.
//!
//! A split is a file, named by its path relative to the root; an offset is the number of a line or
//! row in it, from 0 (in CSV the header is record 0). Files are read one after another in the order
//! of their names. A file must not change once it is there; with `source.monitor-interval` lines
//! may be appended to it and new files may appear.

use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use async_trait::async_trait;
use rtsap_stream::decode::{ColumnOrigin, DecodeSchema, Decoder, Metadata};
use rtsap_stream::error::{ConnectorError, ErrorKind};
use rtsap_stream::registry::SourceRequest;
use rtsap_stream::source::{Offset, Positions, Source, SourceReader, SplitId};

use crate::format;

mod lines;
mod listing;
mod options;
mod parquet;
mod reader;
pub mod sink;

use options::{FileFormat, FileOptions};

/// Checks the options and columns of a file source without touching the disk.
///
/// # Errors
/// `Invalid` for an unknown or wrong option, or a column that the format cannot fill.
pub fn check(request: &SourceRequest) -> Result<(), ConnectorError> {
    let options = FileOptions::read(request)?;
    match options.format {
        FileFormat::Parquet => check_parquet(request),
        FileFormat::Json | FileFormat::Csv(_) => decoder(request, &request.columns).map(drop),
    }
}

/// The files as a source.
///
/// # Errors
/// As [`check`].
pub fn source(request: &SourceRequest) -> Result<Arc<dyn Source>, ConnectorError> {
    let options = FileOptions::read(request)?;
    if options.format == FileFormat::Parquet {
        check_parquet(request)?;
    }
    Ok(Arc::new(FileSource {
        name: request.name.clone(),
        columns: request.columns.clone(),
        options: Arc::new(options),
    }))
}

/// A decoder for the lines of the files that fills `columns`.
///
/// # Errors
/// `Invalid` for Parquet, which needs none, and for a column type that the format cannot fill.
pub fn decoder(
    request: &SourceRequest,
    columns: &DecodeSchema,
) -> Result<Box<dyn Decoder>, ConnectorError> {
    match FileOptions::read(request)?.format {
        FileFormat::Csv(layout) => format::csv::decoder(request, columns, layout),
        FileFormat::Json => format::decoder(request, columns),
        FileFormat::Parquet => Err(ConnectorError::invalid(format!(
            "source \"{}\" with format \"parquet\" makes rows itself and has no decoder",
            request.name
        ))),
    }
}

/// Parquet rows carry a position, nothing else beside their columns.
fn check_parquet(request: &SourceRequest) -> Result<(), ConnectorError> {
    let columns = request
        .columns
        .schema
        .fields()
        .iter()
        .zip(request.columns.origins.iter());
    for (field, origin) in columns {
        if let ColumnOrigin::Metadata(Metadata::Timestamp | Metadata::Key | Metadata::Headers) =
            origin
        {
            return Err(ConnectorError::invalid(format!(
                "cannot fill column \"{}\" of source \"{}\": a file has no such metadata",
                field.name(),
                request.name
            ))
            .with_hint("Only 'partition', 'topic' (both the path) and 'offset' exist here."));
        }
    }
    Ok(())
}

struct FileSource {
    name: String,
    columns: DecodeSchema,
    options: Arc<FileOptions>,
}

impl FileSource {
    /// Runs `work` on a thread that may wait for a disk.
    async fn blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce(&FileOptions) -> Result<T, ConnectorError> + Send + 'static,
    ) -> Result<T, ConnectorError> {
        let options = Arc::clone(&self.options);
        tokio::task::spawn_blocking(move || work(&options))
            .await
            .map_err(|error| {
                let message = format!("reading files of source \"{}\" was abandoned", self.name);
                ConnectorError::new(ErrorKind::Internal, message).with_source(error)
            })?
    }
}

#[async_trait]
impl Source for FileSource {
    async fn start_positions(&self) -> Result<Positions, ConnectorError> {
        let files = self
            .blocking(|options| listing::list(&options.path, true))
            .await?;
        if files.is_empty() && self.options.monitor_interval.is_none() {
            return Err(ConnectorError::invalid(format!(
                "cannot read source \"{}\": no file matches \"{}\"",
                self.name, self.options.path.text
            )));
        }
        Ok(files.into_keys().map(|split| (split, Offset(0))).collect())
    }

    async fn end_positions(&self) -> Result<Positions, ConnectorError> {
        self.blocking(|options| {
            let files = listing::list(&options.path, true)?;
            let end = |(split, path): (SplitId, std::path::PathBuf)| {
                let rows = match options.format {
                    FileFormat::Parquet => parquet::row_count(&path)?,
                    _ => lines::record_count(&path, options)?,
                };
                Ok((split, Offset(rows)))
            };
            files.into_iter().map(end).collect()
        })
        .await
    }

    fn is_bounded(&self) -> bool {
        self.options.monitor_interval.is_none()
    }

    async fn open(
        &self,
        positions: &Positions,
        projection: &SchemaRef,
    ) -> Result<Box<dyn SourceReader>, ConnectorError> {
        let reader = reader::FileReader::new(
            Arc::clone(&self.options),
            positions,
            self.columns.clone(),
            Arc::clone(projection),
        );
        Ok(Box::new(reader))
    }
}

/// An error about a file: a missing one is lost data, any other failure may pass.
fn file_error(action: &str, path: &std::path::Path, error: std::io::Error) -> ConnectorError {
    let kind = match error.kind() {
        std::io::ErrorKind::NotFound => ErrorKind::Data,
        std::io::ErrorKind::PermissionDenied => ErrorKind::Denied,
        _ => ErrorKind::Unavailable,
    };
    ConnectorError::new(kind, format!("cannot {action} file \"{}\"", path.display()))
        .with_detail(format!("{error}."))
        .with_source(error)
}

#[cfg(test)]
mod tests;
