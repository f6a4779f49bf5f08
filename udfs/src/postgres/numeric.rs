//! `numeric` without digits in brackets.

/// Digits after the point of a `numeric` without brackets.
const SCALE: i8 = 10;

/// Whether `DECIMAL(precision, scale)` stands for a `numeric` without brackets, or for the product
/// of two. PostgreSQL shows such a number with the digits that it has, not with those that there is
/// room for; so does whoever writes it as text.
#[must_use]
pub fn unconstrained_numeric(precision: u8, scale: i8) -> bool {
    precision == 38 && (scale == SCALE || scale == 2 * SCALE)
}
