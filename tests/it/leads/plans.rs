//! Hot lists walk an index in the order that they show, whatever the filter, under row-level security as everywhere.

use private_postgres::DATABASE;
use serde_json::json;
use shared::{
    db::Db,
    http::{ListQuery, PageRequest},
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
             analyze leads",
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
    let plan = plan(&tenant, LeadFilter { search: Some("zuz".to_owned()), ..LeadFilter::default() }).await;
    assert!(!plan.contains("Seq Scan"), "{plan}");
}

async fn plan(tenant: &Tenant, filter: LeadFilter) -> String {
    let db = Db::new(&stack().app_url, 1).unwrap();
    let mut tx = db.open_tenant(TenantId::new(tenant.id.parse().unwrap())).await.unwrap().unwrap();
    let query = ListQuery { filter, page: PageRequest::first::<LeadFilter>() };
    explain(&mut tx, &query, None).await.unwrap()
}
