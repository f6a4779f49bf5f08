//! TimescaleDB and plain PostgreSQL as a sink.
