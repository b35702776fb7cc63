//! Demo data for the laptop: two businesses that somebody could run.
//!
//! The same seed number gives the same ids, people and totals, whoever seeds and whenever. Nothing here is secret:
//! tokens and passwords are derived from the number too, so that a printed line works again tomorrow. The data is made
//! only by `local`; no deployed function calls this.

mod people;
mod store;

use chrono::{DateTime, Duration, Utc};
use serde_json::{Value, json};
use uuid::{Builder, Uuid};

use crate::{
    automations::Definition,
    crypto::{OpaqueToken, SecretBoxKeys, TokenKind, sha256},
    db::{Db, DbError, DbResult, TenantSettings},
    ids::TenantId,
    private::Secret,
};

/// What every demo user signs in with.
pub const PASSWORD: &str = "wellspring-demo";

/// Leads of each business.
const LEADS: u32 = 240;

/// A business of the demo.
#[derive(Clone, Debug)]
pub struct DemoTenant {
    /// The tenant.
    pub id: TenantId,
    /// Its name.
    pub name: &'static str,
    /// Its owner's address.
    pub owner: String,
    /// Token of the website form's URL.
    pub form_token: String,
    /// Token of the Stripe webhook's URL.
    pub stripe_token: String,
    /// Signing secret of the Stripe webhook.
    pub stripe_secret: String,
    /// Token of the Twilio webhook's URL.
    pub twilio_token: String,
    /// Auth token of the Twilio account.
    pub twilio_secret: String,
    seed: u64,
    slug: String,
    zone: &'static str,
    country: &'static str,
    currency: &'static str,
}

/// The two businesses of a seed number, as they are or will be.
#[must_use]
pub fn tenants(seed: u64) -> [DemoTenant; 2] {
    [
        tenant(seed, "Studio Nord", "studio-nord", ("Europe/Berlin", "DE", "EUR")),
        tenant(seed, "Harbour Wellness", "harbour-wellness", ("Europe/London", "GB", "GBP")),
    ]
}

/// Writes what is missing. A business that is there already is left as its users have made it.
///
/// # Errors
/// When the database refuses.
pub async fn seed(db: &Db, keys: &SecretBoxKeys, seed: u64) -> DbResult<()> {
    for tenant in tenants(seed) {
        let settings = TenantSettings {
            suspended: false,
            zone: tenant
                .zone
                .parse()
                .map_err(|_| DbError::Defect("the demo's zone is unknown".to_owned()))?,
            country: tenant.country.to_owned(),
            currency: tenant.currency.to_owned(),
        };
        let mut tx = db.found_tenant(tenant.id, settings).await?;
        if store::insert_tenant(&mut tx, &tenant).await? {
            fill(&mut tx, keys, &tenant).await?;
        }
        tx.commit().await?;
    }
    Ok(())
}

async fn fill(tx: &mut crate::db::TenantTx, keys: &SecretBoxKeys, tenant: &DemoTenant) -> DbResult<()> {
    let secret: Secret = PASSWORD.into();
    let hash = crate::auth::password::hash(&secret).map_err(|error| DbError::Defect(error.to_string()))?;
    store::insert_users(tx, tenant, hash.expose()).await?;
    store::insert_sources(tx, tenant, keys).await?;
    store::insert_welcome(tx, tenant, &welcome()).await?;
    store::insert_leads(tx, tenant, &people::leads(tenant, LEADS)).await
}

fn tenant(
    seed: u64,
    name: &'static str,
    slug: &str,
    (zone, country, currency): (&'static str, &'static str, &'static str),
) -> DemoTenant {
    // The first data set has the plain names; others carry their number.
    let suffix = if seed == 1 { String::new() } else { format!("-{seed}") };
    let slug = format!("{slug}{suffix}");
    let token = |what: &str| {
        let bytes = sha256(format!("wellspring demo {seed} {slug} {what}").as_bytes());
        OpaqueToken::from_bytes(TokenKind::Webhook, bytes).expose().to_owned()
    };
    let secret = |what: &str| hex::encode(sha256(format!("wellspring demo {seed} {slug} {what}").as_bytes()));
    DemoTenant {
        id: TenantId::new(id(seed, &slug, "tenant", 0)),
        name,
        owner: format!("owner@{slug}.example.com"),
        form_token: token("form"),
        stripe_token: token("stripe"),
        stripe_secret: format!("whsec_{}", secret("stripe")),
        twilio_token: token("twilio"),
        twilio_secret: secret("twilio").chars().take(32).collect(),
        seed,
        slug,
        zone,
        country,
        currency,
    }
}

/// A UUIDv7 whose random part is a hash of what it stands for: the same every time, in order within its kind.
fn id(seed: u64, slug: &str, kind: &str, number: u32) -> Uuid {
    let hash = sha256(format!("{seed}/{slug}/{kind}/{number}").as_bytes());
    let mut random = [0; 10];
    random.iter_mut().zip(hash).for_each(|(to, from)| *to = from);
    let millis = u64::try_from((began() + Duration::minutes(i64::from(number))).timestamp_millis())
        .unwrap_or_default();
    Builder::from_unix_timestamp_millis(millis, &random).into_uuid()
}

/// When the demo's history begins.
fn began() -> DateTime<Utc> {
    DateTime::from_timestamp(1_767_225_600, 0).unwrap_or_default()
}

/// The automation that greets a new lead: by e-mail where there is an address, else by text message; then a tag, a short
/// wait, and a word to the team.
fn welcome() -> Definition {
    let steps: Value = json!([
        {"id": "reach", "type": "branch", "conditions": {"field": "lead.email", "op": "exists"}, "then": "mail", "else": "text"},
        {"id": "mail", "type": "sendMessage", "channel": "email", "subject": "Welcome to {{ tenant.name }}",
         "body": "Hello {{ lead.firstName | default(\"there\") }}, thank you for your interest! When would you like to come by?",
         "purpose": "transactional", "next": "tag"},
        {"id": "text", "type": "sendMessage", "channel": "sms", "purpose": "transactional", "next": "tag",
         "body": "Hello {{ lead.firstName | default(\"there\") }}, thank you for your interest in {{ tenant.name }}!"},
        {"id": "tag", "type": "addTags", "tags": ["welcomed"]},
        {"id": "pause", "type": "wait", "for": "PT5S"},
        {"id": "tell", "type": "notify", "role": "owner", "body": "{{ lead.name | default(\"Somebody\") }} was welcomed."},
    ]);
    Definition {
        trigger: json!({"type": "lead.created"}),
        steps: match steps {
            Value::Array(steps) => steps,
            _ => Vec::new(),
        },
        reentry: Some(json!({"mode": "never"})),
        goal: None,
        caps: None,
    }
}
