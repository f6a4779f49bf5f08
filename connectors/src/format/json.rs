//! JSON objects to columns, driven by the schema.
