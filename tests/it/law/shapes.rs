//! The shapes of bodies, as the description tells them.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::{path, row};
use crate::{
    support::Answer,
    tenancy::{Neighbour, routes::guarded},
};

/// The description of all routes.
pub(super) fn document() -> Value {
    serde_json::from_str(&local::functions::document().unwrap()).unwrap()
}

/// The shape that a reference stands for.
fn resolve<'a>(document: &'a Value, shape: &'a Value) -> &'a Value {
    shape["$ref"].as_str().map_or(shape, |name| {
        let found = document.pointer(name.trim_start_matches('#'));
        resolve(document, found.unwrap_or_else(|| panic!("{name} is described nowhere")))
    })
}

/// Whether a shape is of a type, or null.
fn is(shape: &Value, kind: &str) -> bool {
    shape["type"] == kind || shape["type"].as_array().is_some_and(|kinds| kinds.contains(&json!(kind)))
}

/// The pointers of all objects with named members below a shape, the lists of objects by their first item.
fn objects(document: &Value, shape: &Value, pointer: &str, found: &mut BTreeSet<String>) {
    // Conditions nest without end; what holds this deep holds below.
    if pointer.matches('/').count() > 5 {
        return;
    }
    let shape = resolve(document, shape);
    for way in ["allOf", "anyOf", "oneOf"] {
        for part in shape[way].as_array().into_iter().flatten() {
            objects(document, part, pointer, found);
        }
    }
    if is(shape, "array") {
        objects(document, &shape["items"], &format!("{pointer}/0"), found);
    }
    let members = shape["properties"].as_object();
    if members.is_some() && !pointer.is_empty() {
        found.insert(pointer.to_owned());
    }
    for (name, member) in members.into_iter().flatten() {
        objects(document, member, &format!("{pointer}/{name}"), found);
    }
}

/// Puts `[]` at a pointer of a body, with what it needs around it.
fn put_list(body: &mut Value, pointer: &str) {
    let place = pointer.split('/').skip(1).fold(body, |at, step| {
        if step != "0" {
            return &mut at[step];
        }
        if at.as_array().is_none_or(Vec::is_empty) {
            *at = json!([{}]);
        }
        &mut at[0]
    });
    *place = json!([]);
}

/// Batches answer for each item, and the whole is done.
fn is_refused_alone(answer: &Answer) -> bool {
    [202, 207].contains(&answer.status.as_u16()) && answer.text.contains("\"wrong_type\"")
}

#[tokio::test]
async fn a_list_in_place_of_an_object_is_refused_wherever_an_object_is_described() {
    let (document, business) = (document(), Neighbour::new().await);
    let tenant = business.business();
    let (mut tried, mut taken) = (0, Vec::new());
    for route in guarded() {
        let shape = &route.description["requestBody"]["content"]["application/json"]["schema"];
        let mut pointers = BTreeSet::new();
        objects(&document, shape, "", &mut pointers);
        for pointer in pointers {
            let mut body = row(&route).body_with(&|kind| business.id(kind)).unwrap_or_else(|| json!({}));
            if pointer.starts_with("/events/") {
                // Beside the events of a batch nothing may stand.
                body = json!({});
            }
            put_list(&mut body, &pointer);
            let request = tenant.request(route.method.clone(), &path(&route, &business)).json(&body);
            let answer = tenant.send(request).await;
            let refused = answer.status == 422
                && answer.text.contains(&format!(r#"{{"pointer":"{pointer}","code":"wrong_type""#));
            if !refused && !is_refused_alone(&answer) {
                taken.push(format!("{pointer} of {}: {answer}", route.operation));
            }
            tried += 1;
        }
    }
    assert!(taken.is_empty(), "{}", taken.join("\n"));
    assert!(tried > 60, "only {tried} objects are described");
}
