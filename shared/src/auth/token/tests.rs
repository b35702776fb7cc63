//! The corpus of tokens that must not be accepted, and the published vectors.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey};
use proptest::prelude::*;
use ring::signature::{Ed25519KeyPair, KeyPair as _};
use serde_json::{Value, json};

use super::*;

const SEED_A: [u8; 32] = [1; 32];
const SEED_B: [u8; 32] = [2; 32];
const ISSUER: &str = "https://wellspring.example";
const AUDIENCE: &str = "wellspring-api";

fn entry(kid: &str, seed: [u8; 32]) -> String {
    format!("{kid}:{}", STANDARD.encode(seed))
}

fn parse(list: &str) -> TokenKeys {
    TokenKeys::parse(list, ISSUER, AUDIENCE).unwrap()
}

fn keys() -> TokenKeys {
    parse(&entry("a", SEED_A))
}

fn now() -> DateTime<Utc> {
    DateTime::from_timestamp(1_800_000_000, 0).unwrap()
}

fn claims() -> Claims {
    let [user_id, tenant_id, session_id, token_id] = [1, 2, 3, 4].map(Uuid::from_u128);
    Claims::issue(now(), token_id, Subject { user_id, tenant_id, session_id, role: Role::Staff })
}

fn public_key(seed: [u8; 32]) -> Vec<u8> {
    Ed25519KeyPair::from_seed_unchecked(&seed).unwrap().public_key().as_ref().to_vec()
}

/// The token of exactly these bytes, signed by `seed`.
fn forge(header: &[u8], payload: &[u8], seed: [u8; 32]) -> String {
    let message = format!("{}.{}", URL_SAFE_NO_PAD.encode(header), URL_SAFE_NO_PAD.encode(payload));
    let signature = Ed25519KeyPair::from_seed_unchecked(&seed).unwrap().sign(message.as_bytes());
    format!("{message}.{}", URL_SAFE_NO_PAD.encode(signature))
}

fn good_header() -> Value {
    json!({ "alg": "EdDSA", "typ": "at+jwt", "kid": "a" })
}

fn good_payload() -> Value {
    let (at, id) = (now().timestamp(), |n| Uuid::from_u128(n).to_string());
    json!({
        "iss": ISSUER, "aud": AUDIENCE, "sub": id(1), "tenantId": id(2), "sid": id(3), "jti": id(4),
        "role": "staff", "iat": at, "nbf": at, "exp": at + 600,
    })
}

/// The verdict on a well-signed token with one member of the header and one claim replaced (`null` removes
/// it).
fn verdict(header: (&str, Value), claim: (&str, Value)) -> Result<Claims, Refusal> {
    let replace = |mut object: Value, (name, value): (&str, Value)| {
        let members = object.as_object_mut().unwrap();
        if value.is_null() {
            members.remove(name)
        } else {
            members.insert(name.to_owned(), value)
        };
        object.to_string()
    };
    let token =
        forge(replace(good_header(), header).as_bytes(), replace(good_payload(), claim).as_bytes(), SEED_A);
    keys().verify(token.as_bytes(), now())
}

fn with_header(name: &str, value: Value) -> Result<Claims, Refusal> {
    verdict((name, value), ("x", Value::Null))
}

fn with_claim(name: &str, value: Value) -> Result<Claims, Refusal> {
    verdict(("x", Value::Null), (name, value))
}

#[test]
fn a_minted_token_has_the_documented_form_and_verifies() {
    let token = keys().mint(&claims()).unwrap();
    assert_eq!(keys().verify(token.as_bytes(), now()), Ok(claims()));
    let part = |n: usize| -> Value {
        serde_json::from_slice(&URL_SAFE_NO_PAD.decode(token.split('.').nth(n).unwrap()).unwrap()).unwrap()
    };
    assert_eq!((part(0), part(1)), (good_header(), good_payload()));
    assert!(token.len() < 800, "{}", token.len());
}

#[test]
fn the_vectors_of_rfc_8037_hold() {
    // Appendix A.1 (key), A.4 (signature) and A.5 (verification).
    let seed = URL_SAFE_NO_PAD.decode("nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A").unwrap();
    let x = "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo";
    let message = b"eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc";
    let signature = "hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhijcNR4ki4iylGjg5BhVsPt9g7sVvpAr_MuM0KAg";
    let keys = parse(&format!("rfc:{}", STANDARD.encode(&seed)));
    assert_eq!(keys.jwks()["keys"][0]["x"], x);
    let signed = jsonwebtoken::crypto::sign(message, &EncodingKey::from_ed_der(&seed), Algorithm::EdDSA);
    assert_eq!(signed.unwrap(), signature);
    let public = DecodingKey::from_ed_components(x).unwrap();
    assert!(jsonwebtoken::crypto::verify(signature, message, &public, Algorithm::EdDSA).unwrap());
    assert!(!jsonwebtoken::crypto::verify(signature, b"other", &public, Algorithm::EdDSA).unwrap());
}

#[test]
fn the_jwk_set_names_every_key_and_no_private_part() {
    let list = format!("{},old:pub:{}", entry("a", SEED_A), STANDARD.encode(public_key(SEED_B)));
    let x = |seed| URL_SAFE_NO_PAD.encode(public_key(seed));
    let jwk = |kid, x| json!({"kty":"OKP","crv":"Ed25519","use":"sig","alg":"EdDSA","kid":kid,"x":x});
    assert_eq!(parse(&list).jwks(), json!({ "keys": [jwk("a", x(SEED_A)), jwk("old", x(SEED_B))] }));
}

#[test]
fn two_keys_are_live_during_a_rotation_and_one_after_it() {
    let (a, b) = (entry("a", SEED_A), entry("b", SEED_B));
    let old = parse(&format!("{a},{b}")).mint(&claims()).unwrap();
    let rotated = parse(&format!("{b},{a}"));
    let new = rotated.mint(&claims()).unwrap();
    assert!(rotated.verify(old.as_bytes(), now()).is_ok() && rotated.verify(new.as_bytes(), now()).is_ok());
    assert!(
        parse(&format!("{a},{b}")).verify(new.as_bytes(), now()).is_ok(),
        "the other order verifies both too"
    );
    assert_eq!(parse(&b).verify(old.as_bytes(), now()), Err(Refusal::UnknownKey));
    let public = format!("{b},a:pub:{}", STANDARD.encode(public_key(SEED_A)));
    assert!(parse(&public).verify(old.as_bytes(), now()).is_ok());
}

#[test]
fn keys_are_read_as_seed_pkcs8_and_spki_and_nothing_else() {
    let seed_token = keys().mint(&claims()).unwrap();
    let pkcs8 = [&hex::decode("302e020100300506032b657004220420").unwrap()[..], &SEED_A].concat();
    assert_eq!(parse(&format!("a:{}", STANDARD.encode(pkcs8))).mint(&claims()).unwrap(), seed_token);
    let spki = [&hex::decode("302a300506032b6570032100").unwrap()[..], &public_key(SEED_A)].concat();
    let list = format!("{},a:pub:{}", entry("b", SEED_B), STANDARD.encode(spki));
    assert!(parse(&list).verify(seed_token.as_bytes(), now()).is_ok());
    for bad in ["a:AAAA", "a:pub:AAAA", "a:?", "a:pub:?"] {
        assert!(TokenKeys::parse(bad, ISSUER, AUDIENCE).is_err(), "{bad}");
    }
    let public_only = format!("a:pub:{}", STANDARD.encode(public_key(SEED_A)));
    assert_eq!(
        TokenKeys::parse(&public_only, ISSUER, AUDIENCE).unwrap_err(),
        crate::crypto::KeyringError::Empty
    );
}

#[test]
fn the_forging_helper_makes_good_tokens() {
    assert_eq!(with_claim("x", Value::Null), Ok(claims()));
}

#[test]
fn other_algorithms_are_refused_though_the_signature_fits() {
    for alg in ["none", "None", "HS256", "RS256", "ES256", "Ed25519", "EDDSA", ""] {
        assert_eq!(with_header("alg", json!(alg)), Err(Refusal::Algorithm), "{alg}");
    }
}

#[test]
fn unsigned_tokens_and_macs_under_the_public_key_are_refused() {
    let message = |alg: &str| {
        let header = json!({ "alg": alg, "typ": "at+jwt", "kid": "a" }).to_string();
        format!("{}.{}", URL_SAFE_NO_PAD.encode(header), URL_SAFE_NO_PAD.encode(good_payload().to_string()))
    };
    let check = |token: String| keys().verify(token.as_bytes(), now());
    assert_eq!(check(format!("{}.", message("none"))), Err(Refusal::Algorithm));
    assert_eq!(check(format!("{}.", message("EdDSA"))), Err(Refusal::Signature));
    for alg in ["HS256", "RS256", "EdDSA"] {
        let mac = crate::crypto::hmac_sha256(&public_key(SEED_A), message(alg).as_bytes());
        assert!(check(format!("{}.{}", message(alg), URL_SAFE_NO_PAD.encode(mac))).is_err(), "{alg}");
    }
}

#[test]
fn the_header_is_closed_to_injection() {
    let jwk = json!({"kty":"OKP","crv":"Ed25519","x":URL_SAFE_NO_PAD.encode(public_key(SEED_B))});
    for (name, value) in [
        ("jku", json!("https://evil.example/jwks")),
        ("x5u", json!("https://evil.example/cert")),
        ("x5c", json!(["AAAA"])),
        ("jwk", jwk),
        ("crit", json!(["exp"])),
        ("crit", json!([])),
        ("b64", json!(false)),
        ("zip", json!("DEF")),
        ("cty", json!("JWT")),
    ] {
        assert_eq!(with_header(name, value), Err(Refusal::Header), "{name}");
    }
    for name in ["alg", "typ", "kid"] {
        assert_eq!(with_header(name, Value::Null), Err(Refusal::Header), "{name}");
        assert_eq!(with_header(name, json!(1)), Err(Refusal::Header), "{name}");
    }
}

#[test]
fn unknown_kids_are_refused_whatever_they_try() {
    for kid in ["b", "", "A", "../../dev/null", "a' or '1'='1", "a\0", "https://evil.example/key"] {
        assert_eq!(with_header("kid", json!(kid)), Err(Refusal::UnknownKey), "{kid}");
    }
}

#[test]
fn a_known_kid_with_another_key_is_refused() {
    let token = forge(good_header().to_string().as_bytes(), good_payload().to_string().as_bytes(), SEED_B);
    assert_eq!(keys().verify(token.as_bytes(), now()), Err(Refusal::Signature));
}

#[test]
fn other_types_of_token_are_refused() {
    for typ in ["JWT", "jwt", "rt+jwt", "AT+JWT", "application/at+jwt", "at+jwt ", ""] {
        assert_eq!(with_header("typ", json!(typ)), Err(Refusal::Type), "{typ}");
    }
}

#[test]
fn other_issuers_and_audiences_are_refused() {
    for other in [json!("https://evil.example"), json!(""), json!(format!("{ISSUER}/"))] {
        assert_eq!(with_claim("iss", other.clone()), Err(Refusal::Issuer), "{other}");
        assert_eq!(with_claim("aud", other.clone()), Err(Refusal::Audience), "{other}");
    }
    for list in [json!([ISSUER]), json!([AUDIENCE]), json!([AUDIENCE, "other"]), json!([])] {
        assert_eq!(with_claim("iss", list.clone()), Err(Refusal::Claims), "{list}");
        assert_eq!(with_claim("aud", list.clone()), Err(Refusal::Claims), "{list}");
    }
}

#[test]
fn every_claim_is_required_and_typed() {
    for name in good_payload().as_object().unwrap().keys() {
        for value in [Value::Null, json!(true), json!({}), json!(1.5), json!("1800000000"), json!([1])] {
            assert!(with_claim(name, value.clone()).is_err(), "{name}: {value}");
        }
        assert_eq!(with_claim(name, Value::Null), Err(Refusal::Claims), "{name}");
    }
    for number in [json!(1e30), json!(u64::MAX), json!(i64::MAX), json!(i64::MIN), json!(1_800_000_600.0)] {
        for name in ["iat", "nbf", "exp"] {
            assert!(with_claim(name, number.clone()).is_err(), "{name}: {number}");
        }
    }
    assert_eq!(with_claim("role", json!("superuser")), Err(Refusal::Claims));
    assert_eq!(with_claim("sub", json!("1")), Err(Refusal::Claims));
    assert_eq!(with_claim("later", json!("claim")), Ok(claims()));
}

#[test]
fn repeated_members_are_refused_wherever_they_stand() {
    let (header, payload) = (good_header().to_string(), good_payload().to_string());
    let repeat = |json: &str, member: &str| format!("{},{member}}}", &json[..json.len() - 1]);
    let check = |header: &str, payload: &str| {
        keys().verify(forge(header.as_bytes(), payload.as_bytes(), SEED_A).as_bytes(), now())
    };
    for member in [r#""alg":"EdDSA""#, r#""kid":"a""#, r#""\u006bid":"a""#] {
        assert_eq!(check(&repeat(&header, member), &payload), Err(Refusal::Header), "{member}");
    }
    for member in [r#""role":"owner""#, r#""exp":9999999999"#, r#""tenan\u0074Id":"x""#, r#""sub":null"#] {
        assert_eq!(check(&header, &repeat(&payload, member)), Err(Refusal::Claims), "{member}");
    }
}

#[test]
fn times_are_checked_against_the_callers_now_to_the_second() {
    let token = keys().mint(&claims()).unwrap();
    let at = |seconds| keys().verify(token.as_bytes(), now() + TimeDelta::seconds(seconds));
    assert_eq!(at(-6), Err(Refusal::NotYetValid));
    assert!(at(-5).is_ok() && at(0).is_ok() && at(599).is_ok());
    assert_eq!(at(600), Err(Refusal::Expired));
    let almost = now() + LIFETIME - TimeDelta::milliseconds(1);
    assert!(keys().verify(token.as_bytes(), almost).is_ok());
}

#[test]
fn future_and_overlong_tokens_are_refused() {
    let at = |offset: i64| json!(now().timestamp() + offset);
    assert_eq!(with_claim("nbf", at(6)), Err(Refusal::NotYetValid));
    assert_eq!(with_claim("iat", at(6)), Err(Refusal::NotYetValid));
    assert!(with_claim("nbf", at(5)).is_ok());
    assert_eq!(with_claim("exp", at(601)), Err(Refusal::Lifetime));
    assert_eq!(with_claim("iat", at(-1)), Err(Refusal::Lifetime));
    assert_eq!(with_claim("exp", at(0)), Err(Refusal::Expired));
    let overlong = Claims { expires_at: now() + TimeDelta::seconds(601), ..claims() };
    assert_eq!(keys().mint(&overlong), Err(SignError));
}

#[test]
fn malformed_text_is_refused() {
    let token = keys().mint(&claims()).unwrap();
    let refused = |bytes: &[u8]| keys().verify(bytes, now()).unwrap_err();
    for cut in 0..token.len() {
        refused(&token.as_bytes()[..cut]);
    }
    for text in [
        String::new(),
        "..".to_owned(),
        "a.b.c.d".to_owned(),
        format!(" {token}"),
        format!("{token} "),
        format!("{token}\n"),
        format!("{token}="),
        format!("{token}."),
        token.replacen('.', ". ", 1),
        token.replacen('.', "..", 1),
    ] {
        refused(text.as_bytes());
    }
    assert_eq!(refused(b"\xff\xfe.\xff.\xff"), Refusal::Malformed);
    let non_utf8 = forge(b"{\"alg\":\"EdDSA\",\"typ\":\"at+jwt\",\"kid\":\"\xff\"}", b"{}", SEED_A);
    assert!(matches!(refused(non_utf8.as_bytes()), Refusal::Malformed | Refusal::Header));
    let non_json = forge(good_header().to_string().as_bytes(), b"\xff\x00 not json", SEED_A);
    assert_eq!(refused(non_json.as_bytes()), Refusal::Claims);
}

#[test]
fn a_megabyte_is_refused_unparsed() {
    assert_eq!(keys().verify(&vec![b'a'; 1 << 20], now()), Err(Refusal::TooLong));
    let padded = json!({ "alg": "EdDSA", "typ": "at+jwt", "kid": "a".repeat(1 << 20) }).to_string();
    let token = forge(padded.as_bytes(), good_payload().to_string().as_bytes(), SEED_A);
    assert_eq!(keys().verify(token.as_bytes(), now()), Err(Refusal::TooLong));
    let nested = "[".repeat(5000);
    let token = forge(nested.as_bytes(), nested.as_bytes(), SEED_A);
    assert!(keys().verify(token.as_bytes(), now()).is_err());
    assert_eq!(keys().verify(&[b'.'; MAX_BYTES], now()), Err(Refusal::Malformed));
}

#[test]
fn debug_shows_key_ids_only() {
    assert_eq!(format!("{:?}", keys()), r#"["a"]"#);
}

proptest! {
    #[test]
    fn arbitrary_bytes_are_refused(bytes: Vec<u8>) {
        prop_assert!(keys().verify(&bytes, now()).is_err());
    }

    #[test]
    fn arbitrary_json_in_both_places_is_refused(header in "\\PC{0,60}", payload in "\\PC{0,60}") {
        let token = forge(header.as_bytes(), payload.as_bytes(), SEED_A);
        prop_assert!(keys().verify(token.as_bytes(), now()).is_err());
    }

    #[test]
    fn any_changed_byte_is_refused(at: prop::sample::Index, byte: u8) {
        let token = keys().mint(&claims()).unwrap();
        let mut bytes = token.clone().into_bytes();
        let at = at.index(bytes.len());
        prop_assume!(bytes[at] != byte);
        bytes[at] = byte;
        prop_assert!(keys().verify(&bytes, now()).is_err());
    }
}
