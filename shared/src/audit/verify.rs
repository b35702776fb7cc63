//! Whether the chain is whole, and the one that was there before.
//!
//! A chain proves that nothing within it was altered, not that all of it was not written anew: whoever owns the schema can
//! calculate each link again. So the head is written down every night where the database does not reach, in a line of the
//! log, and a chain can be held against such an anchor.

use serde::Serialize;
use utoipa::{IntoParams, ToSchema};

use crate::{
    db::{DbResult, TenantTx},
    http::Params,
};

/// The last link of a chain.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Head {
    /// How many entries there are.
    pub seq: i64,
    /// The hash of the last one, in hexadecimal; empty before the first.
    pub hash: String,
}

/// A head that was written down.
#[derive(Clone, Debug, Default, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct Anchor {
    /// Its number.
    #[param(minimum = 1)]
    pub seq: Option<i64>,
    /// Its hash, in hexadecimal.
    pub hash: Option<String>,
}

impl Anchor {
    /// Reads it; a part of it is none.
    pub fn read(params: &mut Params) -> Self {
        let anchor = Self { seq: params.number("seq", 1..=i64::MAX), hash: params.text("hash") };
        if anchor.seq.is_some() != anchor.hash.is_some() {
            let missing = if anchor.seq.is_some() { "hash" } else { "seq" };
            params.refuse(missing, "required", "Give seq and hash, both as they were written down.");
        }
        anchor
    }
}

/// The outcome of walking a tenant's chain.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Verification {
    /// Whether every link fits, none is missing, and the anchor is one of them if one was given.
    pub ok: bool,
    /// Entries that were looked at.
    pub checked: i64,
    /// The first entry that was altered, or that is missing.
    pub first_bad_seq: Option<i64>,
    /// The last link. Keep it elsewhere: given back as `seq` and `hash` it shows a chain that was written anew.
    pub head: Option<Head>,
}

/// Walks the tenant's chain.
///
/// # Errors
/// When the database refuses.
pub async fn verify(tx: &mut TenantTx, anchor: &Anchor) -> DbResult<Verification> {
    let row = sqlx::query!(
        r#"with anchored as (
               select encode(hash, 'hex') as hash from audit_log where tenant_id = $1 and seq = $2
           )
           select v.checked as "checked!", v.head_seq, encode(v.head_hash, 'hex') as head_hash,
                  case when $2::bigint is not null and (select hash from anchored) is distinct from lower($3::text)
                       then least(v.bad_seq, $2) else v.bad_seq end as bad_seq
             from verify_audit() v"#,
        tx.tenant(),
        anchor.seq,
        anchor.hash,
    )
    .fetch_one(tx.conn())
    .await?;
    let head = row.head_seq.zip(row.head_hash).map(|(seq, hash)| Head { seq, hash });
    Ok(Verification { ok: row.bad_seq.is_none(), checked: row.checked, first_bad_seq: row.bad_seq, head })
}

/// The last link of the tenant's chain, as it is committed.
///
/// # Errors
/// When the database refuses.
pub async fn head(tx: &mut TenantTx) -> DbResult<Option<Head>> {
    let head = sqlx::query_as!(
        Head,
        r#"select seq, encode(hash, 'hex') as "hash!" from audit_heads where tenant_id = $1"#,
        tx.tenant(),
    )
    .fetch_optional(tx.conn())
    .await?;
    Ok(head)
}
