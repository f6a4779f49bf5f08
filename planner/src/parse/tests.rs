//! Statements are classified, split and positioned.
