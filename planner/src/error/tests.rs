//! Hints name what is near and nothing else.

use super::{Cause, PlanError, nearest_name};

#[test]
fn a_near_name_is_found_and_a_far_one_is_not() {
    let known = ["trades", "quotes", "ohlc_1m"];
    assert_eq!(nearest_name("trade", known), Some("trades"));
    assert_eq!(nearest_name("qoutes", known), Some("quotes"));
    assert_eq!(nearest_name("ohlc_1s", known), Some("ohlc_1m"));
    assert_eq!(nearest_name("orders", known), None);
}

#[test]
fn the_first_position_wins_and_moves_with_its_text() {
    let error = PlanError::new(Cause::UnknownRelation {
        name: "t".to_owned(),
    });
    let error = error.at(5).at(9).shifted(10);
    assert_eq!(error.position(), Some(15));
}
