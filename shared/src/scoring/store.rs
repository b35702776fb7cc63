//! Rules and scores in the database.

use chrono::{DateTime, Utc};
use serde_json::to_value;
use sqlx::{Postgres, QueryBuilder, types::Json};
use uuid::Uuid;

use super::{Rule, Score, ScorePart, Scoring, rules};
use crate::{
    auth::Owners,
    conditions::Scope,
    db::{DbResult, TenantTx},
};

/// The rules of the business, or the product's own.
///
/// # Errors
/// When the database refuses.
pub async fn find_scoring(tx: &mut TenantTx) -> DbResult<Scoring> {
    let own =
        sqlx::query!("select rules, updated_at, version from scoring where tenant_id = $1", tx.tenant())
            .fetch_optional(tx.conn())
            .await?;
    Ok(match own {
        Some(own) => Scoring {
            rules: serde_json::from_value(own.rules).unwrap_or_default(),
            is_default: false,
            updated_at: Some(own.updated_at),
            version: own.version,
        },
        None => Scoring { rules: rules::defaults(), is_default: true, updated_at: None, version: 0 },
    })
}

/// Replaces the rules that the caller has seen in `version`; none goes back to the product's own. Everybody is due for a new
/// score then. False when the rules have changed meanwhile.
///
/// # Errors
/// When the database refuses.
pub async fn set_scoring(
    tx: &mut TenantTx,
    now: DateTime<Utc>,
    version: i64,
    rules: Option<&[Rule]>,
) -> DbResult<bool> {
    let rules = rules.and_then(|rules| to_value(rules).ok());
    let written = sqlx::query_scalar!(
        r#"with gone as (
               delete from scoring where tenant_id = $1 and version = $2 and $3::jsonb is null returning 1
           ), changed as (
               update scoring set rules = $3 where tenant_id = $1 and version = $2 and $3::jsonb is not null returning 1
           ), made as (
               insert into scoring (tenant_id, rules, created_at, updated_at)
               select $1, $3, $4, $4 where $2 = 0::bigint and $3::jsonb is not null
               on conflict (tenant_id) do nothing returning 1
           ), due as (
               update scoring_progress set pass_due_at = now(), pass_cursor = null where tenant_id = $1
           )
           select exists (select from gone) or exists (select from changed) or exists (select from made)
               or ($2 = 0 and $3::jsonb is null and not exists (select from scoring where tenant_id = $1)) as "written!""#,
        tx.tenant(),
        version,
        rules,
        now,
    )
    .fetch_one(tx.conn())
    .await?;
    Ok(written)
}

/// The score of one lead, as of `now`; none when the caller may not see it.
///
/// # Errors
/// When the database refuses.
pub async fn score_of(
    tx: &mut TenantTx,
    now: DateTime<Utc>,
    lead: Uuid,
    own_records_of: Owners<'_>,
) -> DbResult<Option<Score>> {
    let scoring = find_scoring(tx).await?;
    let people = [lead];
    let scope = Scope::of(tx.tenant(), now, &people);
    let mut query: QueryBuilder<'_, Postgres> = QueryBuilder::new("select p.parts from leads l ");
    rules::push_score(&mut query, &scoring.rules, scope);
    query
        .push(" where l.deleted_at is null and l.merged_into_id is null and l.tenant_id = ")
        .push_bind(tx.tenant());
    query.push(" and l.id = ").push_bind(lead);
    if let Some(owners) = own_records_of {
        query.push(" and l.owner_id = any (").push_bind(owners.to_vec()).push(")");
    }
    let found: Option<Json<Vec<ScorePart>>> = query.build_query_scalar().fetch_optional(tx.conn()).await?;
    Ok(found.map(|Json(parts)| Score {
        lead_id: lead,
        score: parts.iter().map(|part| part.points).sum(),
        parts,
        at: now,
    }))
}

/// Scores some leads and stores what is new. Answers how many got another score.
pub(super) async fn store_scores(
    tx: &mut TenantTx,
    now: DateTime<Utc>,
    rules: &[Rule],
    leads: &[Uuid],
) -> DbResult<u64> {
    if leads.is_empty() {
        return Ok(0);
    }
    let scope = Scope::of(tx.tenant(), now, leads);
    // Locked in everybody's order, so that two who change several people never wait for each other.
    let mut query: QueryBuilder<'_, Postgres> = QueryBuilder::new(
        "with held as materialized (
             select h.id from leads h where h.deleted_at is null and h.merged_into_id is null and h.tenant_id = ",
    );
    query.push_bind(tx.tenant()).push(" and h.id = any (").push_bind(leads.to_vec());
    query.push(") order by h.id for no key update), scored as (select l.id, p.parts, p.score from held join leads l on l.tenant_id = ");
    query.push_bind(tx.tenant()).push(" and l.id = held.id ");
    rules::push_score(&mut query, rules, scope);
    query.push(
        ") update leads s set score = greatest(-2147483648, least(2147483647, n.score))::int, score_parts = n.parts, scored_at = clock_timestamp()
            from scored n where s.id = n.id and (s.score_parts <> n.parts or s.score <> n.score) and s.tenant_id = ",
    );
    query.push_bind(tx.tenant());
    Ok(query.build().execute(tx.conn()).await?.rows_affected())
}
