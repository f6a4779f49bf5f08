//! The options of a file source: as written, then as validated.

use std::time::Duration;

use rtsap_stream::error::ConnectorError;
use rtsap_stream::registry::SourceRequest;

use super::listing::PathPattern;
use crate::format;
use crate::format::csv::CsvLayout;
use crate::options::{OptionReader, SourceOptions};

/// Looking more often than this would keep a disk busy for nothing.
const MONITOR_INTERVAL_MIN: Duration = Duration::from_millis(10);

/// What the files contain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FileFormat {
    /// One JSON object a line.
    Json,
    /// One record a line, or more where a quoted field holds line ends.
    Csv(CsvLayout),
    /// Apache Parquet.
    Parquet,
}

/// Options of a file source, checked.
#[derive(Clone, Debug)]
pub struct FileOptions {
    /// Which files.
    pub path: PathPattern,
    /// What they contain.
    pub format: FileFormat,
    /// How often to look for new files and lines; `None` to end with the files that are there.
    pub monitor_interval: Option<Duration>,
}

impl FileOptions {
    /// Reads the options of `request`.
    ///
    /// # Errors
    /// `Invalid` for an unknown option or a bad value.
    pub fn read(request: &SourceRequest) -> Result<Self, ConnectorError> {
        #[derive(Clone, Copy)]
        enum Name {
            Json,
            Csv,
            Parquet,
        }
        let mut reader =
            OptionReader::new(format!("source \"{}\"", request.name), &request.options);
        reader.accept(&["connector"]);
        SourceOptions::read(&mut reader)?;
        let path = reader.required("path")?;
        let path = PathPattern::parse(path).map_err(|problem| reader.invalid("path", &problem))?;
        reader.required("format")?;
        let names = [
            ("json", Name::Json),
            ("csv", Name::Csv),
            ("parquet", Name::Parquet),
        ];
        let format = match reader.choice("format", &names)? {
            Some(Name::Csv) => FileFormat::Csv(CsvLayout::read(&mut reader)?),
            Some(Name::Parquet) => FileFormat::Parquet,
            Some(Name::Json) | None => {
                reader.accept(&format::option_keys(&request.name, &request.options)?);
                FileFormat::Json
            }
        };
        let monitor_interval = reader.duration("source.monitor-interval")?;
        if monitor_interval.is_some_and(|interval| interval < MONITOR_INTERVAL_MIN) {
            return Err(reader.invalid("source.monitor-interval", "must be at least 10 ms"));
        }
        reader.finish()?;
        Ok(Self {
            path,
            format,
            monitor_interval,
        })
    }
}
