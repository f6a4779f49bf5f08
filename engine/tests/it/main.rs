//! The engine as a protocol sees it: real tables, views and connectors, a store on local disk.

mod harness;

mod alignment;
mod alter;
mod clock;
mod cursors;
mod definitions;
mod deltas;
mod flat_state;
mod functions;
mod joins;
mod reads;
mod recovery;
mod retention;
mod subscriptions;
mod system;
mod transactions;
mod upserts;
