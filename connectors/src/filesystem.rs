//! Files as a source: JSON lines, CSV and Parquet, local or in an object store.
