//! Splits Rust text into code, comments and strings without parsing it, so that rules do not
//! stumble over a brace in a string. Owns nothing of the grammar beyond that.

#[cfg(test)]
mod tests;

/// A Rust file taken apart. All parts keep the length and the line ends of the original.
#[derive(Clone, Debug)]
pub struct RustText {
    /// The code; comments and the contents of strings are blanks.
    pub code: String,
    /// The comments; everything else is blanks.
    pub comments: String,
    /// For each line, whether it starts or ends inside a string that spans lines.
    pub in_long_string: Vec<bool>,
}

/// A function found in the code.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Function {
    /// Its name.
    pub name: String,
    /// The line of `fn`, counted from 1.
    pub line: usize,
    /// Lines from `fn` to the closing brace, both counted.
    pub line_count: usize,
    /// Whether an attribute ending in `test` stands on it.
    pub is_test: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Code,
    LineComment,
    BlockComment { depth: usize },
    Text,
    RawText { hashes: usize },
}

impl RustText {
    /// Takes `text` apart.
    pub fn new(text: &str) -> Self {
        let bytes = text.as_bytes();
        let mut splitter = Splitter {
            bytes,
            at: 0,
            state: State::Code,
            code: Vec::with_capacity(bytes.len()),
            comments: Vec::with_capacity(bytes.len()),
            in_long_string: vec![false],
        };
        while splitter.at < bytes.len() {
            splitter.step();
        }
        let Splitter {
            code,
            comments,
            in_long_string,
            ..
        } = splitter;
        // Whole characters move to one side or the other, so both stay valid UTF-8.
        Self {
            code: String::from_utf8_lossy(&code).into_owned(),
            comments: String::from_utf8_lossy(&comments).into_owned(),
            in_long_string,
        }
    }

    /// Every function with a body, outermost first.
    pub fn functions(&self) -> Vec<Function> {
        words(&self.code)
            .filter(|(_, word)| *word == "fn")
            .filter_map(|(at, _)| function_at(&self.code, at))
            .collect()
    }

    /// The lines (from 1) of the code on which `word` stands as a whole word.
    pub fn lines_with_word(&self, word: &str) -> Vec<usize> {
        let found = words(&self.code).filter(|(_, candidate)| *candidate == word);
        found.map(|(at, _)| line_of(&self.code, at)).collect()
    }
}

/// Whether `byte` can stand in an identifier.
pub fn is_word_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_' || byte >= 0x80
}

/// The line (from 1) of byte `at` of `text`.
pub fn line_of(text: &str, at: usize) -> usize {
    text.as_bytes()
        .iter()
        .take(at)
        .filter(|byte| **byte == b'\n')
        .count()
        + 1
}

struct Splitter<'a> {
    bytes: &'a [u8],
    at: usize,
    state: State,
    code: Vec<u8>,
    comments: Vec<u8>,
    in_long_string: Vec<bool>,
}

impl Splitter<'_> {
    fn step(&mut self) {
        match self.state {
            State::Code => self.step_code(),
            State::LineComment => {
                if self.peek(0) == b'\n' {
                    self.state = State::Code;
                }
                self.take_comment(1);
            }
            State::BlockComment { depth } => self.step_block_comment(depth),
            State::Text => match self.peek(0) {
                b'\\' => self.take_blank(2),
                b'"' => self.close_text(1),
                _ => self.take_blank(1),
            },
            State::RawText { hashes } => {
                if self.peek(0) == b'"' && (1..=hashes).all(|ahead| self.peek(ahead) == b'#') {
                    self.close_text(1 + hashes);
                } else {
                    self.take_blank(1);
                }
            }
        }
    }

    fn step_code(&mut self) {
        match (self.peek(0), self.peek(1)) {
            (b'/', b'/') => {
                self.state = State::LineComment;
                self.take_comment(2);
            }
            (b'/', b'*') => {
                self.state = State::BlockComment { depth: 1 };
                self.take_comment(2);
            }
            (b'"', _) => {
                self.state = match self.raw_hashes() {
                    Some(hashes) => State::RawText { hashes },
                    None => State::Text,
                };
                self.take_code(1);
            }
            (b'\'', _) => {
                let length = self.char_literal_length();
                self.take_code(1);
                if length > 1 {
                    self.take_blank(length - 2);
                    self.take_code(1);
                }
            }
            _ => self.take_code(1),
        }
    }

    fn step_block_comment(&mut self, depth: usize) {
        match (self.peek(0), self.peek(1)) {
            (b'/', b'*') => {
                self.state = State::BlockComment { depth: depth + 1 };
                self.take_comment(2);
            }
            (b'*', b'/') => {
                self.state = match depth {
                    1 => State::Code,
                    _ => State::BlockComment { depth: depth - 1 },
                };
                self.take_comment(2);
            }
            _ => self.take_comment(1),
        }
    }

    fn peek(&self, ahead: usize) -> u8 {
        self.bytes.get(self.at + ahead).copied().unwrap_or(0)
    }

    fn close_text(&mut self, length: usize) {
        self.state = State::Code;
        self.take_code(length);
    }

    /// The number of `#` before the quote at hand if it opens a raw string.
    fn raw_hashes(&self) -> Option<usize> {
        let before = self.bytes.get(..self.at).unwrap_or_default();
        let hashes = before
            .iter()
            .rev()
            .take_while(|byte| **byte == b'#')
            .count();
        let mut rest = before.iter().rev().skip(hashes);
        if rest.next() != Some(&b'r') {
            return None;
        }
        let mut previous = rest.next();
        if matches!(previous, Some(b'b' | b'c')) {
            previous = rest.next();
        }
        (!previous.is_some_and(|byte| is_word_byte(*byte))).then_some(hashes)
    }

    /// Bytes of the character literal at hand, quotes counted; 1 if the quote opens a lifetime.
    fn char_literal_length(&self) -> usize {
        let rest = self.bytes.get(self.at + 1..).unwrap_or_default();
        if rest.first() == Some(&b'\\') {
            let end = rest.iter().skip(2).position(|byte| *byte == b'\'');
            return end.map_or(1, |end| end + 4);
        }
        let width = match rest.first() {
            Some(0xf0..) => 4,
            Some(0xe0..) => 3,
            Some(0xc0..) => 2,
            _ => 1,
        };
        if rest.get(width) == Some(&b'\'') {
            width + 2
        } else {
            1
        }
    }

    fn take_code(&mut self, count: usize) {
        self.take(count, true, false);
    }

    fn take_comment(&mut self, count: usize) {
        self.take(count, false, true);
    }

    fn take_blank(&mut self, count: usize) {
        self.take(count, false, false);
    }

    fn take(&mut self, count: usize, is_code: bool, is_comment: bool) {
        let in_text = matches!(self.state, State::Text | State::RawText { .. });
        for _ in 0..count.min(self.bytes.len() - self.at) {
            let byte = self.peek(0);
            let blank = if byte == b'\n' { b'\n' } else { b' ' };
            self.code.push(if is_code { byte } else { blank });
            self.comments.push(if is_comment { byte } else { blank });
            if byte == b'\n' {
                if in_text && let Some(last) = self.in_long_string.last_mut() {
                    *last = true;
                }
                self.in_long_string.push(in_text);
            }
            self.at += 1;
        }
    }
}

/// The words of `code` with their positions.
fn words(code: &str) -> impl Iterator<Item = (usize, &str)> {
    let bytes = code.as_bytes();
    let mut at = 0;
    std::iter::from_fn(move || {
        let start = at
            + bytes
                .get(at..)?
                .iter()
                .position(|byte| is_word_byte(*byte))?;
        let rest = bytes.get(start..)?;
        let length = rest
            .iter()
            .position(|byte| !is_word_byte(*byte))
            .unwrap_or(rest.len());
        at = start + length;
        Some((start, code.get(start..at)?))
    })
}

/// The function whose `fn` stands at byte `at`; `None` for a type `fn(..)` or a declaration without
/// body.
fn function_at(code: &str, at: usize) -> Option<Function> {
    let rest = code.get(at + 2..)?;
    let name: String = rest
        .trim_start()
        .chars()
        .take_while(|c| c.is_alphanumeric() || *c == '_')
        .collect();
    if name.is_empty() {
        return None;
    }
    let (mut nesting, mut braces) = (0_usize, 0_usize);
    for (offset, byte) in rest.bytes().enumerate() {
        match byte {
            b'(' | b'[' if braces == 0 => nesting += 1,
            b')' | b']' if braces == 0 => nesting = nesting.saturating_sub(1),
            b';' if braces == 0 && nesting == 0 => return None,
            b'{' if nesting == 0 => braces += 1,
            b'}' if nesting == 0 && braces > 0 => {
                braces -= 1;
                if braces == 0 {
                    let (line, end) = (line_of(code, at), line_of(code, at + 2 + offset));
                    let is_test = has_test_attribute(code, line);
                    return Some(Function {
                        name,
                        line,
                        line_count: end - line + 1,
                        is_test,
                    });
                }
            }
            _ => {}
        }
    }
    None
}

/// Whether one of the attribute lines right above `line` ends in `test]` or `test(..)]`.
fn has_test_attribute(code: &str, line: usize) -> bool {
    let above: Vec<&str> = code.lines().take(line - 1).collect();
    let attributes = above.iter().rev().map(|text| text.trim());
    attributes
        .take_while(|text| text.is_empty() || text.starts_with("#["))
        .any(|text| text.split(['[', ']', '(', ':']).any(|word| word == "test"))
}
