//! Trades and quotes as JSON, one object without a line end. Written by hand: a generator that
//! feeds a benchmark must not be its bottleneck.

use super::{Quote, Trade};
use crate::datagen::text::{push_cents, push_integer, push_timestamp_us};

impl Trade<'_> {
    /// Appends `{"symbol":"AAPL","price":189.23,"size":100,"side":"buy",…}` with `ts`, `venue`,
    /// `id`.
    pub fn write_json(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(b"{\"symbol\":\"");
        out.extend_from_slice(self.symbol.as_bytes());
        out.extend_from_slice(b"\",\"price\":");
        push_cents(self.price_cents, out);
        out.extend_from_slice(b",\"size\":");
        push_integer(u64::from(self.size), out);
        out.extend_from_slice(b",\"side\":\"");
        out.extend_from_slice(self.side.name().as_bytes());
        out.extend_from_slice(b"\",\"ts\":\"");
        push_timestamp_us(self.ts_us, out);
        out.extend_from_slice(b"\",\"venue\":\"");
        out.extend_from_slice(self.venue.as_bytes());
        out.extend_from_slice(b"\",\"id\":");
        push_integer(self.id, out);
        out.push(b'}');
    }
}

impl Quote<'_> {
    /// Appends `{"symbol":"AAPL","bid":189.22,"ask":189.23,…}` with sizes, `ts` and `venue`.
    pub fn write_json(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(b"{\"symbol\":\"");
        out.extend_from_slice(self.symbol.as_bytes());
        out.extend_from_slice(b"\",\"bid\":");
        push_cents(self.bid_cents, out);
        out.extend_from_slice(b",\"ask\":");
        push_cents(self.ask_cents, out);
        out.extend_from_slice(b",\"bid_size\":");
        push_integer(u64::from(self.bid_size), out);
        out.extend_from_slice(b",\"ask_size\":");
        push_integer(u64::from(self.ask_size), out);
        out.extend_from_slice(b",\"ts\":\"");
        push_timestamp_us(self.ts_us, out);
        out.extend_from_slice(b"\",\"venue\":\"");
        out.extend_from_slice(self.venue.as_bytes());
        out.extend_from_slice(b"\"}");
    }
}
