//! What is measured.

use std::time::Duration;

use serde_json::{Value, json};
use tests::lambda::parse_http;

use crate::{
    Failure,
    table::{self, Cost, Row},
    world::{Business, World, request},
};

/// Requests before the clock runs: plans are cached after five executions, caches warm soon after.
const WARM_UP: usize = 200;
const REQUESTS: usize = 2_000;
/// Exports are long; a few tell enough.
const EXPORTS: usize = 20;
/// Cold starts of which the median is told.
const COLD_STARTS: usize = 15;

type MakeEvent = Box<dyn Fn(usize) -> Value>;

struct Case {
    name: &'static str,
    function: &'static str,
    expected: u16,
    requests: usize,
    event: MakeEvent,
}

/// Runs every case in an environment of its own.
pub(crate) async fn measure_all(world: &World) -> Result<Vec<Row>, Failure> {
    let mut rows = Vec::new();
    for case in cases(world).await? {
        table::note(case.name);
        rows.push(measure(world, &case).await?);
    }
    Ok(rows)
}

async fn cases(world: &World) -> Result<Vec<Case>, Failure> {
    let usual = &world.usual;
    let form = source(world, usual).await?;
    let lead = first_lead(world, usual).await?;
    let detail = format!("/api/leads/{lead}?expand=activities,conversations");
    Ok(vec![
        get("health, no database", "auth", "/api/health/live", ""),
        get("leads list, 25 of 10,000", "leads", "/api/leads?status=new,contacted&source=form", &usual.token),
        get(
            "leads list, 25 of 1,000,000",
            "leads",
            "/api/leads?status=new,contacted&source=form",
            &world.large.token,
        ),
        get("leads search, 10,000", "leads", "/api/leads?search=given899", &usual.token),
        get("leads search, 1,000,000", "leads", "/api/leads?search=given899", &world.large.token),
        get("lead detail, expanded", "leads", &detail, &usual.token),
        post(
            "lead create",
            "leads",
            201,
            "/api/leads",
            &usual.token,
            |n| json!({"firstName": "New", "email": format!("new{n}@bench.example.com"), "tags": ["bench"]}),
        ),
        from_everywhere(post(
            "webhook ack (form)",
            "webhooks",
            202,
            &form,
            "",
            |n| json!({"name": "Form Person", "email": format!("form{n}@bench.example.com")}),
        )),
        post(
            "message send",
            "messages",
            202,
            "/api/messages/send",
            &usual.token,
            move |n| json!({"leadId": lead, "channel": "email", "subject": "Hello", "body": format!("Message {n}")}),
        ),
        post("CTA batch of 10", "analytics", 202, "/api/analytics/cta", &usual.token, cta_batch),
        Case { requests: EXPORTS, ..get("export, 25,000 rows as CSV", "analytics", EXPORT, &usual.token) },
    ])
}

/// The largest chunk of an export, from the seeded events.
const EXPORT: &str = "/api/analytics/cta/export?format=csv&surface=seeded&limit=25000";

fn cta_batch(number: usize) -> Value {
    let events = (0..10).map(|place| {
        json!({"eventId": format!("bench-{number}-{place}"), "surface": "landing", "ctaId": "book", "kind": "click",
            "visitorId": format!("visitor-{place}")})
    });
    json!({"events": events.collect::<Vec<_>>()})
}

fn get(name: &'static str, function: &'static str, path: &str, token: &str) -> Case {
    let event = request("GET", path, token, None);
    Case { name, function, expected: 200, requests: REQUESTS, event: Box::new(move |_| event.clone()) }
}

fn post(
    name: &'static str,
    function: &'static str,
    expected: u16,
    path: &str,
    token: &str,
    body: impl Fn(usize) -> Value + 'static,
) -> Case {
    let (path, token) = (path.to_owned(), token.to_owned());
    let event = move |number| request("POST", &path, &token, Some(&body(number)));
    Case { name, function, expected, requests: REQUESTS, event: Box::new(event) }
}

/// Each request from an address of its own: what is limited per address is not what is measured.
fn from_everywhere(case: Case) -> Case {
    let event = case.event;
    let from = move |number: usize| {
        let mut event = event(number);
        let address = format!("198.{}.{}.{}", 18 + number / 65_536 % 2, number / 256 % 256, number % 256);
        if let Some(place) = event.pointer_mut("/requestContext/http/sourceIp") {
            *place = address.into();
        }
        event
    };
    Case { event: Box::new(from), ..case }
}

/// The path of a form's receiver.
async fn source(world: &World, business: &Business) -> Result<String, Failure> {
    let body = json!({"provider": "forms", "name": "Bench"});
    let answer =
        world.once("webhooks", "POST", "/api/webhooks/sources", &business.token, Some(&body)).await?;
    let answer: Value = answer.json()?;
    let token = answer.get("token").and_then(Value::as_str).ok_or("no source was made")?;
    Ok(format!("/api/webhooks/forms/{token}"))
}

async fn first_lead(world: &World, business: &Business) -> Result<String, Failure> {
    let answer = world.once("leads", "GET", "/api/leads?limit=1", &business.token, None).await?;
    let answer: Value = answer.json()?;
    Ok(answer.pointer("/items/0/id").and_then(Value::as_str).ok_or("no lead was seeded")?.to_owned())
}

async fn measure(world: &World, case: &Case) -> Result<Row, Failure> {
    let mut cold = Vec::with_capacity(COLD_STARTS);
    for number in 0..COLD_STARTS {
        let environment = world.launch(case.function)?;
        environment.invoke(&(case.event)(1_000_000 + number)).await?;
        cold.push(environment.cold_start().first_response.ok_or("no cold start was seen")?);
    }
    let environment = world.launch(case.function)?;
    let warm_up = WARM_UP.min(case.requests);
    for number in 0..warm_up {
        let answer = parse_http(&environment.invoke(&(case.event)(number)).await?)?;
        // Webhooks may answer 200 or 202; anything else is a case that does not do what it says.
        if answer.status != case.expected && !(200..300).contains(&answer.status) {
            return Err(format!("{}: {} {}", case.name, answer.status, answer.text()).into());
        }
    }
    let (before, server_before, trips) = (environment.usage()?, world.server_cpu()?, world.proxy.trips());
    let mut times = Vec::with_capacity(case.requests);
    for number in warm_up..warm_up + case.requests {
        times.push(environment.invoke(&(case.event)(number)).await?.duration);
    }
    let (after, server_after, trips) =
        (environment.usage()?, world.server_cpu()?, world.proxy.trips() - trips);
    let cost = Cost {
        cpu: after.cpu.saturating_sub(before.cpu),
        server_cpu: server_after.saturating_sub(server_before),
        peak_bytes: after.peak_rss,
        trips,
    };
    Ok(Row::new(case.name, &mut cold, &mut times, &cost))
}

/// The value below which the given share of sorted durations lies.
pub(crate) fn quantile(sorted: &[Duration], permille: usize) -> Duration {
    let index = sorted.len().saturating_sub(1) * permille / 1000;
    sorted.get(index).copied().unwrap_or_default()
}
