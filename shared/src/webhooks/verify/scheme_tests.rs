//! Published vectors, and what is peculiar to single schemes.

use serde_json::json;

use super::tests::{
    NOW, SECRET, STANDARD_SECRET, Sample, TOKEN, at, headers, mailgun, mailgun_body, postmark,
};
use super::*;

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

/// Recomputed with Python's `hmac`, for the senders that publish no vector.
#[test]
fn another_implementation_agrees() {
    let body = br#"{"id":"evt_1"}"#;
    let stamped = "t=1760000000,v1=93e2119f37a5dc65a17c408b2dbc4572887ed874890a58c38d2658fc630eec34";
    assert_eq!(stripe::sign(NOW, body, SECRET), stamped);
    assert_eq!(calendly::sign(NOW, body, SECRET), stamped);
    assert_eq!(shopify::sign(body, SECRET), "tYkxKZUEcrFmFTLhKlAq3+VAbOt+KQCRqADN6KSxU4c=");
    assert_eq!(typeform::sign(body, SECRET), "sha256=tYkxKZUEcrFmFTLhKlAq3+VAbOt+KQCRqADN6KSxU4c=");
    assert_eq!(
        mailgun::sign(NOW, TOKEN, SECRET),
        "752f85d2b110acb3a99bd3da7727f558d30157ab966c03871c5b2b1130214d62"
    );
    assert_eq!(
        generic::sign(None, body, SECRET),
        "b5893129950472b1661532e12a502adfe5406ceb7e290091a800cde8a4b15387"
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
    assert_eq!(
        check(&good.to_uppercase().replace("T=", "t=").replace("V1=", "v1=")),
        Err(Refusal::Malformed)
    );
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
        verify(Provider::Standard, &delivery, &[secret], &Value::Null, at(NOW))
            .map(|found| found.delivery_key)
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
        verify(
            Provider::Forms,
            &Delivery { url: "", headers: &headers, body: b"a=b" },
            &[],
            &settings,
            at(now),
        )
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
    assert_eq!(
        slack::challenge(br#"{"type":"url_verification","challenge":"3eZbrw1a"}"#).as_deref(),
        Some("3eZbrw1a")
    );
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
