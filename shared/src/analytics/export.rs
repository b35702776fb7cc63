//! The export: all events of a range, oldest first, in chunks.
//!
//! The platform answers at most 6 MB at once, so a chunk ends before 4 MB and says where the next one begins. Rows are
//! written as they come from the database, so a chunk's buffer is all that is held, however many rows there are.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use chrono::{DateTime, SecondsFormat, Utc};
use futures::TryStreamExt;
use sqlx::QueryBuilder;
use uuid::Uuid;

use super::{CtaEvent, CtaFilter, list::SELECT};
use crate::{
    auth::Owners,
    db::{DbError, DbResult, TenantTx},
    export::csv::push_record,
    private::Private,
};

/// The most bytes of a chunk.
const MOST_BYTES: usize = 4_000_000;
/// The most rows of a chunk.
pub const MOST_ROWS: i64 = 25_000;

const COLUMNS: [&str; 18] = [
    "id",
    "eventId",
    "surface",
    "ctaId",
    "kind",
    "occurredAt",
    "recordedAt",
    "visitorId",
    "visitorHash",
    "leadId",
    "page",
    "referrer",
    "utm",
    "clickIds",
    "variant",
    "value",
    "device",
    "isBot",
];

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

    /// The file's ending.
    #[must_use]
    pub const fn extension(self) -> &'static str {
        match self {
            Self::Csv => "csv",
            Self::Json => "json",
            Self::Ndjson => "ndjson",
        }
    }
}

/// A position in the export: behind this event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Position {
    at: DateTime<Utc>,
    id: Uuid,
}

impl Position {
    /// Reads a cursor.
    #[must_use]
    pub fn parse(cursor: &str) -> Option<Self> {
        let text = String::from_utf8(URL_SAFE_NO_PAD.decode(cursor).ok()?).ok()?;
        let (at, id) = text.split_once('|')?;
        Some(Self { at: DateTime::from_timestamp_micros(at.parse().ok()?)?, id: id.parse().ok()? })
    }

    fn cursor(&self) -> String {
        URL_SAFE_NO_PAD.encode(format!("{}|{}", self.at.timestamp_micros(), self.id))
    }
}

/// One part of the file.
#[derive(Debug)]
pub struct Chunk {
    /// The bytes.
    pub body: Vec<u8>,
    /// Where the next part begins; none after the last one.
    pub next_cursor: Option<String>,
}

/// Reads the part of the file that begins behind `after`, of at most `rows` rows.
///
/// # Errors
/// When the database refuses.
pub async fn read_chunk(
    tx: &mut TenantTx,
    filter: &CtaFilter,
    format: Format,
    after: Option<Position>,
    rows: i64,
    own_records_of: Owners<'_>,
) -> DbResult<Chunk> {
    let mut select = QueryBuilder::new(SELECT);
    filter.push(&mut select, tx.tenant(), own_records_of);
    if let Some(position) = after {
        select
            .push(" and (e.occurred_at, e.id) > (")
            .push_bind(position.at)
            .push(", ")
            .push_bind(position.id)
            .push(")");
    }
    select.push(" order by e.occurred_at, e.id limit ").push_bind(rows + 1);
    let mut file = File::begin(format, after.is_none());
    let mut written = 0;
    let mut last = None;
    let mut more = false;
    let mut events = select.build_query_as::<CtaEvent>().fetch(tx.conn());
    while let Some(event) = events.try_next().await? {
        if written == rows || !file.push(&event)? {
            more = true;
            break;
        }
        written += 1;
        last = Some(Position { at: event.occurred_at, id: event.id });
    }
    drop(events);
    let next_cursor = last.filter(|_| more).map(|position| position.cursor());
    Ok(Chunk { body: file.end(next_cursor.as_deref()), next_cursor })
}

struct File {
    format: Format,
    body: Vec<u8>,
    scratch: Vec<u8>,
    empty: bool,
}

impl File {
    fn begin(format: Format, first: bool) -> Self {
        let mut body = Vec::new();
        match format {
            Format::Csv if first => push_record(&mut body, COLUMNS),
            Format::Csv | Format::Ndjson => {}
            Format::Json => body.extend_from_slice(br#"{"items":["#),
        }
        Self { format, body, scratch: Vec::new(), empty: true }
    }

    /// Appends a row, or answers `false` when the chunk is full. A chunk has at least one row.
    fn push(&mut self, event: &CtaEvent) -> DbResult<bool> {
        self.scratch.clear();
        match self.format {
            Format::Csv => push_csv(&mut self.scratch, event),
            Format::Json | Format::Ndjson => {
                if self.format == Format::Json && !self.empty {
                    self.scratch.push(b',');
                }
                serde_json::to_writer(&mut self.scratch, event)
                    .map_err(|error| DbError::Defect(error.to_string()))?;
                if self.format == Format::Ndjson {
                    self.scratch.push(b'\n');
                }
            }
        }
        // The end of a JSON chunk holds the cursor, which is shorter than this.
        if !self.empty && self.body.len() + self.scratch.len() + 200 > MOST_BYTES {
            return Ok(false);
        }
        self.body.extend_from_slice(&self.scratch);
        self.empty = false;
        Ok(true)
    }

    fn end(mut self, next_cursor: Option<&str>) -> Vec<u8> {
        if self.format == Format::Json {
            // A cursor is base64 and needs no escaping.
            let cursor = next_cursor.map_or_else(|| "null".to_owned(), |cursor| format!("\"{cursor}\""));
            self.body.extend_from_slice(format!(r#"],"nextCursor":{cursor}}}"#).as_bytes());
        }
        self.body
    }
}

fn push_csv(out: &mut Vec<u8>, event: &CtaEvent) {
    let text = |value: Option<&String>| value.cloned().unwrap_or_default();
    let private =
        |value: Option<&Private<String>>| value.map(|value| value.expose().clone()).unwrap_or_default();
    let time = |at: DateTime<Utc>| at.to_rfc3339_opts(SecondsFormat::Micros, true);
    let cells = [
        event.id.to_string(),
        event.event_id.clone(),
        event.surface.clone(),
        event.cta_id.clone(),
        event.kind.clone(),
        time(event.occurred_at),
        time(event.recorded_at),
        private(event.visitor_id.as_ref()),
        text(event.visitor_hash.as_ref()),
        event.lead_id.map(|id| id.to_string()).unwrap_or_default(),
        private(event.page.as_ref()),
        private(event.referrer.as_ref()),
        event.utm.to_string(),
        event.click_ids.to_string(),
        text(event.variant.as_ref()),
        event.value.map(|value| value.to_string()).unwrap_or_default(),
        text(event.device.as_ref()),
        event.is_bot.to_string(),
    ];
    push_record(out, cells.iter().map(String::as_str));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_reads_back_and_nonsense_does_not() {
        let position =
            Position { at: "2026-03-01T09:00:00.123456Z".parse().unwrap(), id: Uuid::from_u128(7) };
        assert_eq!(Position::parse(&position.cursor()), Some(position));
        for text in ["", "x", "MTIz", "fHx8"] {
            assert_eq!(Position::parse(text), None, "{text}");
        }
    }
}
