//! Writing the demo's rows: a statement per kind.

use chrono::{DateTime, Utc};
use serde_json::json;
use uuid::Uuid;

use super::{DemoTenant, began, id, people::Person};
use crate::{
    automations::{Definition, GRAPH_SCHEMA},
    crypto::{Purpose, SecretBoxKeys, sha256},
    db::{DbError, DbResult, TenantTx},
};

/// False when the business is there already.
pub(super) async fn insert_tenant(tx: &mut TenantTx, tenant: &DemoTenant) -> DbResult<bool> {
    let inserted = sqlx::query!(
        "insert into tenants (id, slug, name, status, timezone, country, currency, created_at)
         values ($1, $2, $3, 'active', $4, $5, $6, $7)
         on conflict (id) do nothing",
        tx.tenant(),
        tenant.slug,
        tenant.name,
        tenant.zone,
        tenant.country,
        tenant.currency,
        began(),
    )
    .execute(tx.conn())
    .await?;
    Ok(inserted.rows_affected() == 1)
}

pub(super) async fn insert_users(tx: &mut TenantTx, tenant: &DemoTenant, hash: &str) -> DbResult<()> {
    let roles = ["owner", "manager", "staff", "viewer"];
    let names = ["Olivia Owner", "Max Manager", "Stella Staff", "Victor Viewer"];
    let ids: Vec<Uuid> = (0..4).map(|number| id(tenant.seed, &tenant.slug, "user", number)).collect();
    let emails: Vec<String> =
        roles.iter().map(|role| format!("{role}@{}.example.com", tenant.slug)).collect();
    sqlx::query!(
        "insert into users (tenant_id, id, email, name, password_hash, role, email_verified_at, created_at)
         select $1, u.id, u.email, u.name, $5, u.role, $6, $6
           from unnest($2::uuid[], $3::text[], $4::text[], $7::text[]) as u (id, email, name, role)",
        tx.tenant(),
        &ids,
        &emails,
        &names as &[&str],
        hash,
        began(),
        &roles as &[&str],
    )
    .execute(tx.conn())
    .await?;
    Ok(())
}

pub(super) async fn insert_sources(
    tx: &mut TenantTx,
    tenant: &DemoTenant,
    keys: &SecretBoxKeys,
) -> DbResult<()> {
    let tokens = [&tenant.form_token, &tenant.stripe_token, &tenant.twilio_token];
    let ids: Vec<Uuid> = (0..3).map(|number| id(tenant.seed, &tenant.slug, "source", number)).collect();
    let hashes: Vec<Vec<u8>> = tokens.iter().map(|token| sha256(token.as_bytes()).to_vec()).collect();
    let prefixes: Vec<String> = tokens.iter().map(|token| token.chars().take(12).collect()).collect();
    let mut secrets: Vec<Option<Vec<u8>>> = vec![None];
    for secret in [&tenant.stripe_secret, &tenant.twilio_secret] {
        let sealed = keys
            .seal(tx.tenant(), Purpose::WebhookSourceSecret, secret.as_bytes())
            .map_err(|error| DbError::Defect(error.to_string()))?;
        secrets.push(Some(sealed));
    }
    sqlx::query!(
        "insert into webhook_sources (tenant_id, id, provider, name, token_hash, token_prefix, secret_sealed, created_at)
         select $1, s.id, s.provider, s.name, s.token_hash, s.prefix, s.secret, $8
           from unnest($2::uuid[], $3::text[], $4::text[], $5::bytea[], $6::text[], $7::bytea[])
             as s (id, provider, name, token_hash, prefix, secret)",
        tx.tenant(),
        &ids,
        &["forms", "stripe", "twilio"] as &[&str],
        &["Website", "Stripe", "Twilio"] as &[&str],
        &hashes,
        &prefixes,
        &secrets as &[Option<Vec<u8>>],
        began(),
    )
    .execute(tx.conn())
    .await?;
    Ok(())
}

/// The automation, published as version 1.
pub(super) async fn insert_welcome(
    tx: &mut TenantTx,
    tenant: &DemoTenant,
    definition: &Definition,
) -> DbResult<()> {
    if let Err(problems) = definition.graph() {
        return Err(DbError::Defect(format!("the demo's automation is wrong: {problems:?}")));
    }
    let (graph, hash) = definition.to_graph();
    sqlx::query!(
        "with automation as (
             insert into automations (tenant_id, id, name, status, trigger_type, trigger, steps, reentry, current_version,
                                      published_at, created_at)
             values ($1, $2, 'Welcome', 'active', $3, $4, $5, $6, 1, $7, $7)
         )
         insert into automation_versions (tenant_id, automation_id, version, graph, graph_schema, sha256, published_at)
         values ($1, $2, 1, $8, $9, $10, $7)",
        tx.tenant(),
        id(tenant.seed, &tenant.slug, "automation", 0),
        definition.trigger.get("type").and_then(serde_json::Value::as_str),
        definition.trigger,
        json!(definition.steps),
        definition.reentry,
        began(),
        graph,
        GRAPH_SCHEMA,
        &hash[..],
    )
    .execute(tx.conn())
    .await?;
    Ok(())
}

pub(super) async fn insert_leads(tx: &mut TenantTx, tenant: &DemoTenant, people: &[Person]) -> DbResult<()> {
    fn column<T>(people: &[Person], of: impl Fn(&Person) -> T) -> Vec<T> {
        people.iter().map(of).collect()
    }
    let created: Vec<DateTime<Utc>> = column(people, |person| person.created_at);
    sqlx::query!(
        "with person as (
             select * from unnest($2::uuid[], $3::uuid[], $4::uuid[], $5::uuid[], $6::text[], $7::text[], $8::text[],
                                  $9::text[], $10::text[], $11::text[], $12::text[], $13::timestamptz[])
                 as p (id, email_id, phone_id, activity_id, first_name, last_name, email, phone, status, source, tag, created_at)
         ), lead as (
             insert into leads (tenant_id, id, status, source, first_name, last_name, email, phone, owner_id, tags,
                                last_activity_at, created_at, updated_at)
             select $1, id, status, source, first_name, last_name, email, phone, $14, array[tag], created_at, created_at,
                    created_at from person
         ), identity as (
             insert into lead_identities (tenant_id, id, lead_id, kind, value, normalized, is_primary)
             select $1, email_id, id, 'email', email, email, true from person
             union all
             select $1, phone_id, id, 'phone', phone, phone, true from person
         )
         insert into activities (tenant_id, id, lead_id, kind, title, occurred_at, created_at)
         select $1, activity_id, id, 'system', 'Lead created', created_at, created_at from person",
        tx.tenant(),
        &column(people, |person| person.id),
        &column(people, |person| person.email_id),
        &column(people, |person| person.phone_id),
        &column(people, |person| person.activity_id),
        &column(people, |person| person.first_name) as &[&str],
        &column(people, |person| person.last_name) as &[&str],
        &column(people, |person| person.email.clone()),
        &column(people, |person| person.phone.clone()),
        &column(people, |person| person.status) as &[&str],
        &column(people, |person| person.source) as &[&str],
        &column(people, |person| person.tag) as &[&str],
        &created,
        id(tenant.seed, &tenant.slug, "user", 2),
    )
    .execute(tx.conn())
    .await?;
    Ok(())
}
