//! CSV lines to columns.
