//! Every file under `tests/fixtures/webhooks/<provider>/` is read and held against the `.canonical.json` beside it.

use std::fs;
use std::path::{Path, PathBuf};

use http::HeaderValue;
use proptest::prelude::*;
use serde_json::json;

use super::*;

const ARRIVED: i64 = 1_760_000_100;

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/fixtures/webhooks")
}

/// The bodies of a provider, sorted.
fn bodies(provider: Provider) -> Vec<PathBuf> {
    let found = fs::read_dir(folder().join(provider.as_str())).unwrap().map(|entry| entry.unwrap().path());
    let body = |path: &PathBuf| {
        let name = path.file_name().unwrap().to_str().unwrap();
        !name.ends_with(".canonical.json") && !name.ends_with(".settings.json")
    };
    let mut bodies: Vec<_> = found.filter(body).collect();
    bodies.sort();
    bodies
}

fn headers(content_type: &str, topic: &str) -> HeaderMap {
    let mut headers = HeaderMap::new();
    headers.insert("content-type", HeaderValue::from_str(content_type).unwrap());
    headers.insert("x-github-event", HeaderValue::from_str(topic).unwrap());
    headers.insert("x-shopify-topic", HeaderValue::from_str(&topic.replacen('-', "/", 1)).unwrap());
    headers
}

fn read_as(
    provider: Provider,
    kind: &str,
    topic: &str,
    body: &[u8],
    settings: &Value,
) -> Result<Normalised, NormaliseError> {
    let raw = Raw {
        delivery_key: "delivery-1",
        query: "effect=0199c1a0-7c3e-7000-8000-0000000000e0",
        headers: &headers(kind, topic),
        body,
        received_at: DateTime::from_timestamp(ARRIVED, 0).unwrap(),
    };
    normalise(provider, &raw, settings)
}

fn canonical(provider: Provider, path: &Path) -> Value {
    let settings = fs::read(path.with_extension("settings.json"))
        .map_or(Value::Null, |settings| serde_json::from_slice(&settings).unwrap());
    let form = path.extension().is_some_and(|extension| extension == "txt");
    let kind = if form { "application/x-www-form-urlencoded; charset=utf-8" } else { "application/json" };
    let topic = path.file_stem().unwrap().to_str().unwrap();
    match read_as(provider, kind, topic, &fs::read(path).unwrap(), &settings) {
        Ok(read) => {
            let errors =
                read.errors.iter().map(|found| json!({"index": found.index, "code": found.error.code}));
            let errors: Vec<_> = errors.collect();
            let events = serde_json::to_value(&read.events).unwrap();
            let back: Vec<Canonical> = serde_json::from_value(events.clone()).unwrap();
            assert!(back == read.events, "{} does not survive JSON", path.display());
            json!({"events": events, "errors": errors})
        }
        Err(error) => panic!("{}: {error}", path.display()),
    }
}

fn expectation(path: &Path) -> PathBuf {
    path.with_extension("canonical.json")
}

#[test]
fn every_fixture_reads_as_expected() {
    for provider in Provider::ALL {
        let bodies = bodies(provider);
        assert!(!bodies.is_empty(), "{provider} has no fixture");
        for path in bodies {
            let expected = fs::read(expectation(&path)).unwrap_or_default();
            let expected: Value = serde_json::from_slice(&expected).unwrap_or_default();
            let found = canonical(provider, &path);
            assert_eq!(
                found,
                expected,
                "{}: `cargo test -p shared -- --ignored` rewrites it",
                path.display()
            );
        }
    }
}

#[test]
#[ignore = "rewrites the expectations; read the difference before you keep it"]
fn rewrite_the_expectations() {
    for provider in Provider::ALL {
        for path in bodies(provider) {
            let text = serde_json::to_string_pretty(&canonical(provider, &path)).unwrap();
            fs::write(expectation(&path), text + "\n").unwrap();
        }
    }
}

fn code(provider: Provider, kind: &str, body: &[u8]) -> &'static str {
    match read_as(provider, kind, "orders-paid", body, &Value::Null) {
        Ok(read) => panic!("{provider} read {:?}", read.events),
        Err(error) => error.code,
    }
}

#[test]
fn what_is_not_understood_is_an_error() {
    let json = "application/json";
    let form = "application/x-www-form-urlencoded";
    for provider in Provider::ALL {
        assert_eq!(code(provider, json, b"{\"a\":1,\"a\":2}"), "duplicate_key", "{provider}");
        assert_eq!(code(provider, json, b"{"), "invalid_json", "{provider}");
        assert_eq!(code(provider, json, "[".repeat(40).as_bytes()), "json_too_deep", "{provider}");
    }
    assert_eq!(code(Provider::Forms, json, b"[]"), "bad_field");
    assert_eq!(code(Provider::Forms, json, br#"{"name":"Ann"}"#), "no_identity");
    assert_eq!(code(Provider::Forms, form, b"email=not+an+address&phone=12"), "no_identity");
    assert_eq!(code(Provider::Forms, form, b"email=a@b.example&email=c@d.example"), "no_identity");
    assert_eq!(code(Provider::Forms, "multipart/form-data", b"x"), "unsupported_media");
    let many = (0..600).map(|index| format!("f{index}=1&")).collect::<String>();
    assert_eq!(code(Provider::Forms, form, format!("{many}email=a@b.example").as_bytes()), "too_many_fields");
    assert_eq!(code(Provider::Twilio, form, b"Body=x"), "missing_field");
    assert_eq!(code(Provider::Twilio, form, b"MessageSid=SM1&MessageStatus=teleported"), "bad_field");
    assert_eq!(code(Provider::Sendgrid, json, br#"[{"event":"open"}]"#), "missing_field");
    let order = br#"{"id":1,"currency":"EUR","total_price":"1.999"}"#;
    assert_eq!(code(Provider::Shopify, json, order), "bad_field");
    let order = br#"{"id":1,"currency":"XXZ","total_price":"1.99"}"#;
    assert_eq!(code(Provider::Shopify, json, order), "bad_field");
    for amount in ["-1", "1.5", "\"12\"", "null"] {
        let body = format!(
            r#"{{"id":"evt_1","created":1,"type":"payment_intent.succeeded","data":{{"object":
            {{"id":"pi_1","currency":"eur","amount_received":{amount}}}}}}}"#
        );
        assert_eq!(code(Provider::Stripe, json, body.as_bytes()), "bad_field", "{amount}");
    }
}

#[test]
fn the_robot_field_is_seen_before_anything_is_stored() {
    let check = |body: &[u8], settings: Value| {
        let raw = Raw {
            delivery_key: "d",
            query: "",
            headers: &headers("application/x-www-form-urlencoded", "x"),
            body,
            received_at: DateTime::UNIX_EPOCH,
        };
        forms::is_trapped(&raw, &settings)
    };
    assert!(check(b"email=a@b.example&website=x", json!({"honeypot": "website"})));
    assert!(!check(b"email=a@b.example&website=+", json!({"honeypot": "website"})));
    assert!(!check(b"email=a@b.example&website=x", Value::Null));
    assert!(check(b"email=a@b.example&_gotcha=x", Value::Null));
}

#[test]
fn keys_fit_into_an_index() {
    let body = format!(r#"{{"id":"{}","created":1,"type":"x","data":{{"object":{{}}}}}}"#, "e".repeat(5000));
    let read = read_as(Provider::Stripe, "application/json", "x", body.as_bytes(), &Value::Null).unwrap();
    assert_eq!(read.events.first().map(|event| event.dedupe_key.len()), Some(64));
}

#[test]
fn a_check_box_behind_a_hidden_no_is_a_yes() {
    let body = b"email=a@b.example&consent=0&consent=1";
    let read =
        read_as(Provider::Forms, "application/x-www-form-urlencoded", "x", body, &Value::Null).unwrap();
    let event = serde_json::to_value(&read.events).unwrap();
    assert_eq!(event.pointer("/0/consent/granted"), Some(&Value::Bool(true)));
}

#[test]
fn no_text_that_leaves_here_holds_a_nul() {
    let read = read_as(
        Provider::Forms,
        "application/json",
        "x",
        br#"{"email":"a\u0000@b.example","x\u0000":"\u0000y"}"#,
        &Value::Null,
    );
    let text = serde_json::to_string(&read.unwrap().events).unwrap();
    assert!(!text.contains("u0000") && text.contains("a@b.example"), "{text}");
    let read = read_as(
        Provider::Twilio,
        "application/x-www-form-urlencoded",
        "x",
        b"MessageSid=S&From=%2B1&To=%2B2&Body=a%00b",
        &Value::Null,
    );
    assert!(!serde_json::to_string(&read.unwrap().events).unwrap().contains("u0000"));
}

#[test]
fn a_bounce_outranks_a_delivery_and_nothing_outranks_reading() {
    use DeliveryStatus::{Canceled, Delivered, Failed, Queued, Read, Sending, Sent, Undelivered};
    let ranks = [Queued, Sending, Sent, Delivered, Undelivered, Read].map(DeliveryStatus::rank);
    assert!(ranks.is_sorted_by(|left, right| left < right));
    assert!(Failed.rank() == Undelivered.rank() && Canceled.rank() == Failed.rank());
}

/// JSON in the rough shape of real bodies: their keys, with anything behind them.
fn shaped() -> impl Strategy<Value = Value> {
    let key = prop::sample::select(vec![
        "id",
        "type",
        "event",
        "object",
        "data",
        "created",
        "entry",
        "changes",
        "value",
        "messages",
        "statuses",
        "payload",
        "uri",
        "email",
        "phone",
        "sg_event_id",
        "timestamp",
        "event-data",
        "message",
        "RecordType",
        "MessageID",
        "event_id",
        "created_at",
        "form_response",
        "answers",
        "field",
        "currency",
        "total_price",
        "transactions",
        "amount",
        "utm",
        "scheduled_event",
        "payment",
        "status",
        "event_type",
        "text",
        "metadata",
    ]);
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        "[a-z@.0-9:+-]{0,12}".prop_map(Value::from),
        prop::sample::select(vec![
            "a@b.example",
            "checkout.session.completed",
            "charge.refunded",
            "payment.updated",
            "whatsapp_business_account",
            "messages",
            "text",
            "delivered",
            "failed",
            "Bounce",
            "invitee.created",
            "form_response",
            "EUR",
            "COMPLETED",
            "2025-10-09T08:53:20Z",
            "1760000000",
            "99999999999999999999.5",
            "page",
            "leadgen",
            "email.sent",
        ])
        .prop_map(Value::from),
    ];
    leaf.prop_recursive(6, 60, 6, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::Array),
            prop::collection::btree_map(key.clone(), inner, 0..8)
                .prop_map(|map| map.into_iter().map(|(key, value)| (key.to_owned(), value)).collect()),
        ]
    })
}

proptest! {
    #[test]
    fn reading_bytes_is_total(
        body in prop::collection::vec(any::<u8>(), 0..120),
        kind in prop::sample::select(vec!["application/json", "application/x-www-form-urlencoded", "", "x"]),
    ) {
        for provider in Provider::ALL {
            let _ = read_as(provider, kind, "customers-create", &body, &json!({"map": {"a.b": "email", "/": "x"}}));
        }
    }

    #[test]
    fn reading_shaped_json_is_total(body in shaped(), settings in shaped(), topic in 0..3_usize) {
        let body = body.to_string();
        let topic = ["customers-create", "orders-paid", "refunds-create"][topic];
        for provider in Provider::ALL {
            let settings = json!({"map": settings, "honeypot": "id", "typeField": "a..b"});
            let _ = read_as(provider, "application/json", topic, body.as_bytes(), &settings);
        }
    }

    #[test]
    fn reading_mutilated_fixtures_is_total(pick in any::<prop::sample::Index>(), cut in any::<prop::sample::Index>(), byte in any::<u8>()) {
        for provider in Provider::ALL {
            let bodies = bodies(provider);
            let path = &bodies[pick.index(bodies.len())];
            let mut body = fs::read(path).unwrap();
            let place = cut.index(body.len());
            body[place] = byte;
            let kind = if path.extension().is_some_and(|extension| extension == "txt") {
                "application/x-www-form-urlencoded"
            } else {
                "application/json"
            };
            let topic = path.file_stem().unwrap().to_str().unwrap();
            let _ = read_as(provider, kind, topic, &body, &Value::Null);
            let _ = read_as(provider, kind, topic, &body[..place], &Value::Null);
        }
    }
}
