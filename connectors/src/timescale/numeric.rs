//! Decimals in PostgreSQL's binary form: groups of four decimal digits, most significant first.

use bytes::{BufMut, BytesMut};

/// Groups that 39 digits and an uneven point can need.
const GROUPS_MAX: usize = 12;
/// The base of a group.
const BASE: u128 = 10_000;

/// Appends `value` / 10^`scale` as the bytes of a `numeric`, without its length.
pub fn put_numeric(value: i128, scale: u8, out: &mut BytesMut) {
    let digits = value.unsigned_abs();
    let scale = u32::from(scale);
    let unit = 10_u128.saturating_pow(scale);
    let (mut whole, mut part) = (digits / unit, digits % unit);
    // Filled from the least significant group backwards.
    let mut groups = [0_u16; 2 * GROUPS_MAX];
    let point = GROUPS_MAX;
    let part_groups = scale.div_ceil(4) as usize;
    let mut at = point + part_groups;
    let odd = scale % 4;
    if odd != 0 {
        // The last group after the point is filled up with zeros on its right.
        let low = 10_u128.pow(odd);
        at -= 1;
        groups[at] = ((part % low) * 10_u128.pow(4 - odd)) as u16;
        part /= low;
    }
    while at > point {
        at -= 1;
        groups[at] = (part % BASE) as u16;
        part /= BASE;
    }
    let mut first = point;
    while whole > 0 {
        first -= 1;
        groups[first] = (whole % BASE) as u16;
        whole /= BASE;
    }
    let mut end = point + part_groups;
    while end > first && groups[end - 1] == 0 {
        end -= 1;
    }
    while first < end && groups[first] == 0 {
        first += 1;
    }
    let used = &groups[first..end];
    // The weight is the power of the first group: −1 is the first after the point.
    let weight = if used.is_empty() {
        0
    } else {
        point as i16 - first as i16 - 1
    };
    let sign = if value < 0 { 0x4000 } else { 0 };
    out.put_i16(used.len() as i16);
    out.put_i16(weight);
    out.put_u16(sign);
    out.put_u16(scale as u16);
    used.iter().for_each(|group| out.put_u16(*group));
}
