//! What makes the description good to read: a word on the whole, the groups in the order of a first visit, a short summary with the rest below it,
//! what each status means here, and bodies that work.

#![expect(
    clippy::indexing_slicing,
    reason = "indexing a JSON value never panics here: a missing member of an object reads as null and is made when written"
)]

use serde_json::{Value, json};

use super::{errors, examples};

/// Shown above the operations, as Markdown.
const WHOLE: &str = "CRM, messaging, automation, finance, point of sale and wellness for gyms, studios, spas, coaches and clinics.

**Signing in.** `POST /api/auth/login` answers an access token, good for ten minutes, and a refresh token for the next one. The access token goes into \
`Authorization: Bearer …`; programs put an API key (`wsk_…`) there instead. Every operation says which role it needs at least: \
viewer < staff < manager < admin < owner.

**Lists** answer `{\"items\": […], \"nextCursor\": …}`; give `nextCursor` back as `cursor` for the next page. Repeated or comma-separated values of a filter are \
alternatives.

**Errors** are `application/problem+json`. `code` is for programs, `detail` for people, and each of `errors` points to what is wrong.

**Repeating.** A POST with an `Idempotency-Key` has its effect once, however often it is sent. `ETag` and `If-Match` keep two people from overwriting each other.

**Values.** Money is in whole minor units (cents), times are RFC 3339, fields are camelCase, and an unknown field is refused.";

/// The groups, in the order in which somebody meets them.
const TAGS: [(&str, &str); 10] = [
    ("auth", "Registering, signing in, colleagues, API keys, sessions and the audit log."),
    ("leads", "People, from the first interest on: activities, consents, identities, pipelines."),
    ("jobs", "Imports, exports and changes of many leads at once."),
    ("messages", "E-mail, SMS and chat: conversations, templates, provider accounts, notifications."),
    ("automations", "What happens by itself when something happens: triggers, steps, runs."),
    ("finance", "Invoices, payments, the till, taxes, reports."),
    ("wellness", "Measurements and goals."),
    ("analytics", "Which button earned the money."),
    ("webhooks", "What providers tell us, and what we tell others."),
    ("operations", "Health, version and this description."),
];

/// The parameters that are the same wherever they occur.
const PARAMETERS: [(&str, &str); 7] = [
    (
        "fields",
        "Only these members, in a list of each item; all when left out. `nextCursor` and `total` stay, and the `ETag` is that of the whole.",
    ),
    ("id", "The resource. One of another business is answered like one that does not exist."),
    ("identityId", "The identity, from the list of the lead's identities."),
    ("token", "The token of the address, as it was given when the address was made."),
    ("provider", "Who sends: `stripe`, `twilio`, `meta`, `forms` and so on, as the source was made for."),
    ("n", "The number of the part, from 1."),
    ("If-Match", "The `ETag` of the version that you saw: 412 when somebody was faster."),
];

/// Completes a whole document.
pub(super) fn complete(document: &mut Value) {
    document["info"]["description"] = json!(WHOLE);
    document["tags"] =
        TAGS.iter().map(|(name, description)| json!({"name": name, "description": description})).collect();
    errors::describe(document);
    let mut examples = examples::all();
    for (path, item) in document["paths"].as_object_mut().into_iter().flatten() {
        for (method, operation) in item.as_object_mut().into_iter().flatten() {
            part_summary(operation);
            describe_parameters(operation);
            describe_successes(operation);
            errors::refer(path, method, operation);
            let id = operation["operationId"].as_str().unwrap_or_default();
            if let Some(example) = examples.remove(id) {
                operation["requestBody"]["content"]["application/json"]["example"] = example;
            }
        }
    }
}

/// The first sentence is the summary; the others and who may come below it.
fn part_summary(operation: &mut Value) {
    let text = operation["summary"].as_str().unwrap_or_default().replace('\n', " ");
    let (first, rest) = text.split_once(". ").unwrap_or((text.trim_end_matches('.'), ""));
    let who = match (operation["x-role"].as_str(), operation["x-scope"].as_str()) {
        (Some("public") | None, _) => "Needs no token.".to_owned(),
        (Some(role), None | Some("none")) => format!("Least role: `{role}`."),
        (Some(role), Some(scope)) => format!("Least role: `{role}`. Scope of an API key: `{scope}`."),
    };
    let whole = match operation["x-record-scope"].as_str() {
        Some(records) => format!("A user needs the record scope `{records}`."),
        None => String::new(),
    };
    let step_up = match operation["x-step-up"].as_bool() {
        Some(true) => "Wants the password within the last five minutes.",
        Some(false) | None => "",
    };
    let known = operation["description"].as_str().unwrap_or_default();
    let parts = [rest, known, &who, &whole, step_up].into_iter().filter(|part| !part.is_empty());
    let description = parts.collect::<Vec<_>>().join("\n\n");
    operation["summary"] = json!(first);
    operation["description"] = json!(description);
}

fn describe_parameters(operation: &mut Value) {
    for parameter in operation["parameters"].as_array_mut().into_iter().flatten() {
        let name = parameter["name"].as_str().unwrap_or_default();
        let known = PARAMETERS.iter().find(|(known, _)| *known == name);
        if let Some((_, description)) = known.filter(|_| parameter["description"].is_null()) {
            parameter["description"] = json!(description);
        }
    }
}

fn describe_successes(operation: &mut Value) {
    for (status, response) in operation["responses"].as_object_mut().into_iter().flatten() {
        let description = match status.as_str() {
            "200" => "Done.",
            "201" => "Made.",
            "202" => "Accepted: it is written down and done soon.",
            "204" => "Done; there is nothing to say.",
            "207" => "A result for each item, in their order.",
            _ => continue,
        };
        if response["description"].as_str().unwrap_or_default().is_empty() {
            response["description"] = json!(description);
        }
        if status == "201" && response["headers"].is_null() {
            response["headers"]["Location"] =
                json!({"description": "Path of what was made.", "schema": {"type": "string"}});
        }
    }
}
