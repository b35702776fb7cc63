//! The export of leads: who matches a list's filter, oldest first, in chunks.
//!
//! What it writes, the import reads back: names of columns and fields are the API's, further addresses, numbers and foreign ids and the latest word on
//! each consent are with the lead. A CSV file has a column for each custom field that is defined (or, without definitions, in use) when the file
//! begins; the cursor carries their names, so that every chunk has the same columns. Values under other keys are in `customFields`.

use chrono::{DateTime, SecondsFormat, Utc};
use futures::TryStreamExt;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use sqlx::{FromRow, QueryBuilder, types::Json};
use uuid::Uuid;

use super::{
    Definitions, Lead, LeadFilter,
    custom_fields::{cell, list_cell},
    list::COLUMNS,
    search::Narrowed,
};
use crate::{
    auth::Owners,
    db::{DbResult, TenantTx},
    export::{Chunk, ExportRow, File, Format, Position},
    private::Private,
};

/// The most columns for custom fields where nobody has defined any.
const MOST_KEYS: i64 = 100;

/// The columns in front of the custom fields.
const FIXED: [&str; 26] = [
    "id",
    "status",
    "source",
    "firstName",
    "lastName",
    "email",
    "otherEmails",
    "phone",
    "otherPhones",
    "externalIds",
    "ownerId",
    "stageId",
    "wonReason",
    "lostReason",
    "value",
    "currency",
    "tags",
    "timezone",
    "locale",
    "firstTouch",
    "lastTouch",
    "consents",
    "score",
    "createdAt",
    "updatedAt",
    "lastActivityAt",
];

/// An export that was asked for as a job.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ExportRequest {
    /// `csv` or `ndjson`.
    pub format: String,
    /// The filters of the list.
    pub filter: Map<String, Value>,
}

/// Where a chunk begins, and which custom fields have columns.
#[derive(Clone, Debug)]
pub struct ExportCursor {
    after: Position,
    keys: Vec<String>,
}

impl ExportCursor {
    /// Reads a cursor.
    #[must_use]
    pub fn read(cursor: &str) -> Option<Self> {
        Self::parse(Position::parse_with(cursor)?)
    }

    /// Reads what a cursor carries.
    #[must_use]
    pub fn parse((after, carried): (Position, String)) -> Option<Self> {
        Some(Self { after, keys: serde_json::from_str(&carried).ok()? })
    }
}

/// A lead as it leaves.
#[derive(FromRow)]
struct Exported {
    #[sqlx(flatten)]
    lead: Lead,
    /// (kind, value) of those that the lead does not show.
    identities: Json<Vec<(String, Private<String>)>>,
    consents: Json<Vec<Said>>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Said {
    #[serde(skip_serializing_if = "Option::is_none")]
    channel: Option<String>,
    purpose: String,
    state: String,
    source: String,
    effective_at: DateTime<Utc>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Row<'a> {
    #[serde(flatten)]
    lead: &'a Lead,
    other_emails: Vec<&'a str>,
    other_phones: Vec<&'a str>,
    external_ids: Vec<&'a str>,
    consents: &'a [Said],
    #[serde(skip)]
    keys: &'a [String],
    #[serde(skip)]
    definitions: &'a Definitions,
}

/// Reads the part of the file that begins behind `after`, of at most `rows` rows. The filter is resolved.
///
/// # Errors
/// When the database refuses.
pub async fn read_chunk(
    tx: &mut TenantTx,
    filter: &LeadFilter,
    format: Format,
    after: Option<ExportCursor>,
    rows: i64,
    own_records_of: Owners<'_>,
) -> DbResult<Chunk> {
    let definitions = Definitions::load(tx).await?;
    let keys = match (&after, format) {
        (Some(cursor), _) => cursor.keys.clone(),
        (None, Format::Csv) => keys(tx, &definitions).await?,
        (None, Format::Json | Format::Ndjson) => Vec::new(),
    };
    let header: Vec<String> = FIXED
        .iter()
        .map(|name| (*name).to_owned())
        .chain(keys.iter().map(|key| format!("cf.{key}")))
        .chain(["customFields".to_owned()])
        .collect();
    let mut select = QueryBuilder::new(format!(
        "select {COLUMNS},
                coalesce((select jsonb_agg(jsonb_build_array(i.kind, i.value) order by i.created_at, i.id) from lead_identities i
                           where i.tenant_id = l.tenant_id and i.lead_id = l.id and not i.is_primary), '[]') as identities,
                coalesce((select jsonb_agg(jsonb_build_object('channel', c.channel, 'purpose', c.purpose, 'state', c.state,
                                                              'source', c.source, 'effectiveAt', c.effective_at)
                                           order by c.purpose, c.channel)
                            from (select distinct on (c.purpose, c.channel) c.* from consents c
                                   where c.tenant_id = l.tenant_id and c.lead_id = l.id
                                   order by c.purpose, c.channel, c.effective_at desc, c.id desc) c), '[]') as consents
           from leads l"
    ));
    let place = after.as_ref().map(|cursor| (cursor.after.at, cursor.after.id));
    let enough = usize::try_from(rows).unwrap_or_default() + 1;
    let narrowed = Narrowed::behind(tx, filter, place, enough).await?;
    narrowed.push(&mut select, tx.tenant(), own_records_of);
    if let Some(cursor) = &after {
        select.push(" and (l.created_at, l.id) > (").push_bind(cursor.after.at);
        select.push(", ").push_bind(cursor.after.id).push(")");
    }
    select.push(" order by l.created_at, l.id limit ").push_bind(rows + 1);
    let mut file = File::begin(format, after.is_none().then(|| header.iter().map(String::as_str)), rows);
    let mut last = None;
    let mut more = false;
    let mut found = select.build_query_as::<Exported>().fetch(tx.conn());
    while let Some(exported) = found.try_next().await? {
        if !file.push(&exported.row(&keys, &definitions))? {
            more = true;
            break;
        }
        last = Some(Position { at: exported.lead.created_at, id: exported.lead.id });
    }
    drop(found);
    if let Some((at, id)) = narrowed.rest.filter(|_| !more) {
        // The search goes on behind the candidates that it has seen, whichever of them the other filters left.
        (more, last) = (true, Some(Position { at, id }));
    }
    let carried = serde_json::to_string(&keys).unwrap_or_default();
    Ok(file.end(last.filter(|_| more).map(|position| position.cursor_with(&carried))))
}

/// The custom fields that get a column. Without definitions those in use, found by hops along the index of values.
async fn keys(tx: &mut TenantTx, definitions: &Definitions) -> DbResult<Vec<String>> {
    if !definitions.is_free_form() {
        return Ok(definitions.keys().into_iter().map(str::to_owned).collect());
    }
    let keys = sqlx::query_scalar!(
        r#"with recursive used as (
               (select key from lead_field_values where tenant_id = $1 order by key limit 1)
               union all
               select (select v.key from lead_field_values v where v.tenant_id = $1 and v.key > u.key order by v.key limit 1)
                 from used u where u.key is not null
           )
           select key as "key!" from used where key is not null limit $2"#,
        tx.tenant(),
        MOST_KEYS,
    )
    .fetch_all(tx.conn())
    .await?;
    // What else is kept in that index is no field.
    Ok(keys.into_iter().filter(|key| !key.starts_with('#')).collect())
}

impl Exported {
    fn row<'a>(&'a self, keys: &'a [String], definitions: &'a Definitions) -> Row<'a> {
        let of = |kind: &str| {
            let found = self.identities.0.iter().filter(|(known, _)| known == kind);
            found.map(|(_, value)| value.expose().as_str()).collect()
        };
        Row {
            lead: &self.lead,
            other_emails: of("email"),
            other_phones: of("phone"),
            external_ids: of("external"),
            consents: &self.consents.0,
            keys,
            definitions,
        }
    }
}

impl ExportRow for Row<'_> {
    fn cells(&self) -> Vec<String> {
        let lead = self.lead;
        let text = |value: Option<&String>| value.cloned().unwrap_or_default();
        let private =
            |value: Option<&Private<String>>| value.map(|value| value.expose().clone()).unwrap_or_default();
        let id = |id: Option<Uuid>| id.map(|id| id.to_string()).unwrap_or_default();
        let json = |value: Option<&Value>| value.map(Value::to_string).unwrap_or_default();
        let time = |at: DateTime<Utc>| at.to_rfc3339_opts(SecondsFormat::Micros, true);
        let list =
            |words: &[&str]| list_cell(&words.iter().map(|word| (*word).into()).collect::<Vec<Value>>());
        let tags: Vec<&str> = lead.tags.iter().map(String::as_str).collect();
        let consents = if self.consents.is_empty() {
            String::new()
        } else {
            serde_json::to_string(self.consents).unwrap_or_default()
        };
        let mut cells = vec![
            lead.id.to_string(),
            lead.status.clone(),
            text(lead.source.as_ref()),
            private(lead.first_name.as_ref()),
            private(lead.last_name.as_ref()),
            private(lead.email.as_ref()),
            list(&self.other_emails),
            private(lead.phone.as_ref()),
            list(&self.other_phones),
            list(&self.external_ids),
            id(lead.owner_id),
            id(lead.stage_id),
            text(lead.won_reason.as_ref()),
            text(lead.lost_reason.as_ref()),
            lead.value.map(|value| value.to_string()).unwrap_or_default(),
            text(lead.currency.as_ref()),
            list(&tags),
            text(lead.timezone.as_ref()),
            text(lead.locale.as_ref()),
            json(lead.first_touch.as_ref()),
            json(lead.last_touch.as_ref()),
            consents,
            lead.score.to_string(),
            time(lead.created_at),
            time(lead.updated_at),
            lead.last_activity_at.map(time).unwrap_or_default(),
        ];
        let none = Map::new();
        let custom = lead.custom_fields.as_object().unwrap_or(&none);
        cells.extend(self.keys.iter().map(|key| {
            custom.get(key).map(|value| cell(self.definitions.get(key), value)).unwrap_or_default()
        }));
        let rest: Map<String, Value> = custom
            .iter()
            .filter(|(key, _)| !self.keys.contains(key))
            .map(|(key, value)| (key.clone(), value.clone()))
            .collect();
        cells.push(if rest.is_empty() { String::new() } else { Value::Object(rest).to_string() });
        cells
    }
}
