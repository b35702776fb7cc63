//! Webhooks: what providers and websites post, and who is told what happens.

mod forms;
mod inbound;
mod outbound;
mod receiver;

use reqwest::Method;
use serde_json::{Value, json};
use shared::clock;

use crate::support::{Answer, Client, Tenant, eventually, stack};

/// A source with its token and secret.
pub struct Source {
    /// The answer that made it.
    pub made: Value,
    /// Path of its address.
    pub path: String,
}

impl Source {
    /// A source of the given provider.
    pub async fn new(tenant: &Tenant, provider: &str, settings: Value) -> Self {
        let body = json!({"provider": provider, "name": format!("Some {provider}"), "settings": settings});
        let made = tenant.post("/api/webhooks/sources", body).await.expect(201);
        let token = made["token"].as_str().expect("a token is shown");
        let path = format!("/api/webhooks/{provider}/{token}");
        assert_eq!(made["url"], format!("{}{path}", stack().values["PUBLIC_BASE_URL"]));
        Self { path, made }
    }

    /// The secret.
    pub fn secret(&self) -> &str {
        self.made["secret"].as_str().expect("a secret is shown")
    }

    /// The address as the provider knows it.
    pub fn url(&self) -> &str {
        self.made["url"].as_str().expect("an address is shown")
    }

    /// Posts bytes with headers.
    pub async fn post(&self, kind: &str, headers: &[(&str, &str)], body: impl Into<Vec<u8>>) -> Answer {
        let client = Client::anonymous();
        let mut request =
            client.request(Method::POST, &self.path).header("content-type", kind).body(body.into());
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        client.send(request).await
    }
}

/// Now in Unix seconds.
pub fn seconds() -> i64 {
    clock::now().timestamp()
}

/// The receipt once it has the status.
pub async fn settled(tenant: &Tenant, receipt: &str, status: &str) -> Value {
    eventually(&format!("receipt {receipt} {status}"), async || {
        let found = tenant.get(&format!("/api/webhooks/receipts/{receipt}")).await.expect(200);
        (found["status"] == status).then_some(found)
    })
    .await
}

/// The items of a list.
pub async fn items(tenant: &Tenant, path: &str) -> Vec<Value> {
    tenant.get(path).await.expect(200)["items"].as_array().expect("a list has items").clone()
}
