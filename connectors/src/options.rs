//! Typed reading of `WITH` options; unknown keys are refused with the nearest name.
