//! Every route × no credentials, too low a role, another tenant's ids.

use std::collections::BTreeSet;

use serde_json::Value;

use super::{
    neighbour::Neighbour,
    routes::{NOBODY, Route, fill, guarded, routes},
    rows,
};
use crate::support::{Answer, Client, Tenant, stack};

const ROLES: [&str; 5] = ["viewer", "staff", "manager", "admin", "owner"];

/// Switches the database's wall off, so that only what the statements say is left.
const NO_POLICIES: &str = "do $$
    declare kept regclass;
    begin
        for kept in select oid from pg_class where relrowsecurity and relnamespace = 'public'::regnamespace loop
            execute format('alter table %s disable row level security, no force row level security', kept);
        end loop;
    end $$";

async fn call(client: &Client, route: &Route, path: &str, body: Option<&Value>) -> Answer {
    let request = client.request(route.method.clone(), path);
    client.send(if let Some(body) = body { request.json(body) } else { request }).await
}

#[test]
fn every_route_has_a_row_and_every_row_a_route() {
    let routes: BTreeSet<String> = guarded().map(|route| route.operation).collect();
    let rows: BTreeSet<String> = rows::all().into_iter().map(|row| row.operation.to_owned()).collect();
    let missing: Vec<_> = routes.difference(&rows).collect();
    let left_over: Vec<_> = rows.difference(&routes).collect();
    assert!(
        missing.is_empty() && left_over.is_empty(),
        "tests/it/tenancy/rows.rs: no row for {missing:?}; no route for {left_over:?}. \
         A row gives the route a valid body and says where a foreign id would go"
    );
}

#[tokio::test]
async fn every_route_declares_its_least_role() {
    for route in routes() {
        let known = ROLES.contains(&route.role.as_str()) || route.role == "public";
        assert!(known, "{} {} declares `{}` as x-role", route.method, route.path, route.role);
    }
}

#[tokio::test]
async fn without_credentials_every_guarded_route_says_401_and_nothing_else() {
    let anonymous = Client::anonymous();
    let forged = anonymous.with_token("eyJhbGciOiJub25lIiwidHlwIjoiYXQrand0In0.e30.");
    for route in guarded() {
        let path = fill(&route.path, &[]);
        for client in [&anonymous, &forged] {
            let answer = call(client, &route, &path, Some(&Value::Null)).await;
            assert_eq!(answer.status, 401, "{answer}");
        }
    }
}

#[tokio::test]
async fn a_role_below_the_least_one_is_refused_and_the_least_one_is_not() {
    let tenant = Tenant::new().await;
    let mut clients = Vec::new();
    for role in &ROLES[..4] {
        clients.push(tenant.colleague(role).await);
    }
    for route in guarded() {
        let least = ROLES.iter().position(|role| *role == route.role).unwrap();
        let path = fill(&route.path, &[]);
        if least > 0 {
            let answer = call(&clients[least - 1], &route, &path, Some(&Value::Null)).await;
            assert_eq!(answer.expect_problem(403, "role_required")["requiredRole"], route.role, "{answer}");
        }
        // Logging out would end the session that the other routes need.
        let ends_the_session = route.operation.starts_with("logout");
        if let Some(client) = clients.get(least).filter(|_| !ends_the_session) {
            let answer = call(client, &route, &path, None).await;
            assert!(![401, 403].contains(&answer.status.as_u16()), "{answer}");
            assert!(answer.status.as_u16() < 500, "{answer}");
        }
    }
}

#[tokio::test]
async fn what_is_about_the_whole_business_is_refused_to_whoever_sees_a_part_of_it() {
    let tenant = Tenant::new().await;
    let (own, _) = tenant.bound("owner", "own").await;
    let ends_the_session = ["logout_everywhere", "delete_tenant"];
    for route in guarded().filter(|route| !ends_the_session.contains(&route.operation.as_str())) {
        let answer = call(&own, &route, &fill(&route.path, &[]), Some(&Value::Null)).await;
        if route.needs_all {
            let problem = answer.expect_problem(403, "record_scope_required");
            assert_eq!(problem["requiredRecordScope"], "all", "{answer}");
        } else {
            assert_ne!(answer.status, 403, "{answer}");
        }
    }
}

#[tokio::test]
async fn what_wants_the_password_again_says_so_and_nothing_else_does() {
    let tenant = Tenant::new().await;
    let stale = format!(
        "begin; set local app.tenant_id = '{}'; update sessions set authenticated_at = now() - interval '1 hour'; commit",
        tenant.id
    );
    stack().execute(private_postgres::DATABASE, &stale);
    let mut asked_again = 0;
    for route in guarded().filter(|route| route.operation != "logout_everywhere") {
        let answer = call(&tenant, &route, &fill(&route.path, &[]), Some(&Value::Null)).await;
        if route.needs_password {
            answer.expect_problem(401, "reauth_required");
            asked_again += 1;
        } else {
            assert_ne!(answer.status, 401, "declare x-step-up: {answer}");
        }
    }
    assert!(asked_again > 10, "only {asked_again} routes want the password");
}

#[tokio::test]
async fn another_tenants_ids_are_exactly_as_absent_as_ids_that_nobody_has() {
    keeps_apart(Tenant::new().await, Neighbour::new().await).await;
}

#[tokio::test]
async fn without_policies_the_predicates_alone_keep_every_route_apart() {
    stack().create_database("no_policies").await;
    stack().execute("no_policies", NO_POLICIES);
    let client = stack().serve("no_policies");
    let (tenant, neighbour) = (Tenant::at(&client).await, Neighbour::of(Tenant::at(&client).await).await);
    let broken = shared::db::walls::check(&stack().app_url_of("no_policies")).await.unwrap();
    assert!(broken.len() > 50, "the policies still stand");
    keeps_apart(tenant, neighbour).await;
}

async fn keeps_apart(tenant: Tenant, neighbour: Neighbour) {
    let mut told_apart = Vec::new();
    // The caller must stay signed in, or every answer would be the same for another reason.
    let ends_the_session = ["logout_everywhere", "delete_tenant"];
    for route in guarded().filter(|route| !ends_the_session.contains(&route.operation.as_str())) {
        let row = rows::all().into_iter().find(|row| row.operation == route.operation).unwrap();
        let foreign = answer(&tenant, &route, &row, &|kind| neighbour.id(kind)).await;
        let absent = answer(&tenant, &route, &row, &|_| NOBODY.to_owned()).await;
        assert!(!foreign.text.contains("\"unauthorized\""), "the caller is no longer signed in: {foreign}");
        assert!(!foreign.text.contains(neighbour.canary()), "the neighbour's data leaked: {foreign}");
        if row.names_a_row() {
            // A filter by an id that nobody has finds nothing, which is no error.
            let refused = foreign.status.is_client_error()
                || foreign.status.as_u16() == 207
                || (!row.query.is_empty() && foreign.text.contains(r#""items":[]"#));
            if !refused || comparable(&foreign, &neighbour) != comparable(&absent, &neighbour) {
                told_apart.push(format!("{foreign}\n  absent: {absent}"));
            }
        }
    }
    assert!(told_apart.is_empty(), "{}", told_apart.join("\n"));
    neighbour.is_untouched().await;
}

async fn answer(tenant: &Tenant, route: &Route, row: &rows::Row, id: &dyn Fn(&str) -> String) -> Answer {
    let ids: Vec<String> = row.path_ids.iter().map(|kind| id(kind)).collect();
    let path = fill(&route.path, &ids.iter().map(String::as_str).collect::<Vec<_>>());
    let query = match row.query {
        "" => String::new(),
        query => format!("?{}", query.replace("$id", &id(row.query_id))),
    };
    let body = row.body_with(id);
    call(&tenant.owner, route, &format!("{path}{query}"), body.as_ref()).await
}

/// Everything of an answer but what belongs to the request: its id, and the ids that the caller sent.
fn comparable(answer: &Answer, neighbour: &Neighbour) -> (u16, String, Vec<String>) {
    let request_id = answer.header("x-request-id").to_owned();
    let mut text = answer.text.replace(&request_id, "");
    for id in neighbour.ids().chain([NOBODY]) {
        text = text.replace(id, "");
    }
    let mut headers: Vec<String> = answer.headers.keys().map(ToString::to_string).collect();
    headers.sort();
    (answer.status.as_u16(), text, headers)
}
