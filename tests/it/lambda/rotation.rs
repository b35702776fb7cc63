//! Keys and passwords that are exchanged in the secret while functions run.

use std::sync::{
    Arc, Mutex,
    atomic::{AtomicUsize, Ordering},
};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use serde_json::{Value, json};
use shared::crypto::generate_entry;
use tests::lambda::{Body, Environment, HttpAnswer, http_v2, parse_http};
use tokio::{io::AsyncWriteExt, net::TcpListener};

use super::world::World;
use crate::{messages::read_request, support::tenant};

/// A stand-in for Secrets Manager with one secret.
struct Vault {
    secret: Arc<Mutex<Value>>,
    asked: Arc<AtomicUsize>,
}

impl Vault {
    /// A vault with a secret, and a world whose functions read it.
    async fn open(name: &str, secret: Value) -> (Self, World) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let mut world = World::new(name).await;
        for (name, value) in [
            ("SECRETS_ARN", "arn:aws:secretsmanager:eu-central-1:000000000000:secret:app".to_owned()),
            ("AWS_ENDPOINT_URL", format!("http://{}", listener.local_addr().unwrap())),
            ("AWS_REGION", "eu-central-1".to_owned()),
            ("AWS_ACCESS_KEY_ID", "k".to_owned()),
            ("AWS_SECRET_ACCESS_KEY", "s".to_owned()),
        ] {
            world.set(name, &value);
        }
        let vault = Self { secret: Arc::new(Mutex::new(secret)), asked: Arc::default() };
        let (secret, asked) = (Arc::clone(&vault.secret), Arc::clone(&vault.asked));
        drop(tokio::spawn(async move {
            loop {
                let (mut socket, _) = listener.accept().await.unwrap();
                let request = read_request(&mut socket).await;
                assert!(request.contains("secretsmanager.GetSecretValue"), "{request}");
                asked.fetch_add(1, Ordering::SeqCst);
                let secret = secret.lock().unwrap().to_string();
                let body = json!({"ARN": "app", "Name": "app", "SecretString": secret}).to_string();
                let head = format!(
                    "HTTP/1.1 200 OK\r\ncontent-type: application/x-amz-json-1.1\r\nconnection: close\r\ncontent-length: {}\r\n\r\n",
                    body.len()
                );
                socket.write_all(format!("{head}{body}").as_bytes()).await.unwrap();
            }
        }));
        (vault, world)
    }

    fn hold(&self, secret: Value) {
        *self.secret.lock().unwrap() = secret;
    }

    fn asked(&self) -> usize {
        self.asked.load(Ordering::SeqCst)
    }
}

async fn call(environment: &Environment, method: &str, path: &str, token: &str, body: &Value) -> HttpAnswer {
    let authorization = format!("Bearer {token}");
    let mut headers = vec![("content-type", "application/json")];
    if !token.is_empty() {
        headers.push(("authorization", authorization.as_str()));
    }
    let event = http_v2(method, path, &headers, Body::Text(body.to_string()));
    parse_http(&environment.invoke(&event).await.unwrap()).unwrap()
}

/// The token with another key's name.
fn of_another_key(token: &str) -> String {
    let (header, rest) = token.split_once('.').unwrap();
    let mut header: Value = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(header).unwrap()).unwrap();
    header["kid"] = json!("invented");
    format!("{}.{rest}", URL_SAFE_NO_PAD.encode(header.to_string()))
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_are_exchanged_in_the_secret_without_a_deployment() {
    let [one, two, sealing, later] =
        ["one", "two", "s1", "s2"].map(|kid| generate_entry(kid).unwrap().expose().to_owned());
    let secret = json!({"JWT_SIGNING_KEYS": one, "SECRET_BOX_KEYS": sealing});
    let (vault, world) = Vault::open("rotation", secret).await;
    let old = world.register().await;
    assert_eq!(world.call("messages", "GET", "/api/connections", &old, "").await.status, 200);
    let me = world.call("auth", "GET", "/api/me", &old, "").await.json().unwrap();
    let begun = vault.asked();

    // From now on new environments sign and seal with keys of which the warm ones know nothing.
    vault.hold(
        json!({"JWT_SIGNING_KEYS": format!("{two},{one}"), "SECRET_BOX_KEYS": format!("{later},{sealing}")}),
    );
    let (auth, messages) = (world.launch("auth"), world.launch("messages"));
    let login = json!({"email": me["email"], "password": tenant::PASSWORD});
    let login = call(&auth, "POST", "/api/auth/login", "", &login).await;
    let new = login.json().unwrap()["accessToken"].as_str().unwrap().to_owned();
    let account = json!({"channel": "email", "provider": "resend", "name": "Mail",
        "settings": {"from": "Studio <studio@example.com>", "baseUrl": "http://127.0.0.1:1"}, "secrets": {"apiKey": "re_1"}});
    let account = call(&messages, "POST", "/api/connections", &new, &account).await;
    assert_eq!(account.status, 201, "{}", account.text());
    let path = format!("/api/connections/{}/test", account.json().unwrap()["id"].as_str().unwrap());
    assert_eq!(vault.asked(), begun + 2);

    let tested = world.call("messages", "POST", &path, &new, "").await;
    assert_eq!(tested.status, 200, "the warm one knows the token and what was sealed: {}", tested.text());
    assert_eq!(world.call("messages", "GET", "/api/connections", &old, "").await.status, 200);
    assert_eq!(vault.asked(), begun + 3);

    // Anybody can name a key; that makes nobody ask again and again.
    for _ in 0..5 {
        let invented = of_another_key(&new);
        assert_eq!(world.call("messages", "GET", "/api/connections", &invented, "").await.status, 401);
    }
    assert_eq!(vault.asked(), begun + 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_login_that_the_database_refuses_is_read_again() {
    let (vault, world) = Vault::open("refused", json!({})).await;
    let right = world.values["DATABASE_URL"].clone();
    vault.hold(json!({"DATABASE_URL": right.replacen("wellspring_app", "wellspring_gone", 1)}));
    let auth = world.launch("auth");
    auth.wait_ready().await.unwrap();
    vault.hold(json!({"DATABASE_URL": right}));
    let person = json!({"businessName": "B", "name": "N", "email": tenant::unique_email("refused"),
        "password": tenant::PASSWORD, "country": "DE", "currency": "EUR"});
    let answer = call(&auth, "POST", "/api/auth/register", "", &person).await;
    assert_eq!(answer.status, 201, "{}", answer.text());
    assert_eq!(vault.asked(), 2);
}
