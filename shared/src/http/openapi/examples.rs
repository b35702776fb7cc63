//! Bodies that work: a test sends each of them.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::demo;

/// By operation id. None names a row of a business, so that each can be sent as it is.
pub(super) fn all() -> BTreeMap<&'static str, Value> {
    let [tenant, _] = demo::tenants(1);
    BTreeMap::from([
        // Works on the laptop, with the demo data that is there.
        ("login", json!({"email": tenant.owner, "password": demo::PASSWORD})),
        (
            "register_tenant",
            json!({
                "businessName": "Studio Nord", "name": "Olga Owner", "email": "olga@studio.example.com",
                "password": "correct horse battery staple", "timezone": "Europe/Berlin", "country": "DE", "currency": "EUR",
            }),
        ),
        ("create_user", json!({"name": "Mara Meyer", "email": "mara@studio.example.com", "role": "manager"})),
        ("create_api_key", json!({"name": "Website", "kind": "secret", "scopes": ["leads:write"]})),
        (
            "create_lead",
            json!({
                "firstName": "Lena", "lastName": "Lind", "email": "lena.lind@example.com", "phone": "+491713920042",
                "source": "website", "tags": ["yoga", "trial"],
            }),
        ),
        (
            "create_leads",
            json!({"items": [{"firstName": "Ben", "email": "ben@example.com"}, {"firstName": "Ida", "phone": "+491713920043"}]}),
        ),
        ("upsert_lead", json!({"email": "lena.upserted@example.com", "tags": ["pilates"]})),
        (
            "create_pipeline",
            json!({"name": "Membership", "stages": [{"name": "Interested"}, {"name": "Trial booked"}, {"name": "Member"}]}),
        ),
        (
            "create_template",
            json!({
                "name": "Welcome", "channel": "email", "subject": "Welcome to {{ tenant.name }}",
                "body": "Hello {{ lead.firstName | default(\"there\") }}, when would you like to come by?",
            }),
        ),
        ("create_connection", json!({"channel": "email", "provider": "sandbox", "name": "Only recorded"})),
        ("create_automation", automation()),
        ("create_tax_rate", json!({"name": "VAT", "rate": "19"})),
        ("create_catalog_item", json!({"name": "Ten classes", "unitPrice": 12000})),
        (
            "calculate_totals",
            json!({"lines": [{"description": "Ten classes", "quantity": "2", "unitPrice": 12000}]}),
        ),
        ("open_shift", json!({"registerKey": "front", "openFloat": 10000})),
        ("create_webhook_source", json!({"provider": "forms", "name": "Website form"})),
        (
            "create_webhook_endpoint",
            json!({"url": "https://example.com/hooks/wellspring", "events": ["lead.*", "invoice.paid"]}),
        ),
        (
            "record_cta",
            json!({
                "eventId": "d3b07384-1", "surface": "home", "ctaId": "book-trial", "kind": "click", "visitorId": "v-1024",
            }),
        ),
    ])
}

/// A greeting, a day's pause, and a word to the team.
fn automation() -> Value {
    json!({
        "name": "Greet new people",
        "trigger": {"type": "lead.created"},
        "steps": [
            {
                "id": "greet", "type": "sendMessage", "channel": "email", "purpose": "transactional",
                "subject": "Welcome to {{ tenant.name }}", "body": "Hello {{ lead.firstName | default(\"there\") }}!",
            },
            {"id": "pause", "type": "wait", "for": "P1D"},
            {"id": "tell", "type": "notify", "role": "owner", "body": "{{ lead.name | default(\"Somebody\") }} was greeted."},
        ],
    })
}
