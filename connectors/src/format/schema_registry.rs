//! Schemas by number, from a registry with Confluent's REST interface. Fetched when a payload names
//! one that is not known, kept for ever: a registered schema never changes.
//!
//! Options: `schema-registry.url` (or Flink's `avro-confluent.url`), and `schema-registry.username`
//! and `….password` for basic authentication.

use std::time::Duration;

use rtsap_stream::error::{ConnectorError, ErrorKind};
use rtsap_stream::registry::SourceRequest;
use serde_json::Value;
use url::Url;

use crate::options::OptionReader;

/// The options, as keys: the same for all formats with a registry.
pub(crate) const OPTION_KEYS: [&str; 4] = [URL, FLINK_URL, USERNAME, PASSWORD];

const URL: &str = "schema-registry.url";
const FLINK_URL: &str = "avro-confluent.url";
const USERNAME: &str = "schema-registry.username";
const PASSWORD: &str = "schema-registry.password";

/// How long one request may take.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(10);

/// Bytes of an answer beyond which it is refused.
const ANSWER_BYTES_MAX: usize = 4 << 20;

/// References of a schema to others that are followed.
const REFERENCES_MAX: usize = 256;

/// A schema as it was registered.
#[derive(Debug)]
pub(crate) struct Registered {
    /// The schema's text.
    pub(crate) text: String,
    /// The texts of the schemas it refers to, each behind those that it needs itself.
    pub(crate) references: Vec<String>,
}

/// A registry.
pub(crate) struct SchemaRegistry {
    url: Url,
    login: Option<(String, Option<String>)>,
    /// Made at the first request, on the thread that reads.
    client: Option<(tokio::runtime::Runtime, reqwest::Client)>,
}

/// Why a request brought nothing.
enum Failure {
    /// The registry has said so, for good.
    Refused(String),
    /// It may go better later.
    Away(ConnectorError),
}

impl SchemaRegistry {
    /// The registry that the options of `request` name. It is not asked yet.
    ///
    /// # Errors
    /// `Invalid` for a missing or wrong address.
    pub(crate) fn new(request: &SourceRequest) -> Result<Self, ConnectorError> {
        let subject = format!("source \"{}\"", request.name);
        let mut reader = OptionReader::new(subject, &request.options);
        let text = match reader.text(FLINK_URL) {
            Some(text) => text,
            None => reader.required(URL)?,
        };
        let mut url = Url::parse(text.trim()).map_err(|error| {
            let error = reader.invalid(URL, &format!("cannot be \"{text}\": {error}"));
            error.with_hint("Write it as 'http://host:8081'.")
        })?;
        if !matches!(url.scheme(), "http" | "https") || url.host_str().is_none() {
            let error = reader.invalid(URL, &format!("cannot be \"{text}\""));
            return Err(error.with_hint("Write it as 'http://host:8081'."));
        }
        if !url.path().ends_with('/') {
            url.set_path(&format!("{}/", url.path()));
        }
        let password = reader.text(PASSWORD).map(str::to_owned);
        let login = reader
            .text(USERNAME)
            .map(|name| (name.to_owned(), password));
        Ok(Self {
            url,
            login,
            client: None,
        })
    }

    /// Schema `id`, which must be of `kind` (`AVRO`, `PROTOBUF`); the inner error is the registry's
    /// own word that there is none.
    ///
    /// # Errors
    /// `Unavailable` if the registry cannot be reached or is in trouble.
    pub(crate) fn fetch(
        &mut self,
        id: u32,
        kind: &str,
    ) -> Result<Result<Registered, String>, ConnectorError> {
        match self.fetch_all(id, kind) {
            Ok(registered) => Ok(Ok(registered)),
            Err(Failure::Refused(reason)) => Ok(Err(reason)),
            Err(Failure::Away(error)) => Err(error),
        }
    }

    fn fetch_all(&mut self, id: u32, kind: &str) -> Result<Registered, Failure> {
        let answer = self.get(&format!("schemas/ids/{id}"))?;
        let found = answer
            .get("schemaType")
            .and_then(Value::as_str)
            .unwrap_or("AVRO");
        if found != kind {
            return Err(Failure::Refused(format!(
                "it is of type {found}, not {kind}"
            )));
        }
        let mut references = Vec::new();
        let mut seen = Vec::new();
        self.follow(&answer, &mut references, &mut seen)?;
        let text = text_of(&answer)?;
        Ok(Registered { text, references })
    }

    /// Appends what `schema` refers to, the innermost first.
    fn follow(
        &mut self,
        schema: &Value,
        texts: &mut Vec<String>,
        seen: &mut Vec<(String, i64)>,
    ) -> Result<(), Failure> {
        let references = schema.get("references").and_then(Value::as_array);
        for reference in references.into_iter().flatten() {
            let subject = reference.get("subject").and_then(Value::as_str);
            let version = reference.get("version").and_then(Value::as_i64);
            let (Some(subject), Some(version)) = (subject, version) else {
                return Err(Failure::Refused("a reference has no subject".to_owned()));
            };
            let key = (subject.to_owned(), version);
            if seen.contains(&key) {
                continue;
            }
            if seen.len() >= REFERENCES_MAX {
                return Err(Failure::Refused("it has too many references".to_owned()));
            }
            seen.push(key);
            let subject: String =
                url::form_urlencoded::byte_serialize(subject.as_bytes()).collect();
            let path = format!(
                "subjects/{}/versions/{version}",
                subject.replace('+', "%20")
            );
            let referred = self.get(&path)?;
            self.follow(&referred, texts, seen)?;
            texts.push(text_of(&referred)?);
        }
        Ok(())
    }

    fn get(&mut self, path: &str) -> Result<Value, Failure> {
        let url = self.url.join(path);
        let url = url.map_err(|error| Failure::Refused(format!("no address: {error}")))?;
        let place = self.url.clone();
        let away = |why: String| {
            let message = format!("cannot reach the schema registry at {place}");
            Failure::Away(ConnectorError::unavailable(message).with_detail(format!("{why}.")))
        };
        if self.client.is_none() {
            self.client = Some(client().map_err(Failure::Away)?);
        }
        let Some((runtime, client)) = &self.client else {
            return Err(away("there is no client".to_owned()));
        };
        let mut request = client.get(url);
        if let Some((name, password)) = &self.login {
            request = request.basic_auth(name, password.as_deref());
        }
        let (status, body) = runtime
            .block_on(async {
                let answer = request.send().await?;
                let status = answer.status().as_u16();
                Ok::<_, reqwest::Error>((status, answer.bytes().await?))
            })
            .map_err(|error: reqwest::Error| away(error.to_string()))?;
        if body.len() > ANSWER_BYTES_MAX {
            return Err(Failure::Refused(
                "the registry's answer is too long".to_owned(),
            ));
        }
        let json = serde_json::from_slice::<Value>(&body);
        match (status, json) {
            (200, Ok(json)) => Ok(json),
            (404, json) => {
                let told = json.ok();
                let told = told.as_ref().and_then(|json| json.get("message"));
                let told = told
                    .and_then(Value::as_str)
                    .unwrap_or("it is not registered");
                Err(Failure::Refused(told.to_owned()))
            }
            (status, _) => Err(away(format!("it answers with status {status}"))),
        }
    }
}

fn text_of(answer: &Value) -> Result<String, Failure> {
    let text = answer
        .get("schema")
        .and_then(Value::as_str)
        .map(str::to_owned);
    text.ok_or_else(|| Failure::Refused("the registry's answer has no schema".to_owned()))
}

fn client() -> Result<(tokio::runtime::Runtime, reqwest::Client), ConnectorError> {
    let broken = |error: String| {
        let message = "cannot make a client for the schema registry";
        ConnectorError::new(ErrorKind::Internal, message).with_detail(format!("{error}."))
    };
    // Whoever makes a client needs a provider; a second call changes nothing.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| broken(error.to_string()))?;
    let client = reqwest::Client::builder()
        .timeout(REQUEST_TIMEOUT)
        .build()
        .map_err(|error| broken(error.to_string()))?;
    Ok((runtime, client))
}

/// The number of a payload's schema and what follows it.
///
/// # Errors
/// If the payload is not framed.
pub(crate) fn framed(payload: &[u8]) -> Result<(u32, &[u8]), String> {
    match payload {
        [0, a, b, c, d, rest @ ..] => Ok((u32::from_be_bytes([*a, *b, *c, *d]), rest)),
        [0, ..] => Err("the payload ends before the number of its schema".to_owned()),
        [first, ..] => Err(format!(
            "the payload begins with byte {first}, not with the zero byte of a registered schema"
        )),
        [] => Err("the payload is empty".to_owned()),
    }
}
