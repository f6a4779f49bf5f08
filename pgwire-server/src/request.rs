//! Messages of a client, taken apart with every length checked.
//!
//! pgwire's own decoder trusts counts and lengths inside a frame and panics where they lie; here
//! they are errors.

use bytes::{Buf, Bytes};

use crate::error::Failure;
use crate::socket::Frame;

/// A message of a client after the start.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Request {
    /// A text of statements to run at once.
    Query(String),
    /// A statement to prepare.
    Parse {
        /// What it will be called; empty for the unnamed one.
        name: String,
        /// Its text.
        sql: String,
        /// Types of its parameters; 0 for open ones.
        oids: Vec<u32>,
    },
    /// Parameters for a prepared statement.
    Bind(Bind),
    /// What does it take and give?
    Describe(Target),
    /// Run a portal.
    Execute {
        /// Its name.
        portal: String,
        /// Most rows to send; `None` for all.
        rows_max: Option<u64>,
    },
    /// Forget something.
    Close(Target),
    /// Send what there is.
    Flush,
    /// The end of a sequence of requests.
    Sync,
    /// The end of the conversation.
    Terminate,
    /// A piece of a COPY.
    CopyData(Bytes),
    /// The end of a COPY.
    CopyDone,
    /// The client gives its COPY up.
    CopyFail(String),
    /// A call of a function by number, which this server does not have.
    FunctionCall,
}

/// Parameters for a prepared statement.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Bind {
    /// What the portal will be called.
    pub(crate) portal: String,
    /// The prepared statement.
    pub(crate) statement: String,
    /// Formats of the parameters: none, one for all, or one each.
    pub(crate) parameter_formats: Vec<i16>,
    /// The parameters; `None` for null.
    pub(crate) parameters: Vec<Option<Bytes>>,
    /// Formats of the columns: none, one for all, or one each.
    pub(crate) result_formats: Vec<i16>,
}

/// A prepared statement or a portal.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Target {
    /// A prepared statement.
    Statement(String),
    /// A portal.
    Portal(String),
}

impl Request {
    /// Takes a message apart.
    ///
    /// # Errors
    /// `08P01` for a content that does not fit the type, `22021` for text that is not UTF-8.
    pub(crate) fn read(frame: Frame) -> Result<Self, Failure> {
        let mut body = Body(frame.body);
        let request = match frame.tag {
            b'Q' => Self::Query(body.string()?),
            b'P' => {
                let (name, sql) = (body.string()?, body.string()?);
                let count = body.count()?;
                let oids = (0..count).map(|_| body.u32()).collect::<Result<_, _>>()?;
                Self::Parse { name, sql, oids }
            }
            b'B' => Self::Bind(bind(&mut body)?),
            b'D' => Self::Describe(target(&mut body)?),
            b'E' => {
                let portal = body.string()?;
                // As in PostgreSQL zero and less mean all.
                let rows_max = u64::try_from(body.i32()?).ok().filter(|rows| *rows > 0);
                Self::Execute { portal, rows_max }
            }
            b'C' => Self::Close(target(&mut body)?),
            b'H' => Self::Flush,
            b'S' => Self::Sync,
            b'X' => Self::Terminate,
            b'd' => return Ok(Self::CopyData(body.0)),
            b'c' => Self::CopyDone,
            b'f' => Self::CopyFail(body.string()?),
            _ => return Ok(Self::FunctionCall),
        };
        if body.0.has_remaining() {
            Err(malformed())
        } else {
            Ok(request)
        }
    }

    /// Whether an error in it must be followed by silence until the next Sync.
    pub(crate) fn is_extended(tag: u8) -> bool {
        matches!(tag, b'P' | b'B' | b'D' | b'E' | b'C' | b'H')
    }
}

fn bind(body: &mut Body) -> Result<Bind, Failure> {
    let (portal, statement) = (body.string()?, body.string()?);
    let count = body.count()?;
    let parameter_formats = (0..count).map(|_| body.i16()).collect::<Result<_, _>>()?;
    let count = body.count()?;
    let parameters = (0..count).map(|_| body.value()).collect::<Result<_, _>>()?;
    let count = body.count()?;
    let result_formats = (0..count).map(|_| body.i16()).collect::<Result<_, _>>()?;
    Ok(Bind {
        portal,
        statement,
        parameter_formats,
        parameters,
        result_formats,
    })
}

fn target(body: &mut Body) -> Result<Target, Failure> {
    let kind = body.0.try_get_u8().map_err(|_| malformed())?;
    let name = body.string()?;
    match kind {
        b'S' => Ok(Target::Statement(name)),
        b'P' => Ok(Target::Portal(name)),
        other => Err(Failure::protocol(format!("invalid target type {other}"))),
    }
}

fn malformed() -> Failure {
    Failure::protocol("invalid message format")
}

/// The content of a message that is being taken apart.
pub(crate) struct Body(pub(crate) Bytes);

impl Body {
    /// Text up to a zero byte.
    pub(crate) fn string(&mut self) -> Result<String, Failure> {
        let end = self
            .0
            .iter()
            .position(|byte| *byte == 0)
            .ok_or_else(malformed)?;
        let text = self.0.split_to(end);
        self.0.advance(1);
        let text = std::str::from_utf8(&text)
            .map_err(|_| Failure::new("22021", "invalid byte sequence for encoding \"UTF8\""))?;
        Ok(text.to_owned())
    }

    /// Four bytes.
    pub(crate) fn i32(&mut self) -> Result<i32, Failure> {
        self.0.try_get_i32().map_err(|_| malformed())
    }

    fn u32(&mut self) -> Result<u32, Failure> {
        self.0.try_get_u32().map_err(|_| malformed())
    }

    fn i16(&mut self) -> Result<i16, Failure> {
        self.0.try_get_i16().map_err(|_| malformed())
    }

    fn count(&mut self) -> Result<u16, Failure> {
        self.0.try_get_u16().map_err(|_| malformed())
    }

    fn value(&mut self) -> Result<Option<Bytes>, Failure> {
        let length = self.i32()?;
        if length == -1 {
            return Ok(None);
        }
        let length = usize::try_from(length).map_err(|_| malformed())?;
        if self.0.remaining() < length {
            return Err(malformed());
        }
        Ok(Some(self.0.split_to(length)))
    }
}

#[cfg(test)]
mod tests;
