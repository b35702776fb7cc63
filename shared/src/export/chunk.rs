//! Chunks of a file.
//!
//! The platform answers at most 6 MB at once, so a chunk ends before 4 MB and says where the next one begins. Rows are
//! written as they come from the database, so a chunk's buffer is all that is held, however many rows there are.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use chrono::{DateTime, Utc};
use serde::Serialize;
use uuid::Uuid;

use super::csv::push_record;
use crate::db::{DbError, DbResult};

/// The most bytes of a chunk.
const MOST_BYTES: usize = 4_000_000;
/// The most rows of a chunk.
pub const MOST_ROWS: i64 = 25_000;

/// How the file is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// RFC 4180, with a header in the first chunk, cells guarded against being run as formulas.
    Csv,
    /// One `{"items":[…],"nextCursor":…}` per chunk.
    Json,
    /// One JSON object per line.
    Ndjson,
}

impl Format {
    /// Every word of it.
    pub const WORDS: &[&str] = &["csv", "json", "ndjson"];

    /// Reads a word.
    #[must_use]
    pub fn parse(word: &str) -> Option<Self> {
        match word {
            "csv" => Some(Self::Csv),
            "json" => Some(Self::Json),
            "ndjson" => Some(Self::Ndjson),
            _ => None,
        }
    }

    /// The media type.
    #[must_use]
    pub const fn media_type(self) -> &'static str {
        match self {
            Self::Csv => "text/csv; charset=utf-8",
            Self::Json => "application/json",
            Self::Ndjson => "application/x-ndjson",
        }
    }

    /// The word, which is the file's ending too.
    #[must_use]
    pub const fn extension(self) -> &'static str {
        match self {
            Self::Csv => "csv",
            Self::Json => "json",
            Self::Ndjson => "ndjson",
        }
    }
}

/// A position in an export: behind this row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Position {
    /// The row's time.
    pub at: DateTime<Utc>,
    /// The row.
    pub id: Uuid,
}

impl Position {
    /// Reads a cursor.
    #[must_use]
    pub fn parse(cursor: &str) -> Option<Self> {
        Self::parse_with(cursor).map(|(position, _)| position)
    }

    /// Reads a cursor that carries something more.
    #[must_use]
    pub fn parse_with(cursor: &str) -> Option<(Self, String)> {
        let text = String::from_utf8(URL_SAFE_NO_PAD.decode(cursor).ok()?).ok()?;
        let mut parts = text.splitn(3, '|');
        let at = DateTime::from_timestamp_micros(parts.next()?.parse().ok()?)?;
        let id = parts.next()?.parse().ok()?;
        Some((Self { at, id }, parts.next().unwrap_or_default().to_owned()))
    }

    /// The cursor.
    #[must_use]
    pub fn cursor(&self) -> String {
        URL_SAFE_NO_PAD.encode(format!("{}|{}", self.at.timestamp_micros(), self.id))
    }

    /// The cursor with something more to carry.
    #[must_use]
    pub fn cursor_with(&self, more: &str) -> String {
        URL_SAFE_NO_PAD.encode(format!("{}|{}|{more}", self.at.timestamp_micros(), self.id))
    }
}

/// One part of the file.
#[derive(Debug)]
pub struct Chunk {
    /// The bytes.
    pub body: Vec<u8>,
    /// Where the next part begins; none after the last one.
    pub next_cursor: Option<String>,
    /// How many rows it has.
    pub rows: i64,
}

/// A row that can leave: as JSON by its own shape, as CSV by its cells.
pub trait ExportRow: Serialize {
    /// Its cells, as many as the header has.
    fn cells(&self) -> Vec<String>;
}

/// A chunk that is being written.
pub struct File {
    format: Format,
    body: Vec<u8>,
    scratch: Vec<u8>,
    rows: i64,
    most_rows: i64,
}

impl File {
    /// Begins a chunk of at most `most_rows`; the first one of a CSV file begins with the header.
    pub fn begin<'a>(
        format: Format,
        header: Option<impl IntoIterator<Item = &'a str>>,
        most_rows: i64,
    ) -> Self {
        let mut body = Vec::new();
        match (format, header) {
            (Format::Csv, Some(header)) => push_record(&mut body, header),
            (Format::Csv | Format::Ndjson, _) => {}
            (Format::Json, _) => body.extend_from_slice(br#"{"items":["#),
        }
        Self { format, body, scratch: Vec::new(), rows: 0, most_rows }
    }

    /// Appends a row, or answers `false` when the chunk is full. A chunk has at least one row.
    ///
    /// # Errors
    /// When the row cannot be written as JSON, which would be a defect.
    pub fn push(&mut self, row: &impl ExportRow) -> DbResult<bool> {
        if self.rows == self.most_rows {
            return Ok(false);
        }
        self.scratch.clear();
        match self.format {
            Format::Csv => push_record(&mut self.scratch, row.cells().iter().map(String::as_str)),
            Format::Json | Format::Ndjson => {
                if self.format == Format::Json && self.rows > 0 {
                    self.scratch.push(b',');
                }
                serde_json::to_writer(&mut self.scratch, row)
                    .map_err(|error| DbError::Defect(error.to_string()))?;
                if self.format == Format::Ndjson {
                    self.scratch.push(b'\n');
                }
            }
        }
        // The end of a JSON chunk holds the cursor, for which there is room.
        if self.rows > 0 && self.body.len() + self.scratch.len() + 8_000 > MOST_BYTES {
            return Ok(false);
        }
        self.body.extend_from_slice(&self.scratch);
        self.rows += 1;
        Ok(true)
    }

    /// Ends the chunk.
    #[must_use]
    pub fn end(mut self, next_cursor: Option<String>) -> Chunk {
        if self.format == Format::Json {
            // A cursor is base64 and needs no escaping.
            let cursor =
                next_cursor.as_ref().map_or_else(|| "null".to_owned(), |cursor| format!("\"{cursor}\""));
            self.body.extend_from_slice(format!(r#"],"nextCursor":{cursor}}}"#).as_bytes());
        }
        Chunk { body: self.body, next_cursor, rows: self.rows }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_reads_back_and_nonsense_does_not() {
        let position =
            Position { at: "2026-03-01T09:00:00.123456Z".parse().unwrap(), id: Uuid::from_u128(7) };
        assert_eq!(Position::parse(&position.cursor()), Some(position));
        assert_eq!(
            Position::parse_with(&position.cursor_with("goal,a|b")),
            Some((position, "goal,a|b".to_owned()))
        );
        for text in ["", "x", "MTIz", "fHx8"] {
            assert_eq!(Position::parse(text), None, "{text}");
        }
    }
}
