//! Windows over rows at rest.
