//! Upserts: one person, however often and by whichever identity.

use serde_json::json;

use super::path;
use crate::support::{Tenant, tenant::unique_email};

#[tokio::test]
async fn an_upsert_by_either_identity_leaves_the_primary_one_alone() {
    let tenant = Tenant::new().await;
    let lead = tenant.lead(json!({"phone": "0171 2345678", "tags": ["a"]})).await;
    let further = unique_email("further");
    let by_phone =
        json!({"phone": "+49 171 2345678", "email": further, "lastName": "Lovelace", "tags": ["b"]});
    let found = tenant.post("/api/leads/upsert", by_phone).await.expect(200);
    assert_eq!(
        (&found["id"], &found["email"], &found["lastName"]),
        (&lead["id"], &lead["email"], &json!("Lovelace"))
    );
    assert_eq!(found["tags"], json!(["a", "b"]));
    let by_further =
        tenant.post("/api/leads/upsert", json!({"email": further, "firstName": "Ada"})).await.expect(200);
    assert_eq!((&by_further["id"], &by_further["email"]), (&lead["id"], &lead["email"]));
    tenant.post("/api/leads/upsert", json!({"firstName": "Nobody"})).await.expect_invalid("", "required");
}

#[tokio::test]
async fn fifty_parallel_upserts_of_one_person_make_one_lead() {
    let tenant = Tenant::new().await;
    let email = unique_email("rush");
    let upserts: Vec<_> = (0..50)
        .map(|_| {
            let (client, email) = (tenant.owner.clone(), email.clone());
            let body = json!({"email": email, "phone": "0171 2345678"});
            tokio::spawn(async move { client.post("/api/leads/upsert", body).await })
        })
        .collect();
    let (mut created, mut ids) = (0, std::collections::BTreeSet::new());
    for upsert in upserts {
        let answer = upsert.await.unwrap();
        assert!([200, 201].contains(&answer.status.as_u16()), "{answer}");
        created += usize::from(answer.status == 201);
        ids.insert(path(&serde_json::from_str(&answer.text).unwrap()));
    }
    assert_eq!((created, ids.len()), (1, 1));
}
