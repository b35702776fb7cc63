//! Secrets are judged when a source is configured, where a person can still do something about it.

use super::{sendgrid, standard};
use crate::webhooks::Provider;

const MIN_LEN: usize = 16;
const MAX_LEN: usize = 500;

/// Whether `secret` can be the secret of a source of this provider: long enough to be one, and in its form.
///
/// # Errors
/// A sentence for the person who configures the source.
pub fn check_secret(provider: Provider, secret: &str) -> Result<(), &'static str> {
    match provider {
        Provider::Forms if secret.is_empty() => return Ok(()),
        Provider::Forms => return Err("website forms have no secret"),
        Provider::Sendgrid => return check_sendgrid(secret),
        _ => check_text(secret)?,
    }
    match provider {
        Provider::Stripe => check_stripe(secret),
        Provider::Standard => check_standard(secret),
        Provider::Postmark => check_postmark(secret),
        _ => Ok(()),
    }
}

fn check_text(secret: &str) -> Result<(), &'static str> {
    if secret.is_empty() {
        return Err("the secret is empty");
    }
    if secret.trim() != secret || secret.chars().any(char::is_control) {
        return Err("the secret begins or ends with a space, or holds a control character");
    }
    if secret.len() < MIN_LEN {
        return Err("the secret is too short: at least 16 characters");
    }
    if secret.len() > MAX_LEN {
        return Err("the secret is too long: at most 500 characters");
    }
    Ok(())
}

fn check_stripe(secret: &str) -> Result<(), &'static str> {
    if secret.contains(char::is_whitespace) {
        return Err("a Stripe signing secret holds no spaces");
    }
    if ["sk_", "rk_", "pk_"].iter().any(|prefix| secret.starts_with(prefix)) {
        return Err("this is a Stripe API key; the endpoint's signing secret begins with whsec_");
    }
    Ok(())
}

fn check_standard(secret: &str) -> Result<(), &'static str> {
    if standard::decode_public_key(secret).is_some() {
        return Ok(());
    }
    match standard::decode_secret(secret) {
        Some(key) if key.len() >= MIN_LEN => Ok(()),
        Some(_) => Err("the secret is too short: at least 16 bytes behind the base64"),
        None => Err("the secret must be base64, with or without whsec_ in front, or a public key whpk_…"),
    }
}

fn check_sendgrid(secret: &str) -> Result<(), &'static str> {
    if sendgrid::point(secret).is_some() {
        return Ok(());
    }
    Err("this must be SendGrid's verification key: a P-256 public key in base64, as its console shows it")
}

fn check_postmark(secret: &str) -> Result<(), &'static str> {
    // Without a colon it is the value of a custom header, and long enough by now.
    match secret.split_once(':') {
        Some((user, password)) if user.is_empty() || password.len() < 12 => {
            Err("the secret is user:password, the password at least 12 characters")
        }
        _ => Ok(()),
    }
}
