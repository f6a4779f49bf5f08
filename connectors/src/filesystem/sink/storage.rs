//! The storage that files go to, and what its errors mean.

use std::sync::Arc;

use object_store::aws::{AmazonS3Builder, AmazonS3ConfigKey, S3ConditionalPut};
use object_store::local::LocalFileSystem;
use object_store::prefix::PrefixStore;
use object_store::{Error, ObjectStore};
use rtsap_stream::error::{ConnectorError, ErrorKind};

use super::options::{Root, SinkOptions};

/// Opens it; a local directory is made if it may be. `written` says that this sink has written
/// before: then the directory must be there.
///
/// # Errors
/// `Data` if a directory that was written to is gone, `Invalid` if it cannot be used or made.
pub(super) fn open(
    options: &SinkOptions,
    written: bool,
) -> Result<Arc<dyn ObjectStore>, ConnectorError> {
    match &options.root {
        Root::Local(path) => {
            if !path.is_dir() {
                if written {
                    return Err(ConnectorError::data(format!(
                        "directory {} is gone, though this sink has written there",
                        options.place
                    ))
                    .with_hint("Put it back, or drop the sink and create it anew."));
                }
                if !options.create {
                    return Err(ConnectorError::invalid(format!(
                        "directory {} does not exist",
                        options.place
                    ))
                    .with_hint("Create it first, or leave out 'create' = 'false'."));
                }
                std::fs::create_dir_all(path).map_err(|error| {
                    ConnectorError::invalid(format!("cannot make directory {}", options.place))
                        .with_detail(format!("{error}."))
                })?;
            }
            let store = LocalFileSystem::new_with_prefix(path)
                .map_err(|error| failure(&options.place, "open", &error))?;
            // What is acknowledged survives a power cut: file and directory are synced.
            Ok(Arc::new(store.with_fsync(true)))
        }
        Root::S3 {
            bucket,
            prefix,
            settings,
        } => {
            // Fails only if one is installed already, which is as good.
            let _ = rustls::crypto::ring::default_provider().install_default();
            let mut builder = AmazonS3Builder::from_env()
                .with_bucket_name(bucket)
                .with_conditional_put(S3ConditionalPut::ETagMatch);
            for (key, value) in settings {
                let key: AmazonS3ConfigKey = key
                    .parse()
                    .map_err(|error| failure(&options.place, "open", &error))?;
                builder = builder.with_config(key, value);
            }
            let store = builder
                .build()
                .map_err(|error| failure(&options.place, "open", &error))?;
            if prefix.is_empty() {
                return Ok(Arc::new(store));
            }
            Ok(Arc::new(PrefixStore::new(store, prefix.as_str())))
        }
    }
}

/// What `error` means while doing `action` in `place`.
pub(super) fn failure(place: &str, action: &str, error: &Error) -> ConnectorError {
    let kind = match error {
        Error::PermissionDenied { .. } | Error::Unauthenticated { .. } => ErrorKind::Denied,
        Error::InvalidPath { .. }
        | Error::NotSupported { .. }
        | Error::NotImplemented { .. }
        | Error::UnknownConfigurationKey { .. } => ErrorKind::Invalid,
        _ => ErrorKind::Unavailable,
    };
    let detail = error.to_string();
    ConnectorError::new(kind, format!("cannot {action} in {place}"))
        .with_detail(format!("{}.", detail.trim_end_matches('.')))
}
