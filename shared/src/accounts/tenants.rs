//! One's own business: what it is called and how it works.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, to_value};
use sqlx::types::Json;
use utoipa::ToSchema;
use uuid::Uuid;

use super::{Limits, Preferences, QuietHours, Rounding};
use crate::{
    db::{DbError, DbResult, TenantTx},
    http::{Check, FieldErrors, Patch},
    values::{Country, Currency, Line, Locale, Zone},
};

/// A business.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Tenant {
    /// The business.
    pub id: Uuid,
    /// Its name.
    pub name: String,
    /// Its name in URLs, which also chooses it at login.
    pub slug: String,
    /// `trial`, `active` or `suspended`.
    pub status: String,
    /// Why it is suspended: the operator's words, or `trial_ended`.
    pub status_reason: Option<String>,
    /// A trial: when it ends.
    pub trial_ends_at: Option<DateTime<Utc>>,
    /// IANA zone in which its days begin.
    pub timezone: String,
    /// ISO 3166-1 country, the default for telephone numbers.
    pub country: String,
    /// ISO 4217 currency of new documents.
    pub currency: String,
    /// Language of what it sends.
    pub locale: String,
    /// What it decides for itself.
    #[serde(flatten)]
    pub preferences: Preferences,
    /// When it registered.
    pub created_at: DateTime<Utc>,
    /// When it last changed.
    pub updated_at: DateTime<Utc>,
    /// Version of the row, which is its `ETag`.
    #[serde(skip)]
    pub version: i64,
}

/// A business's row.
pub(super) struct TenantRow {
    pub(super) id: Uuid,
    pub(super) name: String,
    pub(super) slug: String,
    pub(super) status: String,
    pub(super) status_reason: Option<String>,
    pub(super) trial_ends_at: Option<DateTime<Utc>>,
    pub(super) timezone: String,
    pub(super) country: String,
    pub(super) currency: String,
    pub(super) locale: String,
    pub(super) settings: Json<Preferences>,
    pub(super) created_at: DateTime<Utc>,
    pub(super) updated_at: DateTime<Utc>,
    pub(super) version: i64,
}

impl From<TenantRow> for Tenant {
    fn from(row: TenantRow) -> Self {
        let TenantRow {
            id,
            name,
            slug,
            status,
            status_reason,
            trial_ends_at,
            timezone,
            country,
            currency,
            locale,
            settings,
            created_at,
            updated_at,
            version,
        } = row;
        let preferences = settings.0;
        Self {
            id,
            name,
            slug,
            status,
            status_reason,
            trial_ends_at,
            timezone,
            country,
            currency,
            locale,
            preferences,
            created_at,
            updated_at,
            version,
        }
    }
}

/// Selects businesses as [`TenantRow`] from a row that is called `t`, with the checked macro.
macro_rules! query_tenant {
    ($head:literal, $tail:literal $(, $argument:expr)* $(,)?) => {
        sqlx::query_as!(
            $crate::accounts::tenants::TenantRow,
            $head + r#" select t.id as "id!", t.name as "name!", t.slug as "slug!", t.status as "status!",
                               t.status_reason, t.trial_ends_at,
                               t.timezone as "timezone!", t.country as "country!", t.currency as "currency!",
                               t.locale as "locale!", t.settings as "settings!: _", t.created_at as "created_at!",
                               t.updated_at as "updated_at!", t.version as "version!" "# + $tail
            $(, $argument)*
        )
    };
}
pub(super) use query_tenant;

/// What changes about a business. Nothing of it can be cleared; a setting that is null goes back to its default.
#[derive(Clone, Debug, Default, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct TenantPatch {
    /// Its name.
    #[serde(default)]
    #[schema(value_type = Option<Line>)]
    pub name: Patch<Line>,
    /// IANA zone.
    #[serde(default)]
    #[schema(value_type = Option<Zone>)]
    pub timezone: Patch<Zone>,
    /// ISO 3166-1 country.
    #[serde(default)]
    #[schema(value_type = Option<Country>)]
    pub country: Patch<Country>,
    /// ISO 4217 currency of new documents.
    #[serde(default)]
    #[schema(value_type = Option<Currency>)]
    pub currency: Patch<Currency>,
    /// Language.
    #[serde(default)]
    #[schema(value_type = Option<Locale>)]
    pub locale: Patch<Locale>,
    /// When marketing messages wait.
    #[serde(default)]
    #[schema(value_type = Option<QuietHours>)]
    pub quiet_hours: Patch<QuietHours>,
    /// Where amounts of tax are rounded.
    #[serde(default)]
    #[schema(value_type = Option<Rounding>)]
    pub rounding: Patch<Rounding>,
    /// Its own limits.
    #[serde(default)]
    #[schema(value_type = Option<Limits>)]
    pub limits: Patch<Limits>,
}

impl Check for TenantPatch {
    fn check(&self, errors: &mut FieldErrors) {
        let cleared = [
            ("/name", matches!(self.name, Patch::Clear)),
            ("/timezone", matches!(self.timezone, Patch::Clear)),
            ("/country", matches!(self.country, Patch::Clear)),
            ("/currency", matches!(self.currency, Patch::Clear)),
            ("/locale", matches!(self.locale, Patch::Clear)),
        ];
        for (pointer, _) in cleared.iter().filter(|(_, cleared)| *cleared) {
            errors.add(*pointer, "required", "A business always has this; leave the field out to keep it.");
        }
    }
}

impl TenantPatch {
    /// The settings that are mentioned; null stands for the default.
    fn settings(&self) -> Result<Value, serde_json::Error> {
        let mut settings = Map::new();
        put(&mut settings, "quietHours", &self.quiet_hours)?;
        put(&mut settings, "rounding", &self.rounding)?;
        put(&mut settings, "limits", &self.limits)?;
        Ok(Value::Object(settings))
    }
}

fn put<T: Serialize>(
    settings: &mut Map<String, Value>,
    name: &str,
    patch: &Patch<T>,
) -> Result<(), serde_json::Error> {
    if patch.is_mentioned() {
        settings.insert(name.to_owned(), to_value(patch.as_set())?);
    }
    Ok(())
}

/// One's own business, locked when it is going to be changed.
///
/// # Errors
/// When the database refuses.
pub async fn find_tenant(tx: &mut TenantTx) -> DbResult<Tenant> {
    let row = query_tenant!("", "from tenants t where t.id = $1", tx.tenant()).fetch_one(tx.conn()).await?;
    Ok(row.into())
}

/// Changes one's own business, if it still has the version that was read. Settings that are not mentioned stay.
///
/// # Errors
/// When the database refuses.
pub async fn update_tenant(tx: &mut TenantTx, version: i64, patch: &TenantPatch) -> DbResult<Option<Tenant>> {
    let settings = patch.settings().map_err(|error| DbError::Defect(error.to_string()))?;
    let row = query_tenant!(
        "with t as (
             update tenants
                set name = coalesce($3, name), timezone = coalesce($4, timezone), country = coalesce($5, country),
                    currency = coalesce($6, currency), locale = coalesce($7, locale),
                    settings = jsonb_strip_nulls(settings || $8::jsonb)
              where id = $1 and version = $2
             returning *
         )",
        "from t",
        tx.tenant(),
        version,
        patch.name.as_set().map(Line::as_str),
        patch.timezone.as_set().map(Zone::as_str),
        patch.country.as_set().map(Country::as_str),
        patch.currency.as_set().map(Currency::as_str),
        patch.locale.as_set().map(Locale::as_str),
        settings,
    )
    .fetch_optional(tx.conn())
    .await?;
    Ok(row.map(Tenant::from))
}
