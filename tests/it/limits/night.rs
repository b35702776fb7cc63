//! What the schedules clear away, prepare and wake.

use serde_json::json;
use shared::{
    app::App,
    config::{Config, Needs},
};
use uuid::Uuid;

use crate::support::{Tenant, eventually, stack, tenant::unique_email};

/// Rows that have outlived their use beside one of each kind that has not, and no partition for the coming month.
const BEFORE: &str = "
    insert into tenants (id, slug, name) values ('TENANT', 'night', 'Night');
    insert into users (tenant_id, id, email, name, role, password_hash) values ('TENANT', 'TENANT', 'night@example.com', 'Nina', 'owner', 'none that opens');
    insert into sessions (tenant_id, id, user_id, family_id, refresh_hash, expires_at)
    select 'TENANT', new_id(), 'TENANT', new_id(), sha256(days::text::bytea), now() + make_interval(days => days)
      from unnest(array[-91, -89, 1]) as days;
    insert into one_time_tokens (tenant_id, id, kind, hash, expires_at)
    select 'TENANT', new_id(), 'reset', sha256(days::text::bytea), now() + make_interval(days => days) from unnest(array[-8, -6]) as days;
    insert into idempotency_keys (tenant_id, caller, route, key, body_hash, created_at)
    select 'TENANT', 'user:x', 'POST /x', hours::text, 'x', now() - make_interval(hours => hours) from unnest(array[25, 23]) as hours;
    insert into rate_buckets (tenant_id, name, tokens, rate, burst, updated_at)
    select 'TENANT', hours::text, 1, 1, 1, now() - make_interval(hours => hours) from unnest(array[25, 23]) as hours;
    insert into throttles (kind, key_hash, updated_at)
    select 'register', hours::text::bytea, now() - make_interval(hours => hours) from unnest(array[25, 23]) as hours;
    insert into rate_limits (key, full_at) values ('read:u:full', now() - interval '1 second'), ('read:u:used', now() + interval '1 hour');
    insert into jobs (tenant_id, id, kind, status, created_at, finished_at)
    select 'TENANT', new_id(), 'import', status, now() - make_interval(days => days),
           case when status = 'completed' then now() - make_interval(days => days) end
      from (values ('completed', 91), ('completed', 31), ('completed', 1), ('awaitingParts', 2), ('awaitingParts', 0)) as j (status, days);
    insert into job_parts (tenant_id, job_id, role, part, content, sha256, updated_at)
    select tenant_id, id, case status when 'completed' then 'output' else 'input' end, 1, 'x', 'x', created_at from jobs;
    insert into webhook_sources (tenant_id, id, provider, name, token_hash, token_prefix) values ('TENANT', 'TENANT', 'twilio', 'x', 'x', 'x');
    insert into webhook_receipts (tenant_id, id, source_id, provider, delivery_key, body_sha256, status, received_at, raw, canonical, query)
    select 'TENANT', new_id(), 'TENANT', 'twilio', days || query, 'x', 'processed', now() - make_interval(days => days), raw, canonical, query
      from (values (31, 'x'::bytea, '[]'::jsonb, 'q=1'), (31, null, '[]', ''), (31, null, null, 'q=2'), (29, 'x', '[]', 'q=3'))
           as r (days, raw, canonical, query);
    insert into job_errors (tenant_id, job_id, seq, code, value, created_at) select tenant_id, id, 1, 'x', 'x', created_at from jobs;
    insert into assignment_turns (tenant_id, name, updated_at)
    select 'TENANT', kind || ':' || days, now() - make_interval(days => days) from unnest(array['list', 'policy']) as kind, unnest(array[91, 89]) as days;
    do $$ begin execute 'drop table if exists cta_events_' || to_char((now() at time zone 'UTC') + interval '1 month', 'YYYY_MM'); end $$;";

/// Raises what is not as it should be.
const AFTER: &str = "
    do $$ declare wrong text;
    begin
        select string_agg(format('%s %s', left_over, what), ', ') into wrong from (values
            ('sessions', (select count(*) from sessions), 2), ('tokens', (select count(*) from one_time_tokens), 1),
            ('keys', (select count(*) from idempotency_keys), 1), ('buckets', (select count(*) from rate_buckets), 1),
            ('turns', (select count(*) from assignment_turns), 3), ('jobs', (select count(*) from jobs), 4), ('parts', (select count(*) from job_parts), 2),
            ('abandoned uploads', (select count(*) from jobs where status = 'failed' and error_code = 'abandoned'), 1),
            ('values of errors', (select count(*) from job_errors where value is not null), 3),
            ('bodies', (select count(*) from webhook_receipts where raw is not null), 1),
            ('what was understood', (select count(*) from webhook_receipts where canonical is not null), 1),
            ('queries', (select count(*) from webhook_receipts where query <> ''), 1),
            ('attempts', (select count(*) from throttles), 1), ('limits', (select count(*) from rate_limits), 1)
        ) as kinds (what, left_over, expected) where left_over <> expected;
        if wrong is not null then raise exception 'left over: %', wrong; end if;
        if to_regclass('cta_events_' || to_char((now() at time zone 'UTC') + interval '1 month', 'YYYY_MM')) is null then
            raise exception 'the coming month has no partition';
        end if;
    end $$;";

#[tokio::test]
async fn a_night_forgets_what_has_outlived_its_use_and_prepares_the_coming_month() {
    let (running, tenant) = (stack(), Uuid::from_u128(0x0191_0000_0000_7000_8000_0000_0000_0001));
    let name = format!("night_{}", std::process::id());
    running.create_database(&name).await;
    let scoped = |sql: &str| {
        let sql = sql.replace("TENANT", &tenant.to_string());
        format!("begin; select set_config('app.tenant_id', '{tenant}', true); {sql} commit;")
    };
    running.execute(&name, &scoped(BEFORE));
    let mut values = running.values.clone();
    values.insert("DATABASE_URL".to_owned(), running.app_url_of(&name));
    let app = App::new(Config::from_values(values, Needs::Worker).unwrap(), 1).unwrap();
    nightly::tick(&app).await.unwrap();
    running.execute(&name, &scoped(AFTER));
}

#[tokio::test]
async fn a_snoozed_conversation_opens_at_its_time() {
    let tenant = Tenant::new().await;
    let lead = tenant.lead(json!({"email": unique_email("snooze")})).await;
    let body = json!({"leadId": lead["id"], "channel": "email", "subject": "Hello", "body": "Hello", "purpose": "transactional"});
    let sent = tenant.post("/api/messages/send", body).await.expect(202);
    let path = format!("/api/conversations/{}", sent["conversationId"].as_str().unwrap());
    let until = shared::clock::now() + chrono::TimeDelta::seconds(2);
    let snoozed = tenant.patch(&path, json!({"status": "snoozed", "snoozedUntil": until})).await.expect(200);
    assert_eq!(snoozed["status"], "snoozed");
    let open = eventually("the conversation opens", async || {
        let conversation = tenant.get(&path).await.expect(200);
        (conversation["status"] == "open").then_some(conversation)
    })
    .await;
    assert!(shared::clock::now() >= until, "not before its time");
    assert!(open["snoozedUntil"].is_null());
}
