//! A business is founded: the tenant, its owner and the owner's first session, in one statement.

use chrono::{DateTime, Utc};
use uuid::Uuid;

use super::{Account, NewSession, Tenant, tenants::query_tenant};
use crate::{
    auth::Role,
    db::{DbError, DbResult, TenantTx},
    private::{Private, Secret},
    values::{Country, Currency, Email, Line, Zone},
};

/// Longest slug that is made of a name; a suffix still fits behind it.
const SLUG_CHARS: usize = 48;

/// A business that is about to be founded. What is left out has the schema's default.
#[derive(Clone, Debug)]
pub struct Registration {
    /// Name of the business.
    pub business_name: Line,
    /// Its zone.
    pub timezone: Option<Zone>,
    /// Its country.
    pub country: Option<Country>,
    /// Its currency.
    pub currency: Option<Currency>,
    /// The owner's id.
    pub owner_id: Uuid,
    /// The owner's name.
    pub owner_name: Line,
    /// The owner's address.
    pub email: Email,
    /// The owner's password, hashed.
    pub password_hash: Secret,
}

/// A business that was founded.
#[derive(Clone, Debug)]
pub struct Registered {
    /// The business.
    pub tenant: Tenant,
    /// Its owner.
    pub owner: Account,
}

/// Founds the business of the transaction, which `Db::found_tenant` has opened.
///
/// # Errors
/// When the database refuses.
pub async fn register(
    tx: &mut TenantTx,
    now: DateTime<Utc>,
    registration: &Registration,
    session: &NewSession,
) -> DbResult<Registered> {
    let slug = slug(registration.business_name.as_str());
    let tenant = match insert(tx, now, registration, session, &slug).await? {
        Some(tenant) => tenant,
        None => {
            let unique = suffixed(&slug, tx.tenant());
            insert(tx, now, registration, session, &unique)
                .await?
                .ok_or_else(|| DbError::Defect("a random slug is taken".to_owned()))?
        }
    };
    let owner = Account {
        id: registration.owner_id,
        name: Private::new(registration.owner_name.to_string()),
        email: Private::new(registration.email.to_string()),
        image: None,
        role: Role::Owner,
        tenant_id: tenant.id,
    };
    Ok(Registered { tenant, owner })
}

/// `None` when another business has the slug.
async fn insert(
    tx: &mut TenantTx,
    now: DateTime<Utc>,
    new: &Registration,
    session: &NewSession,
    slug: &str,
) -> DbResult<Option<Tenant>> {
    let row = query_tenant!(
        "with t as (
             insert into tenants (id, slug, name, timezone, country, currency, created_at, updated_at)
             values ($1, $2, $3, coalesce($4, 'UTC'), coalesce($5, 'US'), coalesce($6, 'USD'), $7, $7)
             on conflict (slug) do nothing
             returning *
         ), owner as (
             insert into users (tenant_id, id, email, name, password_hash, role, last_login_at, created_at, updated_at)
             select t.id, $8, $9, $10, $11, 'owner', $7, $7, $7 from t
             returning tenant_id, id
         ), session as (
             insert into sessions (tenant_id, id, user_id, family_id, refresh_hash, authenticated_at, last_used_at,
                                   expires_at, user_agent, ip_hash, created_at, updated_at)
             select o.tenant_id, $12, o.id, $12, $13, $7, $7, $14, $15, $16, $7, $7 from owner o
         )",
        "from t",
        tx.tenant(),
        slug,
        new.business_name.as_str(),
        new.timezone.as_ref().map(Zone::as_str),
        new.country.as_ref().map(Country::as_str),
        new.currency.as_ref().map(Currency::as_str),
        now,
        new.owner_id,
        new.email.as_str(),
        new.owner_name.as_str(),
        new.password_hash.expose(),
        session.id,
        &session.refresh_hash[..],
        session.expires_at,
        session.device.user_agent.as_ref().map(|agent| agent.expose().as_str()),
        &session.device.address_hash[..],
    )
    .fetch_optional(tx.conn())
    .await?;
    Ok(row.map(Tenant::from))
}

/// A name in URLs: ASCII letters and digits, words joined by single hyphens.
fn slug(name: &str) -> String {
    let mut slug = String::new();
    for c in name.to_lowercase().chars() {
        if c.is_ascii_alphanumeric() {
            slug.push(c);
        } else if !slug.is_empty() && !slug.ends_with('-') {
            slug.push('-');
        }
        if slug.len() == SLUG_CHARS {
            break;
        }
    }
    let slug = slug.trim_end_matches('-');
    if slug.is_empty() { "business".to_owned() } else { slug.to_owned() }
}

/// The slug with the random end of the tenant's id.
fn suffixed(slug: &str, tenant: Uuid) -> String {
    let id = tenant.simple().to_string();
    format!("{slug}-{}", id.get(id.len() - 8..).unwrap_or(&id))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slugs_fit_the_schema_whatever_the_name() {
        for (name, expected) in [
            ("Iron & Oak Gym", "iron-oak-gym"),
            ("  --Yoga!!", "yoga"),
            ("Øl & Ævl", "l-vl"),
            ("禅", "business"),
        ] {
            assert_eq!(slug(name), expected);
        }
        let long = slug(&"a b ".repeat(60));
        assert!(long.len() <= SLUG_CHARS && !long.ends_with('-'));
        assert!(suffixed(&long, Uuid::nil()).len() <= 63);
    }
}
