//! Why a payload became a reject: what is wrong, where, and how it is told. Never built for a good
//! payload.

/// The result of reading a piece of a payload. The fault is boxed to keep the good path narrow.
pub(super) type Parsed<T> = Result<T, Box<Fault>>;

/// What is wrong with a payload.
#[derive(Debug)]
pub(super) struct Fault {
    /// Names and indices from the faulty value outwards.
    path: Vec<String>,
    problem: Problem,
}

#[derive(Debug)]
enum Problem {
    /// Not JSON: at this byte something else should stand.
    Syntax { at: usize, expected: &'static str },
    /// A value, between these bytes, that is not one of this type.
    Unreadable {
        at: usize,
        end: usize,
        sql_type: String,
        why: &'static str,
    },
    /// Null or absent where a value must be.
    NotNull { missing: bool },
    /// Anything else, in words.
    Other(String),
}

/// A value longer than this is cut in a reason.
const FOUND_CHARS_MAX: usize = 40;

impl Fault {
    pub(super) fn syntax(at: usize, expected: &'static str) -> Box<Self> {
        Self::new(Problem::Syntax { at, expected })
    }

    /// The value from `at` to `end` is no `sql_type`; `why` may add what is wrong with it, or be
    /// empty.
    pub(super) fn unreadable(
        at: usize,
        end: usize,
        sql_type: String,
        why: &'static str,
    ) -> Box<Self> {
        Self::new(Problem::Unreadable {
            at,
            end,
            sql_type,
            why,
        })
    }

    pub(super) fn null() -> Box<Self> {
        Self::new(Problem::NotNull { missing: false })
    }

    pub(super) fn missing() -> Box<Self> {
        Self::new(Problem::NotNull { missing: true })
    }

    pub(super) fn other(reason: impl Into<String>) -> Box<Self> {
        Self::new(Problem::Other(reason.into()))
    }

    fn new(problem: Problem) -> Box<Self> {
        Box::new(Self {
            path: Vec::new(),
            problem,
        })
    }

    /// Adds the field that the value belongs to.
    pub(super) fn in_field(mut self: Box<Self>, name: &str) -> Box<Self> {
        self.path.push(name.to_owned());
        self
    }

    /// Adds the element that the value belongs to, 0-based.
    pub(super) fn in_element(mut self: Box<Self>, index: usize) -> Box<Self> {
        self.path.push(format!("[{index}]"));
        self
    }

    /// The reason, in the words of a reject of `payload`.
    pub(super) fn reason(&self, payload: &[u8]) -> String {
        let field = self.field();
        match &self.problem {
            Problem::Syntax { at, expected } if *at >= payload.len() => {
                format!(
                    "{field}not valid JSON: expected {expected} but the payload ends at byte {at}"
                )
            }
            Problem::Syntax { at, expected } => {
                let found = shortened(&payload[*at..]);
                format!("{field}not valid JSON at byte {at}: expected {expected} but found {found}")
            }
            Problem::Unreadable {
                at,
                end,
                sql_type,
                why,
            } => {
                let end = (*end).clamp(*at, payload.len());
                let found = shortened(payload.get(*at..end).unwrap_or_default());
                let why = if why.is_empty() {
                    String::new()
                } else {
                    format!(": {why}")
                };
                format!("{field}cannot read {found} as {sql_type}{why}")
            }
            Problem::NotNull { missing: true } => {
                format!("{field}missing, but the column is NOT NULL")
            }
            Problem::NotNull { missing: false } => {
                format!("{field}null, but the column is NOT NULL")
            }
            Problem::Other(reason) => format!("{field}{reason}"),
        }
    }

    /// `field "book.bids[3].price": `, or nothing for the payload itself.
    fn field(&self) -> String {
        if self.path.is_empty() {
            return String::new();
        }
        let mut name = String::new();
        for part in self.path.iter().rev() {
            if !name.is_empty() && !part.starts_with('[') {
                name.push('.');
            }
            name.push_str(part);
        }
        format!("field \"{name}\": ")
    }
}

/// The beginning of `bytes` as text.
fn shortened(bytes: &[u8]) -> String {
    // Four bytes a character at most, so the cut never costs a character that would be shown.
    let head = &bytes[..bytes.len().min((FOUND_CHARS_MAX + 1) * 4)];
    let text = String::from_utf8_lossy(head);
    let mut shown = String::new();
    for (index, character) in text.chars().enumerate() {
        if index == FOUND_CHARS_MAX {
            shown.push('…');
            break;
        }
        if character.is_control() {
            shown.extend(character.escape_default());
        } else {
            shown.push(character);
        }
    }
    shown
}
