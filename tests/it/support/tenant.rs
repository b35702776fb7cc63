//! A business of one's own.

use std::sync::atomic::{AtomicU32, Ordering};

use serde_json::{Value, json};

use super::Client;

/// What every test user signs in with.
pub const PASSWORD: &str = "correct horse battery staple";

/// A fresh tenant with its owner signed in. Dereferences to the owner's client.
pub struct Tenant {
    /// The tenant.
    pub id: String,
    /// The owner's address.
    pub email: String,
    /// The whole answer of the registration.
    pub registration: Value,
    /// The owner.
    pub owner: Client,
}

impl Tenant {
    /// Registers a business in Berlin.
    pub async fn new() -> Self {
        Self::at(&Client::anonymous()).await
    }

    /// Registers it with the stack that a client speaks to.
    pub async fn at(anonymous: &Client) -> Self {
        let email = unique_email("owner");
        let body = json!({
            "businessName": "Studio Nord", "name": "Olga Owner", "email": email, "password": PASSWORD,
            "timezone": "Europe/Berlin", "country": "DE", "currency": "EUR",
        });
        let registration = anonymous.post("/api/auth/register", body).await.expect(201);
        let token = registration["accessToken"].as_str().expect("a token is given");
        Self {
            id: registration["tenant"]["id"].as_str().expect("a tenant is given").to_owned(),
            owner: anonymous.with_token(token),
            email,
            registration,
        }
    }

    /// A colleague of the given role, signed in.
    pub async fn colleague(&self, role: &str) -> Client {
        self.bound(role, "all").await.0
    }

    /// The same with a record scope, and the colleague's id.
    pub async fn bound(&self, role: &str, scope: &str) -> (Client, Value) {
        let email = unique_email(role);
        let user = json!({"name": format!("Some {role}"), "email": email, "role": role, "recordScope": scope,
                          "password": PASSWORD});
        let user = self.owner.post("/api/users", user).await.expect(201);
        let login = json!({"email": email, "password": PASSWORD, "tenant": self.id});
        let session = Client::anonymous().post("/api/auth/login", login).await.expect(200);
        let client =
            Client::anonymous().with_token(session["accessToken"].as_str().expect("a token is given"));
        (client, user["id"].clone())
    }

    /// A lead with the given fields besides a unique e-mail address.
    pub async fn lead(&self, fields: Value) -> Value {
        let mut body = json!({"firstName": "Lena", "email": unique_email("lead")});
        if let (Some(body), Some(fields)) = (body.as_object_mut(), fields.as_object()) {
            body.extend(fields.clone());
        }
        self.owner.post("/api/leads", body).await.expect(201)
    }
}

impl std::ops::Deref for Tenant {
    type Target = Client;

    fn deref(&self) -> &Client {
        &self.owner
    }
}

/// An address that no other test uses.
pub fn unique_email(name: &str) -> String {
    static NEXT: AtomicU32 = AtomicU32::new(1);
    format!("{name}-{}-{}@example.com", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed))
}
