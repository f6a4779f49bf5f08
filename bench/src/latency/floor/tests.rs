//! The time that a trade carries is read back.

use super::*;
use crate::trades::{Activity, START_US, Trades};

#[test]
fn a_trade_says_when_it_was_due() {
    let mut market = Trades::new(10, Activity::Zipf);
    for ts_us in [START_US, START_US + 12_345_678_901, 951_827_696_789_012, 0] {
        let mut line = Vec::new();
        let trade = market.next(ts_us);
        market.write_json(&trade, &mut line);
        assert_eq!(time_of(&line), Some(ts_us));
    }
    assert_eq!(time_of(b"{}"), None);
}
