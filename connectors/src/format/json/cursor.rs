//! A place in a payload, and the grammar of JSON around it: white space, strings, and values that
//! nobody wants.

use super::fault::{Fault, Parsed};
use super::number::Number;

/// Arrays and objects may be nested this deep: the stack is not the sender's to fill.
pub(super) const DEPTH_MAX: usize = 128;

/// A place in a payload.
pub(super) struct Cursor<'a> {
    pub(super) bytes: &'a [u8],
    pub(super) at: usize,
}

/// A string as it stands in the payload: the bytes between its quotes.
#[derive(Clone, Copy)]
pub(super) struct Text<'a> {
    /// Escapes and all.
    pub(super) raw: &'a [u8],
    /// Whether it contains a backslash.
    pub(super) escaped: bool,
    /// Whether all of it is ASCII.
    pub(super) ascii: bool,
}

impl<'a> Cursor<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0 }
    }

    /// The next byte.
    #[inline]
    pub(super) fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    #[inline]
    pub(super) fn skip_white_space(&mut self) {
        while let Some(b' ' | b'\n' | b'\t' | b'\r') = self.peek() {
            self.at += 1;
        }
    }

    /// Steps over `byte`, which must be next.
    #[inline]
    pub(super) fn expect(&mut self, byte: u8, expected: &'static str) -> Parsed<()> {
        if self.peek() == Some(byte) {
            self.at += 1;
            return Ok(());
        }
        Err(Fault::syntax(self.at, expected))
    }

    /// Steps over `word` (`true`, `false`, `null`).
    pub(super) fn word(&mut self, word: &'static str) -> Parsed<()> {
        if self.bytes[self.at..].starts_with(word.as_bytes()) {
            self.at += word.len();
            return Ok(());
        }
        Err(Fault::syntax(self.at, "a value"))
    }

    /// Reads the string that begins here with its quote.
    #[inline]
    pub(super) fn string(&mut self) -> Parsed<Text<'a>> {
        self.expect(b'"', "a string")?;
        let start = self.at;
        let (mut escaped, mut high) = (false, 0_u64);
        loop {
            let (stop, high_before) = scan_plain(self.bytes, self.at);
            high |= high_before;
            self.at = stop;
            match self.peek() {
                Some(b'"') => {
                    let raw = &self.bytes[start..stop];
                    self.at += 1;
                    return Ok(Text {
                        raw,
                        escaped,
                        ascii: high == 0,
                    });
                }
                // What stands behind the backslash is checked when, and only if, the string is
                // wanted.
                Some(b'\\') => {
                    escaped = true;
                    if self.at + 1 >= self.bytes.len() {
                        return Err(Fault::syntax(self.bytes.len(), "an escape sequence"));
                    }
                    if self.bytes[self.at + 1] >= 0x80 {
                        return Err(Fault::syntax(self.at, "an escape sequence"));
                    }
                    self.at += 2;
                }
                Some(_) => return Err(Fault::syntax(self.at, "no control character in a string")),
                None => return Err(Fault::syntax(self.at, "the end of a string")),
            }
        }
    }

    /// Reads the number that begins here.
    #[inline]
    pub(super) fn number(&mut self) -> Parsed<Number<'a>> {
        match Number::scan(self.bytes, self.at) {
            Some(number) => {
                self.at += number.text.len();
                Ok(number)
            }
            None => Err(Fault::syntax(self.at, "a value")),
        }
    }

    /// Steps over any value, checking the grammar but nothing else.
    pub(super) fn skip_value(&mut self, depth: usize) -> Parsed<()> {
        match self.peek() {
            Some(b'"') => self.string().map(|_| ()),
            Some(b'{') => self.skip_object(depth),
            Some(b'[') => self.skip_array(depth),
            Some(b't') => self.word("true"),
            Some(b'f') => self.word("false"),
            Some(b'n') => self.word("null"),
            _ => self.skip_number(),
        }
    }

    fn skip_number(&mut self) -> Parsed<()> {
        self.number().map(|_| ())
    }

    fn skip_object(&mut self, depth: usize) -> Parsed<()> {
        self.enter(depth)?;
        self.skip_white_space();
        if self.peek() == Some(b'}') {
            self.at += 1;
            return Ok(());
        }
        loop {
            self.string()?;
            self.skip_white_space();
            self.expect(b':', "':'")?;
            self.skip_white_space();
            self.skip_value(depth + 1)?;
            self.skip_white_space();
            match self.peek() {
                Some(b',') => self.at += 1,
                Some(b'}') => {
                    self.at += 1;
                    return Ok(());
                }
                _ => return Err(Fault::syntax(self.at, "',' or '}'")),
            }
            self.skip_white_space();
        }
    }

    fn skip_array(&mut self, depth: usize) -> Parsed<()> {
        self.enter(depth)?;
        self.skip_white_space();
        if self.peek() == Some(b']') {
            self.at += 1;
            return Ok(());
        }
        loop {
            self.skip_value(depth + 1)?;
            self.skip_white_space();
            match self.peek() {
                Some(b',') => self.at += 1,
                Some(b']') => {
                    self.at += 1;
                    return Ok(());
                }
                _ => return Err(Fault::syntax(self.at, "',' or ']'")),
            }
            self.skip_white_space();
        }
    }

    /// Steps over the opening bracket of something nested in `depth` others.
    pub(super) fn enter(&mut self, depth: usize) -> Parsed<()> {
        if depth >= DEPTH_MAX {
            return Err(Fault::other(format!(
                "nested more than {DEPTH_MAX} levels deep"
            )));
        }
        self.at += 1;
        Ok(())
    }
}

const ONES: u64 = 0x0101_0101_0101_0101;
const HIGHS: u64 = 0x8080_8080_8080_8080;

/// Finds the first byte from `at` on that cannot stand plainly in a string: a quote, a backslash or
/// a control character; the end of `bytes` if there is none. The second value is not 0 if a byte
/// before it is not ASCII.
///
/// Eight bytes at a time: strings in market data are short, so this beats a call of memchr.
#[inline]
fn scan_plain(bytes: &[u8], mut at: usize) -> (usize, u64) {
    let mut high = 0;
    while let Some(chunk) = bytes
        .get(at..at + 8)
        .and_then(|chunk| chunk.first_chunk::<8>())
    {
        let word = u64::from_le_bytes(*chunk);
        // The lowest marked byte is exact: a false mark can only stand above a true one.
        let stop = zero_bytes(word ^ (ONES * u64::from(b'"')))
            | zero_bytes(word ^ (ONES * u64::from(b'\\')))
            | (word.wrapping_sub(ONES * 0x20) & !word & HIGHS);
        if stop != 0 {
            let count = stop.trailing_zeros() / 8;
            let before = (1_u64 << (count * 8)) - 1;
            return (at + count as usize, high | (word & HIGHS & before));
        }
        high |= word & HIGHS;
        at += 8;
    }
    while let Some(byte) = bytes.get(at) {
        if *byte == b'"' || *byte == b'\\' || *byte < 0x20 {
            break;
        }
        high |= u64::from(*byte & 0x80);
        at += 1;
    }
    (at, high)
}

/// Marks the zero bytes of `word` with their high bit; above the lowest one marks may be false.
#[inline]
const fn zero_bytes(word: u64) -> u64 {
    word.wrapping_sub(ONES) & !word & HIGHS
}
