//! A wrong answer is never measured.

use super::*;

#[test]
fn every_difference_is_found() {
    let candle = Candle {
        open: 1.0,
        high: 2.0,
        low: 0.5,
        close: 1.5,
        volume: 10,
        vwap: 1.25,
        trades: 3,
    };
    let key = |window: i64| (window, "A".to_owned());
    let expected = Candles::from([(key(0), candle), (key(1), candle)]);
    assert!(compare("x", &expected, &expected).is_ok());
    let rounded = Candle {
        vwap: 1.25 + 1e-12,
        ..candle
    };
    let found = Candles::from([(key(0), candle), (key(1), rounded)]);
    assert!(compare("x", &expected, &found).is_ok());
    for wrong in [
        Candle {
            vwap: 1.26,
            ..candle
        },
        Candle {
            close: 1.25,
            ..candle
        },
        Candle {
            trades: 4,
            ..candle
        },
    ] {
        let found = Candles::from([(key(0), candle), (key(1), wrong)]);
        assert!(compare("x", &expected, &found).is_err(), "{wrong:?}");
    }
    let less = Candles::from([(key(0), candle)]);
    assert!(compare("x", &expected, &less).is_err());
    assert!(compare("x", &less, &expected).is_err());
}
