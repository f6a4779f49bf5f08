//! Tests of the calendar: known days, and every month against its neighbour.

use super::{first_day_of_month, month_of_day};

#[test]
fn known_days() {
    let check = |day: i64, year: i64, month: i64| {
        assert_eq!(month_of_day(day), year * 12 + month - 1, "day {day}");
    };
    check(0, 1970, 1);
    check(-1, 1969, 12);
    check(10_957, 2000, 1);
    check(11_016, 2000, 2);
    check(11_017, 2000, 3);
    check(-719_468, 0, 3);
    check(-719_529, -1, 12);
}

#[test]
fn months_follow_each_other_without_gap() {
    for month in -5_000 * 12..5_000 * 12 {
        let (first, next) = (first_day_of_month(month), first_day_of_month(month + 1));
        assert!((28..=31).contains(&(next - first)), "month {month}");
        assert_eq!(month_of_day(first), month);
        assert_eq!(month_of_day(next - 1), month);
    }
}
