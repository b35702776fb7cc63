//! The description of the API, completed with what all routes share.

#![expect(
    clippy::indexing_slicing,
    reason = "indexing a JSON value never panics here: a missing member of an object reads as null and is made when written"
)]

mod errors;
mod examples;
mod prose;

use serde_json::{Value, json};
use utoipa::openapi::OpenApi;

use super::{Api, ProblemBody, common, fields};

/// Merges the functions' routes and adds what the law adds to each: the problem answer, the credentials, the headers.
///
/// # Errors
/// When the description cannot be turned into JSON, which would be a defect of the generator.
pub fn document(functions: Vec<Api>) -> Result<Value, serde_json::Error> {
    let api = functions.into_iter().fold(common::routes(), Api::merge);
    let (_, description): (_, OpenApi) = api.split_for_parts();
    let mut document = serde_json::to_value(description)?;
    document["info"] = json!({
        "title": "Wellspring",
        "version": env!("CARGO_PKG_VERSION"),
        "license": {"name": "AGPL-3.0-only", "identifier": "AGPL-3.0-only"},
    });
    add_components(&mut document)?;
    if let Some(paths) = document["paths"].as_object_mut() {
        for (_, item) in paths.iter_mut() {
            for (method, operation) in item.as_object_mut().into_iter().flatten() {
                complete(method, operation);
            }
        }
    }
    prose::complete(&mut document);
    inline_plain_text(&mut document);
    Ok(document)
}

/// A parsed text (an address, a name) is plain text on the wire: its type is said where it stands and is no shape with a name.
fn inline_plain_text(node: &mut Value) {
    match node {
        Value::Object(members) => {
            if members.get("$ref").is_some_and(|name| name == "#/components/schemas/String") {
                members.remove("$ref");
                members.insert("type".to_owned(), json!("string"));
            }
            if let Some(Value::Object(schemas)) = members.get_mut("schemas") {
                schemas.remove("String");
            }
            members.values_mut().for_each(inline_plain_text);
        }
        Value::Array(items) => items.iter_mut().for_each(inline_plain_text),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

fn add_components(document: &mut Value) -> Result<(), serde_json::Error> {
    let mut schemas = Vec::new();
    <ProblemBody as utoipa::ToSchema>::schemas(&mut schemas);
    for (name, schema) in schemas {
        document["components"]["schemas"][name] = serde_json::to_value(schema)?;
    }
    document["components"]["schemas"]["Problem"] =
        serde_json::to_value(<ProblemBody as utoipa::PartialSchema>::schema())?;
    document["components"]["responses"]["Problem"] = json!({
        "description": "What went wrong (RFC 9457).",
        "content": {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}},
    });
    document["components"]["securitySchemes"] = json!({
        "bearer": {
            "type": "http", "scheme": "bearer",
            "description": "An access token from the login, a secret API key (wsk_…), or where stated a site key (wpk_…).",
        },
    });
    Ok(())
}

/// Operations that change a resource without regard to its version: what they do cannot overwrite another change.
const WITHOUT_VERSION: [&str; 5] =
    ["cancel_message", "delete_api_key", "delete_session", "delete_tenant", "reschedule_message"];

/// Operations, and a filter of their list that they do not take: what is in the bin does not leave.
const WITHOUT_PARAMETER: [(&str, &str); 2] =
    [("export_leads", "deleted"), ("export_leads_as_job", "deleted")];

/// Public operations whose effect an `Idempotency-Key` keeps from being repeated.
const PUBLIC_WITH_KEY: [&str; 5] =
    ["accept_invite", "forgot_password", "register_tenant", "reset_password", "verify_email"];

/// Every other PATCH and DELETE compares the version, as the law says. A few name the header themselves.
fn takes_if_match(method: &str, operation: &mut Value) -> bool {
    let id = operation["operationId"].as_str().unwrap_or_default();
    matches!(method, "patch" | "delete")
        && !WITHOUT_VERSION.contains(&id)
        && parameters(operation).iter().all(|parameter| parameter["name"] != "If-Match")
}

fn complete(method: &str, operation: &mut Value) {
    let role = operation["x-role"].as_str().unwrap_or("undeclared").to_owned();
    if !operation["responses"].is_object() {
        operation["responses"] = json!({});
    }
    operation["responses"]["default"] = json!({"$ref": "#/components/responses/Problem"});
    if fields::are_taken(method, operation) {
        parameters(operation).push(json!({"name": fields::NAME, "in": "query",
            "schema": {"type": "array", "items": {"type": "string"}}}));
    }
    let id = operation["operationId"].as_str().unwrap_or_default().to_owned();
    parameters(operation).retain(|parameter| {
        !WITHOUT_PARAMETER.iter().any(|(other, name)| *other == id && parameter["name"] == *name)
    });
    for parameter in parameters(operation) {
        tidy_query_parameter(parameter);
    }
    if takes_if_match(method, operation) {
        parameters(operation).push(
            json!({"name": "If-Match", "in": "header", "required": false, "schema": {"type": "string"}}),
        );
    }
    if role != "public" {
        operation["security"] = json!([{"bearer": []}]);
        if operation["x-scope"].is_null() {
            operation["x-scope"] = json!(usual_scope(method, operation));
        }
    }
    if method == "post" && (role != "public" || PUBLIC_WITH_KEY.contains(&id.as_str())) {
        parameters(operation)
            .push(header("Idempotency-Key", "Repeating the request with the same key has no second effect."));
    }
}

/// The scope that a key needs, where the route does not name another: its function's, reading or writing by the method.
/// `none` means that no key will do.
fn usual_scope(method: &str, operation: &Value) -> String {
    let surface = match operation["tags"][0].as_str().unwrap_or_default() {
        "auth" => "admin",
        "jobs" => "leads",
        tag => tag,
    };
    let access = if method == "get" { "read" } else { "write" };
    format!("{surface}:{access}")
}

/// Filters are read one by one and each may be absent; their wire names are camelCase like everything else.
fn tidy_query_parameter(parameter: &mut Value) {
    if parameter["in"] != "query" {
        return;
    }
    parameter["required"] = json!(false);
    if parameter["schema"]["type"] == "array" {
        parameter["explode"] = json!(true);
    }
    let name = parameter["name"].as_str().unwrap_or_default();
    let mut camel = String::with_capacity(name.len());
    for word in name.split('_') {
        let mut chars = word.chars();
        match chars.next() {
            Some(first) if !camel.is_empty() => camel.extend(first.to_uppercase().chain(chars)),
            Some(first) => camel.extend(std::iter::once(first).chain(chars)),
            None => {}
        }
    }
    parameter["name"] = json!(camel);
}

fn header(name: &str, description: &str) -> Value {
    json!({"name": name, "in": "header", "required": false, "description": description, "schema": {"type": "string"}})
}

fn parameters(operation: &mut Value) -> &mut Vec<Value> {
    if !operation["parameters"].is_array() {
        operation["parameters"] = json!([]);
    }
    match &mut operation["parameters"] {
        Value::Array(parameters) => parameters,
        // Just made an array above.
        _ => unreachable!("parameters are an array"),
    }
}
