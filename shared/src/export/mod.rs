//! Rows on their way out: files that open safely, in chunks that follow each other.

mod answer;
mod chunk;
pub mod csv;
pub mod link;

pub use answer::{answer, read_request};
pub use chunk::{Chunk, ExportRow, File, Format, MOST_ROWS, Position};
