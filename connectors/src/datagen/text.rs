//! Numbers and times as text, appended to a byte buffer without formatting machinery.

/// Appends an unsigned integer in decimal.
pub fn push_integer(mut value: u64, out: &mut Vec<u8>) {
    let mut digits = [0_u8; 20];
    let mut at = digits.len();
    loop {
        at -= 1;
        digits[at] = b'0' + (value % 10) as u8;
        value /= 10;
        if value == 0 {
            break;
        }
    }
    out.extend_from_slice(&digits[at..]);
}

/// Appends cents as dollars with two decimals: `189.23`.
pub fn push_cents(cents: i64, out: &mut Vec<u8>) {
    if cents < 0 {
        out.push(b'-');
    }
    let cents = cents.unsigned_abs();
    push_integer(cents / 100, out);
    out.push(b'.');
    push_padded(cents % 100, 2, out);
}

/// Appends microseconds since the Unix epoch as `2024-01-02T14:30:00.123456Z`. Years 0 to 9999.
pub fn push_timestamp_us(time_us: i64, out: &mut Vec<u8>) {
    let seconds = time_us.div_euclid(1_000_000);
    let (year, month, day) = civil(seconds.div_euclid(86_400));
    let second = seconds.rem_euclid(86_400) as u64;
    push_padded(year.clamp(0, 9_999) as u64, 4, out);
    out.push(b'-');
    push_padded(month, 2, out);
    out.push(b'-');
    push_padded(day, 2, out);
    out.push(b'T');
    push_padded(second / 3_600, 2, out);
    out.push(b':');
    push_padded(second / 60 % 60, 2, out);
    out.push(b':');
    push_padded(second % 60, 2, out);
    out.push(b'.');
    push_padded(time_us.rem_euclid(1_000_000) as u64, 6, out);
    out.push(b'Z');
}

fn push_padded(mut value: u64, width: usize, out: &mut Vec<u8>) {
    let start = out.len();
    out.resize(start + width, b'0');
    for digit in out[start..].iter_mut().rev() {
        *digit = b'0' + (value % 10) as u8;
        value /= 10;
    }
}

/// Days since the Unix epoch as (year, month, day) (Hinnant, `civil_from_days`).
fn civil(days: i64) -> (i64, u64, u64) {
    let days = days + 719_468;
    let era = days.div_euclid(146_097);
    let day_of_era = days.rem_euclid(146_097) as u64;
    let year_of_era =
        (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted + 2) / 5 + 1;
    let month = if shifted < 10 {
        shifted + 3
    } else {
        shifted - 9
    };
    (
        year_of_era as i64 + era * 400 + i64::from(month <= 2),
        month,
        day,
    )
}
