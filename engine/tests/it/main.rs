//! The engine as a protocol sees it: real tables, views and connectors, a store on local disk.

mod harness;

mod cursors;
mod definitions;
mod joins;
mod reads;
mod recovery;
mod subscriptions;
mod system;
mod transactions;
mod upserts;
