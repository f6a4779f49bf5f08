//! People, auctions and bids by number: ids, hot keys and texts after the benchmark's public
//! generators. Owns what an event looks like; never reads a clock and keeps no history.
//!
//! Events are numbered through all types. Of each 50 the first is a person, the next three are
//! auctions, the others bids. Ids of people and auctions count up from 1000 in that order, so any
//! event knows which of them exist without having seen them.

use crate::datagen::noise::{Stream, scale};

/// Events of each type among 50.
pub const PEOPLE: u64 = 1;
/// See [`PEOPLE`].
pub const AUCTIONS: u64 = 3;
/// See [`PEOPLE`].
pub const BIDS: u64 = 46;
/// All of them.
pub const ALL: u64 = PEOPLE + AUCTIONS + BIDS;

/// The first id of a person and of an auction.
const FIRST_ID: u64 = 1_000;
/// The first id of a category, and how many there are.
const FIRST_CATEGORY: u64 = 10;
const CATEGORIES: u64 = 5;
/// People who may be chosen when no hot one is: the last so many.
const ACTIVE_PEOPLE: u64 = 1_000;
/// Auctions that are open at a time.
const OPEN_AUCTIONS: u64 = 100;
/// Ids up to so many ahead of what exists may be chosen: events may overtake each other.
const LEAD: u64 = 10;
/// One id in so many is hot.
const HOT_EVERY: u64 = 100;
/// Bids on a hot auction: all but one in so many; likewise bidders, sellers, channels.
const HOT_AUCTION_RATIO: u64 = 2;
const HOT_BIDDER_RATIO: u64 = 4;
const HOT_SELLER_RATIO: u64 = 4;
const HOT_CHANNEL_RATIO: u64 = 2;
/// Channels that are not hot.
const CHANNELS: u64 = 10_000;

const HOT_CHANNELS: [&str; 4] = ["Google", "Facebook", "Baidu", "Apple"];
const FIRST_NAMES: [&str; 11] = [
    "Peter", "Paul", "Luke", "John", "Saul", "Vicky", "Kate", "Julie", "Sarah", "Deiter", "Walter",
];
const LAST_NAMES: [&str; 9] = [
    "Shultz", "Abrams", "Spencer", "White", "Bartels", "Walton", "Smith", "Jones", "Noris",
];
/// Cities with their states.
const CITIES: [(&str, &str); 10] = [
    ("Phoenix", "AZ"),
    ("Los Angeles", "CA"),
    ("San Francisco", "CA"),
    ("Boise", "ID"),
    ("Portland", "OR"),
    ("Bend", "OR"),
    ("Redmond", "WA"),
    ("Seattle", "WA"),
    ("Kent", "WA"),
    ("Cheyenne", "WY"),
];

/// Which events.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// People who register.
    Person,
    /// Auctions that open.
    Auction,
    /// Bids on auctions.
    Bid,
}

impl Kind {
    /// The number among all events of number `row` among those of this type.
    pub fn event_of(self, row: u64) -> u64 {
        let (share, before) = self.share();
        (row / share)
            .saturating_mul(ALL)
            .saturating_add(before + row % share)
    }

    /// How many of the first `events` are of this type.
    pub fn rows_of(self, events: u64) -> u64 {
        let (share, before) = self.share();
        events / ALL * share + (events % ALL).saturating_sub(before).min(share)
    }

    /// How many there are among 50, and how many of other types come before.
    pub const fn share(self) -> (u64, u64) {
        match self {
            Self::Person => (PEOPLE, 0),
            Self::Auction => (AUCTIONS, PEOPLE),
            Self::Bid => (BIDS, PEOPLE + AUCTIONS),
        }
    }
}

/// Makes the fields of events. Any of them can be asked for in any order, from any thread.
#[derive(Clone, Copy, Debug)]
pub struct Events {
    seed: u64,
}

/// The random numbers of one event, in the order in which they are drawn.
pub struct Draw {
    stream: Stream,
    drawn: u64,
}

impl Draw {
    /// A number in [0, bound).
    fn below(&mut self, bound: u64) -> u64 {
        let bits = self.stream.at(self.drawn);
        self.drawn += 1;
        scale(bits, bound)
    }

    /// Whether something hot is chosen.
    fn hot(&mut self, ratio: u64) -> bool {
        self.below(ratio) > 0
    }

    fn one_of<T: Copy, const N: usize>(&mut self, choices: [T; N]) -> T {
        choices[self.below(N as u64) as usize]
    }

    /// Letters, `length_max` at most; words as long as the benchmark's.
    fn text(&mut self, length_max: u64) -> String {
        let length = 3 + self.below(length_max.saturating_sub(3).max(1));
        let mut letter = || match self.below(13) {
            0 => ' ',
            _ => char::from(b'a' + self.below(26) as u8),
        };
        let text: String = (0..length).map(|_| letter()).collect();
        text.trim().to_owned()
    }

    /// A price in cents: from a dollar to a million, evenly over the orders of magnitude.
    fn price(&mut self) -> i64 {
        // 10^(6 f) without libm, whose last bit differs between machines: the order of magnitude,
        // then evenly within it.
        let order = self.below(6) as u32;
        let start = 100 * 10_u64.pow(order);
        (start + self.below(9 * start)) as i64
    }
}

/// A person.
pub struct Person {
    /// Its id.
    pub id: i64,
    /// First and last name.
    pub name: String,
    /// E-mail address.
    pub email: String,
    /// Four groups of four digits.
    pub card: String,
    /// City and state.
    pub city: (&'static str, &'static str),
}

/// An auction.
pub struct Auction {
    /// Its id.
    pub id: i64,
    /// What is sold.
    pub item: String,
    /// In more words.
    pub description: String,
    /// The first price, in cents.
    pub initial_bid: i64,
    /// The least price that it is sold for.
    pub reserve: i64,
    /// How many events after its own it closes; at least one.
    pub open_events: u64,
    /// Who sells.
    pub seller: i64,
    /// What kind of thing it is.
    pub category: i64,
}

/// A bid.
pub struct Bid {
    /// On which auction.
    pub auction: i64,
    /// By whom.
    pub bidder: i64,
    /// In cents.
    pub price: i64,
    /// Where the bidder came from.
    pub channel: String,
    /// The page it was made on.
    pub url: String,
}

impl Events {
    /// The events of `seed`.
    pub const fn new(seed: u64) -> Self {
        Self { seed }
    }

    fn draw(self, event: u64) -> Draw {
        Draw {
            stream: Stream::new(self.seed, event),
            drawn: 0,
        }
    }

    /// The filler of an event, that none of the queries reads.
    pub fn extra(self, event: u64) -> String {
        let mut draw = Draw {
            stream: Stream::new(!self.seed, event),
            drawn: 0,
        };
        draw.text(40)
    }

    /// The person that event `event` is.
    pub fn person(self, event: u64) -> Person {
        let mut draw = self.draw(event);
        let name = format!("{} {}", draw.one_of(FIRST_NAMES), draw.one_of(LAST_NAMES));
        let email = format!("{}@{}.com", draw.text(7), draw.text(5)).replace(' ', "");
        let groups: Vec<String> = (0..4)
            .map(|_| format!("{:04}", draw.below(10_000)))
            .collect();
        Person {
            id: id(person_of(event)),
            name,
            email,
            card: groups.join(" "),
            city: draw.one_of(CITIES),
        }
    }

    /// The auction that event `event` is.
    pub fn auction(self, event: u64) -> Auction {
        let mut draw = self.draw(event);
        let seller = if draw.hot(HOT_SELLER_RATIO) {
            person_of(event) / HOT_EVERY * HOT_EVERY
        } else {
            some_person(event, &mut draw)
        };
        let category = FIRST_CATEGORY + draw.below(CATEGORIES);
        let initial_bid = draw.price();
        // On average as long as it takes to open as many others as are open at a time.
        let horizon = OPEN_AUCTIONS * ALL / AUCTIONS;
        Auction {
            id: id(auction_of(event)),
            initial_bid,
            reserve: initial_bid + draw.price(),
            open_events: 1 + draw.below(2 * horizon),
            item: draw.text(20),
            description: draw.text(100),
            seller: id(seller),
            category: i64::try_from(category).unwrap_or(i64::MAX),
        }
    }

    /// The bid that event `event` is.
    pub fn bid(self, event: u64) -> Bid {
        let mut draw = self.draw(event);
        let auction = if draw.hot(HOT_AUCTION_RATIO) {
            auction_of(event) / HOT_EVERY * HOT_EVERY
        } else {
            let last = auction_of(event);
            let first = last.saturating_sub(OPEN_AUCTIONS);
            first + draw.below(last - first + 1 + LEAD)
        };
        let bidder = if draw.hot(HOT_BIDDER_RATIO) {
            person_of(event) / HOT_EVERY * HOT_EVERY + 1
        } else {
            some_person(event, &mut draw)
        };
        let price = draw.price();
        let (channel, url) = channel(&mut draw);
        Bid {
            auction: id(auction),
            bidder: id(bidder),
            price,
            channel,
            url,
        }
    }
}

fn id(number: u64) -> i64 {
    i64::try_from(FIRST_ID.saturating_add(number)).unwrap_or(i64::MAX)
}

/// The number of the last person that exists at event `event`.
const fn person_of(event: u64) -> u64 {
    event / ALL
}

/// The number of the last auction that exists at event `event`; before the first one, that.
fn auction_of(event: u64) -> u64 {
    Kind::Auction
        .rows_of(event.saturating_add(1))
        .saturating_sub(1)
}

/// One of the people who are active, or of those who soon will be.
fn some_person(event: u64, draw: &mut Draw) -> u64 {
    let people = person_of(event) + 1;
    let active = people.min(ACTIVE_PEOPLE);
    people - active + draw.below(active + LEAD)
}

fn channel(draw: &mut Draw) -> (String, String) {
    if draw.hot(HOT_CHANNEL_RATIO) {
        let hot = draw.below(HOT_CHANNELS.len() as u64);
        // The page of a hot channel is one and the same.
        let mut page = Draw {
            stream: Stream::new(hot, u64::MAX),
            drawn: 0,
        };
        return (HOT_CHANNELS[hot as usize].to_owned(), url(&mut page));
    }
    let number = draw.below(CHANNELS);
    let mut url = url(draw);
    // Nine in ten say which channel it was.
    if draw.below(10) > 0 {
        url.push_str(&format!("&channel_id={}", number.reverse_bits() >> 33));
    }
    (format!("channel-{number}"), url)
}

fn url(draw: &mut Draw) -> String {
    let mut word = || draw.text(5).replace(' ', "_");
    format!(
        "https://www.nexmark.com/{}/{}/{}/item.htm?query=1",
        word(),
        word(),
        word()
    )
}

#[cfg(test)]
mod tests;
