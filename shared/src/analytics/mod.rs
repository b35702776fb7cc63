//! Calls to action and what became of them.
