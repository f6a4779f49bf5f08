//! Names, units and help of every metric of this crate.
