//! The protocol by hand, for what no client would send.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// How long an answer may take before a test gives up.
const PATIENCE: Duration = Duration::from_secs(30);

/// A socket to the server.
pub struct Wire {
    pub socket: TcpStream,
}

/// One message of the server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reply {
    pub tag: char,
    pub body: Vec<u8>,
}

impl Reply {
    /// A field of an ErrorResponse.
    pub fn field(&self, code: u8) -> String {
        let mut fields = self.body.split(|byte| *byte == 0);
        let field = fields
            .find(|field| field.first() == Some(&code))
            .unwrap_or_default();
        String::from_utf8_lossy(field.get(1..).unwrap_or_default()).into_owned()
    }
}

/// A startup packet.
pub fn startup(version: i32, parameters: &[(&str, &str)]) -> Vec<u8> {
    let mut body = version.to_be_bytes().to_vec();
    for (name, value) in parameters {
        body.extend(format!("{name}\0{value}\0").bytes());
    }
    body.push(0);
    let mut packet = u32::try_from(body.len() + 4)
        .unwrap()
        .to_be_bytes()
        .to_vec();
    packet.extend(body);
    packet
}

/// A message.
pub fn message(tag: u8, body: &[u8]) -> Vec<u8> {
    let mut message = vec![tag];
    message.extend(u32::try_from(body.len() + 4).unwrap().to_be_bytes());
    message.extend(body);
    message
}

/// A Parse message of the unnamed statement.
pub fn parse(sql: &str) -> Vec<u8> {
    message(b'P', format!("\0{sql}\0\0\0").as_bytes())
}

/// A Bind message without parameters, results in text.
pub fn bind() -> Vec<u8> {
    message(b'B', b"\0\0\0\0\0\0\0\0")
}

/// An Execute message of the unnamed portal.
pub fn execute(rows_max: i32) -> Vec<u8> {
    message(b'E', &[b"\0".as_slice(), &rows_max.to_be_bytes()].concat())
}

impl Wire {
    /// A connection about which nothing was said yet.
    pub async fn connect(address: SocketAddr) -> Self {
        Self {
            socket: TcpStream::connect(address).await.unwrap(),
        }
    }

    /// A session that is ready.
    pub async fn session(address: SocketAddr) -> Self {
        let mut wire = Self::connect(address).await;
        wire.send(&startup(
            3 << 16,
            &[("user", "rtsap"), ("database", "rtsap")],
        ))
        .await;
        wire.until('Z').await;
        wire
    }

    pub async fn send(&mut self, bytes: &[u8]) {
        self.socket.write_all(bytes).await.unwrap();
    }

    /// The next message; `None` at the end of the connection.
    pub async fn reply(&mut self) -> Option<Reply> {
        let read = async {
            let tag = self.socket.read_u8().await.ok()?;
            let length = self.socket.read_u32().await.ok()? as usize;
            let mut body = vec![0; length - 4];
            self.socket.read_exact(&mut body).await.ok()?;
            Some(Reply {
                tag: char::from(tag),
                body,
            })
        };
        tokio::time::timeout(PATIENCE, read)
            .await
            .expect("the server is silent")
    }

    /// The messages up to and with the first of type `tag`.
    pub async fn until(&mut self, tag: char) -> Vec<Reply> {
        let mut replies = Vec::new();
        loop {
            let Some(reply) = self.reply().await else {
                panic!("closed after {replies:?}")
            };
            let found = reply.tag == tag;
            replies.push(reply);
            if found {
                return replies;
            }
        }
    }

    /// All messages up to the end of the connection.
    pub async fn rest(&mut self) -> Vec<Reply> {
        let mut replies = Vec::new();
        while let Some(reply) = self.reply().await {
            replies.push(reply);
        }
        replies
    }
}

/// The types of messages, as a word.
pub fn tags(replies: &[Reply]) -> String {
    replies.iter().map(|reply| reply.tag).collect()
}
