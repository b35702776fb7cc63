//! How a business stands with whoever runs the deployment: on trial, active or suspended.
//!
//! Nobody inside a business can change it. The operator does, as the owner of the schema, by the `migrate` function or from
//! a laptop; and the night does when a trial is over. A suspended business reads and exports and changes nothing; what it has
//! owed waits. Both ways leave an entry in the business's own audit log.

use std::str::FromStr;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use sqlx::{ConnectOptions, Connection, PgConnection, postgres::PgConnectOptions};
use uuid::Uuid;

use crate::{
    audit,
    db::{DbResult, TenantTx},
    http::{Check, FieldErrors, parse_value},
    values::Line,
};

/// Why the night suspends.
const TRIAL_ENDED: &str = "trial_ended";

/// What a business can be told to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Standing {
    /// Everything works, until a day if one is set.
    Trial,
    /// Everything works.
    Active,
    /// Reading and exporting work.
    Suspended,
}

impl Standing {
    const fn word(self) -> &'static str {
        match self {
            Self::Trial => "trial",
            Self::Active => "active",
            Self::Suspended => "suspended",
        }
    }
}

/// What an operator orders.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct StandingOrder {
    /// Id or slug of the business.
    tenant: Line,
    /// What it is from now on.
    status: Standing,
    /// Why; needed to suspend.
    #[serde(default)]
    reason: Option<Line>,
    /// A trial: the instant after which the next night suspends it.
    #[serde(default)]
    trial_ends_at: Option<DateTime<Utc>>,
}

impl Check for StandingOrder {
    fn check(&self, errors: &mut FieldErrors) {
        if self.status == Standing::Suspended && self.reason.is_none() {
            errors.add("/reason", "required", "Say why; the business reads it.");
        }
        if self.status != Standing::Trial && self.trial_ends_at.is_some() {
            errors.add("/trialEndsAt", "not_allowed", "Only a trial ends by itself.");
        }
    }
}

/// What an order did.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct StandingReport {
    /// The business.
    pub tenant: Uuid,
    /// What it is now.
    pub status: Standing,
    /// Why.
    pub reason: Option<String>,
    /// When a trial ends.
    pub trial_ends_at: Option<DateTime<Utc>>,
    /// What it was.
    pub before: String,
    /// False when it was all that already.
    pub changed: bool,
}

/// Why an order was not carried out; nothing has changed.
#[derive(Debug, thiserror::Error)]
pub enum StandingError {
    /// It does not say what an order must say.
    #[error("not an order: {0}")]
    Invalid(String),
    /// Nobody has this id or slug.
    #[error("there is no business with this id or slug, or it is being deleted")]
    Unknown,
    /// The database refused, or could not be reached.
    #[error("the database refused: {0}")]
    Database(#[from] sqlx::Error),
}

/// Reads an order.
///
/// # Errors
/// Naming everything that is wrong.
pub fn read_standing_order(payload: Value) -> Result<StandingOrder, StandingError> {
    parse_value(payload).map_err(|problem| {
        let body = problem.into_body("");
        let errors = body.errors.iter().map(|error| format!("{}: {}", error.pointer, error.detail));
        let named: Vec<String> = errors.collect();
        StandingError::Invalid(if named.is_empty() { body.detail.into_owned() } else { named.join("; ") })
    })
}

/// Carries an order out as the owner of the schema.
///
/// # Errors
/// When there is no such business, or the database refuses.
pub async fn carry_out_standing_order(
    owner_url: &str,
    order: &StandingOrder,
) -> Result<StandingReport, StandingError> {
    let mut conn = PgConnectOptions::from_str(owner_url)?.disable_statement_logging().connect().await?;
    // Not a checked macro: checking asks for the plan of a function that only the owner may execute.
    let tenant: Option<Uuid> = sqlx::query_scalar("select tenant_named($1)")
        .bind(order.tenant.as_str())
        .fetch_one(&mut conn)
        .await?;
    let tenant = tenant.ok_or(StandingError::Unknown)?;
    let mut tx = conn.begin().await?;
    sqlx::query("select set_config('app.tenant_id', $1, true)")
        .bind(tenant.to_string())
        .execute(&mut *tx)
        .await?;
    let report = stand(&mut tx, tenant, order).await?.ok_or(StandingError::Unknown)?;
    tx.commit().await?;
    conn.close().await?;
    Ok(report)
}

async fn stand(
    conn: &mut PgConnection,
    tenant: Uuid,
    order: &StandingOrder,
) -> Result<Option<StandingReport>, sqlx::Error> {
    let reason = order.reason.as_ref().map(Line::as_str);
    let row = sqlx::query!(
        r#"with before as (
               select status, status_reason, trial_ends_at from tenants where id = $1 and status <> 'deleting' for update
           ), changed as (
               update tenants t set status = $2, status_reason = $3, trial_ends_at = $4
                 from before b
                where t.id = $1 and (b.status, b.status_reason, b.trial_ends_at) is distinct from ($2, $3, $4)
               returning t.id
           ), noted as (
               insert into audit_log (tenant_id, actor_kind, action, object_kind, object_id, before, after)
               select $1, 'system', $5, 'tenant', $1::text,
                      jsonb_build_object('status', b.status, 'statusReason', b.status_reason, 'trialEndsAt', b.trial_ends_at),
                      jsonb_build_object('status', $2::text, 'statusReason', $3::text, 'trialEndsAt', $4::timestamptz)
                 from before b join changed c on true
           )
           select b.status, exists (select from changed) as "changed!" from before b"#,
        tenant,
        order.status.word(),
        reason,
        order.trial_ends_at,
        format!("tenant.{}", order.status.word()),
    )
    .fetch_optional(conn)
    .await?;
    Ok(row.map(|row| StandingReport {
        tenant,
        status: order.status,
        reason: reason.map(str::to_owned),
        trial_ends_at: order.trial_ends_at,
        before: row.status,
        changed: row.changed,
    }))
}

/// Suspends the business if it is on a trial that is over. One without an end goes on. Comes last in its transaction, as
/// everything that adds to the audit log.
///
/// # Errors
/// When the database refuses.
pub async fn end_trial(tx: &mut TenantTx) -> DbResult<bool> {
    let ended = sqlx::query_scalar!(
        "update tenants set status = 'suspended', status_reason = $2
          where id = $1 and status = 'trial' and trial_ends_at <= now()
         returning trial_ends_at",
        tx.tenant(),
        TRIAL_ENDED,
    )
    .fetch_optional(tx.conn())
    .await?;
    let Some(trial_ends_at) = ended else { return Ok(false) };
    let state = |status: &str, reason: Option<&str>| json!({"status": status, "statusReason": reason, "trialEndsAt": trial_ends_at});
    let entry = audit::Entry {
        actor: ("system", None),
        action: "tenant.suspended",
        object_kind: "tenant",
        object_id: Some(tx.tenant()),
        before: Some(state("trial", None)),
        after: Some(state("suspended", Some(TRIAL_ENDED))),
        request_id: None,
    };
    audit::append(tx, &entry).await?;
    Ok(true)
}
