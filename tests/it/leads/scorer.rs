//! The scorer by itself, tick by tick, each time alone with a database.

use std::time::Duration;

use shared::{
    app::App,
    config::{Config, Needs},
};
use uuid::Uuid;

use crate::support::stack;

/// A database with one business, and what runs on it.
struct Alone {
    name: String,
    app: App,
}

const TENANT: Uuid = Uuid::from_u128(0x0191_0000_0000_7000_8000_0000_0000_0001);
const OTHER: Uuid = Uuid::from_u128(0x0191_0000_0000_7000_8000_0000_0000_0002);

impl Alone {
    async fn new(name: &str) -> Self {
        let (running, name) = (stack(), format!("{name}_{}", std::process::id()));
        running.create_database(&name).await;
        let mut values = running.values.clone();
        values.insert("DATABASE_URL".to_owned(), running.app_url_of(&name));
        let app = App::new(Config::from_values(values, Needs::Worker).unwrap(), 1).unwrap();
        Self { name, app }
    }

    /// Runs statements for a business, in one transaction.
    fn execute(&self, tenant: Uuid, sql: &str) {
        run(&self.name, tenant, sql);
    }

    /// Fails unless this holds.
    fn expect(&self, tenant: Uuid, condition: &str) {
        let raise = format!(
            "do $$ begin if not ({condition}) then raise exception 'it does not hold'; end if; end $$;"
        );
        self.execute(tenant, &raise);
    }
}

fn run(database: &str, tenant: Uuid, sql: &str) {
    let sql = sql.replace("TENANT", &tenant.to_string());
    let scoped = format!("begin; select set_config('app.tenant_id', '{tenant}', true); {sql} commit;");
    stack().execute(database, &scoped);
}

const BUSINESS: &str = "
    insert into tenants (id, slug, name) values ('TENANT', 'business-TENANT', 'Business');
    insert into scoring (tenant_id, rules) values ('TENANT', '[
        {\"id\": null, \"reason\": \"Fair\", \"condition\": {\"field\": \"source\", \"op\": \"eq\", \"value\": \"fair\"}, \"points\": 10}]');
    insert into leads (tenant_id, id, first_name) select 'TENANT', new_id(), n::text from generate_series(1, 700) as n;";

#[tokio::test]
async fn a_business_that_cannot_be_scored_holds_up_neither_others_scores_nor_their_segments() {
    let alone = Alone::new("scorer").await;
    for tenant in [TENANT, OTHER] {
        alone.execute(tenant, BUSINESS);
        alone.execute(tenant, "update leads set source = 'fair' where first_name = '7';");
    }
    let unwritable = format!(
        "alter table leads add constraint leads_unwritable check (tenant_id <> '{TENANT}' or score = 0) not valid;"
    );
    alone.execute(TENANT, &unwritable);
    let segment = "insert into segments (tenant_id, id, name, conditions)
        values ('TENANT', new_id(), 'All', '{\"field\": \"status\", \"op\": \"eq\", \"value\": \"new\"}');";
    alone.execute(OTHER, segment);
    assert!(sweep::tick(&alone.app).await.is_err(), "a failure is told");
    alone.expect(OTHER, "(select score from leads where first_name = '7') = 10");
    alone.expect(OTHER, "(select member_count from segments) = 700");
    alone.expect(TENANT, "(select score from leads where first_name = '7') = 0");
}

#[tokio::test]
async fn a_lead_whose_transaction_commits_late_behind_a_crowd_is_scored() {
    let alone = Alone::new("late").await;
    alone.execute(TENANT, BUSINESS);
    sweep::tick(&alone.app).await.unwrap();
    let name = alone.name.clone();
    let late = std::thread::spawn(move || {
        run(&name, TENANT, "update leads set source = 'fair' where first_name = '7'; select pg_sleep(1.5);");
    });
    tokio::time::sleep(Duration::from_millis(300)).await;
    // Later, and more than a portion.
    alone.execute(TENANT, "update leads set source = 'fair' where first_name <> '7';");
    sweep::tick(&alone.app).await.unwrap();
    late.join().unwrap();
    // What was young at that time is old enough to be passed now, in two portions.
    tokio::time::sleep(Duration::from_secs(2)).await;
    sweep::tick(&alone.app).await.unwrap();
    alone.expect(TENANT, "(select count(*) from leads where score = 10) = 700");
}
