//! Tampering: what somebody does who owns the schema.

use serde_json::{Value, json};

use crate::{
    auth::alter,
    support::{Tenant, tenant::unique_email},
};

/// A business with a log of some length.
async fn with_log() -> (Tenant, Value) {
    let tenant = Tenant::new().await;
    for _ in 0..4 {
        let invite = json!({"email": unique_email("chain"), "role": "viewer"});
        tenant.post("/api/users/invite", invite).await.expect(201);
    }
    let verified = tenant.get("/api/audit/verify").await.expect(200);
    assert_eq!(
        (&verified["ok"], &verified["checked"], &verified["head"]["seq"]),
        (&json!(true), &json!(5), &json!(5))
    );
    (tenant, verified["head"].clone())
}

/// The first entry that does not fit after some SQL, done with the triggers asleep as the owner can.
async fn first_bad_after(tenant: &Tenant, sql: &str) -> Value {
    alter(tenant, sql);
    let verified = tenant.get("/api/audit/verify").await.expect(200);
    assert_eq!(verified["ok"], verified["firstBadSeq"].is_null(), "{verified}");
    verified["firstBadSeq"].clone()
}

#[tokio::test]
async fn an_altered_entry_is_named() {
    let (tenant, _) = with_log().await;
    assert_eq!(first_bad_after(&tenant, "update audit_log set action = 'user.loved' where seq = 3").await, 3);
    // With its own hash made right, the next one does not follow it.
    let rehashed = "update audit_log a set hash = audit_hash(a) where seq = 3";
    assert_eq!(first_bad_after(&tenant, rehashed).await, 4);
}

#[tokio::test]
async fn an_entry_that_is_missing_is_named_wherever_it_stood() {
    let (tenant, _) = with_log().await;
    assert_eq!(first_bad_after(&tenant, "delete from audit_log where seq = 2").await, 3, "the middle");
    let (tenant, _) = with_log().await;
    assert_eq!(first_bad_after(&tenant, "delete from audit_log where seq = 1").await, 2, "the beginning");
    let (tenant, _) = with_log().await;
    assert_eq!(first_bad_after(&tenant, "delete from audit_log where seq >= 4").await, 4, "the tail");
    let (tenant, _) = with_log().await;
    assert_eq!(first_bad_after(&tenant, "delete from audit_log").await, 1, "everything");
    assert_eq!(first_bad_after(&tenant, "delete from audit_heads").await, 1, "everything, and the head");
    let (tenant, _) = with_log().await;
    assert_eq!(first_bad_after(&tenant, "delete from audit_heads").await, 6, "the head alone");
}

#[tokio::test]
async fn a_chain_that_was_written_anew_does_not_have_the_head_that_was_written_down() {
    let (tenant, head) = with_log().await;
    let path = format!("/api/audit/verify?seq={}&hash={}", head["seq"], head["hash"].as_str().unwrap());
    tenant
        .post("/api/users/invite", json!({"email": unique_email("chain"), "role": "viewer"}))
        .await
        .expect(201);
    assert_eq!(tenant.get(&path).await.expect(200)["ok"], true, "a chain that goes on has it");
    // An entry is taken out and every link behind it is calculated again, with the head.
    let anew = "delete from audit_log where seq = 2;
        update audit_log set seq = seq - 1 where seq > 2;
        do $$ declare one audit_log; link bytea := '';
        begin
            for one in select * from audit_log order by seq loop
                update audit_log set prev_hash = link where seq = one.seq;
                update audit_log a set hash = audit_hash(a) where seq = one.seq returning hash into link;
            end loop;
            update audit_heads set seq = (select max(seq) from audit_log), hash = link;
        end $$";
    assert_eq!(first_bad_after(&tenant, anew).await, Value::Null, "it looks whole");
    let held = tenant.get(&path).await.expect(200);
    assert_eq!((&held["ok"], &held["firstBadSeq"]), (&json!(false), &head["seq"]), "{held}");
    tenant.get("/api/audit/verify?seq=5").await.expect_invalid("?hash", "required");
}
