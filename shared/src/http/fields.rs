//! Sparse answers: `?fields=id,name` leaves of an object, or of each item of a list, only the members that are asked for.
//!
//! The outermost layer does it to every GET that answers JSON to somebody who has signed in, so no handler knows of it. Which names there are
//! says the description of the function, and not the answer: a list that happens to be empty refuses a typo all the same. The description is
//! looked into once somebody asks for fields, and kept.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    sync::{Arc, OnceLock},
};

use axum::{body::Body, response::Response};
use http::{StatusCode, Uri, header, uri::PathAndQuery};
use http_body_util::BodyExt;
use serde::{
    Deserialize, Deserializer, Serialize, Serializer,
    de::{MapAccess, Visitor},
};
use serde_json::{Value, value::RawValue};
use utoipa::openapi::OpenApi;

use super::{Params, Problem};

/// The parameter.
pub(super) const NAME: &str = "fields";

/// What the routes of a function offer.
#[derive(Clone)]
pub(super) struct Fields {
    description: Arc<OpenApi>,
    routes: Arc<OnceLock<BTreeMap<String, Offer>>>,
}

/// What a route offers.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Offer {
    /// Whether the members are those of each item.
    is_list: bool,
    /// The members; none when anything may be one.
    members: Option<BTreeSet<String>>,
}

/// The members that a request asks for, and what its route offers.
pub(super) struct Asked {
    offer: Offer,
    words: Result<Vec<String>, Problem>,
}

/// Whether an operation answers JSON that can be narrowed.
pub(super) fn are_taken(method: &str, operation: &Value) -> bool {
    method == "get"
        && operation.get("x-role").is_some_and(|role| role != "public")
        && operation.pointer("/responses/200/content/application~1json").is_some()
}

impl Fields {
    pub(super) fn new(description: OpenApi) -> Self {
        Self { description: Arc::new(description), routes: Arc::default() }
    }

    /// Takes the parameter out of the address, so that it is unknown to nobody below. Other routes keep and refuse it like any other.
    pub(super) fn take(&self, route: &str, uri: &mut Uri) -> Option<Asked> {
        let query = uri.query()?;
        let (own, others): (Vec<&str>, Vec<&str>) = query.split('&').partition(|part| is_named(part));
        if own.is_empty() {
            return None;
        }
        let offer = self.routes.get_or_init(|| read(&self.description)).get(route)?.clone();
        let mut params = Params::parse(&own.join("&"), chrono_tz::UTC);
        let words = match &offer.members {
            Some(members) => params.choices(NAME, &members.iter().map(String::as_str).collect::<Vec<_>>()),
            None => params.words(NAME),
        };
        let words = params.finish().map(|()| words);
        *uri = with_query(uri, &others.join("&"))?;
        Some(Asked { offer, words })
    }
}

fn is_named(part: &str) -> bool {
    form_urlencoded::parse(part.as_bytes()).next().is_some_and(|(name, _)| name == NAME)
}

fn with_query(uri: &Uri, query: &str) -> Option<Uri> {
    let rest = if query.is_empty() { uri.path().to_owned() } else { format!("{}?{query}", uri.path()) };
    let mut parts = uri.clone().into_parts();
    parts.path_and_query = Some(PathAndQuery::try_from(rest).ok()?);
    Uri::from_parts(parts).ok()
}

impl Asked {
    /// The answer with the members that are asked for. What is no JSON stays as it is.
    ///
    /// # Errors
    /// 422 for a name that the route does not offer; 500 for an answer that cannot be read again, which would be a defect.
    pub(super) async fn narrow(self, response: Response) -> Result<Response, Problem> {
        if !response.status().is_success() {
            return Ok(response);
        }
        let words = self.words?;
        let kind = response.headers().get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok());
        let is_json = kind.is_some_and(|kind| kind.starts_with("application/json"));
        if words.is_empty() || !is_json || response.status() != StatusCode::OK {
            return Ok(response);
        }
        let (mut parts, body) = response.into_parts();
        let bytes = body.collect().await.map_err(|_| Problem::internal())?.to_bytes();
        let narrowed = narrow(&bytes, &words, self.offer.is_list).ok_or_else(Problem::internal)?;
        parts.headers.remove(header::CONTENT_LENGTH);
        Ok(Response::from_parts(parts, Body::from(narrowed)))
    }
}

fn narrow(body: &[u8], words: &[String], is_list: bool) -> Option<Vec<u8>> {
    let whole: Members<'_> = serde_json::from_slice(body).ok()?;
    if !is_list {
        return serde_json::to_vec(&whole.only(words)).ok();
    }
    let mut narrowed = Vec::new();
    for (name, value) in &whole.0 {
        let value = if name == "items" { narrow_items(value, words)? } else { (*value).to_owned() };
        narrowed.push((name.as_str(), value));
    }
    serde_json::to_vec(&Ordered(narrowed)).ok()
}

fn narrow_items(items: &RawValue, words: &[String]) -> Option<Box<RawValue>> {
    let items: Vec<Members<'_>> = serde_json::from_str(items.get()).ok()?;
    let items: Vec<Members<'_>> = items.into_iter().map(|item| item.only(words)).collect();
    serde_json::value::to_raw_value(&items).ok()
}

/// The members of an object in their order, each as it was written: what a number looks like does not change.
struct Members<'a>(Vec<(String, &'a RawValue)>);

impl Members<'_> {
    fn only(mut self, words: &[String]) -> Self {
        self.0.retain(|(name, _)| words.contains(name));
        self
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Members<'a> {
    fn deserialize<D: Deserializer<'de>>(source: D) -> Result<Self, D::Error> {
        struct InOrder;

        impl<'de> Visitor<'de> for InOrder {
            type Value = Members<'de>;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut source: A) -> Result<Members<'de>, A::Error> {
                let mut members = Vec::new();
                while let Some(member) = source.next_entry()? {
                    members.push(member);
                }
                Ok(Members(members))
            }
        }

        source.deserialize_map(InOrder)
    }
}

impl Serialize for Members<'_> {
    fn serialize<S: Serializer>(&self, target: S) -> Result<S::Ok, S::Error> {
        target.collect_map(self.0.iter().map(|(name, value)| (name, value)))
    }
}

struct Ordered<'a>(Vec<(&'a str, Box<RawValue>)>);

impl Serialize for Ordered<'_> {
    fn serialize<S: Serializer>(&self, target: S) -> Result<S::Ok, S::Error> {
        target.collect_map(self.0.iter().map(|(name, value)| (name, value)))
    }
}

/// What each GET offers, by its path.
fn read(description: &OpenApi) -> BTreeMap<String, Offer> {
    let document = serde_json::to_value(description).unwrap_or_else(|error| {
        tracing::error!(%error, "the description of the routes cannot be read");
        Value::Null
    });
    let paths = document.get("paths").and_then(Value::as_object);
    let gets = paths.into_iter().flatten().filter_map(|(path, item)| Some((path, item.get("get")?)));
    gets.filter(|(_, operation)| are_taken("get", operation))
        .filter_map(|(path, operation)| {
            let shape = operation.pointer("/responses/200/content/application~1json/schema")?;
            Some((path.clone(), offer(&document, shape)))
        })
        .collect()
}

fn offer(document: &Value, shape: &Value) -> Offer {
    let mut whole = Shape::default();
    whole.add(document, shape, 0);
    match (whole.members.get("items"), whole.members.contains_key("nextCursor")) {
        (Some(items), true) => {
            let mut item = Shape::default();
            item.add(document, items.get("items").unwrap_or(&Value::Null), 0);
            Offer { is_list: true, members: item.into_names() }
        }
        _ => Offer { is_list: false, members: whole.into_names() },
    }
}

/// What a description says of an object, all its parts together.
#[derive(Default)]
struct Shape<'a> {
    members: BTreeMap<&'a str, &'a Value>,
    is_open: bool,
}

impl<'a> Shape<'a> {
    fn add(&mut self, document: &'a Value, shape: &'a Value, depth: u8) {
        // No shape is made of itself; a description that says so is read to an end all the same.
        if depth > 16 {
            return;
        }
        if let Some(name) = shape.get("$ref").and_then(Value::as_str) {
            let found = document.pointer(name.trim_start_matches('#'));
            self.add(document, found.unwrap_or(&Value::Null), depth + 1);
        }
        for way in ["allOf", "anyOf", "oneOf"] {
            for part in shape.get(way).and_then(Value::as_array).into_iter().flatten() {
                self.add(document, part, depth + 1);
            }
        }
        let members = shape.get("properties").and_then(Value::as_object).into_iter().flatten();
        self.members.extend(members.map(|(name, member)| (name.as_str(), member)));
        self.is_open |= shape.get("additionalProperties").is_some_and(|others| *others != false);
    }

    fn into_names(self) -> Option<BTreeSet<String>> {
        let is_known = !self.is_open && !self.members.is_empty();
        is_known.then(|| self.members.into_keys().map(str::to_owned).collect())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn words(words: &[&str]) -> Vec<String> {
        words.iter().map(|word| (*word).to_owned()).collect()
    }

    #[test]
    fn what_is_left_keeps_its_order_and_its_letters() {
        let object = r#"{"z":1.50,"b":"ä\u0041","a":[1e2, 3],"c":null}"#;
        let narrowed = narrow(object.as_bytes(), &words(&["a", "z"]), false).unwrap();
        assert_eq!(narrowed, br#"{"z":1.50,"a":[1e2, 3]}"#);
        let list = r#"{"items":[{"b":1,"a":{"b":2}},{"c":3}],"nextCursor":"x","total":2.0}"#;
        let narrowed = narrow(list.as_bytes(), &words(&["a"]), true).unwrap();
        assert_eq!(narrowed, br#"{"items":[{"a":{"b":2}},{}],"nextCursor":"x","total":2.0}"#);
    }

    #[test]
    fn a_description_is_followed_through_its_parts() {
        let document = json!({"components": {"schemas": {
            "Page": {"properties": {"items": {"items": {"$ref": "#/components/schemas/Whole"}}, "nextCursor": {}}},
            "Whole": {"allOf": [{"$ref": "#/components/schemas/Part"}, {"properties": {"b": {}}}]},
            "Part": {"properties": {"a": {}}},
            "Open": {"properties": {"a": {}}, "additionalProperties": {"type": "string"}},
        }}});
        let offered = |name: &str| offer(&document, &json!({"$ref": format!("#/components/schemas/{name}")}));
        let both = Some(BTreeSet::from(["a".to_owned(), "b".to_owned()]));
        assert_eq!(offered("Page"), Offer { is_list: true, members: both.clone() });
        assert_eq!(offered("Whole"), Offer { is_list: false, members: both });
        assert_eq!(offered("Open").members, None);
        assert_eq!(offer(&document, &json!({"type": "object"})).members, None);
    }
}
