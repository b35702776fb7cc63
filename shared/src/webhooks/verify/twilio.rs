//! Twilio: `X-Twilio-Signature: <base64>`, HMAC-SHA-1 under the auth token (twilio.com/docs/usage/security).
//!
//! A form is signed as the exact URL followed by every name and value, sorted, equal values of one name once. JSON is
//! signed as the URL alone, which then carries `bodySHA256`; JSON without it is covered by nothing and refused. Twilio is
//! not consistent about the port in the URL, so it is tried with and without. Nothing is dated; the delivery key is the
//! message's (or call's) sid with its status.
//!
//! Accounts that use a shared key instead of the auth token name its id in the setting `sharedKeyId`; the code is then
//! HMAC-SHA-256. Only that setting chooses: a header must not be able to pick a weaker algorithm.

use std::collections::{BTreeMap, BTreeSet};

use ring::hmac::{Algorithm, HMAC_SHA1_FOR_LEGACY_USE_ONLY, HMAC_SHA256};
use serde_json::Value;

use super::{Delivery, Refusal, Verified, header, mac};

/// The signature header.
pub const HEADER: &str = "x-twilio-signature";
/// The header that names the shared key of a signature.
pub const SETTINGS_HEADER: &str = "x-twilio-webhooks-signature-settings";

const FORM: &str = "application/x-www-form-urlencoded";

pub(super) fn verify(
    delivery: &Delivery<'_>,
    secrets: &[&str],
    settings: &Value,
) -> Result<Verified, Refusal> {
    let tag = header::base64(header::one(delivery.headers, HEADER)?)?;
    let algorithm = algorithm(delivery, settings)?;
    let form = is_form(delivery)?;
    if !form && !delivery.body.is_empty() {
        check_body_hash(delivery)?;
    }
    let signed: &[u8] = if form { delivery.body } else { b"" };
    let keys: Vec<&[u8]> = secrets.iter().map(|secret| secret.as_bytes()).collect();
    let tags = [tag];
    let mut genuine = false;
    for url in port_variants(delivery.url) {
        genuine |= mac::matches(algorithm, &keys, &content(&url, signed), &tags);
    }
    if !genuine {
        return Err(Refusal::Mismatch);
    }
    Ok(name(signed, delivery.body))
}

/// The value of the header for a form `body` sent to `url`. For JSON give an empty body and a URL made by
/// [`with_body_hash`].
#[must_use]
pub fn sign(url: &str, body: &[u8], secret: &str) -> String {
    header::to_base64(&mac::sign(HMAC_SHA1_FOR_LEGACY_USE_ONLY, secret.as_bytes(), &content(url, body)))
}

/// The URL under which Twilio posts a JSON `body`.
#[must_use]
pub fn with_body_hash(url: &str, body: &[u8]) -> String {
    let separator = if url.contains('?') { '&' } else { '?' };
    format!("{url}{separator}bodySHA256={}", mac::sha256_hex(body))
}

fn algorithm(delivery: &Delivery<'_>, settings: &Value) -> Result<Algorithm, Refusal> {
    let Some(key) = header::setting(settings, "sharedKeyId") else {
        return Ok(HMAC_SHA1_FOR_LEGACY_USE_ONLY);
    };
    let named = header::one(delivery.headers, SETTINGS_HEADER)?;
    let part = |wanted: &str| {
        named.split(',').filter_map(|part| part.trim().split_once('=')).find(|(name, _)| *name == wanted)
    };
    if part("key").map(|(_, id)| id) == Some(key)
        && part("algorithm").map(|(_, name)| name) == Some("HMAC_SHA256")
    {
        return Ok(HMAC_SHA256);
    }
    Err(Refusal::Mismatch)
}

fn is_form(delivery: &Delivery<'_>) -> Result<bool, Refusal> {
    let kind = header::optional(delivery.headers, "content-type")?.unwrap_or_default();
    let kind = kind.split(';').next().unwrap_or_default().trim();
    Ok(kind.eq_ignore_ascii_case(FORM))
}

fn check_body_hash(delivery: &Delivery<'_>) -> Result<(), Refusal> {
    let query = delivery.url.split_once('?').map_or("", |(_, query)| query);
    let query = query.split('#').next().unwrap_or_default();
    let mut hashes = form_urlencoded::parse(query.as_bytes()).filter(|(name, _)| name == "bodySHA256");
    let (_, hash) = hashes.next().ok_or(Refusal::Unsigned)?;
    if hashes.next().is_some() {
        return Err(Refusal::Repeated);
    }
    if mac::equal(hash.as_bytes(), mac::sha256_hex(delivery.body).as_bytes()) {
        return Ok(());
    }
    Err(Refusal::Mismatch)
}

fn content(url: &str, form: &[u8]) -> Vec<u8> {
    let mut fields: BTreeMap<_, BTreeSet<_>> = BTreeMap::new();
    for (name, value) in form_urlencoded::parse(form) {
        fields.entry(name).or_default().insert(value);
    }
    let mut content = url.as_bytes().to_vec();
    for (name, values) in &fields {
        for value in values {
            content.extend_from_slice(name.as_bytes());
            content.extend_from_slice(value.as_bytes());
        }
    }
    content
}

/// The URL without a port, and with the one it has or the scheme's own. By hand, since a URL parser would drop the
/// default port and normalise the rest, and the signature is over the characters.
fn port_variants(url: &str) -> [String; 2] {
    let unchanged = || [url.to_owned(), url.to_owned()];
    let Some((scheme, rest)) = url.split_once("://") else { return unchanged() };
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let (authority, tail) = rest.split_at(end);
    let (host, port) = match authority.rsplit_once(':') {
        Some((host, port)) if !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit()) => {
            (host, port)
        }
        _ if scheme == "https" => (authority, "443"),
        _ => (authority, "80"),
    };
    [format!("{scheme}://{host}{tail}"), format!("{scheme}://{host}:{port}{tail}")]
}

fn name(form: &[u8], body: &[u8]) -> Verified {
    let field = |names: &[&str]| {
        let found =
            form_urlencoded::parse(form).find(|(name, value)| names.contains(&&**name) && !value.is_empty());
        found.map(|(_, value)| value.into_owned())
    };
    let Some(sid) = field(&["MessageSid", "SmsSid", "CallSid"]) else { return Verified::named(None, body) };
    match field(&["MessageStatus", "SmsStatus", "CallStatus"]) {
        Some(status) => Verified::keyed(&format!("{sid}:{status}"), &sid, body),
        None => Verified::named(Some(&sid), body),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const URL: &str = "https://mycompany.com/myapp.php?foo=1&bar=2";

    #[test]
    fn the_published_form_vectors_hold() {
        let form = b"CallSid=CA1234567890ABCDE&Digits=1234&From=%2B14158675309&To=%2B18005551212&Caller=%2B14158675309";
        assert_eq!(sign(URL, form, "12345"), "RSOYDt4T1cUTdK1PDd93/VVr8B8=");
        let twice = b"Sid=CA123&SidAccount=AC123&Digits=5678&Digits=1234&Digits=5678";
        assert_eq!(sign(URL, twice, "12345"), "IK+Dwps556ElfBT0I3Rgjkr1wJU=");
        let http = URL.replace("https", "http");
        for (url, signature) in [
            (URL.to_owned(), "RSOYDt4T1cUTdK1PDd93/VVr8B8="),
            (URL.replace(".com", ".com:1234"), "RSOYDt4T1cUTdK1PDd93/VVr8B8="),
            (http.replace(".com", ".com:1234"), "Zmvh+3yNM1Phv2jhDCwEM3q5ebU="),
            (URL.to_owned(), "kvajT1Ptam85bY51eRf/AJRuM3w="),
            (http, "0ZXoZLH/DfblKGATFgpif+LLRf4="),
        ] {
            let headers = [(HEADER, signature), ("content-type", FORM)];
            let headers = super::super::tests::headers(&headers);
            let delivery = Delivery { url: &url, headers: &headers, body: form };
            let verified = verify(&delivery, &["12345"], &Value::Null).unwrap();
            assert_eq!(verified.delivery_key, "CA1234567890ABCDE");
        }
    }

    #[test]
    fn the_published_json_vector_holds_and_json_without_its_hash_is_refused() {
        let body = br#"{"property": "value", "boolean": true}"#;
        let url = with_body_hash(URL, body);
        assert!(
            url.ends_with("&bodySHA256=0a1ff7634d9ab3b95db5c9a2dfe9416e41502b283a80c7cf19632632f96e6620")
        );
        assert_eq!(sign(&url, b"", "12345"), "a9nBmqA0ju/hNViExpshrM61xv4=");
        let check = |url: &str, body: &[u8]| {
            let signature = sign(url, b"", "12345");
            let headers = [(HEADER, signature.as_str()), ("content-type", "application/json")];
            let headers = super::super::tests::headers(&headers);
            verify(&Delivery { url, headers: &headers, body }, &["12345"], &Value::Null).map(|_| ())
        };
        assert_eq!(check(&url, body), Ok(()));
        assert_eq!(check(&url, b"{}"), Err(Refusal::Mismatch));
        assert_eq!(check(URL, body), Err(Refusal::Unsigned));
        assert_eq!(check(&with_body_hash(&url, b"{}"), b"{}"), Err(Refusal::Repeated));
    }

    #[test]
    fn only_the_settings_choose_the_algorithm() {
        let settings = serde_json::json!({"sharedKeyId": "key1"});
        let body = b"MessageSid=SM1&MessageStatus=sent";
        let strong = header::to_base64(&mac::sign(HMAC_SHA256, b"shared", &content(URL, body)));
        let weak = sign(URL, body, "shared");
        let check = |signature: &str, named: Option<&str>, settings: &Value| {
            let mut pairs = vec![(HEADER, signature), ("content-type", FORM)];
            pairs.extend(named.map(|named| (SETTINGS_HEADER, named)));
            let headers = super::super::tests::headers(&pairs);
            verify(&Delivery { url: URL, headers: &headers, body }, &["shared"], settings)
                .map(|found| found.delivery_key)
        };
        let right = Some("key=key1,algorithm=HMAC_SHA256");
        assert_eq!(check(&strong, right, &settings), Ok("SM1:sent".to_owned()));
        assert_eq!(check(&strong, None, &settings), Err(Refusal::Missing));
        assert_eq!(check(&weak, right, &settings), Err(Refusal::Mismatch));
        assert_eq!(check(&weak, Some("key=key1,algorithm=HMAC_SHA1"), &settings), Err(Refusal::Mismatch));
        assert_eq!(check(&strong, Some("key=key2,algorithm=HMAC_SHA256"), &settings), Err(Refusal::Mismatch));
        assert_eq!(check(&strong, right, &Value::Null), Err(Refusal::Mismatch));
    }
}
