//! Where state lies: a local directory, synced, or an S3-compatible bucket.

use std::path::Path;
use std::sync::Arc;

use object_store::ObjectStore;
use object_store::aws::{AmazonS3Builder, S3ConditionalPut};
use object_store::local::LocalFileSystem;
use object_store::prefix::PrefixStore;
use url::Url;

use crate::config::Config;
use crate::error::ServerError;

/// Opens the store that `config` names.
///
/// # Errors
/// [`ServerError::Config`] for a URL of another kind, [`ServerError::Io`] if the directory cannot
/// be made.
pub fn open(config: &Config) -> Result<Arc<dyn ObjectStore>, ServerError> {
    let Some(text) = &config.checkpoint_url else {
        return local(&config.data_dir);
    };
    let bad = |message: String, hint: &str| ServerError::Config {
        message,
        hint: Some(hint.to_owned()),
    };
    let forms = "Use file:///directory or s3://bucket/prefix.";
    let url = Url::parse(text).map_err(|error| {
        bad(
            format!("cannot read checkpoint URL {text:?}: {error}"),
            forms,
        )
    })?;
    match url.scheme() {
        "file" => {
            let path = url
                .to_file_path()
                .map_err(|()| bad(format!("{text:?} is no path"), forms))?;
            local(&path)
        }
        "s3" => s3(&url),
        other => Err(bad(format!("cannot keep checkpoints on {other:?}"), forms)),
    }
}

fn local(directory: &Path) -> Result<Arc<dyn ObjectStore>, ServerError> {
    std::fs::create_dir_all(directory).map_err(|source| ServerError::Io {
        action: format!("make data directory {}", directory.display()),
        source,
    })?;
    let store =
        LocalFileSystem::new_with_prefix(directory).map_err(|error| ServerError::Config {
            message: format!("cannot use data directory {}: {error}", directory.display()),
            hint: None,
        })?;
    // A checkpoint that is acknowledged survives a power cut: file and directory are synced.
    Ok(Arc::new(store.with_fsync(true)))
}

/// Credentials, region and endpoint come from the usual `AWS_…` variables.
fn s3(url: &Url) -> Result<Arc<dyn ObjectStore>, ServerError> {
    // Fails only if one is installed already, which is as good.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let bucket = url.host_str().unwrap_or_default();
    let store = AmazonS3Builder::from_env()
        .with_bucket_name(bucket)
        .with_conditional_put(S3ConditionalPut::ETagMatch)
        .build()
        .map_err(|error| ServerError::Config {
            message: format!("cannot use {url}: {error}"),
            hint: Some(
                "Set AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_REGION and, for a server of \
                 your own, AWS_ENDPOINT."
                    .to_owned(),
            ),
        })?;
    let prefix = url.path().trim_matches('/');
    if prefix.is_empty() {
        return Ok(Arc::new(store));
    }
    Ok(Arc::new(PrefixStore::new(store, prefix)))
}
