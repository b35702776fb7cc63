//! Rows on their way out: files that open safely, in chunks that follow each other.

pub mod csv;
pub mod link;
