//! Numbers of every shape, against exact expectations.
