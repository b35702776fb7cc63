//! The routes, as the description of the API tells them.

use reqwest::Method;
use serde_json::Value;

/// An id that nobody has.
pub const NOBODY: &str = "0198a000-0000-7000-8000-00000000dead";

/// A route as the description tells it.
pub struct Route {
    pub method: Method,
    pub path: String,
    /// Its operation id.
    pub operation: String,
    /// Its least role, or `public`.
    pub role: String,
    /// Whether a user must see all records.
    pub needs_all: bool,
    /// Whether a user must have given the password just now.
    pub needs_password: bool,
    /// All that the description says of it.
    pub description: Value,
}

/// Every route.
pub fn routes() -> Vec<Route> {
    let document: Value = serde_json::from_str(&local::functions::document().unwrap()).unwrap();
    let mut routes = Vec::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            routes.push(Route {
                method: method.to_uppercase().parse().unwrap(),
                path: path.clone(),
                operation: operation["operationId"].as_str().unwrap().to_owned(),
                role: operation["x-role"].as_str().unwrap_or("undeclared").to_owned(),
                needs_all: operation["x-record-scope"] == "all",
                needs_password: operation["x-step-up"] == true,
                description: operation.clone(),
            });
        }
    }
    routes
}

/// Every route that wants a credential.
pub fn guarded() -> impl Iterator<Item = Route> {
    routes().into_iter().filter(|route| route.role != "public")
}

/// The path with every parameter replaced.
pub fn fill(path: &str, ids: &[&str]) -> String {
    let mut ids = ids.iter().copied().chain(std::iter::repeat(NOBODY));
    let filled = path.split('/').map(|part| if part.starts_with('{') { ids.next().unwrap() } else { part });
    filled.collect::<Vec<_>>().join("/")
}

impl Route {
    /// Whether it has a parameter.
    pub fn takes(&self, name: &str) -> bool {
        let parameters = self.description["parameters"].as_array().into_iter().flatten();
        parameters.into_iter().any(|parameter| parameter["name"] == name)
    }
}
