//! The formats of COPY: text and CSV both ways, binary to the client. Owns no message but CopyData.

pub(crate) mod read;
pub(crate) mod write;

#[cfg(test)]
mod tests;
