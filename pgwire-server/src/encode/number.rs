//! Floats and decimals as PostgreSQL writes them.

use std::fmt::Write;

use bytes::{BufMut, BytesMut};
use rtsap_engine::unconstrained_numeric;

use crate::error::Failure;

/// The longest shortest form of a double with its exponent, rounded up.
const FLOAT_BYTES_MAX: usize = 48;

/// Writes a double: shortest digits that read back the same, exponents from 1e-5 down and from 1e15
/// up.
pub(crate) fn put_float8(value: f64, out: &mut BytesMut) {
    if put_special(value, out) {
        return;
    }
    let mut digits = Digits::default();
    let _ = write!(digits, "{value:e}");
    digits.put(15, out);
}

/// Writes a float: as a double, but exponents from 1e6 up.
pub(crate) fn put_float4(value: f32, out: &mut BytesMut) {
    if put_special(value.into(), out) {
        return;
    }
    let mut digits = Digits::default();
    let _ = write!(digits, "{value:e}");
    digits.put(6, out);
}

fn put_special(value: f64, out: &mut BytesMut) -> bool {
    let special: &[u8] = if value.is_nan() {
        b"NaN"
    } else if value == f64::INFINITY {
        b"Infinity"
    } else if value == f64::NEG_INFINITY {
        b"-Infinity"
    } else if value == 0.0 {
        if value.is_sign_negative() {
            b"-0"
        } else {
            b"0"
        }
    } else {
        return false;
    };
    out.extend_from_slice(special);
    true
}

/// A number in Rust's scientific notation: `-1.2345e-7`.
struct Digits {
    bytes: [u8; FLOAT_BYTES_MAX],
    length: usize,
}

impl Default for Digits {
    fn default() -> Self {
        Self {
            bytes: [0; FLOAT_BYTES_MAX],
            length: 0,
        }
    }
}

impl Write for Digits {
    fn write_str(&mut self, text: &str) -> std::fmt::Result {
        let end = self.length + text.len();
        let target = self
            .bytes
            .get_mut(self.length..end)
            .ok_or(std::fmt::Error)?;
        target.copy_from_slice(text.as_bytes());
        self.length = end;
        Ok(())
    }
}

impl Digits {
    fn put(&self, exponent_from: i32, out: &mut BytesMut) {
        let text = std::str::from_utf8(&self.bytes[..self.length]).unwrap_or_default();
        let (mantissa, exponent) = text.split_once('e').unwrap_or((text, "0"));
        let exponent: i32 = exponent.parse().unwrap_or_default();
        let (sign, mantissa) = match mantissa.strip_prefix('-') {
            Some(rest) => ("-", rest),
            None => ("", mantissa),
        };
        out.extend_from_slice(sign.as_bytes());
        let (first, rest) = mantissa.split_once('.').unwrap_or((mantissa, ""));
        if exponent < -4 || exponent >= exponent_from {
            out.extend_from_slice(mantissa.as_bytes());
            let sign = if exponent < 0 { '-' } else { '+' };
            let _ = write!(out, "e{sign}{:02}", exponent.unsigned_abs());
        } else if exponent < 0 {
            out.extend_from_slice(b"0.");
            out.put_bytes(b'0', exponent.unsigned_abs() as usize - 1);
            out.extend_from_slice(first.as_bytes());
            out.extend_from_slice(rest.as_bytes());
        } else {
            let whole = exponent.unsigned_abs() as usize;
            out.extend_from_slice(first.as_bytes());
            if rest.len() <= whole {
                out.extend_from_slice(rest.as_bytes());
                out.put_bytes(b'0', whole - rest.len());
            } else {
                out.extend_from_slice(&rest.as_bytes()[..whole]);
                out.extend_from_slice(b".");
                out.extend_from_slice(&rest.as_bytes()[whole..]);
            }
        }
    }
}

/// The digits after the point that a decimal has, and those that are shown.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Places {
    scale: i8,
    /// Zeros at the end are left away.
    shortest: bool,
}

impl Places {
    /// Those of a type.
    pub(crate) fn of(precision: u8, scale: i8) -> Self {
        let shortest = unconstrained_numeric(precision, scale);
        Self { scale, shortest }
    }
}

/// A decimal taken apart: its sign, and the digits before and after the point.
struct Decimal {
    negative: bool,
    whole: String,
    fraction: String,
}

impl Decimal {
    /// `unscaled` is the number without its point: `-12345` with scale 2 is −123.45.
    fn new(unscaled: &str, places: Places) -> Self {
        let Places { scale, shortest } = places;
        let (negative, digits) = match unscaled.strip_prefix('-') {
            Some(digits) => (true, digits),
            None => (false, unscaled),
        };
        let places = usize::from(scale.unsigned_abs());
        if scale <= 0 {
            let zeros = if digits == "0" { 0 } else { places };
            let whole = format!("{digits}{}", "0".repeat(zeros));
            return Self {
                negative,
                whole,
                fraction: String::new(),
            };
        }
        let padded = format!("{digits:0>width$}", width = places + 1);
        let (whole, mut fraction) = padded.split_at(padded.len() - places);
        if shortest {
            fraction = fraction.trim_end_matches('0');
        }
        Self {
            negative,
            whole: whole.to_owned(),
            fraction: fraction.to_owned(),
        }
    }
}

/// Writes a decimal: `-123.45`.
pub(crate) fn put_decimal(unscaled: &str, places: Places, out: &mut BytesMut) {
    let decimal = Decimal::new(unscaled, places);
    if decimal.negative {
        out.extend_from_slice(b"-");
    }
    out.extend_from_slice(decimal.whole.as_bytes());
    if !decimal.fraction.is_empty() {
        out.extend_from_slice(b".");
        out.extend_from_slice(decimal.fraction.as_bytes());
    }
}

/// Writes a decimal in binary: groups of four digits, PostgreSQL's `numeric_send`.
pub(crate) fn put_decimal_binary(
    unscaled: &str,
    places: Places,
    out: &mut BytesMut,
) -> Result<(), Failure> {
    let decimal = Decimal::new(unscaled, places);
    let whole = decimal.whole.trim_start_matches('0');
    let padded_whole = format!("{whole:0>width$}", width = whole.len().next_multiple_of(4));
    let width = decimal.fraction.len().next_multiple_of(4);
    let padded_fraction = format!("{:0<width$}", decimal.fraction);
    let mut groups = Vec::with_capacity((padded_whole.len() + width) / 4);
    for group in padded_whole
        .as_bytes()
        .chunks(4)
        .chain(padded_fraction.as_bytes().chunks(4))
    {
        groups.push(
            group
                .iter()
                .fold(0_i16, |sum, digit| sum * 10 + i16::from(digit - b'0')),
        );
    }
    let leading = groups.iter().take_while(|group| **group == 0).count();
    let weight = padded_whole.len() / 4;
    let significant = groups
        .iter()
        .rposition(|group| *group != 0)
        .map_or(0, |last| last + 1);
    let groups = groups.get(leading..significant).unwrap_or_default();
    let out_of_range = |_| Failure::new("22003", "numeric value out of range");
    let weight = i16::try_from(weight).map_err(out_of_range)?
        - i16::try_from(leading).map_err(out_of_range)?
        - 1;
    let zero = groups.is_empty();
    out.put_u16(u16::try_from(groups.len()).map_err(out_of_range)?);
    out.put_i16(if zero { 0 } else { weight });
    out.put_u16(if decimal.negative && !zero { 0x4000 } else { 0 });
    out.put_u16(u16::try_from(decimal.fraction.len()).map_err(out_of_range)?);
    for group in groups {
        out.put_i16(*group);
    }
    Ok(())
}
