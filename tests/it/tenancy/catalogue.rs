//! The database's own wall, and what stands when either wall is switched off.

use crate::support::{Tenant, stack};

#[tokio::test]
async fn the_schema_keeps_its_laws() {
    Tenant::new().await;
    let violations = shared::db::walls::check(&stack().owner_url).await.unwrap();
    assert!(violations.is_empty(), "{}", violations.join("\n"));
}

#[tokio::test]
async fn without_predicates_the_policies_alone_keep_every_table_apart() {
    let (ours, neighbour) = (Tenant::new().await, super::neighbour::Neighbour::new().await);
    let id = ours.id.parse().unwrap();
    let leaks = shared::db::walls::leaks(&stack().app_url, id, neighbour.tenant()).await.unwrap();
    assert!(leaks.is_empty(), "{}", leaks.join("\n"));
}
