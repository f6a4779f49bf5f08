//! What stands between the quotes of a JSON string, made plain.

use std::borrow::Cow;

use super::cursor::Text;

impl<'a> Text<'a> {
    /// The plain bytes, borrowed when nothing is escaped. Whether they are UTF-8 is not checked.
    ///
    /// # Errors
    /// What is wrong with an escape sequence.
    pub(super) fn plain(self) -> Result<Cow<'a, [u8]>, &'static str> {
        if !self.escaped {
            return Ok(Cow::Borrowed(self.raw));
        }
        let mut plain = Vec::with_capacity(self.raw.len());
        unescape(self.raw, &mut plain)?;
        Ok(Cow::Owned(plain))
    }

    /// Appends the plain text, which is UTF-8, to `plain`; on an error it may have got a part of
    /// it.
    ///
    /// # Errors
    /// What is wrong with it.
    #[inline]
    pub(super) fn append_to(self, plain: &mut Vec<u8>) -> Result<(), &'static str> {
        if !self.ascii && std::str::from_utf8(self.raw).is_err() {
            return Err("not UTF-8");
        }
        if self.escaped {
            let start = plain.len();
            unescape(self.raw, plain)?;
            if memchr::memchr(0, &plain[start..]).is_some() {
                return Err("the character U+0000 cannot be stored");
            }
        } else {
            plain.extend_from_slice(self.raw);
        }
        Ok(())
    }
}

/// Appends `raw` to `plain` with its escape sequences resolved.
///
/// # Errors
/// What is wrong with an escape sequence.
pub(super) fn unescape(raw: &[u8], plain: &mut Vec<u8>) -> Result<(), &'static str> {
    let mut rest = raw;
    while let Some(at) = memchr::memchr(b'\\', rest) {
        plain.extend_from_slice(&rest[..at]);
        let escape = rest.get(at + 1).ok_or("an unfinished escape sequence")?;
        rest = &rest[at + 2..];
        let byte = match escape {
            b'"' | b'\\' | b'/' => *escape,
            b'b' => 0x08,
            b'f' => 0x0c,
            b'n' => b'\n',
            b'r' => b'\r',
            b't' => b'\t',
            b'u' => {
                let character;
                (character, rest) = unicode(rest)?;
                plain.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes());
                continue;
            }
            _ => return Err("an unknown escape sequence"),
        };
        plain.push(byte);
    }
    plain.extend_from_slice(rest);
    Ok(())
}

/// The character whose `\u` was just read, a pair of surrogates included, and what follows.
fn unicode(rest: &[u8]) -> Result<(char, &[u8]), &'static str> {
    let (first, rest) = hex4(rest)?;
    if !(0xD800..0xE000).contains(&first) {
        return char::from_u32(first)
            .map(|c| (c, rest))
            .ok_or("an unknown escape sequence");
    }
    let lone = "a surrogate without its partner";
    let second = rest.strip_prefix(b"\\u").ok_or(lone)?;
    let (second, rest) = hex4(second)?;
    if first >= 0xDC00 || !(0xDC00..0xE000).contains(&second) {
        return Err(lone);
    }
    let code = 0x1_0000 + ((first - 0xD800) << 10) + (second - 0xDC00);
    char::from_u32(code).map(|c| (c, rest)).ok_or(lone)
}

fn hex4(rest: &[u8]) -> Result<(u32, &[u8]), &'static str> {
    let (digits, rest) = rest
        .split_at_checked(4)
        .ok_or("an unfinished escape sequence")?;
    let mut code = 0;
    for digit in digits {
        let digit = char::from(*digit)
            .to_digit(16)
            .ok_or("an unknown escape sequence")?;
        code = code * 16 + digit;
    }
    Ok((code, rest))
}

/// The bytes that `text` stands for: `\x` and pairs of hexadecimal digits as PostgreSQL writes
/// them, else base64 (RFC 4648, with or without padding).
pub(super) fn binary(text: &[u8], bytes: &mut Vec<u8>) -> Option<()> {
    if let Some(digits) = text.strip_prefix(b"\\x") {
        if !digits.len().is_multiple_of(2) {
            return None;
        }
        for pair in digits.chunks_exact(2) {
            let high = char::from(pair[0]).to_digit(16)?;
            let low = char::from(pair[1]).to_digit(16)?;
            bytes.push(u8::try_from(high * 16 + low).ok()?);
        }
        return Some(());
    }
    let padding = text.iter().rev().take_while(|byte| **byte == b'=').count();
    if padding > 2 || (padding > 0 && !text.len().is_multiple_of(4)) {
        return None;
    }
    for group in text[..text.len() - padding].chunks(4) {
        let mut bits = 0_u32;
        for byte in group {
            bits = bits << 6 | base64_digit(*byte)?;
        }
        bits <<= 6 * (4 - group.len());
        let [_, decoded @ ..] = bits.to_be_bytes();
        let count = match group.len() {
            4 => 3,
            3 => 2,
            2 => 1,
            _ => return None,
        };
        bytes.extend_from_slice(&decoded[..count]);
    }
    Some(())
}

fn base64_digit(byte: u8) -> Option<u32> {
    let digit = match byte {
        b'A'..=b'Z' => byte - b'A',
        b'a'..=b'z' => byte - b'a' + 26,
        b'0'..=b'9' => byte - b'0' + 52,
        b'+' => 62,
        b'/' => 63,
        _ => return None,
    };
    Some(u32::from(digit))
}
