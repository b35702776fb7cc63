//! The addresses, numbers and foreign ids by which a lead is recognised: many of each kind, one of them primary.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use sqlx::{FromRow, QueryBuilder};
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

use super::{
    list::total,
    model::{read_phone, refused},
};
use crate::{
    auth::Owners,
    db::{
        DbResult, TenantTx,
        keyset::{push_any, push_page},
    },
    http::{
        Check, FieldErrors, FromQuery, Keyset, KeysetValue, ListQuery, Page, Params, Problem, SortField,
        SortKind,
    },
    ids::new_id,
    private::Private,
    values::{Email, Line},
};

/// An address, number or foreign id of a lead.
#[derive(Clone, Debug, Serialize, FromRow, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Identity {
    /// The identity.
    pub id: Uuid,
    /// The person.
    pub lead_id: Uuid,
    /// `email`, `phone`, `external`, `visitor`.
    pub kind: String,
    /// Normalised: lower case, E.164.
    pub value: Private<String>,
    /// Whether it is the one that the lead shows and that messages go to.
    pub is_primary: bool,
    /// When the person proved it.
    pub verified_at: Option<DateTime<Utc>>,
    /// When it became known.
    pub created_at: DateTime<Utc>,
    /// Raised by every change; its `ETag` is `"v<version>"`.
    pub version: i64,
}

/// A kind of identity.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub enum IdentityKind {
    /// E-mail address.
    Email,
    /// Telephone number.
    Phone,
    /// Id in another system, `<system>:<id>`.
    External,
    /// Visitor of the website.
    Visitor,
}

impl IdentityKind {
    /// The word in JSON and SQL.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Email => "email",
            Self::Phone => "phone",
            Self::External => "external",
            Self::Visitor => "visitor",
        }
    }
}

/// An identity that is about to be added.
#[derive(Clone, Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct NewIdentity {
    /// What it is.
    pub kind: IdentityKind,
    /// As somebody wrote it.
    pub value: Private<String>,
    /// Whether it takes the place of the primary one, which stays as a further one. The first of its kind always does.
    #[serde(default)]
    pub is_primary: bool,
}

impl Check for NewIdentity {}

impl NewIdentity {
    /// The value as it is compared.
    ///
    /// # Errors
    /// 422 at `/value`.
    pub fn normalise(&self, country: &str) -> Result<String, Problem> {
        let text = self.value.expose();
        match self.kind {
            IdentityKind::Email => {
                Email::try_from(text.clone()).map(Email::into_string).map_err(|why| refused("/value", why))
            }
            IdentityKind::Phone => {
                read_phone(&self.value, "/value", country).map(crate::values::Phone::into_string)
            }
            IdentityKind::External | IdentityKind::Visitor => {
                let value = Line::try_from(text.clone()).map_err(|why| refused("/value", why))?.into_string();
                let named =
                    value.split_once(':').is_some_and(|(system, id)| !system.is_empty() && !id.is_empty());
                if self.kind == IdentityKind::External && !named {
                    return Err(Problem::invalid("/value", "invalid_external_id", "Write it as system:id."));
                }
                // What is in the bin is parked under this prefix.
                if value.starts_with("bin:") {
                    return Err(Problem::invalid(
                        "/value",
                        "invalid_value",
                        "A value does not begin with `bin:`.",
                    ));
                }
                Ok(value)
            }
        }
    }
}

/// A change of an identity. The value never changes: another address is another identity.
#[derive(Clone, Copy, Debug, Default, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct IdentityPatch {
    /// `true` makes it the one that the lead shows and that messages go to; the former one stays as a further one.
    #[serde(default)]
    pub is_primary: Option<bool>,
    /// Whether the person has proved it.
    #[serde(default)]
    pub verified: Option<bool>,
}

impl Check for IdentityPatch {
    fn check(&self, errors: &mut FieldErrors) {
        if self.is_primary == Some(false) {
            errors.add("/isPrimary", "not_allowed", "Make another one primary instead.");
        }
    }
}

/// What a lead's identities can be narrowed by.
#[derive(Clone, Debug, Default, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct IdentityFilter {
    /// Kinds.
    pub kind: Vec<String>,
}

impl FromQuery for IdentityFilter {
    const SORTS: &'static [SortField] =
        &[SortField { word: "createdAt", column: "created_at", kind: SortKind::Time }];

    fn read(params: &mut Params) -> Self {
        Self { kind: params.choices("kind", &["email", "phone", "external", "visitor"]) }
    }
}

/// What adding or removing an identity did.
#[derive(Clone, Debug)]
pub struct IdentityChange {
    /// The identity.
    pub identity: Identity,
    /// Its version before that.
    pub version_before: i64,
    /// When it changed the address or number that the lead shows: the former one.
    pub shown_before: Option<Option<String>>,
}

/// One page of a lead's identities, latest first.
///
/// # Errors
/// When the database refuses.
pub async fn list_identities(
    tx: &mut TenantTx,
    lead: Uuid,
    query: &ListQuery<IdentityFilter>,
) -> DbResult<Page<Identity>> {
    let tenant = tx.tenant();
    let filtered = |head: &str| {
        let mut select = QueryBuilder::new(format!("{head} from lead_identities i where i.tenant_id = "));
        select.push_bind(tenant).push(" and i.lead_id = ").push_bind(lead);
        push_any(&mut select, "i.kind", &query.filter.kind);
        select
    };
    let mut select = filtered(
        "select i.id, i.lead_id, i.kind, i.value, i.is_primary, i.verified_at, i.created_at, i.version",
    );
    push_page(&mut select, "i", &query.page);
    let rows = select.build_query_as::<Identity>().fetch_all(tx.conn()).await?;
    let mut page =
        query.page.page(rows, |row| Keyset { value: KeysetValue::Time(row.created_at), id: row.id });
    page.total = total(tx, &query.page, || filtered("select count(*)")).await?;
    Ok(page)
}

/// Adds an identity to a lead that the caller may see. A primary address or number is copied to the lead.
///
/// # Errors
/// [`super::IDENTITY_TAKEN`] when a lead has it already, [`super::PRIMARY_TAKEN`] when two requests met.
pub async fn insert_identity(
    tx: &mut TenantTx,
    lead: Uuid,
    own_records_of: Owners<'_>,
    (kind, value, is_primary): (IdentityKind, String, bool),
) -> DbResult<Option<IdentityChange>> {
    let row = sqlx::query!(
        r#"with l as (
             select o.id, case $5 when 'email' then o.email when 'phone' then o.phone end as shown,
                    $5 in ('email', 'phone') and ($7 or not exists (
                        select from lead_identities i
                         where i.tenant_id = $1 and i.lead_id = o.id and i.kind = $5 and i.is_primary)) as becomes_primary
               from leads o
              where o.tenant_id = $1 and o.id = $2 and o.deleted_at is null and o.merged_into_id is null
                and ($3::uuid[] is null or o.owner_id = any ($3))
                for update
         ), demoted as (
             update lead_identities i set is_primary = false from l
              where l.becomes_primary and i.tenant_id = $1 and i.lead_id = l.id and i.kind = $5 and i.is_primary
             returning i.id
         ), added as (
             insert into lead_identities (tenant_id, id, lead_id, kind, value, normalized, is_primary)
             select $1, $4, l.id, $5, $6, $6, l.becomes_primary from l where (select count(*) from demoted) >= 0
             returning *
         ), shown as (
             update leads set email = case when $5 = 'email' then $6 else email end,
                              phone = case when $5 = 'phone' then $6 else phone end
               from l where l.becomes_primary and leads.tenant_id = $1 and leads.id = l.id
         )
         select added.id, added.lead_id, added.kind, added.value as "value: Private<String>", added.is_primary,
                added.verified_at, added.created_at, added.version, l.shown from added, l"#,
        tx.tenant(),
        lead,
        own_records_of,
        new_id(),
        kind.as_str(),
        value,
        is_primary,
    )
    .fetch_optional(tx.conn())
    .await?;
    Ok(row.map(|row| IdentityChange {
        version_before: row.version,
        shown_before: row.is_primary.then_some(row.shown),
        identity: Identity {
            id: row.id,
            lead_id: row.lead_id,
            kind: row.kind,
            value: row.value,
            is_primary: row.is_primary,
            verified_at: row.verified_at,
            created_at: row.created_at,
            version: row.version,
        },
    }))
}

/// Changes an identity of a lead that the caller may see. Only addresses and numbers can be primary; a promotion of another
/// kind changes nothing.
///
/// # Errors
/// [`super::PRIMARY_TAKEN`] when two requests met.
pub async fn update_identity(
    tx: &mut TenantTx,
    now: DateTime<Utc>,
    (lead, id): (Uuid, Uuid),
    own_records_of: Owners<'_>,
    patch: IdentityPatch,
) -> DbResult<Option<IdentityChange>> {
    let row = sqlx::query!(
        r#"with l as (
             select o.id, o.email, o.phone from leads o
              where o.tenant_id = $1 and o.id = $2 and o.deleted_at is null and o.merged_into_id is null
                and ($4::uuid[] is null or o.owner_id = any ($4))
                for update
         ), target as (
             select i.id, i.kind, i.normalized, i.version, case i.kind when 'email' then l.email else l.phone end as shown,
                    $5 and not i.is_primary and i.kind in ('email', 'phone') as promoted
               from l join lead_identities i on i.tenant_id = $1 and i.lead_id = l.id and i.id = $3
         ), demoted as (
             update lead_identities i set is_primary = false from target t
              where t.promoted and i.tenant_id = $1 and i.lead_id = $2 and i.kind = t.kind and i.is_primary
             returning i.id
         ), changed as (
             update lead_identities i
                set is_primary = i.is_primary or t.promoted,
                    verified_at = case when $6::boolean is null then i.verified_at when $6 then coalesce(i.verified_at, $7) end
               from target t where i.tenant_id = $1 and i.id = t.id and (select count(*) from demoted) >= 0
             returning i.*
         ), shown as (
             update leads set email = case t.kind when 'email' then t.normalized else email end,
                              phone = case t.kind when 'phone' then t.normalized else phone end
               from target t where t.promoted and leads.tenant_id = $1 and leads.id = $2
         )
         select c.id, c.lead_id, c.kind, c.value as "value: Private<String>", c.is_primary, c.verified_at, c.created_at,
                c.version, t.version as version_before, t.promoted as "promoted!", t.shown from changed c, target t"#,
        tx.tenant(),
        lead,
        id,
        own_records_of,
        patch.is_primary == Some(true),
        patch.verified,
        now,
    )
    .fetch_optional(tx.conn())
    .await?;
    Ok(row.map(|row| IdentityChange {
        version_before: row.version_before,
        shown_before: row.promoted.then_some(row.shown),
        identity: Identity {
            id: row.id,
            lead_id: row.lead_id,
            kind: row.kind,
            value: row.value,
            is_primary: row.is_primary,
            verified_at: row.verified_at,
            created_at: row.created_at,
            version: row.version,
        },
    }))
}

/// Removes an identity. When it was the primary one, the oldest other one of its kind takes its place.
///
/// # Errors
/// When the database refuses.
pub async fn delete_identity(
    tx: &mut TenantTx,
    lead: Uuid,
    id: Uuid,
    own_records_of: Owners<'_>,
) -> DbResult<Option<IdentityChange>> {
    let row = sqlx::query!(
        r#"with l as (
             select o.id from leads o
              where o.tenant_id = $1 and o.id = $2 and o.deleted_at is null and o.merged_into_id is null
                and ($4::uuid[] is null or o.owner_id = any ($4))
                for update
         ), removed as (
             delete from lead_identities i using l where i.tenant_id = $1 and i.lead_id = l.id and i.id = $3
             returning i.*
         ), heir as (
             select i.id, i.normalized from removed
               join lead_identities i
                 on i.tenant_id = $1 and i.lead_id = removed.lead_id and i.kind = removed.kind and i.id <> removed.id
              where removed.is_primary
              order by i.created_at, i.id
              limit 1
         ), promoted as (
             update lead_identities i set is_primary = true from heir where i.tenant_id = $1 and i.id = heir.id
         ), shown as (
             update leads set email = case removed.kind when 'email' then (select normalized from heir) else email end,
                              phone = case removed.kind when 'phone' then (select normalized from heir) else phone end
               from removed
              where removed.is_primary and removed.kind in ('email', 'phone')
                and leads.tenant_id = $1 and leads.id = removed.lead_id
         )
         select removed.id, removed.lead_id, removed.kind, removed.value as "value: Private<String>", removed.is_primary,
                removed.verified_at, removed.created_at, removed.version from removed"#,
        tx.tenant(),
        lead,
        id,
        own_records_of,
    )
    .fetch_optional(tx.conn())
    .await?;
    Ok(row.map(|row| IdentityChange {
        version_before: row.version,
        shown_before: row.is_primary.then(|| Some(row.value.expose().clone())),
        identity: Identity {
            id: row.id,
            lead_id: row.lead_id,
            kind: row.kind,
            value: row.value,
            is_primary: row.is_primary,
            verified_at: row.verified_at,
            created_at: row.created_at,
            version: row.version,
        },
    }))
}
