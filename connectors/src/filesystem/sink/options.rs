//! `WITH` options of a file sink, checked. Secrets never leave them.

use parquet::basic::{Compression, ZstdLevel};
use rtsap_stream::error::ConnectorError;
use rtsap_stream::registry::Options;
use url::Url;

use crate::options::OptionReader;

/// Options of a file sink, checked.
#[derive(Clone)]
pub struct SinkOptions {
    /// The directory, as messages name it.
    pub place: String,
    /// Where it is.
    pub root: Root,
    /// How pages are compressed.
    pub compression: Compression,
    /// Whether to make the directory if it is missing.
    pub create: bool,
}

/// Where files go.
#[derive(Clone)]
pub enum Root {
    /// A directory of this machine.
    Local(std::path::PathBuf),
    /// A prefix of an S3 bucket.
    S3 {
        /// The bucket.
        bucket: String,
        /// The prefix, without slashes at its ends.
        prefix: String,
        /// Settings; those that are missing come from the usual `AWS_…` variables.
        settings: Vec<(&'static str, String)>,
    },
}

/// Options of an S3 root: ours, and object_store's name for it.
const S3_OPTIONS: [(&str, &str); 5] = [
    ("s3.endpoint", "aws_endpoint"),
    ("s3.region", "aws_region"),
    ("s3.access-key-id", "aws_access_key_id"),
    ("s3.secret-access-key", "aws_secret_access_key"),
    ("s3.allow-http", "aws_allow_http"),
];

impl SinkOptions {
    /// Reads the options of `subject`.
    ///
    /// # Errors
    /// `Invalid` for an option that is missing, unknown or has a bad value.
    pub fn read(subject: &str, options: &Options) -> Result<Self, ConnectorError> {
        let mut reader = OptionReader::new(subject, options);
        reader.accept(&["connector"]);
        let path = reader.required("path")?.trim();
        let settings: Vec<(&'static str, String)> = S3_OPTIONS
            .iter()
            .filter_map(|(ours, theirs)| Some((*theirs, reader.text(ours)?.to_owned())))
            .collect();
        reader.required("format")?;
        reader.choice("format", &[("parquet", ())])?;
        let zstd = Compression::ZSTD(ZstdLevel::default());
        let compression = reader.choice(
            "parquet.compression",
            &[
                ("zstd", zstd),
                ("snappy", Compression::SNAPPY),
                ("lz4", Compression::LZ4_RAW),
                ("uncompressed", Compression::UNCOMPRESSED),
            ],
        )?;
        let read = Self {
            root: root(&reader, path, settings)?,
            place: format!("\"{path}\""),
            compression: compression.unwrap_or(zstd),
            create: reader.flag("create")?.unwrap_or(true),
        };
        reader.finish()?;
        Ok(read)
    }
}

fn root(
    reader: &OptionReader<'_>,
    path: &str,
    settings: Vec<(&'static str, String)>,
) -> Result<Root, ConnectorError> {
    const FORMS: &str = "Write it as '/directory', 'file:///directory' or 's3://bucket/prefix'.";
    let bad = || {
        reader
            .invalid("path", &format!("cannot be \"{path}\""))
            .with_hint(FORMS)
    };
    let local = |path: std::path::PathBuf| {
        if !path.is_absolute() {
            return Err(reader
                .invalid(
                    "path",
                    &format!("cannot be \"{path}\"", path = path.display()),
                )
                .with_detail("It is relative, and nobody knows to which directory.")
                .with_hint(FORMS));
        }
        if settings.is_empty() {
            Ok(Root::Local(path))
        } else {
            Err(reader.invalid("path", "is local, and options 's3.…' are given"))
        }
    };
    if !path.contains("://") {
        return local(path.into());
    }
    let url = Url::parse(path).map_err(|_| bad())?;
    match url.scheme() {
        "file" => local(url.to_file_path().map_err(|()| bad())?),
        "s3" => Ok(Root::S3 {
            bucket: url
                .host_str()
                .filter(|host| !host.is_empty())
                .ok_or_else(bad)?
                .to_owned(),
            prefix: url.path().trim_matches('/').to_owned(),
            settings,
        }),
        _ => Err(bad()),
    }
}

#[cfg(test)]
mod tests;
