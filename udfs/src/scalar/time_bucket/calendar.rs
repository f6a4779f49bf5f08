//! Days and months of the proleptic Gregorian calendar, for any year that fits 64 bits.
//!
//! Algorithms: Howard Hinnant, "chrono-compatible low-level date algorithms".

/// Returns the number of months from January of year 0 to the month of `day`, a count of days
/// since 1970-01-01.
pub(super) fn month_of_day(day: i64) -> i64 {
    let shifted = day + 719_468;
    let era = shifted.div_euclid(146_097);
    let day_of_era = shifted.rem_euclid(146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    // Months are counted from March here, so that the leap day ends a year.
    let month_from_march = (5 * day_of_year + 2) / 153;
    (year_of_era + era * 400) * 12 + month_from_march + 2
}

/// Returns the day since 1970-01-01 on which a month begins; `month` counts as in
/// [`month_of_day`].
pub(super) fn first_day_of_month(month: i64) -> i64 {
    let from_march = month - 2;
    let year = from_march.div_euclid(12);
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let day_of_year = (153 * from_march.rem_euclid(12) + 2) / 5;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    era * 146_097 + day_of_era - 719_468
}

#[cfg(test)]
mod tests;
