//! Events have the ids, proportions and hot keys of the benchmark.

use super::*;

#[test]
fn rows_of_a_type_are_numbered_among_all_events() {
    let first = |kind: Kind| -> Vec<u64> { (0..5).map(|row| kind.event_of(row)).collect() };
    assert_eq!(first(Kind::Person), [0, 50, 100, 150, 200]);
    assert_eq!(first(Kind::Auction), [1, 2, 3, 51, 52]);
    assert_eq!(first(Kind::Bid), [4, 5, 6, 7, 8]);
    for kind in [Kind::Person, Kind::Auction, Kind::Bid] {
        for row in 0..500 {
            // As many come before an event as its number among those of its type says.
            assert_eq!(kind.rows_of(kind.event_of(row)), row, "{kind:?}");
        }
    }
}

#[test]
fn ids_count_up_in_the_order_of_events() {
    let events = Events::new(1);
    for row in 0..300 {
        let number = i64::try_from(row).unwrap();
        assert_eq!(events.person(Kind::Person.event_of(row)).id, 1_000 + number);
        assert_eq!(
            events.auction(Kind::Auction.event_of(row)).id,
            1_000 + number
        );
    }
}

#[test]
fn bids_are_on_auctions_and_by_people_that_exist_or_soon_will() {
    let events = Events::new(3);
    let (mut hot_auctions, mut hot_bidders, count) = (0, 0, 40_000);
    for row in 0..count {
        let event = Kind::Bid.event_of(row);
        let bid = events.bid(event);
        let last_auction = i64::try_from(auction_of(event)).unwrap() + 1_000;
        let last_person = i64::try_from(person_of(event)).unwrap() + 1_000;
        assert!(
            (1_000..=last_auction + 10).contains(&bid.auction),
            "{event}"
        );
        assert!((1_000..=last_person + 10).contains(&bid.bidder), "{event}");
        assert!((100..100_000_000).contains(&bid.price), "{event}");
        hot_auctions += u64::from(bid.auction % 100 == 0);
        hot_bidders += u64::from(bid.bidder % 100 == 1);
    }
    // Half of the bids, and three quarters, with what is hot by chance.
    assert!(
        (48..56).contains(&(hot_auctions * 100 / count)),
        "{hot_auctions}"
    );
    assert!(
        (73..79).contains(&(hot_bidders * 100 / count)),
        "{hot_bidders}"
    );
}

#[test]
fn other_seeds_make_other_events() {
    let event = Kind::Bid.event_of(77);
    let (one, same, other) = (Events::new(1), Events::new(1), Events::new(2));
    assert_eq!(one.bid(event).price, same.bid(event).price);
    let differs = |row: u64| {
        let event = Kind::Bid.event_of(row);
        one.bid(event).price != other.bid(event).price
    };
    assert!((0..100).filter(|row| differs(*row)).count() > 90);
}
