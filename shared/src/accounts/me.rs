//! What users change about themselves.

use serde::Deserialize;
use utoipa::ToSchema;
use uuid::Uuid;

use super::{User, users::query_users};
use crate::{
    db::{DbResult, TenantTx},
    http::{Check, FieldErrors, Patch},
    values::{Line, Locale, Zone},
};

/// What users change about themselves.
#[derive(Clone, Debug, Default, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SelfPatch {
    /// Name.
    #[serde(default)]
    #[schema(value_type = Option<Line>)]
    pub name: Patch<Line>,
    /// Own zone; null means the business's.
    #[serde(default)]
    #[schema(value_type = Option<Zone>)]
    pub timezone: Patch<Zone>,
    /// Own language; null means the business's.
    #[serde(default)]
    #[schema(value_type = Option<Locale>)]
    pub locale: Patch<Locale>,
}

impl Check for SelfPatch {
    fn check(&self, errors: &mut FieldErrors) {
        if matches!(self.name, Patch::Clear) {
            errors.add("/name", "required", "A user always has a name; leave the field out to keep it.");
        }
    }
}

/// Changes oneself as of this version; `None` when there is another by now.
///
/// # Errors
/// When the database refuses.
pub async fn update_self(
    tx: &mut TenantTx,
    id: Uuid,
    version: i64,
    patch: SelfPatch,
) -> DbResult<Option<User>> {
    let (sets_zone, zone) = patch.timezone.into_parts();
    let (sets_locale, locale) = patch.locale.into_parts();
    let user = query_users!(
        "with u as (
             update users
                set name = coalesce($4, name), timezone = case when $5 then $6 else timezone end,
                    locale = case when $7 then $8 else locale end
              where tenant_id = $1 and id = $2 and version = $3
             returning *
         )",
        "from u",
        tx.tenant(),
        id,
        version,
        patch.name.as_set().map(Line::as_str),
        sets_zone,
        zone.map(Zone::into_string),
        sets_locale,
        locale.map(Locale::into_string),
    )
    .fetch_optional(tx.conn())
    .await?;
    Ok(user)
}
