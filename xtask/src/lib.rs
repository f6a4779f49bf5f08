//! The project's own checks: house rules, crate arrows, deployment manifests, changelog.
//!
//! Reading order: [`tree`] (what is checked), [`tidy`] (the rules), [`manifests`], [`changelog`],
//! [`wrap`].
//!
//! Invariant: a rule is a pure function of the [`tree::Tree`]; only [`tree`] and `main.rs` touch
//! the machine.

pub mod changelog;
pub mod finding;
pub mod manifests;
pub mod rust_text;
pub mod tidy;
pub mod tree;
pub mod wrap;
