//! The secrets of sources: given by the vendor, or made here, and sealed at rest.

use crate::{
    crypto::{CryptoError, Purpose, SecretBoxKeys, SigningSecret, random_bytes},
    db::SourceGrant,
    http::Problem,
    private::Secret,
    webhooks::{Provider, verify},
};

/// A secret that is about to be stored.
pub struct MadeSecret {
    /// In clear, to be shown once.
    pub clear: Secret,
    /// As it is stored.
    pub sealed: Vec<u8>,
}

/// The given secret, or a new one of the provider's form; forms have none.
///
/// # Errors
/// 422 at `/secret` when the given one cannot be a secret of this provider, or when only the vendor can make one.
pub fn new_secret(
    keys: &SecretBoxKeys,
    tenant: uuid::Uuid,
    provider: Provider,
    given: Option<&Secret>,
) -> Result<Option<MadeSecret>, Problem> {
    let clear = match given {
        Some(secret) => {
            verify::check_secret(provider, secret.expose())
                .map_err(|reason| Problem::invalid("/secret", "invalid_secret", sentence(reason)))?;
            secret.clone()
        }
        None if !provider.needs_secret() => return Ok(None),
        None if provider == Provider::Sendgrid => {
            return Err(Problem::invalid(
                "/secret",
                "required",
                "SendGrid signs with a key of its own: give the verification key that its console shows.",
            ));
        }
        None => generate(provider).map_err(|_| Problem::internal())?,
    };
    if clear.expose().is_empty() {
        return Ok(None);
    }
    let sealed = keys
        .seal(tenant, Purpose::WebhookSourceSecret, clear.expose().as_bytes())
        .map_err(|_| Problem::internal())?;
    Ok(Some(MadeSecret { clear, sealed }))
}

/// The one or two secrets that a delivery may be signed with.
///
/// # Errors
/// 500 when a secret cannot be opened: the sealing keys are not the ones that it was sealed with.
pub fn live_secrets(
    keys: &SecretBoxKeys,
    tenant: uuid::Uuid,
    grant: &SourceGrant,
) -> Result<Vec<Secret>, Problem> {
    let sealed = grant.secret_sealed.iter().chain(&grant.previous_secret_sealed);
    let open = |sealed: &Vec<u8>| {
        let clear =
            keys.open(tenant, Purpose::WebhookSourceSecret, sealed).map_err(|error| error.to_string())?;
        String::from_utf8(clear).map(Secret::new).map_err(|_| "not UTF-8".to_owned())
    };
    sealed
        .map(|sealed| {
            open(sealed).map_err(|error| {
                tracing::error!(error, source = %grant.source_id, "a source's secret cannot be opened");
                Problem::internal()
            })
        })
        .collect()
}

fn generate(provider: Provider) -> Result<Secret, CryptoError> {
    let random = || random_bytes::<32>().map(hex::encode);
    Ok(Secret::new(match provider {
        Provider::Standard | Provider::Stripe => SigningSecret::generate()?.expose().to_owned(),
        Provider::Postmark => format!("webhook:{}", random()?),
        _ => random()?,
    }))
}

fn sentence(reason: &str) -> String {
    let mut chars = reason.chars();
    let first: String = chars.next().map(|first| first.to_uppercase().collect()).unwrap_or_default();
    format!("{first}{}.", chars.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEYS: &str = "a:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";

    #[test]
    fn what_is_made_here_passes_the_check_of_its_provider() {
        let keys = SecretBoxKeys::parse(KEYS).unwrap();
        let tenant = uuid::Uuid::from_u128(1);
        for provider in Provider::ALL {
            match new_secret(&keys, tenant, provider, None) {
                Ok(Some(made)) => {
                    assert_eq!(verify::check_secret(provider, made.clear.expose()), Ok(()), "{provider}");
                }
                Ok(None) => assert_eq!(provider, Provider::Forms),
                Err(problem) => assert_eq!((provider, problem.code()), (Provider::Sendgrid, "invalid_input")),
            }
        }
        let short = new_secret(&keys, tenant, Provider::Twilio, Some(&"short".into()));
        assert!(short.is_err());
    }
}
