//! The seeded market generator: rows as a pure function of seed and offset.
