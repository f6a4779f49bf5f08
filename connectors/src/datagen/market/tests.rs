//! The market looks like one and repeats exactly.

use std::collections::HashMap;

use expect_test::expect;

use super::*;

const START_US: i64 = 1_704_205_800_000_000;

fn market() -> MarketGenerator {
    MarketGenerator::new(&MarketConfig {
        seed: 42,
        symbols: 150,
    })
}

#[test]
fn trades_repeat_exactly_and_are_pinned() {
    let (first, second) = (market(), market());
    let line = |market: &MarketGenerator, offset: u64| {
        let mut out = Vec::new();
        market
            .trade(offset, START_US + offset as i64 * 100)
            .write_json(&mut out);
        market
            .quote(offset, START_US + offset as i64 * 100)
            .write_json(&mut out);
        String::from_utf8(out).unwrap()
    };
    assert!(
        (0..1_000)
            .rev()
            .all(|offset| line(&first, offset) == line(&second, offset))
    );
    // Changing these lines changes every replay: recorded positions would name other rows.
    expect![[r#"
        {"symbol":"TSLA","price":252.51,"size":400,"side":"buy","ts":"2024-01-02T14:30:00.000000Z","venue":"XNAS","id":0}{"symbol":"GOOGL","bid":132.89,"ask":132.90,"bid_size":200,"ask_size":200,"ts":"2024-01-02T14:30:00.000000Z","venue":"ARCX"}
        {"symbol":"TSLA","price":252.28,"size":100,"side":"buy","ts":"2024-01-02T14:32:03.456700Z","venue":"XNAS","id":1234567}{"symbol":"CVX","bid":151.97,"ask":151.98,"bid_size":100,"ask_size":300,"ts":"2024-01-02T14:32:03.456700Z","venue":"XNYS"}"#]].assert_eq(&[line(&first, 0), line(&first, 1_234_567)].join("\n"));
}

#[test]
fn activity_is_skewed_and_prices_stay_near_their_level() {
    let market = market();
    let mut counts: HashMap<&str, u32> = HashMap::new();
    for offset in 0..100_000 {
        let trade = market.trade(offset, START_US + offset as i64 * 1_000);
        *counts.entry(trade.symbol).or_default() += 1;
        assert!(trade.price_cents > 0 && trade.size.is_multiple_of(100) && trade.size > 0);
    }
    assert!(
        (8_000..20_000).contains(&counts["AAPL"]),
        "AAPL {}",
        counts["AAPL"]
    );
    assert_eq!(counts.len(), 150);
    let apple: Vec<i64> = (0..20_000)
        .map(|offset| market.trade(offset, START_US + offset as i64 * 1_000))
        .filter(|trade| trade.symbol == "AAPL")
        .map(|trade| trade.price_cents)
        .collect();
    let (low, high) = (apple.iter().min().unwrap(), apple.iter().max().unwrap());
    assert!(
        high > low && *low > 15_000 && *high < 24_000,
        "{low} to {high}"
    );
}

#[test]
fn trades_happen_at_or_inside_the_quotes_of_their_moment() {
    let market = market();
    for offset in 0..20_000 {
        let quote = market.quote(offset, START_US);
        assert!(quote.bid_cents < quote.ask_cents);
        let trade = market.trade(offset, START_US);
        let (bid, ask) = (0..market.symbols.count())
            .find(|rank| &*market.symbols.get(*rank).ticker == trade.symbol)
            .map(|rank| market.best(rank, START_US))
            .unwrap();
        assert!((bid..=ask).contains(&trade.price_cents));
    }
}
