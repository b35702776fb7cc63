//! One genuine delivery per scheme, and every way to spoil it.

use http::{HeaderName, HeaderValue};
use proptest::prelude::*;
use serde_json::json;

use super::*;

const NOW: i64 = 1_760_000_000;
const SECRET: &str = "a secret of some length";
const STANDARD_SECRET: &str = "whsec_plJ3nmyCDGBKInavdOK15jsl";
const TOKEN: &str = "3f9d1c2b4a5e6f708192a3b4c5d6e7f8091a2b3c4d5e6f7081";

pub(super) fn headers(pairs: &[(&str, &str)]) -> HeaderMap {
    let pair = |(name, value): &(&str, &str)| {
        (HeaderName::try_from(*name).unwrap(), HeaderValue::from_str(value).unwrap())
    };
    pairs.iter().map(pair).collect()
}

fn at(seconds: i64) -> DateTime<Utc> {
    DateTime::from_timestamp(seconds, 0).unwrap()
}

struct Sample {
    provider: Provider,
    url: String,
    headers: HeaderMap,
    /// The header whose bits are flipped.
    signature: &'static str,
    timestamp: Option<&'static str>,
    body: Vec<u8>,
    secret: String,
    settings: Value,
    key: Option<&'static str>,
}

impl Sample {
    fn new(provider: Provider, signature: &'static str, value: &str, body: &[u8]) -> Self {
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

    fn with(mut self, name: &'static str, value: &str) -> Self {
        self.headers.insert(name, HeaderValue::from_str(value).unwrap());
        self
    }

    fn key(mut self, key: &'static str) -> Self {
        self.key = Some(key);
        self
    }

    fn verify(&self) -> Result<Verified, Refusal> {
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
    let mut generic = Sample::new(Provider::Generic, "x-sig", &generic::sign(Some(NOW), event, SECRET), event)
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

fn mailgun_body(timestamp: i64, token: &str, signature: &str) -> Vec<u8> {
    let triple = json!({"timestamp": timestamp.to_string(), "token": token, "signature": signature});
    json!({"signature": triple, "event-data": {"id": "e1", "event": "opened"}}).to_string().into_bytes()
}

fn mailgun() -> Sample {
    let body = mailgun_body(NOW, TOKEN, &mailgun::sign(NOW, TOKEN, SECRET));
    Sample::new(Provider::Mailgun, "content-type", "application/json", &body)
}

fn postmark() -> Sample {
    let body = br#"{"RecordType":"Delivery","MessageID":"m1","Recipient":"a@example.com"}"#;
    let mut sample = Sample::new(Provider::Postmark, "authorization", &postmark::sign("hook:long password"), body);
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
        Provider::Stripe | Provider::Sendgrid | Provider::Slack | Provider::Standard | Provider::Generic => Some(300),
        _ => None,
    };
    let mut dated = 0;
    for sample in samples().into_iter().chain([mailgun()]) {
        let Some(tolerance) = tolerance(sample.provider) else { continue };
        dated += 1;
        for distance in [tolerance, -tolerance] {
            assert!(sample.verify_with(&[&sample.secret], NOW + distance).is_ok(), "{}", sample.provider);
            let beyond = NOW + distance + distance.signum();
            assert_eq!(sample.verify_with(&[&sample.secret], beyond), Err(Refusal::Stale), "{}", sample.provider);
        }
    }
    assert_eq!(dated, 7);
}

#[test]
fn a_body_that_cannot_be_read_is_kept_under_its_hash() {
    let body = b"not json";
    let sample = Sample::new(Provider::Stripe, stripe::HEADER, &stripe::sign(NOW, body, SECRET), body);
    let verified = sample.verify().unwrap();
    assert_eq!(verified.delivery_key, mac::sha256_hex(body));
    assert_eq!(verified.provider_event_id, None);
    let odd = br#"{"id":"evt 1\u0000"}"#;
    let sample = Sample::new(Provider::Stripe, stripe::HEADER, &stripe::sign(NOW, odd, SECRET), odd);
    assert_eq!(sample.verify().unwrap().delivery_key, mac::sha256_hex(odd));
}

#[test]
fn the_other_published_vectors_hold() {
    let hello = b"Hello, World!";
    assert_eq!(
        github::sign(hello, "It's a Secret to Everybody"),
        "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17"
    );
    let command = b"token=xyzz0WbapA4vBCDEFasx0q6G&team_id=T1DC2JH3J&team_domain=testteamnow&channel_id=G8PSS9T3V&channel_name=foobar&user_id=U2CERLKJA&user_name=roadrunner&command=%2Fwebhook-collect&text=&response_url=https%3A%2F%2Fhooks.slack.com%2Fcommands%2FT1DC2JH3J%2F397700885554%2F96rGlfmibIGlgcZRskXaIFfN&trigger_id=398738663015.47445629121.803a0bc887a14d10d2c447fce8b6703c";
    assert_eq!(
        slack::sign(1_531_420_618, command, "8f742231b10e8888abcd99yyyzzz85a5"),
        "v0=a2114d57b48eac39b9ad189dd8316235a7b4a8d21a10bd27519666489c69b503"
    );
    let ping = br#"{"event_type":"ping","data":{"success":true}}"#;
    assert_eq!(
        standard::sign("msg_loFOjxBNrRLzqYUf", 1_731_705_121, ping, STANDARD_SECRET),
        "v1,rAvfW3dJ/X/qxhsaXPOyyCGmRKsaKWcsNccKXlIktD0="
    );
    let square = br#"{"merchant_id":"MLEFBHHSJGVHD","type":"webhooks.test_notification","event_id":"ac3ac95b-f97d-458c-a6e6-18981597e05f","created_at":"2022-07-13T20:30:59.037339943Z","data":{"type":"webhooks","id":"bc368e64-01aa-407e-b46e-3231809b1129"}}"#;
    let square_url = "https://webhook.site/679a4f3a-dcfa-49ee-bac5-9d0edad886b9";
    assert_eq!(
        square::sign(square_url, square, "Ibxx_5AKakO-3qeNVR61Dw"),
        "GF4YkrJgGBDZ9NIYbNXBnMzqb2HoL4RW/S6vkZ9/2N4="
    );
}

#[test]
fn stripe_headers_may_list_several_signatures() {
    let body = b"{}";
    let sign = |secret: &str| stripe::sign(NOW, body, secret);
    let check = |value: &str| Sample::new(Provider::Stripe, stripe::HEADER, value, body).verify().map(|_| ());
    let good = sign(SECRET);
    let tag = good.split_once("v1=").unwrap().1;
    assert_eq!(check(&format!("{},v1={tag},v0=abc", sign("other"))), Ok(()));
    assert_eq!(check(&format!("{good},v1=potato")), Ok(()));
    assert_eq!(check(&format!("t={NOW},v0={tag}")), Err(Refusal::Malformed));
    assert_eq!(check(&format!("t={NOW},t={NOW},v1={tag}")), Err(Refusal::Repeated));
    assert_eq!(check(&good.to_uppercase().replace("T=", "t=").replace("V1=", "v1=")), Err(Refusal::Malformed));
    for broken in ["", "nonsense", "t=,v1=", "t=-1,v1=00", "t=99999999999999999999,v1=00", "v1=00"] {
        assert!(check(broken).is_err(), "{broken}");
    }
}

#[test]
fn standard_takes_lists_both_header_families_and_ed25519() {
    use ring::signature::{Ed25519KeyPair, KeyPair as _};
    let body = b"\xff not even text";
    let good = standard::sign("m", NOW, body, STANDARD_SECRET);
    let check = |pairs: &[(&str, &str)], secret: &str| {
        let delivery = Delivery { url: "", headers: &headers(pairs), body };
        verify(Provider::Standard, &delivery, &[secret], &Value::Null, at(NOW)).map(|found| found.delivery_key)
    };
    let ts = NOW.to_string();
    let svix = |signature: &str| {
        check(&[("svix-id", "m"), ("svix-timestamp", &ts), ("svix-signature", signature)], STANDARD_SECRET)
    };
    assert_eq!(svix(&good), Ok("m".to_owned()));
    assert_eq!(svix(&format!("v1,AAAA v2,x {good}")), Ok("m".to_owned()));
    for broken in ["", "v1", "v1,", "v1,%%%", " ", &format!("{good} x"), &good.replace("v1,", "v2,")] {
        assert!(svix(broken).is_err(), "{broken}");
    }
    let pair = Ed25519KeyPair::from_seed_unchecked(&[7; 32]).unwrap();
    let public = format!("whpk_{}", header::to_base64(pair.public_key().as_ref()));
    let content = [format!("m.{ts}.").as_bytes(), body].concat();
    let signature = format!("v1a,{}", header::to_base64(pair.sign(&content).as_ref()));
    let pairs = [("webhook-id", "m"), ("webhook-timestamp", ts.as_str()), ("webhook-signature", &signature)];
    assert_eq!(check(&pairs, &public), Ok("m".to_owned()));
    assert_eq!(check(&pairs, STANDARD_SECRET), Err(Refusal::Mismatch));
    let dotted = [("webhook-id", "m.1"), ("webhook-timestamp", ts.as_str()), ("webhook-signature", &good)];
    assert_eq!(check(&dotted, STANDARD_SECRET), Err(Refusal::Malformed));
    assert_eq!(check_secret(Provider::Standard, &standard::encode_secret(&[1; 32])), Ok(()));
    assert_eq!(check_secret(Provider::Standard, &public), Ok(()));
}

#[test]
fn mailgun_checks_its_own_triple_and_the_parents() {
    assert_eq!(mailgun().verify().unwrap().delivery_key, TOKEN);
    assert_eq!(mailgun().verify().unwrap().provider_event_id.as_deref(), Some("e1"));
    let mut sample = mailgun();
    let wrong = mailgun::sign(NOW, TOKEN, "the key of the sub-account");
    let own = json!({"timestamp": NOW, "token": TOKEN, "signature": wrong});
    let parent = json!({"timestamp": NOW, "token": TOKEN, "signature": mailgun::sign(NOW, TOKEN, SECRET)});
    sample.body = json!({"signature": own, "parent-signature": parent}).to_string().into_bytes();
    assert!(sample.verify().is_ok());
    // Digits of the timestamp moved into the token stay signed, but the token has a fixed length.
    let (head, last) = (NOW / 10, NOW % 10);
    sample.body = mailgun_body(head, &format!("{last}{TOKEN}"), &mailgun::sign(NOW, TOKEN, SECRET));
    assert!(sample.verify().is_err());
    let mut form = mailgun().with("content-type", "application/x-www-form-urlencoded");
    let signature = mailgun::sign(NOW, TOKEN, SECRET);
    form.body = format!("timestamp={NOW}&token={TOKEN}&signature={signature}&subject=Hi").into_bytes();
    assert!(form.verify().is_ok());
    form.body.extend_from_slice(b"&token=x");
    assert_eq!(form.verify(), Err(Refusal::Repeated));
}

#[test]
fn postmark_records_of_one_message_are_told_apart() {
    let sample = postmark();
    let key = |body: &str| {
        let delivery = Delivery { url: "", headers: &sample.headers, body: body.as_bytes() };
        verify(Provider::Postmark, &delivery, &[&sample.secret], &Value::Null, at(NOW)).unwrap().delivery_key
    };
    let first = key(r#"{"RecordType":"Delivery","MessageID":"m1","Recipient":"a@example.com","Tag":"x"}"#);
    assert!(first.starts_with("m1:Delivery:"), "{first}");
    assert_eq!(first, sample.verify().unwrap().delivery_key);
    assert_ne!(first, key(r#"{"RecordType":"Delivery","MessageID":"m1","Recipient":"b@example.com"}"#));
    assert_ne!(first, key(r#"{"RecordType":"Bounce","MessageID":"m1","Email":"a@example.com"}"#));
}

#[test]
fn forms_are_named_by_body_and_day_and_bound_to_their_websites() {
    let delivery = |origin: Option<&str>, settings: Value, now: i64| {
        let headers = headers(&origin.map(|origin| ("origin", origin)).into_iter().collect::<Vec<_>>());
        verify(Provider::Forms, &Delivery { url: "", headers: &headers, body: b"a=b" }, &[], &settings, at(now))
    };
    let listed = || json!({"allowedOrigins": ["https://gym.example/"]});
    assert_eq!(delivery(None, listed(), NOW), delivery(Some("https://gym.example"), listed(), NOW + 60));
    assert_eq!(delivery(Some("https://evil.example"), listed(), NOW), Err(Refusal::Origin));
    assert!(delivery(Some("https://evil.example"), json!({}), NOW).is_ok());
    assert_ne!(delivery(None, listed(), NOW), delivery(None, listed(), NOW + 86_400));
}

#[test]
fn challenges_are_answered_with_plain_words_only() {
    let settings = json!({"verifyToken": "our own token"});
    let query = "hub.mode=subscribe&hub.verify_token=our+own+token&hub.challenge=1158201444";
    assert_eq!(meta::challenge(query, &settings), Ok("1158201444".to_owned()));
    assert_eq!(meta::challenge(query, &Value::Null), Err(Refusal::NoSecret));
    for (from, to, refusal) in [
        ("our+own", "their", Refusal::Mismatch),
        ("=subscribe", "=x", Refusal::Malformed),
        ("1158201444", "%3Cscript%3E", Refusal::Malformed),
        ("&hub.challenge=1158201444", "", Refusal::Missing),
        ("hub.mode", "hub.challenge=1&hub.mode", Refusal::Repeated),
    ] {
        assert_eq!(meta::challenge(&query.replace(from, to), &settings), Err(refusal), "{to}");
    }
    assert_eq!(slack::challenge(br#"{"type":"url_verification","challenge":"3eZbrw1a"}"#).as_deref(), Some("3eZbrw1a"));
    assert_eq!(slack::challenge(br#"{"type":"event_callback","challenge":"3eZbrw1a"}"#), None);
}

#[test]
fn weak_and_mistaken_secrets_are_refused_at_configuration() {
    let long = "0123456789abcdef";
    for provider in Provider::ALL {
        assert_eq!(check_secret(provider, "").is_ok(), provider == Provider::Forms, "{provider}");
        assert!(check_secret(provider, "short").is_err(), "{provider}");
        assert!(check_secret(provider, &"x".repeat(501)).is_err(), "{provider}");
        let plain = !matches!(provider, Provider::Forms | Provider::Sendgrid);
        assert_eq!(check_secret(provider, "0123456789abcdef01234567").is_ok(), plain, "{provider}");
        assert!(check_secret(provider, &format!("{long} \n")).is_err(), "{provider}");
    }
    assert!(check_secret(Provider::Stripe, "sk_live_0123456789abcdef").is_err());
    assert!(check_secret(Provider::Standard, "whsec_c2hvcnQ").is_err());
    assert!(check_secret(Provider::Standard, "whsec_this is not base64!").is_err());
    assert!(check_secret(Provider::Standard, STANDARD_SECRET).is_ok());
    assert!(check_secret(Provider::Postmark, "hook:short one").is_err());
    assert!(check_secret(Provider::Postmark, "hook:a longer password").is_ok());
    assert!(check_secret(Provider::Sendgrid, &sendgrid::tests::keypair().0).is_ok());
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
