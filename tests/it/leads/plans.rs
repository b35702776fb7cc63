//! Hot lists walk an index in the order that they show, whatever the filter, under row-level security as everywhere.

use private_postgres::DATABASE;
use serde_json::json;
use shared::{
    conditions::Condition,
    db::Db,
    http::{FromQuery, ListQuery, PageRequest, Params},
    ids::TenantId,
    leads::{LeadFilter, explain},
};

use crate::support::{Tenant, stack};

#[tokio::test]
async fn every_filter_of_the_list_has_an_index_to_walk() {
    let tenant = Tenant::new().await;
    let owner = tenant.registration["user"]["id"].as_str().unwrap().to_owned();
    tenant.lead(json!({"firstName": "Zuzanna"})).await;
    stack().execute(
        DATABASE,
        &format!(
            "select set_config('app.tenant_id', '{0}', true);
             insert into leads (tenant_id, id, status, first_name, tags, owner_id, created_at)
             select '{0}', gen_random_uuid(), (array['new', 'contacted', 'lost'])[1 + (n % 100 > 70)::int + (n % 100 > 98)::int],
                    'Lead ' || n, case when n % 10 = 0 then array['vip'] else '{{}}' end,
                    case when n % 50 = 0 then '{owner}'::uuid end, now() - n * interval '1 minute'
               from generate_series(1, 20000) n;
             update leads set tags = array['rare'], source = 'rare'
              where tenant_id = '{0}' and id in (select id from leads where tenant_id = '{0}' order by created_at limit 3);
             analyze leads; analyze lead_field_values",
            tenant.id
        ),
    );
    let words = |word: &str| vec![word.to_owned()];
    for (filter, index) in [
        (LeadFilter::default(), "leads_tenant_id_created_at_idx"),
        (
            LeadFilter { status: words("lost"), ..LeadFilter::default() },
            "leads_tenant_id_status_created_at_idx",
        ),
        (LeadFilter { tag: words("vip"), ..LeadFilter::default() }, "leads_tenant_id_created_at_idx"),
        (
            LeadFilter { source: words("rare"), ..LeadFilter::default() },
            "leads_tenant_id_source_created_at_idx",
        ),
        (
            LeadFilter { owner_id: vec![owner.parse().unwrap()], ..LeadFilter::default() },
            "leads_tenant_id_owner_id_created_at_idx",
        ),
    ] {
        let plan = plan(&tenant, filter).await;
        assert!(
            plan.contains(index) && !plan.contains("Seq Scan") && !plan.contains("Sort"),
            "{index}:\n{plan}"
        );
    }
    // A rare tag leads to its few people, whose order is then no matter.
    let rare = plan(&tenant, LeadFilter { tag: words("rare"), ..LeadFilter::default() }).await;
    assert!(rare.contains("lead_field_values_tenant_id_key_text_value_idx"), "{rare}");
    assert!(!rare.contains("Seq Scan") && !rare.contains("leads_tenant_id_created_at_idx"), "{rare}");
    let found = plan(&tenant, LeadFilter { search: Some("zuz".to_owned()), ..LeadFilter::default() }).await;
    assert!(!found.contains("Seq Scan"), "{found}");
    for (word, index) in [
        ("updatedAt", "leads_tenant_id_updated_at_idx"),
        ("lastActivityAt", "leads_tenant_id_activity_at_idx"),
        ("name", "leads_tenant_id_sort_name_idx"),
        ("score", "leads_tenant_id_score_idx"),
    ] {
        let sorted = plan_sorted(&tenant, LeadFilter::default(), word).await;
        assert!(
            sorted.contains(index) && !sorted.contains("Seq Scan") && !sorted.contains("Sort"),
            "{index}:\n{sorted}"
        );
    }
}

#[tokio::test]
async fn a_typed_custom_field_is_found_by_its_index() {
    let tenant = Tenant::new().await;
    for (key, kind) in [("birthday", "date"), ("visits", "number"), ("mobile", "phone")] {
        let field = json!({"entity": "lead", "key": key, "label": key, "type": kind});
        tenant.post("/api/custom-fields", field).await.expect(201);
    }
    stack().execute(
        DATABASE,
        &format!(
            "select set_config('app.tenant_id', '{0}', true);
             insert into leads (tenant_id, id, first_name, custom_fields, created_at)
             select '{0}', gen_random_uuid(), 'Lead ' || n,
                    jsonb_build_object('birthday', date '1950-01-01' + n, 'visits', n, 'mobile', '+49171' || n),
                    now() - n * interval '1 minute'
               from generate_series(1, 20000) n;
             analyze leads; analyze lead_field_values",
            tenant.id
        ),
    );
    for (query, index) in [
        ("cf.birthday[gte]=2004-09-01", "lead_field_values_tenant_id_key_time_value_idx"),
        ("cf.visits[lte]=40", "lead_field_values_tenant_id_key_number_value_idx"),
        ("cf.mobile=%2B49171777", "lead_field_values_tenant_id_key_text_value_idx"),
    ] {
        let mut params = Params::parse(query, chrono_tz::Tz::Europe__Berlin);
        let plan = plan(&tenant, LeadFilter::read(&mut params)).await;
        assert!(plan.contains(index) && !plan.contains("Seq Scan"), "{query}:\n{plan}");
    }
}

async fn plan(tenant: &Tenant, filter: LeadFilter) -> String {
    plan_sorted(tenant, filter, "createdAt").await
}

async fn plan_sorted(tenant: &Tenant, mut filter: LeadFilter, sort: &str) -> String {
    let db = Db::new(&stack().app_url, 1).unwrap();
    let mut tx = db.open_tenant(TenantId::new(tenant.id.parse().unwrap())).await.unwrap().unwrap();
    filter.resolve(&mut tx, chrono::Utc::now()).await.unwrap();
    drop(tx);
    let sort = *LeadFilter::SORTS.iter().find(|offered| offered.word == sort).unwrap();
    plan_of_page(tenant, filter, PageRequest { sort, ..PageRequest::first::<LeadFilter>() }).await
}

async fn plan_of(tenant: &Tenant, filter: LeadFilter) -> String {
    plan_of_page(tenant, filter, PageRequest::first::<LeadFilter>()).await
}

async fn plan_of_page(tenant: &Tenant, filter: LeadFilter, page: PageRequest) -> String {
    let db = Db::new(&stack().app_url, 1).unwrap();
    let mut tx = db.open_tenant(TenantId::new(tenant.id.parse().unwrap())).await.unwrap().unwrap();
    let query = ListQuery { filter, page };
    explain(&mut tx, &query, None).await.unwrap()
}

#[tokio::test]
async fn what_people_did_is_gathered_by_an_index() {
    let tenant = Tenant::new().await;
    stack().execute(
        DATABASE,
        &format!(
            "select set_config('app.tenant_id', '{0}', true);
             insert into leads (tenant_id, id, first_name, created_at)
             select '{0}', gen_random_uuid(), 'Lead ' || n, now() - n * interval '1 minute' from generate_series(1, 20000) n;
             insert into events (tenant_id, id, type, subject_kind, lead_id, source, dedupe_key, occurred_at)
             select '{0}', gen_random_uuid(), (array['cta.recorded', 'form.submitted'])[1 + (random() < 0.05)::int], 'cta', id, 'test', id::text,
                    now() - random() * interval '400 days' from leads where tenant_id = '{0}';
             insert into activities (tenant_id, id, lead_id, kind, occurred_at)
             select '{0}', gen_random_uuid(), id, (array['call', 'visit'])[1 + (random() < 0.05)::int], now() - random() * interval '400 days'
               from leads where tenant_id = '{0}';
             insert into conversations (tenant_id, id, lead_id, channel) select '{0}', id, id, 'sms' from leads where tenant_id = '{0}';
             insert into messages (tenant_id, id, conversation_id, lead_id, direction, channel, status, created_at)
             select '{0}', gen_random_uuid(), id, id, 'outbound', 'sms', 'sent', now() - random() * interval '400 days' from leads where tenant_id = '{0}';
             insert into metrics (tenant_id, id, lead_id, type, value, unit, original_value, original_unit, start_at, local_date, source)
             select '{0}', gen_random_uuid(), id, (array['steps', 'weight'])[1 + (random() < 0.05)::int], 80, 'kg', 80, 'kg',
                    now() - random() * interval '400 days', '2026-01-01', 'scale' from leads where tenant_id = '{0}';
             insert into invoices (tenant_id, id, number, status, lead_id, currency, paid_at)
             select '{0}', id, id::text, 'paid', id, 'EUR', now() - random() * interval '400 days' from leads where tenant_id = '{0}';
             analyze leads; analyze events; analyze activities; analyze messages; analyze metrics; analyze invoices",
            tenant.id
        ),
    );
    for (asked, index) in [
        (
            json!({"field": "events.count", "where": {"type": "form.submitted"}, "within": 7}),
            "events_tenant_id_type_occurred_at_idx",
        ),
        (
            json!({"field": "activities.count", "where": {"kind": "visit"}, "within": 7}),
            "activities_tenant_id_kind_occurred_at_idx",
        ),
        (
            json!({"field": "messages.count", "where": {"direction": "outbound"}, "within": 7}),
            "messages_tenant_id_at_idx",
        ),
        (
            json!({"field": "metrics.max", "where": {"type": "weight"}, "within": 7}),
            "metrics_tenant_id_type_start_at_idx",
        ),
        (json!({"field": "purchases.count", "within": 7}), "invoices_tenant_id_paid_at_idx"),
    ] {
        // Who did it, and who did not.
        for (op, value) in [("gte", 1), ("lt", 1)] {
            let mut asked = asked.clone();
            (asked["op"], asked["value"]) = (op.into(), value.into());
            let condition: Condition = serde_json::from_value(asked.clone()).unwrap();
            let plan = plan_of(&tenant, LeadFilter::of_condition(condition, chrono::Utc::now())).await;
            // Of those who did not there are so many that all leads are read, but nothing else is.
            let scans = plan.matches("Seq Scan").count() - plan.matches("Seq Scan on leads").count();
            assert!(plan.contains(index) && scans == 0, "{asked}:\n{plan}");
        }
    }
}
