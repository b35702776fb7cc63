//! Access tokens that must not open anything, and the keys that make those that do.

use base64::{
    Engine as _,
    engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD},
};
use ring::{hmac, signature::Ed25519KeyPair};
use serde_json::{Value, json};

use super::text;
use crate::support::{Client, Tenant, stack};

/// The keys of the stack, the one that signs first: their ids and seeds.
fn keys() -> Vec<(String, Vec<u8>)> {
    let list = &stack().values["JWT_SIGNING_KEYS"];
    let key = |entry: &str| {
        let (kid, seed) = entry.split_once(':').unwrap();
        (kid.to_owned(), STANDARD.decode(seed).unwrap())
    };
    list.split(',').map(key).collect()
}

fn part(token: &str, place: usize) -> Value {
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(token.split('.').nth(place).unwrap()).unwrap()).unwrap()
}

fn message(header: &str, claims: &str) -> String {
    format!("{}.{}", URL_SAFE_NO_PAD.encode(header), URL_SAFE_NO_PAD.encode(claims))
}

/// The token of exactly these bytes, signed as the stack signs.
fn sign(seed: &[u8], header: &str, claims: &str) -> String {
    let message = message(header, claims);
    let signature = Ed25519KeyPair::from_seed_unchecked(seed).unwrap().sign(message.as_bytes());
    format!("{message}.{}", URL_SAFE_NO_PAD.encode(signature))
}

fn with(value: &Value, field: &str, changed: Value) -> String {
    let mut value = value.clone();
    value[field] = changed;
    value.to_string()
}

fn without(value: &Value, field: &str) -> String {
    let mut value = value.clone();
    value.as_object_mut().unwrap().remove(field);
    value.to_string()
}

#[tokio::test]
async fn no_token_of_the_corpus_opens_anything() {
    let tenant = Tenant::new().await;
    let genuine = text(&tenant.registration["accessToken"]).to_owned();
    let (kid, seed) = keys().remove(0);
    let (header, claims) = (part(&genuine, 0), part(&genuine, 1));
    let (header_text, claims_text) = (header.to_string(), claims.to_string());
    let other = Tenant::new().await;
    let now = claims["iat"].as_i64().unwrap();

    let mut corpus: Vec<(String, String)> = vec![
        ("nothing".into(), String::new()),
        ("dots".into(), "..".into()),
        ("as long as a header may be".into(), "a".repeat(300_000)),
        ("one megabyte".into(), "a".repeat(1_000_000)),
        ("without a signature".into(), format!("{}.", message(&header_text, &claims_text))),
        ("without the last part".into(), message(&header_text, &claims_text)),
        ("another signature".into(), format!("{}.{}", message(&header_text, &claims_text), "A".repeat(86))),
        ("padded".into(), format!("{genuine}=")),
    ];
    for none in ["none", "None", "NONE"] {
        let message = message(&with(&header, "alg", json!(none)), &claims_text);
        corpus.push((format!("alg {none}"), format!("{message}.")));
        corpus.push((
            format!("alg {none}, signed"),
            sign(&seed, &with(&header, "alg", json!(none)), &claims_text),
        ));
    }
    // The public key as the secret of a symmetric algorithm, in each form in which it is published.
    let jwks = Client::anonymous().get("/api/auth/jwks").await.expect(200);
    let public = text(&jwks["keys"][0]["x"]).to_owned();
    for secret in [public.as_bytes().to_vec(), URL_SAFE_NO_PAD.decode(&public).unwrap()] {
        let message = message(&with(&header, "alg", json!("HS256")), &claims_text);
        let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, &secret), message.as_bytes());
        corpus.push((
            "alg HS256 by the public key".into(),
            format!("{message}.{}", URL_SAFE_NO_PAD.encode(tag)),
        ));
    }
    for alg in ["RS256", "ES256", "eddsa", "Ed25519"] {
        corpus.push((format!("alg {alg}"), sign(&seed, &with(&header, "alg", json!(alg)), &claims_text)));
    }
    for (field, value) in [
        ("kid", json!("unknown")),
        ("kid", json!("../../../../dev/null")),
        ("kid", json!("' or 1=1 --")),
        ("kid", json!(1)),
        ("typ", json!("JWT")),
        ("typ", json!("rt+jwt")),
        ("jku", json!("https://example.com/jwks.json")),
        ("x5u", json!("https://example.com/cert.pem")),
        ("jwk", json!({"kty": "OKP", "crv": "Ed25519", "x": public})),
        ("crit", json!(["exp"])),
        ("b64", json!(false)),
    ] {
        corpus.push((
            format!("header {field} {value}"),
            sign(&seed, &with(&header, field, value), &claims_text),
        ));
    }
    for (field, value) in [
        ("iss", json!("https://example.com")),
        ("aud", json!("another")),
        ("aud", json!([claims["aud"], "another"])),
        ("nbf", json!(now + 60)),
        ("iat", json!(now + 60)),
        ("exp", json!(now)),
        ("exp", json!(now - 1)),
        ("exp", json!(now + 86_400)),
        ("exp", json!((now + 600).to_string())),
        ("exp", json!(9.0e15)),
        ("sub", other.registration["user"]["id"].clone()),
        ("tenantId", json!(other.id)),
        ("sid", json!("0198a000-0000-7000-8000-00000000dead")),
        ("role", json!("god")),
    ] {
        corpus.push((
            format!("claim {field} {value}"),
            sign(&seed, &header_text, &with(&claims, field, value)),
        ));
    }
    for field in ["alg", "typ", "kid"] {
        corpus.push((format!("no {field}"), sign(&seed, &without(&header, field), &claims_text)));
    }
    for field in ["iss", "aud", "sub", "tenantId", "sid", "iat", "nbf", "exp", "jti", "role"] {
        corpus.push((format!("no {field}"), sign(&seed, &header_text, &without(&claims, field))));
    }
    for (doubled, header, claims) in [
        ("claim", header_text.clone(), claims_text.replacen('{', &format!("{{\"exp\":{},", now + 300), 1)),
        ("header", header_text.replacen('{', &format!("{{\"kid\":\"{kid}\","), 1), claims_text.clone()),
    ] {
        corpus.push((format!("{doubled} twice"), sign(&seed, &header, &claims)));
    }
    corpus.push(("another key".into(), sign(&[7; 32], &header_text, &claims_text)));

    let anonymous = Client::anonymous();
    for (what, token) in corpus {
        let request = anonymous.request(reqwest::Method::GET, "/api/me");
        let answer = anonymous.send(request.header("authorization", format!("Bearer {token}"))).await;
        let status = answer.status.as_u16();
        // A header of a megabyte is refused by the server itself, before anybody reads it.
        let refused = status == 401 || (status == 431 && token.len() > 400_000);
        assert!(refused, "{what}: {status}");
    }
    let again = sign(&seed, &header_text, &claims_text);
    Client::anonymous().with_token(&again).get("/api/me").await.expect(200);
}

#[tokio::test]
async fn two_keys_are_live_so_that_one_can_follow_the_other() {
    let tenant = Tenant::new().await;
    let genuine = text(&tenant.registration["accessToken"]);
    let keys = keys();
    let answer = Client::anonymous().get("/api/auth/jwks").await;
    assert!(answer.header("cache-control").contains("max-age"));
    let published = answer.expect(200);
    let kids: Vec<&str> = published["keys"].as_array().unwrap().iter().map(|key| text(&key["kid"])).collect();
    assert_eq!(kids, [keys[0].0.as_str(), keys[1].0.as_str()]);
    for key in published["keys"].as_array().unwrap() {
        assert_eq!(
            (&key["kty"], &key["crv"], &key["alg"]),
            (&json!("OKP"), &json!("Ed25519"), &json!("EdDSA"))
        );
        assert!(key["d"].is_null(), "a private key is published");
    }
    assert_eq!(part(genuine, 0)["kid"], keys[0].0.as_str());
    let by_second = with(&part(genuine, 0), "kid", json!(keys[1].0));
    let token = sign(&keys[1].1, &by_second, &part(genuine, 1).to_string());
    Client::anonymous().with_token(&token).get("/api/me").await.expect(200);
    // The name of one key does not lend itself to the other.
    let crossed = sign(&keys[0].1, &by_second, &part(genuine, 1).to_string());
    Client::anonymous().with_token(&crossed).get("/api/me").await.expect_problem(401, "unauthorized");
}
