//! PostgreSQL's templates of times and Java's patterns, as one list of pieces.

use crate::error::FunctionError;

/// A part of a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Field {
    /// The last so many digits of the year; with a comma after the thousands if it says so.
    Year(u8),
    YearWithComma,
    /// The last so many digits of the ISO year.
    IsoYear(u8),
    /// AD or BC.
    Era,
    Century,
    Quarter,
    Month,
    MonthName,
    MonthShort,
    RomanMonth,
    DayName,
    DayShort,
    DayOfYear,
    IsoDayOfYear,
    Day,
    /// Sunday is 1.
    Weekday,
    /// Monday is 1.
    IsoWeekday,
    WeekOfMonth,
    WeekOfYear,
    IsoWeek,
    Julian,
    Hour24,
    Hour12,
    Minute,
    Second,
    /// So many digits after the second's point.
    Fraction(u8),
    SecondOfDay,
    /// AM or PM.
    HalfDay,
    ZoneName,
    ZoneHours,
    ZoneMinutes,
    /// `+02`, `+05:30`.
    ZoneOffset,
    /// `+0200`; with a colon, and with `Z` for zero.
    ZoneDigits {
        colon: bool,
        z: bool,
    },
}

/// How letters are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Letters {
    Upper,
    Capital,
    Lower,
}

/// One piece of a template.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Piece {
    Field {
        field: Field,
        /// As it was written, for messages.
        word: String,
        letters: Letters,
        /// With periods: `A.M.`.
        dotted: bool,
        /// Without blanks and zeros that fill it up.
        bare: bool,
        /// At least so many digits; 0 for the field's own.
        width: usize,
        /// `1st`.
        ordinal: Option<Letters>,
    },
    /// A blank, or a sign that is no letter and no digit.
    Separator(char),
    /// Anything else.
    Text(String),
}

/// A template.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Template {
    pub(crate) pieces: Vec<Piece>,
    /// `FX`: the text has exactly this form.
    pub(crate) exact: bool,
}

/// PostgreSQL's words; of those with the same beginning the longest first. The lower case is a word
/// too; `Month`, `Mon`, `Day` and `Dy` stand by themselves.
const WORDS: &[(&str, Field)] = &[
    ("A.D.", Field::Era),
    ("A.M.", Field::HalfDay),
    ("AD", Field::Era),
    ("AM", Field::HalfDay),
    ("B.C.", Field::Era),
    ("BC", Field::Era),
    ("CC", Field::Century),
    ("DAY", Field::DayName),
    ("DDD", Field::DayOfYear),
    ("DD", Field::Day),
    ("DY", Field::DayShort),
    ("D", Field::Weekday),
    ("FF1", Field::Fraction(1)),
    ("FF2", Field::Fraction(2)),
    ("FF3", Field::Fraction(3)),
    ("FF4", Field::Fraction(4)),
    ("FF5", Field::Fraction(5)),
    ("FF6", Field::Fraction(6)),
    ("HH24", Field::Hour24),
    ("HH12", Field::Hour12),
    ("HH", Field::Hour12),
    ("IDDD", Field::IsoDayOfYear),
    ("ID", Field::IsoWeekday),
    ("IW", Field::IsoWeek),
    ("IYYY", Field::IsoYear(4)),
    ("IYY", Field::IsoYear(3)),
    ("IY", Field::IsoYear(2)),
    ("I", Field::IsoYear(1)),
    ("J", Field::Julian),
    ("MI", Field::Minute),
    ("MM", Field::Month),
    ("MONTH", Field::MonthName),
    ("MON", Field::MonthShort),
    ("MS", Field::Fraction(3)),
    ("OF", Field::ZoneOffset),
    ("P.M.", Field::HalfDay),
    ("PM", Field::HalfDay),
    ("Q", Field::Quarter),
    ("RM", Field::RomanMonth),
    ("SSSSS", Field::SecondOfDay),
    ("SSSS", Field::SecondOfDay),
    ("SS", Field::Second),
    ("TZH", Field::ZoneHours),
    ("TZM", Field::ZoneMinutes),
    ("TZ", Field::ZoneName),
    ("US", Field::Fraction(6)),
    ("WW", Field::WeekOfYear),
    ("W", Field::WeekOfMonth),
    ("Y,YYY", Field::YearWithComma),
    ("YYYY", Field::Year(4)),
    ("YYY", Field::Year(3)),
    ("YY", Field::Year(2)),
    ("Y", Field::Year(1)),
];

const CAPITALS: [(&str, Field); 4] = [
    ("Month", Field::MonthName),
    ("Mon", Field::MonthShort),
    ("Day", Field::DayName),
    ("Dy", Field::DayShort),
];

/// The word that `text` begins with: its length, its field and its letters.
fn word(text: &str) -> Option<(usize, Field, Letters)> {
    let capital = CAPITALS.iter().find(|(word, _)| text.starts_with(word));
    if let Some((word, field)) = capital {
        return Some((word.len(), *field, Letters::Capital));
    }
    for (word, field) in WORDS {
        if text.starts_with(word) {
            return Some((word.len(), *field, Letters::Upper));
        }
        let lower = text.get(..word.len()).filter(|begin| {
            !begin.bytes().any(|byte| byte.is_ascii_uppercase()) && begin.eq_ignore_ascii_case(word)
        });
        if lower.is_some() {
            return Some((word.len(), *field, Letters::Lower));
        }
    }
    None
}

impl Template {
    /// PostgreSQL's template.
    pub(crate) fn postgres(text: &str) -> Self {
        let mut pieces = Vec::new();
        let mut exact = false;
        let mut rest = text;
        while let Some(first) = rest.chars().next() {
            if first == '"' {
                let (quoted, after) = quoted(&rest[1..]);
                pieces.push(Piece::Text(quoted));
                rest = after;
                continue;
            }
            let mut bare = false;
            let mut at = rest;
            loop {
                at = match at.get(..2) {
                    Some("FM" | "fm") => {
                        bare = true;
                        &at[2..]
                    }
                    Some("FX" | "fx") => {
                        exact = true;
                        &at[2..]
                    }
                    Some("TM" | "tm") => &at[2..],
                    _ => break,
                };
            }
            let Some((length, field, letters)) = word(at) else {
                // A prefix before no word stands for itself, but for `FX`.
                if at.len() < rest.len() && !at.is_empty() {
                    rest = at;
                    continue;
                }
                let other = if at.is_empty() { break } else { first };
                pieces.push(match other.is_alphanumeric() {
                    true => Piece::Text(other.to_string()),
                    false => Piece::Separator(other),
                });
                rest = &rest[other.len_utf8()..];
                continue;
            };
            let word = &at[..length];
            rest = &at[length..];
            let ordinal = match rest.get(..2) {
                Some("TH") => Some(Letters::Upper),
                Some("th") => Some(Letters::Lower),
                _ => None,
            };
            if ordinal.is_some() {
                rest = &rest[2..];
            }
            pieces.push(Piece::Field {
                field,
                word: word.to_owned(),
                letters,
                dotted: word.contains('.'),
                bare,
                width: 0,
                ordinal,
            });
        }
        Self { pieces, exact }
    }

    /// Java's pattern.
    ///
    /// # Errors
    /// `22023` for a letter that it has not.
    pub(crate) fn java(text: &str) -> Result<Self, FunctionError> {
        let mut pieces = Vec::new();
        let chars: Vec<char> = text.chars().collect();
        let mut at = 0;
        while at < chars.len() {
            let first = chars[at];
            if first == '\'' {
                let end = chars[at + 1..].iter().position(|c| *c == '\'');
                let end = end.map_or(chars.len(), |end| at + 1 + end);
                let inner: String = chars[at + 1..end].iter().collect();
                pieces.push(Piece::Text(match inner.is_empty() {
                    true => "'".to_owned(),
                    false => inner,
                }));
                at = end + 1;
                continue;
            }
            if !first.is_ascii_alphabetic() {
                pieces.push(Piece::Separator(first));
                at += 1;
                continue;
            }
            let count = chars[at..].iter().take_while(|c| **c == first).count();
            pieces.push(java_field(first, count)?);
            at += count;
        }
        Ok(Self {
            pieces,
            exact: false,
        })
    }

    /// Whether `text` is Java's and not PostgreSQL's: it has minutes as `mm`, which are months in
    /// PostgreSQL, behind hours or beside months.
    pub(crate) fn is_java(text: &str) -> bool {
        let minutes = text.contains("mm") && !text.to_ascii_lowercase().contains("mi");
        minutes
            && (text.contains("HH:mm")
                || text.contains("hh:mm")
                || text.contains("HHmm")
                || text.contains("MM"))
    }
}

/// The text up to the next quote, and what is behind it.
fn quoted(text: &str) -> (String, &str) {
    let mut inner = String::new();
    let mut chars = text.char_indices();
    while let Some((at, c)) = chars.next() {
        match c {
            '"' => return (inner, &text[at + 1..]),
            '\\' => inner.extend(chars.next().map(|(_, c)| c)),
            c => inner.push(c),
        }
    }
    (inner, "")
}

fn java_field(letter: char, count: usize) -> Result<Piece, FunctionError> {
    let digits = u8::try_from(count).unwrap_or(u8::MAX);
    let (field, letters) = match (letter, count) {
        ('y' | 'u', 2) => (Field::Year(2), Letters::Upper),
        ('y' | 'u', _) => (Field::Year(4), Letters::Upper),
        ('Y', _) => (Field::IsoYear(4), Letters::Upper),
        ('M' | 'L', 1 | 2) => (Field::Month, Letters::Upper),
        ('M' | 'L', 3) => (Field::MonthShort, Letters::Capital),
        ('M' | 'L', 4) => (Field::MonthName, Letters::Capital),
        ('d', 1 | 2) => (Field::Day, Letters::Upper),
        ('D', 1..=3) => (Field::DayOfYear, Letters::Upper),
        ('Q' | 'q', 1 | 2) => (Field::Quarter, Letters::Upper),
        ('w', 1 | 2) => (Field::IsoWeek, Letters::Upper),
        ('E', 1..=3) => (Field::DayShort, Letters::Capital),
        ('E', 4) => (Field::DayName, Letters::Capital),
        ('H', 1 | 2) => (Field::Hour24, Letters::Upper),
        ('h', 1 | 2) => (Field::Hour12, Letters::Upper),
        ('m', 1 | 2) => (Field::Minute, Letters::Upper),
        ('s', 1 | 2) => (Field::Second, Letters::Upper),
        ('S', 1..=9) => (Field::Fraction(digits), Letters::Upper),
        ('a', 1) => (Field::HalfDay, Letters::Upper),
        ('G', 1..=3) => (Field::Era, Letters::Upper),
        ('z', 1..=3) => (Field::ZoneName, Letters::Upper),
        ('X', 1) => (Field::ZoneOffset, Letters::Upper),
        ('X' | 'x' | 'Z', 2..=5) | ('x' | 'Z', 1) => {
            let (colon, z) = (matches!(count, 3 | 5), letter == 'X');
            (Field::ZoneDigits { colon, z }, Letters::Upper)
        }
        _ => {
            let word: String = std::iter::repeat_n(letter, count).collect();
            let message = format!("unknown pattern \"{word}\" of a date format");
            return Err(FunctionError::value("22023", message).detail(
                "Patterns are Java's, such as yyyy-MM-dd HH:mm:ss; put text between single quotes."
                    .to_owned(),
            ));
        }
    };
    Ok(Piece::Field {
        field,
        word: std::iter::repeat_n(letter, count).collect(),
        letters,
        dotted: false,
        bare: true,
        width: count,
        ordinal: None,
    })
}
