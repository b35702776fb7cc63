//! What a call costs, and how it is said to each counter.

use std::time::Duration;

use super::{Class, Quota, WINDOW};
use crate::{ids::TenantId, webhooks::Provider};

/// Whose tokens are taken after the caller's.
pub(crate) enum Whole {
    /// The business of a signed-in user.
    Tenant(TenantId),
    /// The business of the API key with this SHA-256.
    OfKey([u8; 32]),
    /// The webhook source whose token has this SHA-256.
    Source(Provider, [u8; 32]),
    /// Nobody: the caller is the session of the refresh token with this SHA-256.
    Session([u8; 32]),
}

/// One token of each of two buckets.
pub struct Toll {
    pub(super) class: Class,
    quota: Quota,
    caller: String,
    whole: Whole,
}

/// A bucket by its name.
pub(crate) struct Bucket {
    /// Ids and hashes only.
    pub(crate) key: String,
    /// How much it holds.
    pub(crate) quota: i32,
    /// In what time it fills up.
    pub(crate) span: Duration,
}

impl Toll {
    pub(super) fn new(class: Class, quota: Quota, caller: &str, whole: Whole) -> Self {
        Self { class, quota, caller: format!("{}:{caller}", class.word()), whole }
    }

    /// The class of the call.
    #[must_use]
    pub const fn class(&self) -> Class {
        self.class
    }

    /// The statement that takes the tokens: words of this crate, ids, hex digits and numbers, nothing that a caller wrote.
    /// It yields no row when the credential is unknown.
    pub(crate) fn sql(&self) -> String {
        let class = self.class.word();
        let (Quota { caller, whole: most }, seconds) = (self.quota, WINDOW.as_secs());
        let whole = match &self.whole {
            Whole::Session(hash) => {
                let session = format!("'{}:' || session_of_refresh('\\x{}')", self.caller, hex::encode(hash));
                return format!(
                    "select true as of_caller, * from take_token({session}, {caller}, {seconds})"
                );
            }
            Whole::Tenant(tenant) => format!("'{class}:t:{tenant}'"),
            Whole::OfKey(hash) => format!("'{class}:t:' || tenant_of_key('\\x{}')", hex::encode(hash)),
            Whole::Source(provider, hash) => {
                format!("'{class}:s:' || source_of_token('{provider}', '\\x{}')", hex::encode(hash))
            }
        };
        format!("select * from take_tokens('{}', {caller}, {whole}, {most}, {seconds})", self.caller)
    }

    /// What the two buckets are remembered by before the business is known, the caller's first.
    pub(super) fn names(&self) -> [String; 2] {
        let class = self.class.word();
        let whole = match &self.whole {
            Whole::Tenant(tenant) => format!("{class}:t:{tenant}"),
            Whole::OfKey(hash) => format!("{class}:k:{}", hex::encode(hash)),
            Whole::Source(_, hash) | Whole::Session(hash) => format!("{class}:s:{}", hex::encode(hash)),
        };
        [self.caller.clone(), whole]
    }

    /// The bucket of a session, for the toll of its refresh token.
    pub(super) fn of_session(&self, session: uuid::Uuid) -> Bucket {
        Bucket { key: format!("{}:{session}", self.caller), quota: self.quota.caller, span: WINDOW }
    }

    /// The buckets by their names, the caller's first.
    pub(super) fn buckets(&self, tenant: TenantId) -> [Bucket; 2] {
        let class = self.class.word();
        let whole = match &self.whole {
            Whole::Tenant(_) | Whole::OfKey(_) => format!("{class}:t:{tenant}"),
            Whole::Source(_, hash) | Whole::Session(hash) => format!("{class}:s:{}", hex::encode(hash)),
        };
        [(self.caller.clone(), self.quota.caller), (whole, self.quota.whole)].map(|(key, quota)| Bucket {
            key,
            quota,
            span: WINDOW,
        })
    }
}
