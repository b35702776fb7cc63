//! What a person allowed or refused: a ledger in which the latest entry wins and the earlier ones are the proof.

use std::collections::HashMap;

use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use sqlx::{FromRow, QueryBuilder};
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

use super::list::total;
use crate::{
    clock,
    db::{
        DbResult, TenantTx,
        keyset::{push_any, push_page},
    },
    http::{
        Check, FieldErrors, FromQuery, Keyset, KeysetValue, ListQuery, Page, Params, SortField, SortKind,
    },
    ids::new_id,
    messages::Channel,
    private::Private,
    time,
    values::{Line, Word},
};

/// How far the clock of a caller may be ahead.
const CLOCK_SKEW: TimeDelta = TimeDelta::minutes(5);
/// So many are taken with a lead at once.
pub(super) const MOST_AT_ONCE: usize = 20;

macro_rules! words {
    ($(#[$doc:meta])* $name:ident: $($(#[$variant_doc:meta])* $variant:ident = $word:literal),+ $(,)?) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
        pub enum $name { $($(#[$variant_doc])* #[serde(rename = $word)] $variant),+ }

        impl $name {
            /// The word in JSON and SQL.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $word),+ }
            }
        }
    };
}

words! {
    /// What a consent is for.
    ConsentPurpose:
    /// Advertising.
    Marketing = "marketing",
    /// What belongs to a purchase or an appointment.
    Transactional = "transactional",
    /// Keeping data about the person's health; it has no channel.
    Health = "health",
}

words! {
    /// What was said.
    ConsentState:
    /// Yes.
    Granted = "granted",
    /// No, when asked.
    Denied = "denied",
    /// No longer.
    Revoked = "revoked",
}

/// One entry of the ledger.
#[derive(Clone, Debug, Serialize, FromRow, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Consent {
    /// The entry.
    pub id: Uuid,
    /// The person.
    pub lead_id: Uuid,
    /// `email`, `sms`, `whatsapp`, `inApp`; null for health.
    pub channel: Option<String>,
    /// `marketing`, `transactional`, `health`.
    pub purpose: String,
    /// `granted`, `denied`, `revoked`.
    pub state: String,
    /// Where it was said: `staff`, `api`, `form`, `import`, `keyword`, `unsubscribe` …
    pub source: String,
    /// Why.
    pub reason: Option<String>,
    /// The text shown, where and when.
    #[schema(value_type = Option<Object>)]
    pub proof: Option<Private<Value>>,
    /// From when it holds.
    pub effective_at: DateTime<Utc>,
    /// The colleague who entered it.
    pub recorded_by: Option<Uuid>,
}

/// An entry that is about to be made.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct NewConsent {
    /// Needed unless the purpose is health.
    #[serde(default)]
    pub channel: Option<Channel>,
    /// For what.
    pub purpose: ConsentPurpose,
    /// What was said.
    pub state: ConsentState,
    /// Where it was said; `staff` or `api` when left out.
    #[serde(default)]
    pub source: Option<Word>,
    /// Why.
    #[serde(default)]
    pub reason: Option<Line>,
    /// The text shown, where and when.
    #[serde(default)]
    #[schema(value_type = Option<Object>)]
    pub proof: Option<Map<String, Value>>,
    /// From when it holds; now when left out.
    #[serde(default)]
    pub effective_at: Option<DateTime<Utc>>,
}

impl NewConsent {
    pub(super) fn check_at(&self, pointer: &str, errors: &mut FieldErrors) {
        for (member, code, detail) in self.faults() {
            errors.add(format!("{pointer}/{member}"), code, detail);
        }
    }

    /// What is wrong with it: member, code, sentence.
    pub(super) fn faults(&self) -> impl Iterator<Item = (&'static str, &'static str, &'static str)> {
        let health = self.purpose == ConsentPurpose::Health;
        let lacks =
            (self.channel.is_none() && !health).then_some(("channel", "required", "Say by which channel."));
        let exceeds = (self.channel.is_some() && health).then_some((
            "channel",
            "not_allowed",
            "Consent to health data has no channel.",
        ));
        // The latest entry holds: one of tomorrow would hold today, and no word of today could take it back.
        let early = self.effective_at.is_some_and(|at| at > clock::now() + CLOCK_SKEW).then_some((
            "effectiveAt",
            "in_future",
            "What was said, was said already.",
        ));
        let untold = self.effective_at.is_some_and(|at| !time::is_tellable(at)).then_some((
            "effectiveAt",
            "out_of_range",
            "A year from 0001 to 9999 is expected.",
        ));
        [lacks, exceeds, early, untold].into_iter().flatten()
    }
}

impl Check for NewConsent {
    fn check(&self, errors: &mut FieldErrors) {
        self.check_at("", errors);
    }
}

/// What a ledger can be narrowed by.
#[derive(Clone, Debug, Default, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct ConsentFilter {
    /// Channels.
    pub channel: Vec<String>,
    /// Purposes.
    pub purpose: Vec<String>,
    /// States.
    pub state: Vec<String>,
}

impl FromQuery for ConsentFilter {
    const SORTS: &'static [SortField] =
        &[SortField { word: "effectiveAt", column: "effective_at", kind: SortKind::Time }];

    fn read(params: &mut Params) -> Self {
        Self {
            channel: params.choices("channel", Channel::WORDS),
            purpose: params.choices("purpose", &["marketing", "transactional", "health"]),
            state: params.choices("state", &["granted", "denied", "revoked"]),
        }
    }
}

/// One page of a lead's ledger, latest first.
///
/// # Errors
/// When the database refuses.
pub async fn list_consents(
    tx: &mut TenantTx,
    lead: Uuid,
    query: &ListQuery<ConsentFilter>,
) -> DbResult<Page<Consent>> {
    let tenant = tx.tenant();
    let filtered = |head: &str| {
        let mut select = QueryBuilder::new(format!("{head} from consents c where c.tenant_id = "));
        select.push_bind(tenant).push(" and c.lead_id = ").push_bind(lead);
        push_any(&mut select, "c.channel", &query.filter.channel);
        push_any(&mut select, "c.purpose", &query.filter.purpose);
        push_any(&mut select, "c.state", &query.filter.state);
        select
    };
    let mut select = filtered(
        "select c.id, c.lead_id, c.channel, c.purpose, c.state, c.source, c.reason, c.proof, c.effective_at, c.recorded_by",
    );
    push_page(&mut select, "c", &query.page);
    let rows = select.build_query_as::<Consent>().fetch_all(tx.conn()).await?;
    let mut page =
        query.page.page(rows, |row| Keyset { value: KeysetValue::Time(row.effective_at), id: row.id });
    page.total = total(tx, &query.page, || filtered("select count(*)")).await?;
    Ok(page)
}

/// Enters what a person said. `actor` is (kind, id); only a user is named in the entry.
///
/// # Errors
/// `consents_lead_id_fkey` for an unknown lead.
pub async fn insert_consent(
    tx: &mut TenantTx,
    now: DateTime<Utc>,
    lead: Uuid,
    new: NewConsent,
    actor: (&str, Option<Uuid>),
) -> DbResult<Consent> {
    let consent = sqlx::query_as!(
        Consent,
        r#"insert into consents (tenant_id, id, lead_id, channel, purpose, state, source, reason, proof, effective_at,
                                 recorded_by)
           values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)
           returning id, lead_id, channel, purpose, state, source, reason, proof as "proof: _", effective_at, recorded_by"#,
        tx.tenant(),
        new_id(),
        lead,
        new.channel.map(Channel::word),
        new.purpose.as_str(),
        new.state.as_str(),
        new.source.map_or_else(|| default_source(actor.0).to_owned(), Word::into_string),
        new.reason.map(Line::into_string),
        new.proof.map(Value::Object),
        new.effective_at.unwrap_or(now),
        recorder(actor),
    )
    .fetch_one(tx.conn())
    .await?;
    Ok(consent)
}

/// Enters several at once, for a lead that exists already.
///
/// # Errors
/// `consents_lead_id_fkey` for an unknown lead.
pub async fn insert_consents(
    tx: &mut TenantTx,
    now: DateTime<Utc>,
    lead: Uuid,
    consents: Vec<NewConsent>,
    actor: (&str, Option<Uuid>),
) -> DbResult<()> {
    if consents.is_empty() {
        return Ok(());
    }
    sqlx::query!(
        "insert into consents (tenant_id, id, lead_id, channel, purpose, state, source, reason, proof, effective_at,
                               recorded_by)
         select $1, c.id, $2, c.channel, c.purpose, c.state, c.source, c.reason, c.proof, c.effective_at, c.recorded_by
           from jsonb_to_recordset($3::jsonb)
             as c (id uuid, channel text, purpose text, state text, source text, reason text, proof jsonb,
                   effective_at timestamptz, recorded_by uuid)",
        tx.tenant(),
        lead,
        rows(consents, now, actor),
    )
    .execute(tx.conn())
    .await?;
    Ok(())
}

/// What several people last said, by (channel, purpose); health has no channel.
pub(super) async fn latest(
    tx: &mut TenantTx,
    leads: &[Uuid],
) -> DbResult<HashMap<Uuid, HashMap<(String, String), String>>> {
    let rows = sqlx::query!(
        r#"select distinct on (lead_id, purpose, channel) lead_id, coalesce(channel, '') as "channel!", purpose, state
             from consents where tenant_id = $1 and lead_id = any ($2)
            order by lead_id, purpose, channel, effective_at desc, id desc"#,
        tx.tenant(),
        leads,
    )
    .fetch_all(tx.conn())
    .await?;
    let mut said: HashMap<Uuid, HashMap<(String, String), String>> = HashMap::new();
    for row in rows {
        said.entry(row.lead_id).or_default().insert((row.channel, row.purpose), row.state);
    }
    Ok(said)
}

/// The rows of several entries, as `jsonb_to_recordset` reads them in the statement that makes the lead.
pub(super) fn rows(consents: Vec<NewConsent>, now: DateTime<Utc>, actor: (&str, Option<Uuid>)) -> Value {
    consents
        .into_iter()
        .map(|new| {
            serde_json::json!({
                "id": new_id(),
                "channel": new.channel,
                "purpose": new.purpose,
                "state": new.state,
                "source": new.source.map_or_else(|| default_source(actor.0).to_owned(), Word::into_string),
                "reason": new.reason,
                "proof": new.proof,
                "effective_at": new.effective_at.unwrap_or(now),
                "recorded_by": recorder(actor),
            })
        })
        .collect()
}

/// A colleague types in what a person said; a program passes it on.
fn default_source(actor_kind: &str) -> &'static str {
    if actor_kind == "user" { "staff" } else { "api" }
}

fn recorder((kind, id): (&str, Option<Uuid>)) -> Option<Uuid> {
    id.filter(|_| kind == "user")
}
