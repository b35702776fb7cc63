//! The export: all events of a range, oldest first, in chunks.

use chrono::{DateTime, SecondsFormat, Utc};
use futures::TryStreamExt;
use sqlx::QueryBuilder;

use super::{CtaEvent, CtaFilter, list::SELECT};
use crate::{
    auth::Owners,
    db::{DbResult, TenantTx},
    export::{Chunk, ExportRow, File, Format, Position},
    private::Private,
};

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
    let mut file = File::begin(format, after.is_none().then_some(COLUMNS), rows);
    let mut last = None;
    let mut more = false;
    let mut events = select.build_query_as::<CtaEvent>().fetch(tx.conn());
    while let Some(event) = events.try_next().await? {
        if !file.push(&event)? {
            more = true;
            break;
        }
        last = Some(Position { at: event.occurred_at, id: event.id });
    }
    drop(events);
    Ok(file.end(last.filter(|_| more).map(|position| position.cursor())))
}

impl ExportRow for CtaEvent {
    fn cells(&self) -> Vec<String> {
        let text = |value: Option<&String>| value.cloned().unwrap_or_default();
        let private =
            |value: Option<&Private<String>>| value.map(|value| value.expose().clone()).unwrap_or_default();
        let time = |at: DateTime<Utc>| at.to_rfc3339_opts(SecondsFormat::Micros, true);
        vec![
            self.id.to_string(),
            self.event_id.clone(),
            self.surface.clone(),
            self.cta_id.clone(),
            self.kind.clone(),
            time(self.occurred_at),
            time(self.recorded_at),
            private(self.visitor_id.as_ref()),
            text(self.visitor_hash.as_ref()),
            self.lead_id.map(|id| id.to_string()).unwrap_or_default(),
            private(self.page.as_ref()),
            private(self.referrer.as_ref()),
            self.utm.to_string(),
            self.click_ids.to_string(),
            text(self.variant.as_ref()),
            self.value.map(|value| value.to_string()).unwrap_or_default(),
            text(self.device.as_ref()),
            self.is_bot.to_string(),
        ]
    }
}
