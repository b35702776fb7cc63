//! The law of the API, over all routes.

use std::{collections::BTreeMap, path::Path};

use serde_json::Value;
use tests::template::{Template, example_drift};

#[test]
fn the_committed_description_is_what_the_code_says() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/openapi.json");
    let committed = std::fs::read_to_string(path).unwrap();
    let generated = local::functions::document().unwrap();
    assert!(
        committed == generated,
        "docs/openapi.json is stale. You changed a route or a shape; run `make openapi` and commit the result"
    );
}

#[test]
fn a_name_of_a_shape_means_one_shape_in_all_functions() {
    let (mut known, mut clashes) = (BTreeMap::<String, (&str, Value)>::new(), Vec::new());
    for (function, api) in local::functions::APIS {
        let description = serde_json::to_value(api().to_openapi()).unwrap();
        for (name, shape) in description["components"]["schemas"].as_object().into_iter().flatten() {
            let (other, first) = known.entry(name.clone()).or_insert_with(|| (function, shape.clone()));
            if first != shape {
                clashes.push(format!("`{name}` is one thing in {other} and another in {function}"));
            }
        }
    }
    assert!(
        clashes.is_empty(),
        "in the description one hides the other, so rename one: {}",
        clashes.join("; ")
    );
}

fn root() -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..").canonicalize().unwrap()
}

fn template() -> Template {
    Template::read(&std::fs::read_to_string(root().join("template.yaml")).unwrap()).unwrap()
}

/// (method, path, function) of every route.
fn routes() -> Vec<(String, String, String)> {
    let document: Value = serde_json::from_str(&local::functions::document().unwrap()).unwrap();
    let mut routes = Vec::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            // Health, version and description are in every function; the gateway asks `auth`.
            let function = match operation["tags"][0].as_str().unwrap() {
                "operations" => "auth",
                tag => tag,
            };
            routes.push((method.to_uppercase(), path.clone(), function.to_owned()));
        }
    }
    routes
}

#[test]
fn the_template_deploys_the_routes_queues_schedules_and_variables_of_the_code() {
    let template = template();
    let routes = routes();
    let routes: Vec<_> = routes.iter().map(|(m, p, f)| (m.as_str(), p.as_str(), f.as_str())).collect();
    let mut drift = template.route_drift(&routes);
    let variables: Vec<_> = shared::config::VARIABLES.iter().map(|(name, _)| *name).collect();
    drift.extend(template.env_drift(&variables));
    drift.extend(template.runbook_drift(&root()));
    drift.extend(template.queue_drift(&[
        ("receipts", "ingest-receipts"),
        ("runs", "run-automations"),
        ("messages", "send-messages"),
        ("deliveries", "deliver-webhooks"),
        ("jobs", "run-jobs"),
    ]));
    let example = std::fs::read_to_string(root().join(".env.example")).unwrap();
    drift.extend(example_drift(&example, &variables));
    assert!(drift.is_empty(), "{}", drift.join("\n"));
}
