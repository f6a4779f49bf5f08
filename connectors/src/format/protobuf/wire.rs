//! The encoding of messages: numbers in groups of seven bits, fields by number and kind.

/// What remains of a message.
pub(super) struct Wire<'a> {
    pub(super) rest: &'a [u8],
}

/// A field's value as it is written.
#[derive(Clone, Copy, Debug)]
pub(super) enum Written<'a> {
    /// A number in groups of seven bits.
    Varint(u64),
    /// Four bytes.
    Fixed32(u32),
    /// Eight bytes.
    Fixed64(u64),
    /// Bytes, text, a message, or numbers one behind the other.
    Bytes(&'a [u8]),
}

impl<'a> Wire<'a> {
    /// The next number.
    pub(super) fn varint(&mut self) -> Result<u64, String> {
        let mut value = 0_u64;
        for (index, byte) in self.rest.iter().take(10).enumerate() {
            value |= u64::from(byte & 0x7f) << (7 * index);
            if byte & 0x80 == 0 {
                self.rest = &self.rest[index + 1..];
                return Ok(value);
            }
        }
        Err(match self.rest.len() {
            0..10 => ended(),
            _ => "a number is longer than 10 bytes".to_owned(),
        })
    }

    /// The next four bytes as a number.
    pub(super) fn fixed32(&mut self) -> Result<u32, String> {
        let (bytes, rest) = self.rest.split_first_chunk().ok_or_else(ended)?;
        self.rest = rest;
        Ok(u32::from_le_bytes(*bytes))
    }

    /// The next eight bytes as a number.
    pub(super) fn fixed64(&mut self) -> Result<u64, String> {
        let (bytes, rest) = self.rest.split_first_chunk().ok_or_else(ended)?;
        self.rest = rest;
        Ok(u64::from_le_bytes(*bytes))
    }

    fn bytes(&mut self) -> Result<&'a [u8], String> {
        let length = usize::try_from(self.varint()?).map_err(|_| ended())?;
        let (taken, rest) = self.rest.split_at_checked(length).ok_or_else(ended)?;
        self.rest = rest;
        Ok(taken)
    }

    /// The next field: its number and value; `None` at the end.
    pub(super) fn field(&mut self) -> Result<Option<(u64, Written<'a>)>, String> {
        if self.rest.is_empty() {
            return Ok(None);
        }
        let tag = self.varint()?;
        let value = match tag & 7 {
            0 => Written::Varint(self.varint()?),
            1 => Written::Fixed64(self.fixed64()?),
            2 => Written::Bytes(self.bytes()?),
            5 => Written::Fixed32(self.fixed32()?),
            kind => return Err(format!("a field of wire type {kind}")),
        };
        match tag >> 3 {
            0 => Err("a field has the number 0".to_owned()),
            number => Ok(Some((number, value))),
        }
    }
}

fn ended() -> String {
    "the message ends too early".to_owned()
}

/// A signed number of which small ones are short.
pub(super) fn zigzag(value: u64) -> i64 {
    ((value >> 1) ^ (value & 1).wrapping_neg()).cast_signed()
}

/// Which message of a registered schema follows, by its place at each level, and its bytes.
pub(super) fn message_path(rest: &[u8]) -> Result<(Vec<i64>, &[u8]), String> {
    /// Messages are not nested deeper.
    const LEVELS_MAX: i64 = 64;
    let mut wire = Wire { rest };
    let count = zigzag(wire.varint()?);
    if !(0..=LEVELS_MAX).contains(&count) {
        return Err(format!("the message's place has {count} levels"));
    }
    // The first message is so usual that it is written as no place at all.
    if count == 0 {
        return Ok((vec![0], wire.rest));
    }
    let mut path = Vec::new();
    for _ in 0..count {
        path.push(zigzag(wire.varint()?));
    }
    Ok((path, wire.rest))
}
