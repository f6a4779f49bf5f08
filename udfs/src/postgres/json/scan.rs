//! Finds parts of a JSON text without building anything. Owns the grammar (RFC 8259).

use std::borrow::Cow;

/// Depth at which a document is refused.
const DEPTH_MAX: usize = 512;

/// Whether `text` is one JSON value and nothing else.
pub(crate) fn whole(text: &str) -> bool {
    let mut scan = Scan { text, at: 0 };
    scan.value(0).is_some() && {
        scan.spaces();
        scan.at == text.len()
    }
}

/// Names, in quotes, and values of an object's members; `None` if it is no object.
pub(crate) fn members(object: &str) -> Option<Vec<(&str, &str)>> {
    let mut scan = Scan {
        text: object,
        at: 0,
    };
    let mut found = Vec::new();
    scan.expect(b'{')?;
    while !scan.eat(b'}') {
        let name = scan.value(1)?;
        scan.expect(b':')?;
        found.push((name, scan.value(1)?));
        scan.eat(b',');
    }
    Some(found)
}

/// The elements of an array; `None` if it is no array.
pub(crate) fn all_elements(array: &str) -> Option<Vec<&str>> {
    let mut scan = Scan { text: array, at: 0 };
    let mut found = Vec::new();
    scan.expect(b'[')?;
    while !scan.eat(b']') {
        found.push(scan.value(1)?);
        scan.eat(b',');
    }
    Some(found)
}

/// The value of member `key` of an object: of the last one if several have it.
pub(crate) fn member<'a>(object: &'a str, key: &str) -> Option<&'a str> {
    let is_key = |name: &str| unquoted(name).is_some_and(|name| name == key);
    let mut all = members(object)?.into_iter().rev();
    all.find_map(|(name, value)| is_key(name).then_some(value))
}

/// Element `index` of an array; −1 is the last.
pub(crate) fn element(array: &str, index: i64) -> Option<&str> {
    let elements = all_elements(array)?;
    let count = i64::try_from(elements.len()).ok()?;
    let place = if index < 0 { count + index } else { index };
    elements.get(usize::try_from(place).ok()?).copied()
}

/// The text that a JSON string stands for; `None` if `part` is no string.
pub(crate) fn unquoted(part: &str) -> Option<Cow<'_, str>> {
    let inner = part.strip_prefix('"')?.strip_suffix('"')?;
    if !inner.contains('\\') {
        return Some(Cow::Borrowed(inner));
    }
    let mut text = String::with_capacity(inner.len());
    let mut chars = inner.chars();
    while let Some(c) = chars.next() {
        if c != '\\' {
            text.push(c);
            continue;
        }
        text.push(match chars.next()? {
            'n' => '\n',
            't' => '\t',
            'r' => '\r',
            'b' => '\u{8}',
            'f' => '\u{c}',
            'u' => escaped(&mut chars)?,
            other => other,
        });
    }
    Some(Cow::Owned(text))
}

/// The character after `\u`, of one unit or of two.
fn escaped(chars: &mut std::str::Chars<'_>) -> Option<char> {
    let mut unit = || {
        let digits: String = chars.by_ref().take(4).collect();
        u32::from_str_radix(&digits, 16).ok()
    };
    let first = unit()?;
    if !(0xd800..0xdc00).contains(&first) {
        return char::from_u32(first);
    }
    let mut rest = chars.clone();
    if (rest.next(), rest.next()) != (Some('\\'), Some('u')) {
        return None;
    }
    *chars = rest;
    let digits: String = chars.by_ref().take(4).collect();
    let second = u32::from_str_radix(&digits, 16).ok()?;
    let low = second.checked_sub(0xdc00).filter(|low| *low < 0x400)?;
    char::from_u32(0x10000 + ((first - 0xd800) << 10) + low)
}

struct Scan<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Scan<'a> {
    fn byte(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn spaces(&mut self) {
        while matches!(self.byte(), Some(b' ' | b'\t' | b'\n' | b'\r')) {
            self.at += 1;
        }
    }

    fn eat(&mut self, byte: u8) -> bool {
        self.spaces();
        let found = self.byte() == Some(byte);
        self.at += usize::from(found);
        found
    }

    fn expect(&mut self, byte: u8) -> Option<()> {
        self.eat(byte).then_some(())
    }

    /// Goes over one value and returns its text.
    fn value(&mut self, depth: usize) -> Option<&'a str> {
        self.spaces();
        let start = self.at;
        if depth > DEPTH_MAX {
            return None;
        }
        match self.byte()? {
            b'{' => self.items(b'}', depth, true)?,
            b'[' => self.items(b']', depth, false)?,
            b'"' => self.string()?,
            b't' => self.word("true")?,
            b'f' => self.word("false")?,
            b'n' => self.word("null")?,
            _ => self.number()?,
        }
        Some(&self.text[start..self.at])
    }

    fn items(&mut self, end: u8, depth: usize, named: bool) -> Option<()> {
        self.at += 1;
        if self.eat(end) {
            return Some(());
        }
        loop {
            if named {
                self.spaces();
                self.string()?;
                self.expect(b':')?;
            }
            self.value(depth + 1)?;
            if self.eat(end) {
                return Some(());
            }
            self.expect(b',')?;
        }
    }

    fn word(&mut self, word: &str) -> Option<()> {
        self.text[self.at..]
            .starts_with(word)
            .then(|| self.at += word.len())
    }

    fn string(&mut self) -> Option<()> {
        self.expect(b'"')?;
        loop {
            let byte = self.byte()?;
            self.at += 1;
            match byte {
                b'"' => return Some(()),
                b'\\' => {
                    let escape = self.byte()?;
                    self.at += 1;
                    match escape {
                        b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't' => {}
                        b'u' => {
                            let digits = self.text.as_bytes().get(self.at..self.at + 4)?;
                            if !digits.iter().all(u8::is_ascii_hexdigit) {
                                return None;
                            }
                            self.at += 4;
                        }
                        _ => return None,
                    }
                }
                0..0x20 => return None,
                _ => {}
            }
        }
    }

    fn number(&mut self) -> Option<()> {
        self.at += usize::from(self.byte() == Some(b'-'));
        let whole = self.at;
        self.digits()?;
        let leading_zero = self.text.as_bytes()[whole] == b'0';
        if leading_zero && self.at > whole + 1 {
            return None;
        }
        if self.byte() == Some(b'.') {
            self.at += 1;
            self.digits()?;
        }
        if matches!(self.byte(), Some(b'e' | b'E')) {
            self.at += 1;
            self.at += usize::from(matches!(self.byte(), Some(b'+' | b'-')));
            self.digits()?;
        }
        Some(())
    }

    fn digits(&mut self) -> Option<()> {
        let start = self.at;
        while self.byte().is_some_and(|byte| byte.is_ascii_digit()) {
            self.at += 1;
        }
        (self.at > start).then_some(())
    }
}
