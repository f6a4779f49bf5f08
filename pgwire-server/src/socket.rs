//! The two halves of a client's socket: frames come in with a limit each, messages go out in large
//! writes.
//!
//! Owns the limits of frames. Memory grows with the bytes that arrive, never with the length that a
//! frame claims.

use bytes::{Buf, Bytes, BytesMut};
use pgwire::messages::Message;
use rtsap_engine::error::EngineError;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};

use crate::error::Failure;

/// Bytes of a packet before a session exists: a startup packet holds a few names. PostgreSQL allows
/// 10,000.
pub(crate) const STARTUP_BYTES_MAX: usize = 8 * 1024;

/// Bytes of a frame that carries no statement or data.
const SMALL_FRAME_BYTES_MAX: usize = 10_000;

/// Bytes of a frame with a statement, parameters or COPY data: 64 MiB holds the largest value that
/// is reasonable in a cell; statements have a smaller limit in the engine.
const LARGE_FRAME_BYTES_MAX: usize = 64 << 20;

/// Bytes that are taken from a client that goes on sending while its statement still runs.
const AHEAD_BYTES_MAX: usize = 256 * 1024;

/// Bytes after which what is written is sent: fills several segments, and is small against any
/// client's buffer.
const FLUSH_BYTES: usize = 64 * 1024;

/// Bytes of a buffer that is kept after it was sent.
const KEPT_BYTES_MAX: usize = 1 << 20;

/// Why a conversation cannot go on as it was.
#[derive(Debug)]
pub(crate) enum Stop {
    /// Tell the client; whether the connection ends is in the failure.
    Failed(Box<Failure>),
    /// There is nobody to tell.
    Gone,
}

impl From<std::io::Error> for Stop {
    fn from(_: std::io::Error) -> Self {
        Self::Gone
    }
}

impl From<Failure> for Stop {
    fn from(failure: Failure) -> Self {
        Self::Failed(Box::new(failure))
    }
}

impl From<EngineError> for Stop {
    fn from(error: EngineError) -> Self {
        Failure::from(error).into()
    }
}

/// One message of a client, not taken apart.
#[derive(Debug)]
pub(crate) struct Frame {
    /// Its type.
    pub(crate) tag: u8,
    /// Its content.
    pub(crate) body: Bytes,
}

/// What comes from a client.
#[derive(Debug)]
pub(crate) struct Inbox {
    reader: OwnedReadHalf,
    buffer: BytesMut,
}

/// What goes to a client.
#[derive(Debug)]
pub(crate) struct Outbox {
    writer: OwnedWriteHalf,
    buffer: BytesMut,
}

/// Takes a socket apart.
pub(crate) fn halves(socket: TcpStream) -> (Inbox, Outbox) {
    let (reader, writer) = socket.into_split();
    (
        Inbox {
            reader,
            buffer: BytesMut::with_capacity(4096),
        },
        Outbox {
            writer,
            buffer: BytesMut::with_capacity(4096),
        },
    )
}

impl Inbox {
    /// The next packet of the start, without its length. Cancel-safe.
    ///
    /// # Errors
    /// A length that cannot be; the end of the connection.
    pub(crate) async fn startup(&mut self) -> Result<Bytes, Stop> {
        self.wait_for(4).await?;
        let length = length_at(&self.buffer, 0);
        let Some(length) = length.filter(|length| (8..=STARTUP_BYTES_MAX).contains(length)) else {
            return Err(Failure::protocol("invalid length of startup packet")
                .fatal()
                .into());
        };
        self.wait_for(length).await?;
        let mut packet = self.buffer.split_to(length).freeze();
        packet.advance(4);
        Ok(packet)
    }

    /// The next message. Cancel-safe: nothing that has arrived is lost.
    ///
    /// # Errors
    /// A length or type that cannot be; the end of the connection.
    pub(crate) async fn frame(&mut self) -> Result<Frame, Stop> {
        self.wait_for(5).await?;
        let tag = self.buffer[0];
        let limit = match tag {
            b'Q' | b'P' | b'B' | b'd' => LARGE_FRAME_BYTES_MAX,
            b'C' | b'D' | b'E' | b'F' | b'H' | b'S' | b'X' | b'c' | b'f' => SMALL_FRAME_BYTES_MAX,
            other => {
                let message = format!("invalid frontend message type {other}");
                return Err(Failure::protocol(message).fatal().into());
            }
        };
        let length = length_at(&self.buffer, 1);
        let Some(length) = length.filter(|length| (4..=limit).contains(length)) else {
            let message = format!("invalid length of message type {tag}");
            return Err(Failure::protocol(message).fatal().into());
        };
        self.wait_for(1 + length).await?;
        let mut body = self.buffer.split_to(1 + length).freeze();
        body.advance(5);
        Ok(Frame { tag, body })
    }

    /// Whether bytes have arrived that nobody has asked for yet.
    pub(crate) fn is_ahead(&self) -> bool {
        !self.buffer.is_empty()
    }

    /// Waits until the client is gone; what it sends meanwhile is kept. Cancel-safe.
    pub(crate) async fn closed(&mut self) {
        while self.buffer.len() < AHEAD_BYTES_MAX {
            match self.reader.read_buf(&mut self.buffer).await {
                Ok(0) | Err(_) => return,
                Ok(_) => {}
            }
        }
        std::future::pending().await
    }

    async fn wait_for(&mut self, bytes: usize) -> Result<(), Stop> {
        while self.buffer.len() < bytes {
            if self.reader.read_buf(&mut self.buffer).await? == 0 {
                return Err(Stop::Gone);
            }
        }
        Ok(())
    }
}

fn length_at(buffer: &[u8], offset: usize) -> Option<usize> {
    let bytes: [u8; 4] = buffer.get(offset..offset + 4)?.try_into().ok()?;
    usize::try_from(i32::from_be_bytes(bytes)).ok()
}

impl Outbox {
    /// Adds a message; it is sent with the next flush.
    ///
    /// # Errors
    /// `54000` for a message that is too long for the protocol.
    pub(crate) fn put(&mut self, message: &impl Message) -> Result<(), Failure> {
        message
            .encode(&mut self.buffer)
            .map_err(|error| Failure::new("54000", error.to_string()))
    }

    /// The bytes that will be sent, to add some.
    pub(crate) fn bytes(&mut self) -> &mut BytesMut {
        &mut self.buffer
    }

    /// Sends what there is if it is much. Waits for a slow client: this is the back-pressure.
    ///
    /// # Errors
    /// The end of the connection.
    pub(crate) async fn flush_if_full(&mut self) -> Result<(), Stop> {
        if self.buffer.len() >= FLUSH_BYTES {
            self.flush().await
        } else {
            Ok(())
        }
    }

    /// Sends what there is. Cancel-safe: what was not sent remains.
    ///
    /// # Errors
    /// The end of the connection.
    pub(crate) async fn flush(&mut self) -> Result<(), Stop> {
        while !self.buffer.is_empty() {
            if self.writer.write_buf(&mut self.buffer).await? == 0 {
                return Err(Stop::Gone);
            }
        }
        if self.buffer.capacity() > KEPT_BYTES_MAX {
            self.buffer = BytesMut::with_capacity(FLUSH_BYTES);
        }
        Ok(())
    }

    /// Tells the client that nothing more comes.
    pub(crate) async fn close(&mut self) {
        // The client may be gone already, and there is nobody else to tell.
        let _ = self.writer.shutdown().await;
    }
}
