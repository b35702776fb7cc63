//! One genuine delivery per scheme, and every way to spoil it.

use http::{HeaderName, HeaderValue};
use proptest::prelude::*;
use serde_json::json;

use super::*;

pub(super) const NOW: i64 = 1_760_000_000;
pub(super) const SECRET: &str = "a secret of some length";
pub(super) const STANDARD_SECRET: &str = "whsec_plJ3nmyCDGBKInavdOK15jsl";
pub(super) const TOKEN: &str = "3f9d1c2b4a5e6f708192a3b4c5d6e7f8091a2b3c4d5e6f7081";

pub(super) fn headers(pairs: &[(&str, &str)]) -> HeaderMap {
    let pair = |(name, value): &(&str, &str)| {
        (HeaderName::try_from(*name).unwrap(), HeaderValue::from_str(value).unwrap())
    };
    pairs.iter().map(pair).collect()
}

pub(super) fn at(seconds: i64) -> DateTime<Utc> {
    DateTime::from_timestamp(seconds, 0).unwrap()
}

pub(super) struct Sample {
    provider: Provider,
    url: String,
    pub(super) headers: HeaderMap,
    /// The header whose bits are flipped.
    signature: &'static str,
    timestamp: Option<&'static str>,
    pub(super) body: Vec<u8>,
    pub(super) secret: String,
    settings: Value,
    key: Option<&'static str>,
}

impl Sample {
    pub(super) fn new(provider: Provider, signature: &'static str, value: &str, body: &[u8]) -> Self {
        Self {
            provider,
            url: "https://example.com/api/webhooks/x?a=1".to_owned(),
            headers: headers(&[(signature, value)]),
            signature,
            timestamp: None,
            body: body.to_vec(),
            secret: SECRET.to_owned(),
            settings: Value::Null,
            key: None,
        }
    }

    pub(super) fn with(mut self, name: &'static str, value: &str) -> Self {
        self.headers.insert(name, HeaderValue::from_str(value).unwrap());
        self
    }

    fn key(mut self, key: &'static str) -> Self {
        self.key = Some(key);
        self
    }

    pub(super) fn verify(&self) -> Result<Verified, Refusal> {
        self.verify_with(&[&self.secret], NOW)
    }

    fn verify_with(&self, secrets: &[&str], now: i64) -> Result<Verified, Refusal> {
        let delivery = Delivery { url: &self.url, headers: &self.headers, body: &self.body };
        verify(self.provider, &delivery, secrets, &self.settings, at(now))
    }
}

/// Samples whose signature covers the whole body (not Mailgun's and Postmark's).
fn samples() -> Vec<Sample> {
    let url = "https://example.com/api/webhooks/x?a=1";
    let ts = NOW.to_string();
    let event = br#"{"id":"evt_1","type":"ping","event_id":"ev-2"}"#;
    let booking = br#"{"event":"invitee.created","payload":{"uri":"https://calendly.example/i/1"}}"#;
    let status = br#"{"entry":[{"changes":[{"value":{"statuses":[{"id":"wamid.1","status":"sent"}]}}]}]}"#;
    let sms = b"MessageSid=SM1&MessageStatus=delivered&To=%2B15005550006";
    let form = "application/x-www-form-urlencoded";
    let (public, signer) = sendgrid::tests::keypair();
    let mut sendgrid = Sample::new(Provider::Sendgrid, sendgrid::HEADER, &signer(NOW, event), event)
        .with(sendgrid::TIMESTAMP_HEADER, &ts);
    sendgrid.secret = public;
    sendgrid.timestamp = Some(sendgrid::TIMESTAMP_HEADER);
    let signature = standard::sign("msg_1", NOW, event, STANDARD_SECRET);
    let mut standard = Sample::new(Provider::Standard, standard::SIGNATURE_HEADER, &signature, event)
        .with(standard::ID_HEADER, "msg_1")
        .with(standard::TIMESTAMP_HEADER, &ts)
        .key("msg_1");
    standard.secret = STANDARD_SECRET.to_owned();
    standard.timestamp = Some(standard::TIMESTAMP_HEADER);
    let mut slack = Sample::new(Provider::Slack, slack::HEADER, &slack::sign(NOW, event, SECRET), event)
        .with(slack::TIMESTAMP_HEADER, &ts)
        .key("ev-2");
    slack.timestamp = Some(slack::TIMESTAMP_HEADER);
    let mut generic =
        Sample::new(Provider::Generic, "x-sig", &generic::sign(Some(NOW), event, SECRET), event)
            .with("x-time", &ts)
            .key("ev-2");
    generic.timestamp = Some("x-time");
    generic.settings = json!({"header": "X-Sig", "timestampHeader": "x-time", "idField": "event_id"});
    vec![
        Sample::new(Provider::Stripe, stripe::HEADER, &stripe::sign(NOW, event, SECRET), event).key("evt_1"),
        Sample::new(Provider::Twilio, twilio::HEADER, &twilio::sign(url, sms, SECRET), sms)
            .with("content-type", form)
            .key("SM1:delivered"),
        Sample::new(Provider::Meta, meta::HEADER, &meta::sign(status, SECRET), status).key("wamid.1:sent"),
        sendgrid,
        Sample::new(Provider::Square, square::HEADER, &square::sign(url, event, SECRET), event).key("ev-2"),
        Sample::new(Provider::Shopify, shopify::HEADER, &shopify::sign(event, SECRET), event)
            .with("x-shopify-webhook-id", "wh-1")
            .key("wh-1"),
        Sample::new(Provider::Calendly, calendly::HEADER, &calendly::sign(NOW, booking, SECRET), booking)
            .key("https://calendly.example/i/1:invitee.created"),
        Sample::new(Provider::Typeform, typeform::HEADER, &typeform::sign(event, SECRET), event).key("ev-2"),
        Sample::new(Provider::Github, github::HEADER, &github::sign(event, SECRET), event)
            .with("x-github-delivery", "d-1")
            .key("d-1"),
        slack,
        standard,
        generic,
    ]
}

pub(super) fn mailgun_body(timestamp: i64, token: &str, signature: &str) -> Vec<u8> {
    let triple = json!({"timestamp": timestamp.to_string(), "token": token, "signature": signature});
    json!({"signature": triple, "event-data": {"id": "e1", "event": "opened"}}).to_string().into_bytes()
}

pub(super) fn mailgun() -> Sample {
    let body = mailgun_body(NOW, TOKEN, &mailgun::sign(NOW, TOKEN, SECRET));
    Sample::new(Provider::Mailgun, "content-type", "application/json", &body)
}

pub(super) fn postmark() -> Sample {
    let body = br#"{"RecordType":"Delivery","MessageID":"m1","Recipient":"a@example.com"}"#;
    let mut sample =
        Sample::new(Provider::Postmark, "authorization", &postmark::sign("hook:long password"), body);
    sample.secret = "hook:long password".to_owned();
    sample
}

#[test]
fn genuine_deliveries_pass_under_either_live_secret_and_only_those() {
    for sample in samples().into_iter().chain([mailgun(), postmark()]) {
        let provider = sample.provider;
        let verified = sample.verify().unwrap_or_else(|refusal| panic!("{provider}: {refusal}"));
        if let Some(key) = sample.key {
            assert_eq!(verified.delivery_key, key, "{provider}");
        }
        let other = "another secret entirely=";
        assert_eq!(sample.verify_with(&[other, &sample.secret], NOW).as_ref(), Ok(&verified), "{provider}");
        assert_eq!(sample.verify_with(&[&sample.secret, other], NOW).as_ref(), Ok(&verified), "{provider}");
        assert_eq!(sample.verify_with(&[other], NOW), Err(Refusal::Mismatch), "{provider}");
        assert_eq!(sample.verify_with(&[], NOW), Err(Refusal::NoSecret), "{provider}");
        assert_eq!(sample.verify_with(&[""], NOW), Err(Refusal::NoSecret), "{provider}");
    }
}

#[test]
fn a_signature_header_is_there_exactly_once() {
    for mut sample in samples().into_iter().chain([postmark()]) {
        let value = sample.headers.get(sample.signature).unwrap().clone();
        sample.headers.append(sample.signature, value);
        assert_eq!(sample.verify(), Err(Refusal::Repeated), "{}", sample.provider);
        sample.headers.remove(sample.signature);
        assert_eq!(sample.verify(), Err(Refusal::Missing), "{}", sample.provider);
    }
}

#[test]
fn timestamps_are_bounded_on_both_sides() {
    let tolerance = |provider| match provider {
        Provider::Calendly => Some(180),
        Provider::Mailgun => Some(900),
        Provider::Stripe | Provider::Sendgrid | Provider::Slack | Provider::Standard | Provider::Generic => {
            Some(300)
        }
        _ => None,
    };
    let mut dated = 0;
    for sample in samples().into_iter().chain([mailgun()]) {
        let Some(tolerance) = tolerance(sample.provider) else { continue };
        dated += 1;
        for distance in [tolerance, -tolerance] {
            assert!(sample.verify_with(&[&sample.secret], NOW + distance).is_ok(), "{}", sample.provider);
            let beyond = NOW + distance + distance.signum();
            assert_eq!(
                sample.verify_with(&[&sample.secret], beyond),
                Err(Refusal::Stale),
                "{}",
                sample.provider
            );
        }
    }
    assert_eq!(dated, 7);
}

fn flip(bytes: &[u8], position: usize) -> Vec<u8> {
    let mut flipped = bytes.to_vec();
    let index = (position / 8) % flipped.len();
    flipped[index] ^= 1 << (position % 8);
    flipped
}

/// What a body means to its scheme: fields for a form, bytes otherwise.
fn meaning(sample: &Sample, body: &[u8]) -> Vec<(String, String)> {
    if sample.provider == Provider::Twilio {
        let mut fields: Vec<_> = form_urlencoded::parse(body).into_owned().collect();
        fields.sort();
        return fields;
    }
    vec![(String::new(), hex::encode(body))]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn one_flipped_bit_of_body_signature_or_timestamp_is_refused(position in 0..100_000_usize) {
        for mut sample in samples() {
            let body = flip(&sample.body, position);
            if meaning(&sample, &body) != meaning(&sample, &sample.body) {
                let genuine = std::mem::replace(&mut sample.body, body);
                prop_assert!(sample.verify().is_err(), "body of {}", sample.provider);
                sample.body = genuine;
            }
            for name in [Some(sample.signature), sample.timestamp].into_iter().flatten() {
                let value = sample.headers.get(name).unwrap().clone();
                let flipped = flip(value.as_bytes(), position);
                let same = sample.provider == Provider::Generic && flipped.eq_ignore_ascii_case(value.as_bytes());
                let Ok(flipped) = HeaderValue::from_bytes(&flipped) else { continue };
                if same {
                    continue;
                }
                sample.headers.insert(name, flipped);
                prop_assert!(sample.verify().is_err(), "{name} of {}", sample.provider);
                sample.headers.insert(name, value);
            }
            prop_assert!(sample.verify().is_ok());
        }
    }

    #[test]
    fn one_flipped_bit_of_mailguns_triple_is_refused(position in 0..100_000_usize, part in 0..3_usize) {
        let mut sample = mailgun();
        let signature = mailgun::sign(NOW, TOKEN, SECRET);
        let mut parts = [NOW.to_string(), TOKEN.to_owned(), signature];
        if let Ok(flipped) = String::from_utf8(flip(parts[part].as_bytes(), position)) {
            parts[part] = flipped;
            let [timestamp, token, signature] = parts;
            let triple = json!({"timestamp": timestamp, "token": token, "signature": signature});
            sample.body = json!({"signature": triple}).to_string().into_bytes();
            prop_assert!(sample.verify().is_err());
        }
    }

    #[test]
    fn verifying_is_total(
        body in prop::collection::vec(any::<u8>(), 0..80),
        value in prop::collection::vec(any::<u8>(), 0..80),
        url in ".{0,40}",
        text in r"(t=|v1=|v1,|,|=| |[0-9a-f]{1,8}|sha256=){0,8}",
    ) {
        let names: Vec<_> = samples().iter().flat_map(|sample| [Some(sample.signature), sample.timestamp]).flatten()
            .chain(["svix-signature", "svix-id", "svix-timestamp", "webhook-id", "authorization", "content-type"])
            .collect();
        for value in [HeaderValue::from_bytes(&value), HeaderValue::from_str(&text)].into_iter().flatten() {
            let headers: HeaderMap =
                names.iter().map(|name| (HeaderName::try_from(*name).unwrap(), value.clone())).collect();
            let delivery = Delivery { url: &url, headers: &headers, body: &body };
            for provider in Provider::ALL {
                let verified = verify(provider, &delivery, &[SECRET], &Value::Null, at(NOW));
                prop_assert!(verified.is_err() || provider == Provider::Forms);
            }
        }
        let _ = meta::challenge(&url, &json!({"verifyToken": "x"}));
        let _ = slack::challenge(&body);
    }
}
