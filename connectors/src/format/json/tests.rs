//! What JSON becomes which rows, and which becomes a reject.
