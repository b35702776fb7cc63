//! How often a request waits for the database: what the distance to it is multiplied with.

use serde_json::json;
use tests::proxy::CountingProxy;

use super::world::World;

/// The transaction's opening with its tenant, the statement, the commit.
const READ: u64 = 3;
/// The same with one statement more, to look before changing.
const WRITE: u64 = 4;
/// Each expansion is a list of its own, and some answers are made of two.
const STATEMENT: u64 = 1;
/// A message looks at the person, at what its text may name, and at the list of those who want none.
const MESSAGE: u64 = WRITE + 3 * STATEMENT;
/// A measurement looks at the definition of its type.
const METRIC: u64 = WRITE + STATEMENT;
/// A new lead looks at the business's own fields.
const NEW_LEAD: u64 = WRITE + STATEMENT;
/// An export looks at the custom fields first, which become its columns, and without definitions at those in use; who took
/// it is noted.
const EXPORT: &str = "/api/leads/export";
/// The export of events has a line in the audit log.
const TWO_STATEMENTS: [&str; 3] = ["/api/analytics/cta/export", "/api/analytics/overview", "/api/pipelines"];
/// Calls before it counts: a connection is made once, a statement is prepared once.
const WARM_UP: usize = 3;

/// A world with a lead, whose calls are counted.
struct Counted {
    world: World,
    proxy: CountingProxy,
    token: String,
}

impl Counted {
    async fn trips(&self, function: &str, method: &str, path: &str, body: impl Fn(usize) -> String) -> u64 {
        for number in 0..WARM_UP {
            let answer = self.world.call(function, method, path, &self.token, &body(number)).await;
            assert!((200..300).contains(&answer.status), "{method} {path}: {}", answer.text());
        }
        let before = self.proxy.trips();
        self.world.call(function, method, path, &self.token, &body(WARM_UP)).await;
        self.proxy.trips() - before
    }

    async fn read(&self, function: &str, path: &str) {
        self.read_within(READ, function, path).await;
    }

    async fn read_within(&self, limit: u64, function: &str, path: &str) {
        let trips = self.trips(function, "GET", path, |_| String::new()).await;
        assert!((1..=limit).contains(&trips), "GET {path} took {trips} round trips");
    }

    async fn write(&self, function: &str, method: &str, path: &str, body: impl Fn(usize) -> String) {
        self.write_within(WRITE, function, method, path, body).await;
    }

    async fn write_within(
        &self,
        limit: u64,
        function: &str,
        method: &str,
        path: &str,
        body: impl Fn(usize) -> String,
    ) {
        let trips = self.trips(function, method, path, body).await;
        assert!((1..=limit).contains(&trips), "{method} {path} took {trips} round trips");
    }
}

/// Every guarded GET that needs no id, with the function that answers it.
fn reads() -> Vec<(&'static str, String)> {
    let mut reads = Vec::new();
    for (function, api) in local::functions::APIS {
        let document = serde_json::to_value(shared::http::openapi::document(vec![api()]).unwrap()).unwrap();
        for (path, item) in document["paths"].as_object().unwrap() {
            if !path.contains('{') && item["get"].is_object() && item["get"]["x-role"] != "public" {
                reads.push((function, path.clone()));
            }
        }
    }
    reads
}

#[tokio::test(flavor = "multi_thread")]
async fn a_read_takes_three_round_trips_at_most_and_a_write_four() {
    let (world, proxy) = World::counted("trips").await;
    let token = world.register().await;
    let lead = r#"{"firstName":"Tilda","email":"tilda@example.com"}"#;
    let lead = world.call("leads", "POST", "/api/leads", &token, lead).await.json().unwrap();
    let lead = lead["id"].as_str().unwrap().to_owned();
    let form = r#"{"provider":"forms","name":"Contact"}"#;
    let form = world.call("webhooks", "POST", "/api/webhooks/sources", &token, form).await.json().unwrap();
    let form = format!("/api/webhooks/forms/{}", form["token"].as_str().unwrap());
    let counted = Counted { world, proxy, token };

    let mut answered = 0;
    for (function, path) in reads() {
        if counted.world.call(function, "GET", &path, &counted.token, "").await.status == 200 {
            let more = match path.as_str() {
                EXPORT => 3 * STATEMENT,
                path if TWO_STATEMENTS.contains(&path) => STATEMENT,
                _ => 0,
            };
            counted.read_within(READ + more, function, &path).await;
            answered += 1;
        }
    }
    assert!(answered > 30, "only {answered} reads need no parameter");
    counted.read("leads", "/api/leads?search=tilda&status=new&sort=-createdAt").await;
    counted.read("leads", &format!("/api/leads/{lead}")).await;
    let detail = format!("/api/leads/{lead}?expand=activities,conversations");
    counted.read_within(READ + 2 * STATEMENT, "leads", &detail).await;

    let new_lead = |number| json!({"email": format!("trip{number}@example.com"), "tags": ["t"]}).to_string();
    counted.write_within(NEW_LEAD, "leads", "POST", "/api/leads", new_lead).await;
    counted
        .write_within(NEW_LEAD, "leads", "POST", "/api/leads/upsert", |_| {
            json!({"email": "tilda@example.com", "lastName": "T"}).to_string()
        })
        .await;
    counted
        .write("leads", "PATCH", &format!("/api/leads/{lead}"), |number| {
            json!({"lastName": format!("N{number}")}).to_string()
        })
        .await;
    let message = json!({"leadId": lead, "channel": "email", "subject": "Hi", "body": "Hello"}).to_string();
    counted.write_within(MESSAGE, "messages", "POST", "/api/messages/send", |_| message.clone()).await;
    let metric = |number| {
        json!({"leadId": lead, "type": "weight", "value": 70 + number, "unit": "kg",
        "startAt": format!("2026-01-01T08:0{number}:00Z")})
        .to_string()
    };
    counted.write_within(METRIC, "wellness", "POST", "/api/wellness/metrics", metric).await;
    counted
        .write("webhooks", "POST", &form, |number| {
            json!({"email": format!("form{number}@example.com")}).to_string()
        })
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_was_refused_costs_the_database_nothing_until_there_is_a_token_again() {
    let (mut world, proxy) = World::counted("refused_calls").await;
    world.set("RATE_LIMITS", "read=2/100");
    let (noisy, quiet) = (world.register().await, world.register().await);
    let read = async |token: &str| {
        let before = proxy.trips();
        let answer = world.call("leads", "GET", "/api/leads", token, "").await;
        (answer, proxy.trips() - before)
    };
    for _ in 0..2 {
        assert_eq!(read(&noisy).await.0.status, 200);
    }
    let (first, trips) = read(&noisy).await;
    assert_eq!((first.status, trips > 0), (429, true));
    for _ in 0..20 {
        let (refused, trips) = read(&noisy).await;
        assert_eq!((refused.status, trips), (429, 0));
        let wait: u64 = refused.header("retry-after").unwrap().parse().unwrap();
        assert!((1..=30).contains(&wait), "{wait}");
        assert_eq!(refused.header("ratelimit-remaining"), Some("0"));
    }
    // Another business, and what is counted apart, are answered meanwhile.
    assert_eq!(read(&quiet).await.0.status, 200);
    let lead = r#"{"firstName":"Nora"}"#;
    assert_eq!(world.call("leads", "POST", "/api/leads", &noisy, lead).await.status, 201);
}
