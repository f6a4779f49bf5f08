//! The record of what has been applied: a chain of small objects, each put only where none lies.
//! Its last one counts. Old ones are deleted, oldest first; so a place counts only while the one
//! before it is there.

use std::sync::Arc;

use bytes::Bytes;
use futures::TryStreamExt;
use object_store::path::Path;
use object_store::{Error, ObjectStore, ObjectStoreExt, PutMode, PutOptions};
use rtsap_stream::error::{ConnectorError, ErrorKind};
use rtsap_stream::progress::{Owner, Progress};
use serde_json::{Value, json};

use super::storage::failure;

/// Where the records lie.
const FOLDER: &str = "_rtsap";

/// Records that are kept: enough to see by hand what happened last.
const KEPT: u64 = 64;

/// How often an unclear put is looked at before the caller hears of it.
const ATTEMPTS_MAX: usize = 3;

/// The end of the chain.
pub(super) struct Records {
    store: Arc<dyn ObjectStore>,
    sink: String,
    owner: Owner,
    /// The number of the last record, 0 for none.
    number: u64,
    last: Option<Progress>,
    /// Whose the last record was when it was found.
    found: Option<Owner>,
}

impl Records {
    /// Finds the last record of `sink`.
    ///
    /// # Errors
    /// `Unavailable` if the storage cannot be read; `Data` if what lies there is no record of this
    /// sink.
    pub(super) async fn open(
        store: Arc<dyn ObjectStore>,
        sink: &str,
        owner: Owner,
    ) -> Result<Self, ConnectorError> {
        let mut records = Self {
            store,
            sink: sink.to_owned(),
            owner,
            number: 0,
            last: None,
            found: None,
        };
        if let Some(number) = records.numbers().await?.pop() {
            let bytes = records.read(number).await?;
            // It was deleted in between: others are at work, and the next attempt sees them.
            let bytes = bytes.ok_or_else(|| records.busy())?;
            records.last = Some(records.decode(&bytes)?);
            records.found = records.owner_of(&bytes)?;
            records.number = number;
        }
        Ok(records)
    }

    /// What the last record says.
    pub(super) fn last(&self) -> Option<Progress> {
        self.last
    }

    /// Whose the last record was when it was found; none if it does not say.
    pub(super) fn found(&self) -> Option<Owner> {
        self.found
    }

    /// Puts `progress` behind the last record, with the file that it speaks of.
    ///
    /// # Errors
    /// `Fenced` if somebody else has put one there, `Unavailable` if it stays unclear: then the
    /// same may be put again.
    pub(super) async fn put(
        &mut self,
        progress: Progress,
        file: Option<(String, u64)>,
    ) -> Result<(), ConnectorError> {
        let bytes = self.encode(progress, file);
        let number = self.number + 1;
        let place = path(number);
        let mut attempt = 0;
        loop {
            attempt += 1;
            let options = PutOptions {
                mode: PutMode::Create,
                ..PutOptions::default()
            };
            let put = self.store.put_opts(&place, bytes.clone().into(), options);
            let unclear = match put.await {
                Ok(_) => break,
                Err(Error::AlreadyExists { .. }) => None,
                Err(error) => Some(error),
            };
            // "Exists" says nothing about who put it there.
            match (self.read(number).await?, unclear) {
                (Some(found), _) if found == bytes => break,
                (Some(found), _) => return Err(self.overtaken(Some(&found))),
                (None, Some(error)) if attempt >= ATTEMPTS_MAX => {
                    return Err(failure(FOLDER, "write a record", &error));
                }
                (None, _) if attempt >= ATTEMPTS_MAX => return Err(self.busy()),
                (None, _) => {}
            }
        }
        self.check_place(number, progress).await?;
        self.number = number;
        self.last = Some(progress);
        Ok(())
    }

    /// Fails if somebody else has put a record behind the last one of this process.
    ///
    /// # Errors
    /// `Fenced`, and `Unavailable` if the storage cannot be read.
    pub(super) async fn check_still_last(&self) -> Result<(), ConnectorError> {
        match self.numbers().await?.pop() {
            Some(last) if last > self.number => {
                Err(self.overtaken(self.read(last).await?.as_ref()))
            }
            _ => Ok(()),
        }
    }

    /// Fails if place `number` was free for `progress` only because what lay there has been
    /// deleted: then what lay before it is gone too.
    async fn check_place(&self, number: u64, progress: Progress) -> Result<(), ConnectorError> {
        let overtaken = if number > 1 {
            let before = self.read(number - 1).await?;
            let before = before.map(|bytes| self.decode(&bytes)).transpose()?;
            // Another sleeper may have put its own there.
            before != self.last
        } else {
            // Nothing comes before the first. Somebody may have gone on from it since.
            let numbers = self.numbers().await?;
            match numbers.into_iter().find(|later| *later > number) {
                Some(2) => {
                    let next = self.read(2).await?;
                    next.is_none_or(|next| follows(&next) != Some(progress))
                }
                Some(_) => true,
                None => false,
            }
        };
        if !overtaken {
            return Ok(());
        }
        let gone = self.store.delete(&path(number)).await;
        gone.map_err(|error| failure(FOLDER, "take back a record", &error))?;
        let last = self.numbers().await?.pop();
        let last = match last {
            Some(last) => self.read(last).await?,
            None => None,
        };
        Err(self.overtaken(last.as_ref()))
    }

    /// Deletes records that nobody needs any more. Failing here costs space only.
    pub(super) async fn forget_old(&self) {
        // Not each time: a list of the folder is the dearest of all requests.
        if !self.number.is_multiple_of(KEPT) {
            return;
        }
        let Ok(numbers) = self.numbers().await else {
            return;
        };
        let old = numbers.into_iter().filter(|n| n + KEPT <= self.number);
        for number in old {
            if let Err(error) = self.store.delete(&path(number)).await {
                tracing::warn!(sink = self.sink, %error, "cannot delete an old record");
                return;
            }
        }
    }

    async fn numbers(&self) -> Result<Vec<u64>, ConnectorError> {
        let listed = self.store.list(Some(&Path::from(FOLDER)));
        let mut numbers: Vec<u64> = listed
            .try_filter_map(|object| async move {
                let name = object.location.filename().unwrap_or_default();
                let number = name.strip_suffix(".json");
                Ok(number.and_then(|number| number.parse::<u64>().ok()))
            })
            .try_collect()
            .await
            .map_err(|error| failure(FOLDER, "list records", &error))?;
        numbers.sort_unstable();
        Ok(numbers)
    }

    async fn read(&self, number: u64) -> Result<Option<Bytes>, ConnectorError> {
        let failed = |error| failure(FOLDER, "read a record", &error);
        match self.store.get(&path(number)).await {
            Ok(found) => found.bytes().await.map(Some).map_err(failed),
            Err(Error::NotFound { .. }) => Ok(None),
            Err(error) => Err(failed(error)),
        }
    }

    fn encode(&self, progress: Progress, file: Option<(String, u64)>) -> Bytes {
        let file = file.map(|(name, bytes)| json!({"name": name, "bytes": bytes}));
        let value = json!({
            "version": 1,
            "sink": self.sink,
            "owner": self.owner.to_string(),
            "generation": progress.generation,
            "epoch": progress.epoch,
            "follows": self.last.map(|last| json!({
                "generation": last.generation,
                "epoch": last.epoch,
            })),
            "file": file,
        });
        Bytes::from(value.to_string())
    }

    fn decode(&self, bytes: &[u8]) -> Result<Progress, ConnectorError> {
        let strange = |detail: String| {
            let message = format!("cannot tell what sink \"{}\" has written", self.sink);
            ConnectorError::data(message)
                .with_detail(detail)
                .with_hint("Each sink needs a directory of its own.")
        };
        let value: Value = serde_json::from_slice(bytes)
            .map_err(|error| strange(format!("Its last record cannot be read: {error}.")))?;
        if value["sink"] != self.sink.as_str() {
            return Err(strange(format!("The record is of sink {}.", value["sink"])));
        }
        let number = |key: &str| value[key].as_u64();
        match (number("version"), number("generation"), number("epoch")) {
            (Some(1), Some(generation), Some(epoch)) => Ok(Progress { generation, epoch }),
            (version, ..) => Err(strange(format!("The record has version {version:?}."))),
        }
    }

    fn owner_of(&self, bytes: &[u8]) -> Result<Option<Owner>, ConnectorError> {
        let value: Option<Value> = serde_json::from_slice(bytes).ok();
        let owner = value.and_then(|value| value["owner"].as_str().map(str::parse));
        owner.transpose().map_err(|_| {
            let message = format!("cannot tell what sink \"{}\" has written", self.sink);
            ConnectorError::data(message).with_detail("Its last record names no owner.")
        })
    }

    fn overtaken(&self, found: Option<&Bytes>) -> ConnectorError {
        let message = format!(
            "cannot write to sink \"{}\": a newer process owns it",
            self.sink
        );
        let owner = found.and_then(|found| self.decode(found).ok());
        let detail = owner.map_or_else(
            || "Its record lies where the next one of this process was due.".to_owned(),
            |owner| format!("Generation {} owns it.", owner.generation),
        );
        ConnectorError::new(ErrorKind::Fenced, message).with_detail(detail)
    }

    fn busy(&self) -> ConnectorError {
        let message = format!("cannot read the records of sink \"{}\"", self.sink);
        ConnectorError::unavailable(message).with_detail("They change at this moment.")
    }
}

/// What the record before `bytes` said, by its own word.
fn follows(bytes: &[u8]) -> Option<Progress> {
    let value: Value = serde_json::from_slice(bytes).ok()?;
    Some(Progress {
        generation: value["follows"]["generation"].as_u64()?,
        epoch: value["follows"]["epoch"].as_u64()?,
    })
}

fn path(number: u64) -> Path {
    Path::from(format!("{FOLDER}/{number:020}.json"))
}

#[cfg(test)]
mod tests;
