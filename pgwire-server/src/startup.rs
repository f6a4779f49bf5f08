//! The first packets of a connection: encryption asked for, a cancel request, or who connects to
//! what.
//!
//! Ends in the parameters of a session, an answered cancel request, or a FATAL error: never in
//! ReadyForQuery.

use bytes::{BufMut, Bytes};
use pgwire::messages::response::SslResponse;
use rtsap_engine::session::SessionSettings;

use crate::cancel::CancelKeys;
use crate::error::Failure;
use crate::request::Body;
use crate::socket::{Inbox, Outbox, Stop};

const CANCEL: i32 = 80_877_102;
const SSL: i32 = 80_877_103;
const GSS: i32 = 80_877_104;
const PROTOCOL_3: i32 = 3 << 16;

/// Requests for encryption a client may make: one of each kind.
const ENCRYPTION_REQUESTS_MAX: usize = 2;

/// Reads the first packets. `None` after a cancel request, which wants no answer.
///
/// # Errors
/// FATAL: packets that cannot be, a protocol that is not spoken here, no user.
pub(crate) async fn negotiate(
    inbox: &mut Inbox,
    outbox: &mut Outbox,
    keys: &CancelKeys,
) -> Result<Option<SessionSettings>, Stop> {
    for _ in 0..=ENCRYPTION_REQUESTS_MAX {
        let mut packet = Body(inbox.startup().await?);
        let code = packet.i32()?;
        match code {
            CANCEL => {
                let (process_id, secret) = (packet.i32()?, packet.i32()?);
                keys.cancel(process_id, secret);
                return Ok(None);
            }
            SSL | GSS => refuse_encryption(inbox, outbox).await?,
            version if version >> 16 == 3 => {
                let startup = Startup::read(packet.0)?;
                if version != PROTOCOL_3 || !startup.extensions.is_empty() {
                    put_negotiation(&startup.extensions, outbox);
                }
                return startup.settings().map(Some).map_err(Stop::from);
            }
            other => {
                let (major, minor) = (other >> 16, other & 0xffff);
                let message =
                    format!("unsupported frontend protocol {major}.{minor}: server supports 3.0");
                return Err(Failure::new("0A000", message).fatal().into());
            }
        }
    }
    Err(Failure::protocol("too many requests for encryption")
        .fatal()
        .into())
}

/// Says that this server does not encrypt. Whatever came before the answer was sent blindly and
/// must not be read as if it had come afterwards (CVE-2021-23214).
async fn refuse_encryption(inbox: &mut Inbox, outbox: &mut Outbox) -> Result<(), Stop> {
    if inbox.is_ahead() {
        let message = "received unencrypted data after SSL request";
        return Err(Failure::protocol(message).fatal().into());
    }
    outbox.put(&SslResponse::Refuse)?;
    outbox.flush().await
}

/// Tells a client of a newer protocol which one is spoken: NegotiateProtocolVersion.
fn put_negotiation(extensions: &[String], outbox: &mut Outbox) {
    let names: Vec<u8> = extensions
        .iter()
        .flat_map(|name| [name.as_bytes(), b"\0"].concat())
        .collect();
    // Both fit: they come from a packet of a few kilobytes.
    let length = i32::try_from(12 + names.len()).unwrap_or_default();
    let count = i32::try_from(extensions.len()).unwrap_or_default();
    let bytes = outbox.bytes();
    bytes.put_u8(b'v');
    bytes.put_i32(length);
    bytes.put_i32(PROTOCOL_3);
    bytes.put_i32(count);
    bytes.put_slice(&names);
}

/// What a startup packet says.
#[derive(Debug, Default)]
struct Startup {
    user: Option<String>,
    database: Option<String>,
    application_name: String,
    variables: Vec<(String, String)>,
    replication: bool,
    /// Protocol options, which this server has none of.
    extensions: Vec<String>,
}

impl Startup {
    fn read(packet: Bytes) -> Result<Self, Failure> {
        let mut body = Body(packet);
        let mut startup = Self::default();
        loop {
            let name = body.string().map_err(Failure::fatal)?;
            if name.is_empty() {
                return Ok(startup);
            }
            let value = body.string().map_err(Failure::fatal)?;
            match name.as_str() {
                "user" => startup.user = Some(value),
                "database" => startup.database = Some(value),
                "application_name" => startup.application_name = value,
                "replication" => {
                    let off = ["", "false", "off", "no", "0"];
                    startup.replication = !off.contains(&value.to_ascii_lowercase().as_str());
                }
                "options" => startup.variables.extend(options(&value)),
                option if option.starts_with("_pq_.") => startup.extensions.push(name),
                _ => startup.variables.push((name, value)),
            }
        }
    }

    fn settings(self) -> Result<SessionSettings, Failure> {
        if self.replication {
            let message = "replication connections are not supported";
            return Err(Failure::new("0A000", message).fatal());
        }
        let user = self.user.filter(|user| !user.is_empty()).ok_or_else(|| {
            let message = "no PostgreSQL user name specified in startup packet";
            Failure::new("28000", message).fatal()
        })?;
        let database = self.database.filter(|database| !database.is_empty());
        Ok(SessionSettings {
            database: database.unwrap_or_else(|| user.clone()),
            user,
            application_name: self.application_name,
            variables: self.variables,
            process_id: 0,
        })
    }
}

/// Variables in `options`: `-c name=value` or `--name=value`, where a backslash keeps a space
/// within a word.
fn options(text: &str) -> Vec<(String, String)> {
    let mut words = vec![String::new()];
    let mut characters = text.chars();
    while let Some(character) = characters.next() {
        let next = if character == '\\' {
            characters.next()
        } else {
            None
        };
        match (character, next, words.last_mut()) {
            (_, Some(escaped), Some(word)) => word.push(escaped),
            (space, None, _) if space.is_whitespace() => words.push(String::new()),
            (other, None, Some(word)) => word.push(other),
            _ => {}
        }
    }
    let mut words = words.into_iter().filter(|word| !word.is_empty());
    let mut variables = Vec::new();
    while let Some(word) = words.next() {
        let setting = match word.strip_prefix("-c") {
            Some("") => words.next(),
            Some(attached) => Some(attached.to_owned()),
            None => word
                .strip_prefix("--")
                .map(|name| name.replacen('-', "_", 8)),
        };
        let setting = setting
            .as_deref()
            .and_then(|setting| setting.split_once('='));
        variables.extend(setting.map(|(name, value)| (name.to_owned(), value.to_owned())));
    }
    variables
}

#[cfg(test)]
mod tests;
