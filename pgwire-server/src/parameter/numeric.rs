//! PostgreSQL's binary `numeric` as decimal text, digit for digit.

use bytes::Buf;

use crate::error::Failure;

const NEGATIVE: u16 = 0x4000;
const NOT_A_NUMBER: u16 = 0xc000;
const INFINITY: u16 = 0xd000;
const MINUS_INFINITY: u16 = 0xf000;

/// The number that `bytes` begin with.
///
/// # Errors
/// `22P03` for bytes that are no number.
pub(super) fn text(bytes: &mut &[u8]) -> Result<String, Failure> {
    read(bytes).ok_or_else(super::bad_binary)
}

fn read(bytes: &mut &[u8]) -> Option<String> {
    let count = bytes.try_get_u16().ok()?;
    let weight = bytes.try_get_i16().ok()?;
    let sign = bytes.try_get_u16().ok()?;
    let scale = usize::from(bytes.try_get_u16().ok()?);
    match sign {
        0 | NEGATIVE => {}
        NOT_A_NUMBER => return Some("NaN".to_owned()),
        INFINITY => return Some("Infinity".to_owned()),
        MINUS_INFINITY => return Some("-Infinity".to_owned()),
        _ => return None,
    }
    let groups: Option<Vec<u16>> = (0..count)
        .map(|_| bytes.try_get_u16().ok().filter(|group| *group < 10_000))
        .collect();
    let groups = groups?;
    // The group with the weight w stands for its value times 10000^w.
    let group = |at: i32| {
        let index = usize::try_from(i32::from(weight) - at).ok();
        index
            .and_then(|index| groups.get(index))
            .copied()
            .unwrap_or(0)
    };
    let mut whole = String::new();
    for at in (0..=i32::from(weight).max(0)).rev() {
        whole.push_str(&format!("{:04}", group(at)));
    }
    let mut fraction = String::new();
    let mut at = -1;
    while fraction.len() < scale {
        fraction.push_str(&format!("{:04}", group(at)));
        at -= 1;
    }
    fraction.truncate(scale);
    let whole = whole.trim_start_matches('0');
    let sign = if sign == NEGATIVE { "-" } else { "" };
    let whole = if whole.is_empty() { "0" } else { whole };
    let point = if fraction.is_empty() { "" } else { "." };
    Some(format!("{sign}{whole}{point}{fraction}"))
}
