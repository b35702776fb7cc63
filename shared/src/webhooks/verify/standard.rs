//! Standard Webhooks (github.com/standard-webhooks, spec): `webhook-id`, `webhook-timestamp`, `webhook-signature`, or the
//! same with `svix-` (Svix, Resend). The signature header is a list of `v1,<base64>`, HMAC-SHA-256 of `id.ts.body` under
//! the base64-decoded secret (`whsec_…`); `v1a,<base64>` is Ed25519 under a public key (`whpk_…`). ±300 s. The delivery
//! key is the id. This is also how our own outgoing webhooks are signed.

use base64::Engine as _;
use base64::engine::DecodePaddingMode;
use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig, STANDARD};
use chrono::{DateTime, Utc};
use ring::hmac::HMAC_SHA256;
use ring::signature::{ED25519, UnparsedPublicKey};

use super::{Delivery, Refusal, Verified, header, is_usable, mac};

/// The header of the delivery's id.
pub const ID_HEADER: &str = "webhook-id";
/// The header of the signed time, Unix seconds.
pub const TIMESTAMP_HEADER: &str = "webhook-timestamp";
/// The header of the list of signatures.
pub const SIGNATURE_HEADER: &str = "webhook-signature";

const TOLERANCE: i64 = 300;
const SECRET_PREFIX: &str = "whsec_";
const PUBLIC_KEY_PREFIX: &str = "whpk_";

/// Secrets are passed around by people, who lose the padding.
const LENIENT: GeneralPurpose = GeneralPurpose::new(
    &base64::alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

pub(super) fn verify(
    delivery: &Delivery<'_>,
    secrets: &[&str],
    now: DateTime<Utc>,
) -> Result<Verified, Refusal> {
    let family = if delivery.headers.contains_key(SIGNATURE_HEADER) { "webhook" } else { "svix" };
    let id = header::one(delivery.headers, &format!("{family}-id"))?;
    let timestamp = header::one(delivery.headers, &format!("{family}-timestamp"))?;
    let listed = header::one(delivery.headers, &format!("{family}-signature"))?;
    // The parts are joined by full stops, so the id may hold none.
    if !is_usable(id) || id.contains('.') {
        return Err(Refusal::Malformed);
    }
    header::fresh(timestamp, now, TOLERANCE)?;
    let content = content(id, timestamp, delivery.body);
    let (mut codes, mut signatures) = (Vec::new(), Vec::new());
    for element in listed.split(' ').take(mac::MAX_TAGS) {
        match element.split_once(',').ok_or(Refusal::Malformed)? {
            ("v1", code) => codes.push(header::base64(code)?),
            ("v1a", signature) => signatures.push(header::base64(signature)?),
            _ => {}
        }
    }
    let keys: Vec<Vec<u8>> = secrets.iter().filter_map(|secret| decode_secret(secret)).collect();
    let keys: Vec<&[u8]> = keys.iter().map(Vec::as_slice).collect();
    let mut genuine = mac::matches(HMAC_SHA256, &keys, &content, &codes);
    for key in secrets.iter().filter_map(|secret| decode_public_key(secret)) {
        let key = UnparsedPublicKey::new(&ED25519, key);
        genuine |= signatures.iter().any(|signature| key.verify(&content, signature).is_ok());
    }
    if genuine { Ok(Verified::named(Some(id), delivery.body)) } else { Err(Refusal::Mismatch) }
}

/// One element of the signature header, `v1,<base64>`, for `body` sent as `id` at `timestamp` (Unix seconds). While two
/// secrets are live the header is both elements, separated by a space. A secret that is not base64 is used as it is
/// written; [`check_secret`](super::check_secret) refuses such secrets beforehand.
#[must_use]
pub fn sign(id: &str, timestamp: i64, body: &[u8], secret: &str) -> String {
    let key = decode_secret(secret).unwrap_or_else(|| secret.as_bytes().to_vec());
    let content = content(id, &timestamp.to_string(), body);
    format!("v1,{}", STANDARD.encode(mac::sign(HMAC_SHA256, &key, &content)))
}

/// The form in which a secret is shown and stored: `whsec_` and base64. Give it 32 random bytes.
#[must_use]
pub fn encode_secret(bytes: &[u8]) -> String {
    format!("{SECRET_PREFIX}{}", STANDARD.encode(bytes))
}

/// The key of a shared secret, if it is written as one.
pub(super) fn decode_secret(secret: &str) -> Option<Vec<u8>> {
    if secret.starts_with(PUBLIC_KEY_PREFIX) {
        return None;
    }
    LENIENT.decode(secret.strip_prefix(SECRET_PREFIX).unwrap_or(secret)).ok().filter(|key| !key.is_empty())
}

/// The 32 bytes of an Ed25519 public key, if it is written as one.
pub(super) fn decode_public_key(secret: &str) -> Option<Vec<u8>> {
    LENIENT.decode(secret.strip_prefix(PUBLIC_KEY_PREFIX)?).ok().filter(|key| key.len() == 32)
}

fn content(id: &str, timestamp: &str, body: &[u8]) -> Vec<u8> {
    [id.as_bytes(), b".", timestamp.as_bytes(), b".", body].concat()
}
