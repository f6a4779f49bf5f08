//! Dates and times of every shape.
