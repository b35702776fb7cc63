//! SendGrid's event webhook: `X-Twilio-Email-Event-Webhook-Signature` (base64 DER) and `-Timestamp`, ECDSA P-256 with
//! SHA-256 over timestamp and body (twilio.com/docs/sendgrid, event webhook security features). The secret is SendGrid's
//! public key, base64 DER as its console shows it (PEM is read too). The trailing CRLF of the body is signed.
//!
//! SendGrid's own libraries check no freshness; we ask for ±300 s, or the setting `toleranceSeconds` up to three days,
//! for accounts whose retries carry their first timestamp. The delivery key is the hash of the body: the events inside
//! are told apart one by one.

use chrono::{DateTime, Utc};
use ring::signature::{ECDSA_P256_SHA256_ASN1, UnparsedPublicKey};
use serde_json::Value;

use super::{Delivery, Refusal, Verified, header};

/// The signature header.
pub const HEADER: &str = "x-twilio-email-event-webhook-signature";
/// The header of the signed time.
pub const TIMESTAMP_HEADER: &str = "x-twilio-email-event-webhook-timestamp";

const TOLERANCE: i64 = 300;
const MAX_TOLERANCE: i64 = 3 * 24 * 60 * 60;

/// The DER of a P-256 `SubjectPublicKeyInfo` (RFC 5480) up to its uncompressed point, which ring wants bare.
const P256_HEAD: [u8; 26] = [
    0x30, 0x59, 0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06, 0x08, 0x2a, 0x86,
    0x48, 0xce, 0x3d, 0x03, 0x01, 0x07, 0x03, 0x42, 0x00,
];

pub(super) fn verify(
    delivery: &Delivery<'_>,
    secrets: &[&str],
    settings: &Value,
    now: DateTime<Utc>,
) -> Result<Verified, Refusal> {
    let signature = header::base64(header::one(delivery.headers, HEADER)?)?;
    let timestamp = header::one(delivery.headers, TIMESTAMP_HEADER)?;
    let tolerance = settings.get("toleranceSeconds").and_then(Value::as_i64).unwrap_or(TOLERANCE);
    header::fresh(timestamp, now, tolerance.clamp(TOLERANCE, MAX_TOLERANCE))?;
    let content = content(timestamp, delivery.body);
    let mut genuine = false;
    for point in secrets.iter().filter_map(|secret| point(secret)) {
        genuine |=
            UnparsedPublicKey::new(&ECDSA_P256_SHA256_ASN1, point).verify(&content, &signature).is_ok();
    }
    if genuine { Ok(Verified::named(None, delivery.body)) } else { Err(Refusal::Mismatch) }
}

/// The uncompressed point of a P-256 public key, if `secret` is one.
pub(super) fn point(secret: &str) -> Option<Vec<u8>> {
    let lines = secret.lines().map(str::trim).filter(|line| !line.starts_with("-----"));
    let der = header::base64(&lines.collect::<String>()).ok()?;
    let point = der.strip_prefix(&P256_HEAD)?;
    (point.len() == 65 && point.first() == Some(&4)).then(|| point.to_vec())
}

fn content(timestamp: &str, body: &[u8]) -> Vec<u8> {
    [timestamp.as_bytes(), body].concat()
}

#[cfg(test)]
pub(super) mod tests {
    use ring::rand::SystemRandom;
    use ring::signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, KeyPair as _};

    use super::*;

    /// A fresh key: its public half as SendGrid would show it, and a signer of `timestamp` and body.
    pub(in super::super) fn keypair() -> (String, impl Fn(i64, &[u8]) -> String) {
        let random = SystemRandom::new();
        let pkcs8 = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, &random).unwrap();
        let pair =
            EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, pkcs8.as_ref(), &random).unwrap();
        let public = header::to_base64(&[&P256_HEAD[..], pair.public_key().as_ref()].concat());
        let sign = move |timestamp: i64, body: &[u8]| {
            let content = content(&timestamp.to_string(), body);
            header::to_base64(pair.sign(&SystemRandom::new(), &content).unwrap().as_ref())
        };
        (public, sign)
    }

    #[test]
    fn the_published_vector_holds() {
        let key = "MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAE83T4O/n84iotIvIW4mdBgQ/7dAfSmpqIM8kF9mN1flpVKS3GRqe62gw+2fNNRaINXvVpiglSI8eNEc6wEA3F+g==";
        let signature = "MEUCIGHQVtGj+Y3LkG9fLcxf3qfI10QysgDWmMOVmxG0u6ZUAiEAyBiXDWzM+uOe5W0JuG+luQAbPIqHh89M15TluLtEZtM=";
        let body = concat!(
            r#"[{"email":"hello@world.com","event":"dropped","reason":"Bounced Address","#,
            r#""sg_event_id":"ZHJvcC0xMDk5NDkxOS1MUnpYbF9OSFN0T0doUTRrb2ZTbV9BLTA","#,
            r#""sg_message_id":"LRzXl_NHStOGhQ4kofSm_A.filterdrecv-p3mdw1-756b745b58-kmzbl-18-5F5FC76C-9.0","#,
            r#""smtp-id":"<LRzXl_NHStOGhQ4kofSm_A@ismtpd0039p1iad1.sendgrid.net>","timestamp":1600112492}]"#,
            "\r\n"
        );
        let check = |body: &str, key: &str, now: i64, settings: Value| {
            let headers = [(HEADER, signature), (TIMESTAMP_HEADER, "1600112502")];
            let headers = super::super::tests::headers(&headers);
            let delivery = Delivery { url: "", headers: &headers, body: body.as_bytes() };
            verify(&delivery, &[key], &settings, DateTime::from_timestamp(now, 0).unwrap()).map(|_| ())
        };
        let pem =
            format!("-----BEGIN PUBLIC KEY-----\n{}\n{}\n-----END PUBLIC KEY-----\n", &key[..64], &key[64..]);
        assert_eq!(check(body, key, 1_600_112_502, Value::Null), Ok(()));
        assert_eq!(check(body, &pem, 1_600_112_802, Value::Null), Ok(()));
        assert_eq!(check(body.trim_end(), key, 1_600_112_502, Value::Null), Err(Refusal::Mismatch));
        assert_eq!(check(body, key, 1_600_112_803, Value::Null), Err(Refusal::Stale));
        assert_eq!(check(body, key, 1_600_112_201, Value::Null), Err(Refusal::Stale));
        assert_eq!(check(body, key, 1_600_200_000, serde_json::json!({"toleranceSeconds": 100_000})), Ok(()));
        let other = "MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEqTxd43gyp8IOEto2LdIfjRQrIbsd4SXZkLW6jDutdhXSJCWHw8REntlo7aNDthvj+y7GjUuFDb/R1NGe1OPzpA==";
        assert_eq!(check(body, other, 1_600_112_502, Value::Null), Err(Refusal::Mismatch));
    }
}
