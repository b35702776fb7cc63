//! The secrets that sign deliveries, sealed at rest.

use chrono::{DateTime, Utc};
use uuid::Uuid;

use crate::{
    crypto::{OpenError, Purpose, SecretBoxKeys, SigningSecret},
    http::Problem,
    private::Secret,
    webhooks::verify::standard,
};

/// A new secret: to be shown once, and as it is stored.
///
/// # Errors
/// 500 when there is no randomness.
pub fn new_secret(keys: &SecretBoxKeys, tenant: Uuid) -> Result<(Secret, Vec<u8>), Problem> {
    let secret = SigningSecret::generate().map_err(|_| Problem::internal())?;
    let sealed = keys
        .seal(tenant, Purpose::WebhookEndpointSecret, secret.expose().as_bytes())
        .map_err(|_| Problem::internal())?;
    Ok((Secret::from(secret.expose()), sealed))
}

/// The one or two secrets that sign: while a secret is being changed, a receiver may know either.
#[derive(Clone, Debug)]
pub struct SignedWith {
    /// The secret, sealed.
    pub sealed: Vec<u8>,
    /// The one before the last rotation, while it signs as well.
    pub previous_sealed: Option<Vec<u8>>,
}

impl SignedWith {
    /// The value of the signature header.
    ///
    /// # Errors
    /// When a secret cannot be opened.
    pub fn sign(
        &self,
        keys: &SecretBoxKeys,
        tenant: Uuid,
        (id, at, body): (&str, DateTime<Utc>, &[u8]),
    ) -> Result<String, OpenError> {
        let mut signatures = Vec::new();
        for sealed in std::iter::once(&self.sealed).chain(&self.previous_sealed) {
            let secret = keys.open(tenant, Purpose::WebhookEndpointSecret, sealed)?;
            let secret = String::from_utf8(secret).map_err(|_| OpenError::Format)?;
            signatures.push(standard::sign(id, at.timestamp(), body, &secret));
        }
        Ok(signatures.join(" "))
    }
}
