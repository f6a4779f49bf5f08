//! What trades look like, and candles of a few by hand.

use super::*;

fn line(trades: &Trades, trade: &Trade) -> String {
    let mut out = Vec::new();
    trades.write_json(trade, &mut out);
    String::from_utf8(out).unwrap()
}

#[test]
fn a_trade_is_one_json_object_with_its_time_in_utc() {
    let mut trades = Trades::new(1_000, Activity::Zipf);
    let trade = trades.next(START_US + 1_000_010);
    let text = line(&trades, &trade);
    let value: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert_eq!(value["ts"], "2026-01-05T14:30:01.000010Z");
    assert_eq!(value["id"], 0);
    let cents = (value["price"].as_f64().unwrap() * 100.0).round() as i64;
    assert_eq!(cents, trade.cents);
    assert!((90..130).contains(&text.len()), "{text}");
    let leap = Trade {
        ts_us: 951_827_696_789_012,
        ..trade
    };
    assert!(line(&trades, &leap).contains("2000-02-29T12:34:56.789012Z"));
}

#[test]
fn the_same_seed_gives_the_same_trades() {
    let mut first = Trades::new(100, Activity::Zipf);
    let mut second = Trades::new(100, Activity::Zipf);
    for n in 0..1_000 {
        assert_eq!(first.next(n), second.next(n));
    }
}

#[test]
fn activity_is_by_zipf_or_in_turn() {
    let mut trades = Trades::new(1_000, Activity::Zipf);
    let mut counts = vec![0_u32; 1_000];
    for n in 0..200_000 {
        counts[trades.next(n).symbol] += 1;
    }
    assert!(counts.iter().all(|count| *count > 0));
    let ratio = f64::from(counts[0]) / f64::from(counts[9]);
    assert!((8.0..12.0).contains(&ratio), "{ratio}");
    let mut trades = Trades::new(3, Activity::InTurn);
    let symbols: Vec<usize> = (0..6).map(|n| trades.next(n).symbol).collect();
    assert_eq!(symbols, [0, 1, 2, 0, 1, 2]);
}

#[test]
fn symbols_have_names_of_their_own() {
    let names: std::collections::HashSet<String> = (0..1_000_000).map(symbol_name).collect();
    assert_eq!(names.len(), 1_000_000);
}

#[test]
fn candles_are_those_of_a_few_trades_by_hand() {
    let mut candles = Candles::new();
    let trade = |cents, size, ts_us| Trade {
        symbol: 0,
        cents,
        size,
        ts_us,
        venue: 0,
        id: 0,
    };
    for trade in [
        trade(1_000, 1, 10),
        trade(1_200, 2, 20),
        trade(900, 1, 999_999),
    ] {
        add(&mut candles, "A", &trade);
    }
    add(&mut candles, "A", &trade(500, 4, 1_000_000));
    finish(&mut candles);
    let expected = Candle {
        open: 10.0,
        high: 12.0,
        low: 9.0,
        close: 9.0,
        volume: 4,
        vwap: 10.75,
        trades: 3,
    };
    assert_eq!(candles[&(0, "A".to_owned())], expected);
    assert_eq!(candles[&(1_000_000, "A".to_owned())].vwap, 5.0);
    assert_eq!(candles.len(), 2);
}
