//! The buyer on a document that outlives the person.
//!
//! An issuer keeps a copy of each invoice with name and address of the recipient (§ 14 (4) no. 1 and § 14b UStG, eight years in
//! Germany, ten elsewhere in the Union), and Article 17(3)(b) GDPR lets it. Kept is the minimum: of invoices and credit notes, not of
//! drafts and till receipts (§ 33 UStDV asks no name); the name and address, not the telephone number. It is sealed, so
//! neither a search nor a dump finds it, and is opened for administrators one document at a time, on the record.

use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;
use uuid::Uuid;

use crate::{
    auth::Owners,
    crypto::{Purpose, SecretBoxKeys},
    db::{DbError, DbResult, TenantTx},
    private::Private,
};

/// How many years after its issue a document's buyer is forgotten too.
pub(super) const KEEP_YEARS: i32 = 10;
/// What the law does not ask for.
const NOT_ASKED: [&str; 2] = ["email", "phone"];

/// Who a document was made out to.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Buyer {
    /// The document.
    pub invoice_id: Uuid,
    /// Name and address as they stood on it; null when it names nobody.
    #[schema(value_type = Option<Object>)]
    pub buyer: Option<Private<Value>>,
    /// Whether the person was erased, so that this is the last trace.
    pub sealed: bool,
}

pub(super) async fn seal_buyers(tx: &mut TenantTx, keys: &SecretBoxKeys, leads: &[Uuid]) -> DbResult<()> {
    let documents = sqlx::query!(
        r#"select id, billing -> 'buyer' as "buyer!" from invoices
            where tenant_id = $1 and lead_id = any($2) and status <> 'draft' and kind in ('invoice', 'creditNote')
              and buyer_sealed is null and jsonb_typeof(billing -> 'buyer') = 'object'"#,
        tx.tenant(),
        leads,
    )
    .fetch_all(tx.conn())
    .await?;
    let (mut ids, mut sealed) = (Vec::new(), Vec::new());
    for document in documents {
        let mut buyer = document.buyer;
        if let Value::Object(fields) = &mut buyer {
            fields.retain(|name, value| !NOT_ASKED.contains(&name.as_str()) && !value.is_null());
            if fields.is_empty() {
                continue;
            }
        }
        ids.push(document.id);
        sealed.push(
            keys.seal(tx.tenant(), Purpose::Buyer, buyer.to_string().as_bytes())
                .map_err(|error| DbError::Defect(error.to_string()))?,
        );
    }
    if ids.is_empty() {
        return Ok(());
    }
    sqlx::query!(
        "update invoices i set buyer_sealed = s.sealed from unnest($2::uuid[], $3::bytea[]) as s (id, sealed)
          where i.tenant_id = $1 and i.id = s.id",
        tx.tenant(),
        &ids,
        &sealed,
    )
    .execute(tx.conn())
    .await?;
    Ok(())
}

/// Reads who a document was made out to, also after the person was erased.
///
/// # Errors
/// When the database refuses, or the sealing key is gone.
pub async fn find_buyer(
    tx: &mut TenantTx,
    keys: &SecretBoxKeys,
    invoice: Uuid,
    own_records_of: Owners<'_>,
) -> DbResult<Option<Buyer>> {
    let row = sqlx::query!(
        r#"select i.billing -> 'buyer' as buyer, i.buyer_sealed from invoices i
            where i.tenant_id = $1 and i.id = $2
              and ($3::uuid[] is null or exists (select from leads l
                    where l.tenant_id = $1 and l.id = i.lead_id and l.owner_id = any ($3)))"#,
        tx.tenant(),
        invoice,
        own_records_of,
    )
    .fetch_optional(tx.conn())
    .await?;
    let Some(row) = row else { return Ok(None) };
    let Some(sealed) = row.buyer_sealed else {
        let buyer = row.buyer.filter(Value::is_object).map(Private::new);
        return Ok(Some(Buyer { invoice_id: invoice, buyer, sealed: false }));
    };
    let plain = keys
        .open(tx.tenant(), Purpose::Buyer, &sealed)
        .map_err(|error| DbError::Defect(error.to_string()))?;
    let buyer = serde_json::from_slice(&plain).map_err(|error| DbError::Defect(error.to_string()))?;
    Ok(Some(Buyer { invoice_id: invoice, buyer: Some(Private::new(buyer)), sealed: true }))
}
