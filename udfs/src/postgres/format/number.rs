//! Numbers by PostgreSQL's templates: `9,999.99`, `FM000`, `S99`, `RN`.

use super::template::Letters;
use super::write::ordinal;
use crate::error::FunctionError;

/// One piece of a template.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Piece {
    /// A digit; a zero is written too where it is `true`.
    Digit(bool),
    Comma,
    Point,
    /// `S`: the sign beside the number.
    Sign,
    Minus,
    Plus,
    /// `SG`: the sign where it stands.
    Either,
    Brackets,
    Currency,
    Ordinal(Letters),
    Exponent,
    Text(String),
}

/// A template of numbers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Template {
    pieces: Vec<Piece>,
    bare: bool,
    /// Digits behind `V`.
    shift: u32,
    roman: Option<Letters>,
    before: usize,
    pub(crate) after: usize,
}

const WORDS: [(&str, Option<Piece>); 15] = [
    ("FM", None),
    ("RN", None),
    ("MI", Some(Piece::Minus)),
    ("PL", Some(Piece::Plus)),
    ("SG", Some(Piece::Either)),
    ("PR", Some(Piece::Brackets)),
    ("TH", None),
    ("EEEE", Some(Piece::Exponent)),
    ("S", Some(Piece::Sign)),
    ("L", Some(Piece::Currency)),
    ("D", Some(Piece::Point)),
    ("G", Some(Piece::Comma)),
    ("V", None),
    (".", Some(Piece::Point)),
    (",", Some(Piece::Comma)),
];

impl Template {
    /// The template.
    ///
    /// # Errors
    /// `42601` for two points or a digit where none may stand.
    pub(crate) fn new(text: &str) -> Result<Self, FunctionError> {
        let mut template = Self {
            pieces: Vec::new(),
            bare: false,
            shift: 0,
            roman: None,
            before: 0,
            after: 0,
        };
        let mut rest = text;
        let (mut point, mut shifted) = (false, false);
        while let Some(first) = rest.chars().next() {
            if first == '9' || first == '0' {
                template.pieces.push(Piece::Digit(first == '0'));
                match (point, shifted) {
                    (true, _) => template.after += 1,
                    (false, true) => {
                        template.shift += 1;
                        template.before += 1;
                    }
                    (false, false) => template.before += 1,
                }
                rest = &rest[1..];
                continue;
            }
            if first == '"' {
                let end = rest[1..].find('"').map_or(rest.len(), |end| end + 1);
                template.pieces.push(Piece::Text(rest[1..end].to_owned()));
                rest = rest.get(end + 1..).unwrap_or("");
                continue;
            }
            let begins = |word: &str| {
                let begin = rest.get(..word.len());
                begin.is_some_and(|begin| begin.eq_ignore_ascii_case(word))
            };
            let Some((word, piece)) = WORDS.iter().find(|(word, _)| begins(word)) else {
                template.pieces.push(Piece::Text(first.to_string()));
                rest = &rest[first.len_utf8()..];
                continue;
            };
            let letters = match first.is_lowercase() {
                true => Letters::Lower,
                false => Letters::Upper,
            };
            match (*word, piece) {
                ("FM", _) => template.bare = true,
                ("RN", _) => template.roman = Some(letters),
                ("V", _) => shifted = true,
                ("TH", _) => template.pieces.push(Piece::Ordinal(letters)),
                (_, Some(Piece::Point)) if point => {
                    let message = "multiple decimal points".to_owned();
                    return Err(FunctionError::value("42601", message));
                }
                (_, Some(piece)) => {
                    point |= *piece == Piece::Point;
                    template.pieces.push(piece.clone());
                }
                _ => {}
            }
            rest = &rest[word.len()..];
        }
        Ok(template)
    }

    fn has(&self, piece: &Piece) -> bool {
        self.pieces.contains(piece)
    }
}

/// A number to be written.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Number {
    Exact { units: i128, scale: i8 },
    Double(f64),
}

impl Number {
    /// Whether it is below zero, and the digits of its size with `after` behind the point.
    fn digits(self, after: usize, shift: u32) -> (bool, String) {
        match self {
            Self::Double(value) => {
                let value = value * 10_f64.powi(shift.cast_signed());
                (value < 0.0, format!("{:.after$}", value.abs()))
            }
            Self::Exact { units, scale } => {
                let scale = i64::from(scale) - i64::from(shift);
                let mut text = units.unsigned_abs().to_string();
                if scale < 0 {
                    text.extend(std::iter::repeat_n('0', scale.unsigned_abs() as usize));
                }
                let scale = usize::try_from(scale).unwrap_or(0);
                let cut = scale.saturating_sub(after);
                if cut > 0 {
                    text = rounded(&text, cut);
                }
                let scale = scale - cut;
                while text.len() <= scale {
                    text.insert(0, '0');
                }
                text.insert(text.len() - scale, '.');
                text.extend(std::iter::repeat_n('0', after - scale));
                let text = text.trim_end_matches('.').to_owned();
                (units < 0, text)
            }
        }
    }

    fn as_double(self) -> f64 {
        match self {
            Self::Double(value) => value,
            #[expect(clippy::cast_precision_loss, reason = "as PostgreSQL's exponents")]
            Self::Exact { units, scale } => units as f64 / 10_f64.powi(i32::from(scale)),
        }
    }
}

/// The digits without the last `cut`, halves away from zero.
fn rounded(digits: &str, cut: usize) -> String {
    let value: u128 = digits.parse().unwrap_or(u128::MAX);
    let Some(unit) = u32::try_from(cut)
        .ok()
        .and_then(|cut| 10_u128.checked_pow(cut))
    else {
        return "0".to_owned();
    };
    (value / unit + u128::from(value % unit >= unit - unit / 2)).to_string()
}

/// Writes `number` by `template`.
pub(crate) fn write(template: &Template, number: Number) -> String {
    if let Some(letters) = template.roman {
        return roman(template, number, letters);
    }
    if template.has(&Piece::Exponent) {
        return exponent(template, number);
    }
    let (negative, text) = number.digits(template.after, template.shift);
    let (whole, fraction) = text.split_once('.').unwrap_or((&text, ""));
    let negative = negative && text.bytes().any(|byte| (b'1'..=b'9').contains(&byte));
    let mut whole = whole.trim_start_matches('0').to_owned();
    // A number without a point is never nothing.
    if whole.is_empty() && template.after == 0 && !template.has(&Piece::Point) {
        whole.push('0');
    }
    let too_large = whole.len() > template.before;
    if too_large {
        whole = "#".repeat(template.before);
    }
    let fraction = match too_large {
        true => "#".repeat(template.after),
        false => fraction.to_owned(),
    };
    Writer {
        template,
        negative,
        whole: whole.into_bytes(),
        fraction: fraction.into_bytes(),
        out: String::new(),
        started: false,
        signed: false,
    }
    .write()
}

struct Writer<'a> {
    template: &'a Template,
    negative: bool,
    whole: Vec<u8>,
    fraction: Vec<u8>,
    out: String,
    started: bool,
    signed: bool,
}

impl Writer<'_> {
    fn write(mut self) -> String {
        let template = self.template;
        let pieces = &template.pieces;
        let digit = |piece: &Piece| matches!(piece, Piece::Digit(_));
        let first_zero = pieces.iter().filter(|p| digit(p) || **p == Piece::Point);
        let first_zero = first_zero
            .take_while(|piece| **piece != Piece::Point)
            .position(|piece| *piece == Piece::Digit(true));
        let kept = self.kept();
        let (mut place, mut behind) = (0, None);
        let first_digit = pieces.iter().position(digit);
        let sign_at = pieces.iter().position(|piece| *piece == Piece::Sign);
        let leading = sign_at.is_some_and(|at| first_digit.is_none_or(|first| at < first));
        let explicit = [Piece::Sign, Piece::Minus, Piece::Either, Piece::Brackets]
            .iter()
            .any(|piece| template.has(piece));
        let own = Own {
            plain: !explicit,
            leading,
        };
        for piece in pieces {
            match (piece, &mut behind) {
                (Piece::Digit(_), None) => {
                    let missing = template.before - self.whole.len().min(template.before);
                    if place >= missing {
                        self.start(&own);
                        self.out.push(char::from(self.whole[place - missing]));
                    } else if first_zero.is_some_and(|zero| place >= zero) {
                        self.start(&own);
                        self.out.push('0');
                    } else if !template.bare {
                        self.out.push(' ');
                    }
                    place += 1;
                }
                (Piece::Digit(_), Some(index)) => {
                    if *index < kept {
                        let digit = self.fraction.get(*index).copied().unwrap_or(b'0');
                        self.out.push(char::from(digit));
                    }
                    *index += 1;
                }
                (Piece::Comma, None) if self.started => self.out.push(','),
                (Piece::Comma, _) if !template.bare => self.out.push(' '),
                (Piece::Comma, _) => {}
                (Piece::Point, _) => {
                    self.start(&own);
                    // A point with nothing behind it in the template.
                    if !template.bare || template.after > 0 {
                        self.out.push('.');
                    }
                    behind = Some(0);
                }
                (other, _) => self.other(other, leading),
            }
        }
        if template.has(&Piece::Brackets) {
            self.start(&own);
            match (self.negative, template.bare) {
                (true, _) => self.out.push('>'),
                (false, false) => self.out.push(' '),
                (false, true) => {}
            }
        }
        self.out
    }

    /// How many digits behind the point are written.
    fn kept(&self) -> usize {
        if !self.template.bare {
            return self.template.after;
        }
        let pieces = self.template.pieces.iter();
        let behind = pieces.skip_while(|piece| **piece != Piece::Point);
        let digits = behind.filter(|piece| matches!(piece, Piece::Digit(_)));
        let zeros = digits
            .enumerate()
            .filter(|(_, piece)| **piece == Piece::Digit(true));
        let zeros = zeros.map(|(index, _)| index + 1).last().unwrap_or(0);
        let digits = self.fraction.iter().rposition(|digit| *digit != b'0');
        zeros.max(digits.map_or(0, |last| last + 1))
    }

    /// The sign that stands right before the first digit.
    fn start(&mut self, own: &Own) {
        if std::mem::replace(&mut self.started, true) || std::mem::replace(&mut self.signed, true) {
            return;
        }
        if self.template.has(&Piece::Brackets) {
            match (self.negative, self.template.bare) {
                (true, _) => self.out.push('<'),
                (false, false) => self.out.push(' '),
                (false, true) => {}
            }
        } else if own.leading {
            self.out.push(if self.negative { '-' } else { '+' });
        } else if own.plain {
            match (self.negative, self.template.bare) {
                (true, _) => self.out.push('-'),
                (false, false) => self.out.push(' '),
                (false, true) => {}
            }
        }
    }

    fn other(&mut self, piece: &Piece, leading: bool) {
        let sign = |negative: bool| if negative { '-' } else { '+' };
        match piece {
            Piece::Sign if !leading => self.out.push(sign(self.negative)),
            Piece::Either => self.out.push(sign(self.negative)),
            Piece::Minus => match (self.negative, self.template.bare) {
                (true, _) => self.out.push('-'),
                (false, false) => self.out.push(' '),
                (false, true) => {}
            },
            Piece::Plus => match (self.negative, self.template.bare) {
                (false, _) => self.out.push('+'),
                (true, false) => self.out.push(' '),
                (true, true) => {}
            },
            Piece::Currency if !self.template.bare => self.out.push(' '),
            Piece::Ordinal(letters) if !self.negative && self.fraction.is_empty() => {
                let digits = String::from_utf8_lossy(&self.whole).into_owned();
                let ending = ordinal(&digits);
                self.out.push_str(&match letters {
                    Letters::Lower => ending.to_owned(),
                    _ => ending.to_uppercase(),
                });
            }
            Piece::Text(text) => self.out.push_str(text),
            _ => {}
        }
    }
}

/// Where the sign stands that no word of the template places.
struct Own {
    /// The usual: before the first digit.
    plain: bool,
    /// `S` before the digits.
    leading: bool,
}

fn roman(template: &Template, number: Number, letters: Letters) -> String {
    const STEPS: [(u32, &str); 13] = [
        (1000, "M"),
        (900, "CM"),
        (500, "D"),
        (400, "CD"),
        (100, "C"),
        (90, "XC"),
        (50, "L"),
        (40, "XL"),
        (10, "X"),
        (9, "IX"),
        (5, "V"),
        (4, "IV"),
        (1, "I"),
    ];
    let (negative, text) = number.digits(0, 0);
    let mut value: u32 = text.parse().unwrap_or(u32::MAX);
    if negative || !(1..4_000).contains(&value) {
        return "#".repeat(15);
    }
    let mut out = String::new();
    for (step, word) in STEPS {
        while value >= step {
            out.push_str(word);
            value -= step;
        }
    }
    if letters == Letters::Lower {
        out = out.to_lowercase();
    }
    match template.bare {
        true => out,
        false => format!("{out:>15}"),
    }
}

fn exponent(template: &Template, number: Number) -> String {
    let value = number.as_double();
    let text = format!("{:.*e}", template.after, value.abs());
    let (mantissa, exponent) = text.split_once('e').unwrap_or((&text, "0"));
    let exponent: i32 = exponent.parse().unwrap_or(0);
    let sign = match (value < 0.0, template.bare) {
        (true, _) => "-",
        (false, false) => " ",
        (false, true) => "",
    };
    let mark = if exponent < 0 { '-' } else { '+' };
    format!("{sign}{mantissa}e{mark}{:02}", exponent.unsigned_abs())
}

/// Reads a number from `text` by `template`, in units of `10^-scale`.
///
/// # Errors
/// `22P02` for a text without a digit, `22003` for one with too many.
pub(crate) fn read(template: &Template, text: &str, scale: u32) -> Result<i128, FunctionError> {
    let mut rest = text.trim_start();
    let mut negative = false;
    let (mut digits, mut behind) = (String::new(), None::<u32>);
    let sign = |rest: &mut &str, negative: &mut bool| {
        if let Some(after) = rest.strip_prefix(['-', '<']) {
            *negative = true;
            *rest = after;
        } else if let Some(after) = rest.strip_prefix('+') {
            *rest = after;
        }
    };
    sign(&mut rest, &mut negative);
    for piece in &template.pieces {
        match piece {
            Piece::Digit(_) => {
                if digits.is_empty() {
                    rest = rest.trim_start();
                    sign(&mut rest, &mut negative);
                }
                let Some(digit) = rest.chars().next().filter(char::is_ascii_digit) else {
                    continue;
                };
                digits.push(digit);
                rest = &rest[1..];
                if let Some(count) = &mut behind {
                    *count += 1;
                }
            }
            Piece::Comma => rest = rest.strip_prefix(',').unwrap_or(rest),
            Piece::Point => {
                if let Some(after) = rest.strip_prefix('.') {
                    behind = Some(0);
                    rest = after;
                }
            }
            Piece::Sign | Piece::Minus | Piece::Plus | Piece::Either | Piece::Brackets => {
                sign(&mut rest, &mut negative);
                rest = rest.strip_prefix('>').unwrap_or(rest);
            }
            Piece::Currency => {
                rest = rest.trim_start_matches(|c: char| !c.is_ascii_digit() && c != '.');
            }
            Piece::Text(words) => {
                let at = rest.char_indices().nth(words.chars().count());
                rest = at.map_or("", |(at, _)| &rest[at..]);
            }
            Piece::Ordinal(_) | Piece::Exponent => {}
        }
    }
    // A sign may follow where the template says nothing of it.
    negative |= rest.trim_start().starts_with('-');
    let value: i128 = match digits.is_empty() {
        true => return Err(crate::postgres::invalid_text("numeric", text)),
        false => digits.parse().map_err(|_| overflow())?,
    };
    let missing = scale.saturating_sub(behind.unwrap_or(0));
    let value = value
        .checked_mul(10_i128.pow(missing.min(38)))
        .ok_or_else(overflow)?;
    Ok(if negative { -value } else { value })
}

fn overflow() -> FunctionError {
    FunctionError::value("22003", "numeric field overflow".to_owned())
}
