//! Stateless operators keep, repeat and mark rows as their contract says.
