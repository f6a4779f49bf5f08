//! Numbers as JSON writes them, read once into digits and an exponent and then turned into the
//! column's type without a detour through floating point.

/// A number as written: ± `mantissa` · 10^`exponent`.
#[derive(Clone, Copy, Debug)]
pub(super) struct Number<'a> {
    /// As written.
    pub(super) text: &'a [u8],
    negative: bool,
    /// All digits, if there are few enough of them; else meaningless.
    mantissa: u64,
    exact: bool,
    exponent: i32,
}

/// So many digits always fit into `u64`.
const EXACT_DIGITS_MAX: usize = 19;

/// Beyond this an exponent is as good as infinite.
const EXPONENT_MAX: i32 = 100_000;

/// The powers of ten that `i128` holds.
pub(super) const POW10: [i128; 39] = {
    let mut powers = [1_i128; 39];
    let mut i = 1;
    while i < powers.len() {
        powers[i] = powers[i - 1] * 10;
        i += 1;
    }
    powers
};

/// The powers of ten that `f64` holds exactly.
const POW10_F64: [f64; 23] = [
    1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16,
    1e17, 1e18, 1e19, 1e20, 1e21, 1e22,
];

impl<'a> Number<'a> {
    /// The number that begins at `at`, by the grammar of JSON; `None` if none does.
    #[inline]
    pub(super) fn scan(bytes: &'a [u8], at: usize) -> Option<Self> {
        let mut end = at;
        let negative = bytes.get(end) == Some(&b'-');
        end += usize::from(negative);
        let leading_zero = bytes.get(end) == Some(&b'0');
        let number = Self::scan_digits(bytes, at, end, negative, false)?;
        let second_digit = leading_zero && bytes.get(end + 1).is_some_and(u8::is_ascii_digit);
        (!second_digit).then_some(number)
    }

    /// The number that all of `text` is, as people write it: also `+1`, `007`, `.5`, `5.` and space
    /// around it.
    pub(super) fn from_text(text: &'a [u8]) -> Option<Self> {
        let text = text.trim_ascii();
        let negative = text.first() == Some(&b'-');
        let signed = negative || text.first() == Some(&b'+');
        let number = Self::scan_digits(text, 0, usize::from(signed), negative, true)?;
        (number.text.len() == text.len()).then_some(number)
    }

    /// Reads from `digits_at` on; `loose` allows a point without digits on one side of it.
    #[inline]
    fn scan_digits(
        bytes: &'a [u8],
        at: usize,
        digits_at: usize,
        negative: bool,
        loose: bool,
    ) -> Option<Self> {
        let mut mantissa = 0_u64;
        let mut end = take_digits(bytes, digits_at, &mut mantissa);
        let mut digits = end - digits_at;
        if digits == 0 && !loose {
            return None;
        }
        let mut exponent = 0;
        if bytes.get(end) == Some(&b'.') {
            let fraction_at = end + 1;
            end = take_digits(bytes, fraction_at, &mut mantissa);
            let fraction = end - fraction_at;
            if fraction == 0 && !loose {
                return None;
            }
            digits += fraction;
            exponent = -i32::try_from(fraction).ok()?;
        }
        if let Some(b'e' | b'E') = bytes.get(end) {
            let (written, exponent_end) = take_exponent(bytes, end + 1)?;
            exponent = exponent.saturating_add(written);
            end = exponent_end;
        }
        let exact = digits <= EXACT_DIGITS_MAX;
        (digits > 0).then_some(Self {
            text: &bytes[at..end],
            negative,
            mantissa,
            exact,
            exponent,
        })
    }

    /// Its value, if that is a whole number (`12`, `12.0`, `1.2e1`) and fits.
    #[inline]
    pub(super) fn to_i64(self) -> Option<i64> {
        if self.exact && self.exponent == 0 {
            let magnitude = i128::from(self.mantissa);
            return i64::try_from(if self.negative { -magnitude } else { magnitude }).ok();
        }
        let wide = self.wide();
        if wide.rest_is_not_zero {
            return None;
        }
        let magnitude = match usize::try_from(wide.exponent) {
            Ok(_) if wide.mantissa == 0 => 0,
            Ok(shift) => wide.mantissa.checked_mul(*POW10.get(shift)?)?,
            Err(_) => {
                let divisor = POW10.get(usize::try_from(wide.exponent.unsigned_abs()).ok()?);
                match divisor {
                    Some(divisor) if wide.mantissa % divisor == 0 => wide.mantissa / divisor,
                    None if wide.mantissa == 0 => 0,
                    _ => return None,
                }
            }
        };
        i64::try_from(if self.negative { -magnitude } else { magnitude }).ok()
    }

    /// Its value times 10^`scale`, rounded half away from zero as PostgreSQL does; `None` if it
    /// does not fit.
    #[inline]
    pub(super) fn to_scaled(self, scale: i32) -> Option<i128> {
        let (mantissa, exponent, round_up) = if self.exact {
            (i128::from(self.mantissa), self.exponent, false)
        } else {
            let wide = self.wide();
            (wide.mantissa, wide.exponent, wide.rest_rounds_up)
        };
        let shift = exponent.saturating_add(scale);
        let magnitude = if let Ok(shift) = usize::try_from(shift) {
            if mantissa == 0 {
                0
            } else {
                let scaled = mantissa.checked_mul(*POW10.get(shift)?)?;
                scaled.checked_add(i128::from(round_up && shift == 0))?
            }
        } else {
            let divisor = usize::try_from(shift.unsigned_abs())
                .ok()
                .and_then(|digits| POW10.get(digits));
            match divisor {
                Some(divisor) => {
                    let (quotient, remainder) = (mantissa / divisor, mantissa % divisor);
                    quotient + i128::from(remainder >= divisor - remainder)
                }
                // Fewer than 39 digits, so less than a tenth of a unit.
                None => 0,
            }
        };
        Some(if self.negative { -magnitude } else { magnitude })
    }

    /// The nearest `f64`; `None` if it is beyond all of them.
    #[inline]
    pub(super) fn to_f64(self) -> Option<f64> {
        // Both factors are exact, so the one rounding of the operation gives the nearest value.
        if self.exact && self.mantissa <= 1 << 53 && self.exponent.unsigned_abs() <= 22 {
            let power = POW10_F64[self.exponent.unsigned_abs() as usize];
            let mantissa = self.mantissa as f64;
            let value = if self.exponent < 0 {
                mantissa / power
            } else {
                mantissa * power
            };
            return Some(if self.negative { -value } else { value });
        }
        lexical_core::parse::<f64>(self.text)
            .ok()
            .filter(|value| value.is_finite())
    }

    /// The nearest `f32`; `None` if it is beyond all of them.
    pub(super) fn to_f32(self) -> Option<f32> {
        lexical_core::parse::<f32>(self.text)
            .ok()
            .filter(|value| value.is_finite())
    }

    /// The digits again, up to 38 of them.
    fn wide(&self) -> Wide {
        let mut wide = Wide {
            exponent: self.exponent,
            ..Wide::default()
        };
        let (mut kept, mut dropped) = (0_usize, 0);
        for byte in self.text {
            let digit = match byte {
                b'0'..=b'9' => i128::from(byte - b'0'),
                b'e' | b'E' => break,
                _ => continue,
            };
            if kept < 38 {
                wide.mantissa = wide.mantissa * 10 + digit;
                kept += usize::from(wide.mantissa != 0);
            } else {
                wide.rest_rounds_up |= dropped == 0 && digit >= 5;
                wide.rest_is_not_zero |= digit != 0;
                dropped += 1;
            }
        }
        wide.exponent = wide.exponent.saturating_add(dropped);
        wide
    }
}

/// The first 38 significant digits of a number, and what the rest would do to them.
#[derive(Default)]
struct Wide {
    mantissa: i128,
    exponent: i32,
    rest_rounds_up: bool,
    rest_is_not_zero: bool,
}

/// Adds the digits from `at` on to `mantissa` and returns where they end.
#[inline]
fn take_digits(bytes: &[u8], mut at: usize, mantissa: &mut u64) -> usize {
    // Eight at a time: timestamps and identifiers are long.
    while let Some(chunk) = bytes.get(at..).and_then(|rest| rest.first_chunk::<8>()) {
        let word = u64::from_le_bytes(*chunk);
        if !are_digits(word) {
            break;
        }
        *mantissa = mantissa
            .wrapping_mul(100_000_000)
            .wrapping_add(eight_digits(word));
        at += 8;
    }
    while let Some(byte) = bytes.get(at) {
        let digit = byte.wrapping_sub(b'0');
        if digit > 9 {
            break;
        }
        *mantissa = mantissa.wrapping_mul(10).wrapping_add(u64::from(digit));
        at += 1;
    }
    at
}

/// Whether all eight bytes are digits. Idea: Daniel Lemire, "Quickly parsing eight digits".
#[inline]
const fn are_digits(word: u64) -> bool {
    let above = word.wrapping_add(0x4646_4646_4646_4646);
    let below = word.wrapping_sub(0x3030_3030_3030_3030);
    (above | below) & 0x8080_8080_8080_8080 == 0
}

/// The number that eight digits, the first in the lowest byte, stand for: pairs, then fours, then
/// all.
#[inline]
const fn eight_digits(word: u64) -> u64 {
    let digits = word.wrapping_sub(0x3030_3030_3030_3030);
    let pairs = (digits.wrapping_mul(10)).wrapping_add(digits >> 8) & 0x00ff_00ff_00ff_00ff;
    let fours = (pairs.wrapping_mul(100)).wrapping_add(pairs >> 16) & 0x0000_ffff_0000_ffff;
    (fours.wrapping_mul(10_000)).wrapping_add(fours >> 32) & 0xffff_ffff
}

/// The exponent written at `at`, behind the `e`, and where it ends.
fn take_exponent(bytes: &[u8], mut at: usize) -> Option<(i32, usize)> {
    let negative = bytes.get(at) == Some(&b'-');
    at += usize::from(negative || bytes.get(at) == Some(&b'+'));
    let digits_at = at;
    let mut exponent = 0_i32;
    while let Some(digit @ b'0'..=b'9') = bytes.get(at) {
        exponent = (exponent * 10 + i32::from(digit - b'0')).min(EXPONENT_MAX);
        at += 1;
    }
    (at > digits_at).then_some((if negative { -exponent } else { exponent }, at))
}

#[cfg(test)]
mod tests;
