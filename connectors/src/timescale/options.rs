//! The sink's options: as written, then as validated. Owns how the target is named; passwords never
//! leave the connection settings.

use std::str::FromStr;

use rtsap_stream::error::ConnectorError;
use rtsap_stream::registry::Options;
use tokio_postgres::Config;
use tokio_postgres::config::{Host, SslMode};

use crate::options::OptionReader;

/// One day a chunk: some 100,000 candles of a few hundred symbols, well within memory.
const CHUNK_INTERVAL: &str = "1 day";
/// PostgreSQL's limit for a name.
const NAME_BYTES_MAX: usize = 63;

/// Options of the sink, checked.
#[derive(Clone)]
pub struct SinkOptions {
    /// Where and who, with the password.
    pub config: Config,
    /// Host, port and database, for messages.
    pub place: String,
    /// The target.
    pub table: TableName,
    /// Whether to create the target if it is missing.
    pub create: bool,
    /// Whether the target becomes a hypertable where the extension is there.
    pub hypertable: bool,
    /// Length of a chunk, as PostgreSQL reads an interval.
    pub chunk_interval: String,
    /// Whether nanoseconds may be rounded down to the microseconds that PostgreSQL keeps.
    pub round_to_micros: bool,
}

/// A table as PostgreSQL names it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TableName {
    /// Its schema.
    pub schema: String,
    /// Its name.
    pub name: String,
}

impl TableName {
    /// Reads `table`, `schema.table`, with double quotes where PostgreSQL wants them. Without a
    /// schema: `public`.
    ///
    /// # Errors
    /// In words, if it is no such name.
    pub fn parse(text: &str) -> Result<Self, String> {
        let mut names = Vec::new();
        let mut rest = text.trim();
        loop {
            let (name, tail) = identifier(rest)?;
            if name.is_empty() || name.len() > NAME_BYTES_MAX || name.contains('\0') {
                return Err(format!(
                    "cannot be \"{text}\": a name has 1 to {NAME_BYTES_MAX} bytes"
                ));
            }
            names.push(name);
            match tail.strip_prefix('.') {
                Some(more) => rest = more,
                None if tail.is_empty() => break,
                None => return Err(format!("cannot be \"{text}\": 'schema.table' is expected")),
            }
        }
        let mut names = names.into_iter();
        match (names.next(), names.next(), names.next()) {
            (Some(name), None, _) => Ok(Self {
                schema: "public".to_owned(),
                name,
            }),
            (Some(schema), Some(name), None) => Ok(Self { schema, name }),
            _ => Err(format!("cannot be \"{text}\": 'schema.table' is expected")),
        }
    }

    /// As SQL, quoted.
    pub fn sql(&self) -> String {
        format!("{}.{}", quote(&self.schema), quote(&self.name))
    }
}

impl std::fmt::Display for TableName {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}.{}", self.schema, self.name)
    }
}

/// The first identifier of `text` and what follows it. Without quotes it is folded to lower case.
fn identifier(text: &str) -> Result<(String, &str), String> {
    let Some(quoted) = text.strip_prefix('"') else {
        let end = text.find('.').unwrap_or(text.len());
        let (name, tail) = text.split_at(end);
        let plain = |c: char| c.is_alphanumeric() || c == '_' || c == '$';
        if !name.chars().all(plain) || name.starts_with(|c: char| c.is_ascii_digit()) {
            return Err(format!(
                "cannot be \"{text}\": put unusual names into double quotes"
            ));
        }
        return Ok((name.to_lowercase(), tail));
    };
    let mut name = String::new();
    let mut rest = quoted;
    loop {
        let Some(end) = rest.find('"') else {
            return Err(format!(
                "cannot be \"{text}\": a double quote is not closed"
            ));
        };
        name.push_str(&rest[..end]);
        rest = &rest[end + 1..];
        match rest.strip_prefix('"') {
            Some(more) => {
                name.push('"');
                rest = more;
            }
            None => return Ok((name, rest)),
        }
    }
}

/// `name` as a quoted SQL identifier.
pub fn quote(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

impl SinkOptions {
    /// Reads the options of `subject`.
    ///
    /// # Errors
    /// `Invalid` for an unknown option or a bad value.
    pub fn read(subject: &str, options: &Options) -> Result<Self, ConnectorError> {
        let mut reader = OptionReader::new(subject, options);
        let hypertable = reader
            .choice("connector", &[("timescaledb", true), ("postgres", false)])?
            .unwrap_or(true);
        let config = connection(&mut reader)?;
        let table = reader.required("table")?;
        let table = TableName::parse(table).map_err(|problem| reader.invalid("table", &problem))?;
        let interval = reader
            .text("chunk_interval")
            .unwrap_or(CHUNK_INTERVAL)
            .trim()
            .to_owned();
        if interval.is_empty() {
            return Err(reader.invalid("chunk_interval", "must not be empty"));
        }
        let options = Self {
            place: place(&config),
            config,
            table,
            create: reader.flag("create")?.unwrap_or(true),
            hypertable,
            chunk_interval: interval,
            round_to_micros: reader
                .choice("timestamp_precision", &[("us", true), ("exact", false)])?
                .unwrap_or(false),
        };
        reader.finish()?;
        Ok(options)
    }
}

fn connection(reader: &mut OptionReader<'_>) -> Result<Config, ConnectorError> {
    const PARTS: [&str; 5] = ["host", "port", "database", "user", "password"];
    let mut config = match reader.text("url") {
        Some(url) => {
            if let Some(part) = PARTS.iter().find(|part| reader.text(part).is_some()) {
                return Err(reader.invalid(part, "is given beside \"url\"; one of them is enough"));
            }
            Config::from_str(url.trim()).map_err(|error| {
                let why = std::error::Error::source(&error).map(|why| format!("{why}."));
                let error = reader.invalid("url", "cannot be read").with_detail(
                    why.unwrap_or_else(|| "It is no PostgreSQL connection string.".to_owned()),
                );
                error.with_hint("Write it as 'postgres://user:password@host:5432/database'.")
            })?
        }
        None => {
            let mut config = Config::new();
            config.host(reader.required("host").map_err(|error| {
                error.with_hint("Give 'url', or 'host', 'port', 'database', 'user', 'password'.")
            })?);
            config.port(reader.number("port")?.unwrap_or(5432));
            config.dbname(reader.required("database")?);
            config.user(reader.required("user")?);
            if let Some(password) = reader.text("password") {
                config.password(password);
            }
            config
        }
    };
    let mode = reader.choice(
        "sslmode",
        &[
            ("disable", Some(SslMode::Disable)),
            ("prefer", Some(SslMode::Prefer)),
            ("require", None),
        ],
    )?;
    let mode = mode.unwrap_or(Some(config.get_ssl_mode()));
    match mode {
        Some(mode @ (SslMode::Disable | SslMode::Prefer)) => config.ssl_mode(mode),
        _ => {
            return Err(reader
                .invalid(
                    "sslmode",
                    "cannot ask for TLS: this sink does not speak TLS yet",
                )
                .with_hint("Use 'disable' or 'prefer' within a trusted network only."));
        }
    };
    if config.get_hosts().is_empty() {
        return Err(reader.invalid("url", "names no host"));
    }
    if config.get_user().is_none() {
        return Err(reader.invalid("url", "names no user"));
    }
    if config.get_application_name().is_none() {
        config.application_name("rtsap");
    }
    Ok(config)
}

fn place(config: &Config) -> String {
    let host = match config.get_hosts().first() {
        Some(Host::Tcp(host)) => host.clone(),
        Some(Host::Unix(path)) => path.display().to_string(),
        None => String::new(),
    };
    let port = config.get_ports().first().copied().unwrap_or(5432);
    let database = config
        .get_dbname()
        .or(config.get_user())
        .unwrap_or_default();
    format!("{host}:{port}/{database}")
}

#[cfg(test)]
mod tests;
