//! Differential tests: random views over random streams, run by the engine and by a brute-force
//! reference, must answer the same.
//!
//! ```text
//! seed ─▶ generate ─▶ case: what happens, who watches ─┬─▶ run: an engine, restarts and all ─▶ rows
//!                                                      └─▶ reference: all rows at once ─▶ rows
//!                                        differ? ─▶ shrink ─▶ the smallest case as SQL
//! ```
//!
//! Owns the meaning of queries by definition ([`reference`]) and the generation of cases. Never
//! decides by the engine's own code what is right.
//!
//! A case has two streams of several splits with disorder within what their watermarks allow, a
//! table of rows and a table with a primary key; batches are cut at random, and servers restart or
//! are replaced in between. No row is late, streams end, and so every window closes: the answer is
//! that of the same query over all rows, whatever the order. Every fifth case is another one: its
//! rows come too late, one write after the other, and [`late`] says which of them count.

pub mod campaign;
pub mod case;
pub mod expr;
pub mod generate;
pub mod late;
pub mod random;
pub mod reference;
pub mod rel;
pub mod run;
pub mod script;
pub mod shrink;
pub mod sql;
pub mod value;
