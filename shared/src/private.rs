//! Values that must not reach a log: personal data ([`Private`]) and keys or passwords ([`Secret`]).
//!
//! Neither prints its content with `Debug` and neither has a `Display`, so `{}` does not compile and `{:?}` –
//! which the derived `Debug` of every surrounding struct uses – shows a placeholder. What needs the content
//! says so: [`Private::expose`], [`Secret::expose`]; both can be searched for. Personal data travels to the
//! client and to the database, hence `Private` serialises transparently; a secret only comes in, hence
//! `Secret` only deserialises.

use std::borrow::Cow;
use std::fmt;

use serde::{Deserialize, Serialize};
use utoipa::openapi::{RefOr, schema::Schema};
use utoipa::{__dev::ComposeSchema, ToSchema};

/// Personal data: a name, an address, a phone number, a message, a health value.
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, sqlx::Type)]
#[serde(transparent)]
#[sqlx(transparent)]
pub struct Private<T>(T);

impl<T> Private<T> {
    /// Marks `value` as personal.
    pub const fn new(value: T) -> Self {
        Self(value)
    }

    /// The content, for the places that have a right to it: storage, the wire, a provider's request.
    pub const fn expose(&self) -> &T {
        &self.0
    }

    /// The content by value.
    pub fn into_inner(self) -> T {
        self.0
    }

    /// Applies `change` to the content and keeps the mark.
    pub fn map<U>(self, change: impl FnOnce(T) -> U) -> Private<U> {
        Private(change(self.0))
    }
}

impl<T> From<T> for Private<T> {
    fn from(value: T) -> Self {
        Self(value)
    }
}

impl<T> fmt::Debug for Private<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Private(…)")
    }
}

// In the API description the mark is invisible: the schema is the content's.
// utoipa's own generated code implements this trait; an `Option` around the type needs it.
impl<T: ComposeSchema> ComposeSchema for Private<T> {
    fn compose(generics: Vec<RefOr<Schema>>) -> RefOr<Schema> {
        T::compose(generics)
    }
}

impl<T: ToSchema + ComposeSchema> ToSchema for Private<T> {
    fn name() -> Cow<'static, str> {
        T::name()
    }

    fn schemas(schemas: &mut Vec<(String, RefOr<Schema>)>) {
        T::schemas(schemas);
    }
}

/// A key, password or token in clear.
///
/// It has no equality: compare what is derived from it, or use `crypto::constant_time_eq`.
#[derive(Clone, Deserialize)]
#[serde(transparent)]
pub struct Secret(String);

impl Secret {
    /// Marks `value` as secret.
    #[must_use]
    pub const fn new(value: String) -> Self {
        Self(value)
    }

    /// The secret in clear.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl From<String> for Secret {
    fn from(value: String) -> Self {
        Self(value)
    }
}

impl From<&str> for Secret {
    fn from(value: &str) -> Self {
        Self(value.to_owned())
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

impl ComposeSchema for Secret {
    fn compose(generics: Vec<RefOr<Schema>>) -> RefOr<Schema> {
        String::compose(generics)
    }
}

impl ToSchema for Secret {
    fn name() -> Cow<'static, str> {
        String::name()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, Deserialize)]
    struct Login {
        email: Private<String>,
        password: Secret,
    }

    #[test]
    fn debug_of_a_surrounding_struct_shows_neither() {
        let login: Login =
            serde_json::from_str(r#"{"email":"ada@example.com","password":"hunter2"}"#).unwrap();
        assert_eq!(format!("{login:?}"), "Login { email: Private(…), password: Secret(…) }");
        assert_eq!((login.email.expose().as_str(), login.password.expose()), ("ada@example.com", "hunter2"));
    }

    #[test]
    fn private_is_transparent_on_the_wire() {
        let value: Private<Option<String>> = serde_json::from_str("null").unwrap();
        assert_eq!(serde_json::to_string(&(value, Private::new(7))).unwrap(), "[null,7]");
    }
}
