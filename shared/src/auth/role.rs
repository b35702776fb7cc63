//! Roles of people, record scopes, and scopes of API keys.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// A word that is none of the known ones.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a known {0}")]
pub struct UnknownWord(&'static str);

/// Declares an enum of lower-case words with one spelling in JSON, in SQL and in text.
macro_rules! words {
    ($(#[$meta:meta])* $name:ident, $what:literal:
     $($(#[$doc:meta])* $variant:ident = $word:literal),+ $(,)?) => {
        $(#[$meta])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[derive(Serialize, Deserialize, ToSchema, sqlx::Type)]
        #[serde(rename_all = "lowercase")]
        #[sqlx(type_name = "text", rename_all = "lowercase")]
        pub enum $name { $($(#[$doc])* $variant),+ }

        impl $name {
            /// Every value, in ascending order.
            pub const ALL: &[Self] = &[$(Self::$variant),+];

            /// The word in JSON, SQL and text.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $word),+ }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.as_str())
            }
        }

        impl FromStr for $name {
            type Err = UnknownWord;

            fn from_str(text: &str) -> Result<Self, UnknownWord> {
                match text { $($word => Ok(Self::$variant),)+ _ => Err(UnknownWord($what)) }
            }
        }
    };
}

words! {
    /// What a user may do in a tenant. The order is the rank: a route states its least role.
    Role, "role":
    /// Reads.
    Viewer = "viewer",
    /// Works with leads, messages, sales and health data.
    Staff = "staff",
    /// Also corrects, refunds, imports, exports and merges.
    Manager = "manager",
    /// Also manages users, keys and settings.
    Admin = "admin",
    /// Also deletes the tenant, and makes or demotes owners.
    Owner = "owner",
}

words! {
    /// Whose records a user sees; each step includes the one before.
    RecordScope, "record scope":
    /// Records the user owns.
    Own = "own",
    /// Records owned by anyone in the user's team.
    Team = "team",
    /// Every record of the tenant.
    All = "all",
}

/// Whose records a caller sees: those of these owners, or all.
pub type Owners<'a> = Option<&'a [uuid::Uuid]>;

words! {
    /// A part of the API that keys are scoped to; one for each function.
    Surface, "surface":
    /// Leads, activities, segments, imports.
    Leads = "leads",
    /// Conversations, messages, templates, connections.
    Messages = "messages",
    /// Automations and their runs.
    Automations = "automations",
    /// Invoices, payments, point of sale, ledger.
    Finance = "finance",
    /// Health metrics and goals.
    Wellness = "wellness",
    /// Inbound sources and outbound endpoints.
    Webhooks = "webhooks",
    /// CTA statistics and attribution.
    Analytics = "analytics",
    /// Users, keys, settings, audit.
    Admin = "admin",
}

words! {
    /// What a scope permits; writing includes reading.
    Access, "access":
    /// Reading.
    Read = "read",
    /// Reading and writing.
    Write = "write",
}

impl Role {
    /// Whether this role is at least `least`.
    #[must_use]
    pub fn allows(self, least: Self) -> bool {
        self >= least
    }

    /// Whether a user of this role may give, change or take away `other`: administrators manage every role
    /// below owner, owners all.
    #[must_use]
    pub fn manages(self, other: Self) -> bool {
        self >= Self::Admin && (self == Self::Owner || other < Self::Owner)
    }
}

/// A scope of an API key, written `<surface>:read` or `<surface>:write`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Scope {
    /// The part of the API.
    pub surface: Surface,
    /// What may be done there.
    pub access: Access,
}

impl Scope {
    /// Whether this scope covers `needed`.
    #[must_use]
    pub fn allows(self, needed: Self) -> bool {
        self.surface == needed.surface && self.access >= needed.access
    }
}

/// Whether any of a key's scopes covers `needed`.
#[must_use]
pub fn any_allows(scopes: &[Scope], needed: Scope) -> bool {
    scopes.iter().any(|scope| scope.allows(needed))
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.surface, self.access)
    }
}

impl FromStr for Scope {
    type Err = UnknownWord;

    fn from_str(text: &str) -> Result<Self, UnknownWord> {
        let (surface, access) = text.split_once(':').ok_or(UnknownWord("scope"))?;
        Ok(Self { surface: surface.parse()?, access: access.parse()? })
    }
}

impl Serialize for Scope {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Scope {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<str>::deserialize(deserializer)?;
        text.parse().map_err(|_| serde::de::Error::custom("expected <surface>:read or <surface>:write"))
    }
}

impl utoipa::__dev::ComposeSchema for Scope {
    fn compose(
        _: Vec<utoipa::openapi::RefOr<utoipa::openapi::schema::Schema>>,
    ) -> utoipa::openapi::RefOr<utoipa::openapi::schema::Schema> {
        let surfaces: Vec<_> = Surface::ALL.iter().map(|surface| surface.as_str()).collect();
        utoipa::openapi::ObjectBuilder::new()
            .schema_type(utoipa::openapi::schema::Type::String)
            .pattern(Some(format!("^({}):(read|write)$", surfaces.join("|"))))
            .into()
    }
}

impl ToSchema for Scope {}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use proptest::sample::select;

    use super::*;

    #[test]
    fn roles_rank_from_viewer_to_owner() {
        assert!(Role::ALL.is_sorted() && Role::ALL.len() == 5);
        assert!(Role::Staff.allows(Role::Viewer) && !Role::Staff.allows(Role::Manager));
        assert_eq!("owner".parse(), Ok(Role::Owner));
        assert!("Owner".parse::<Role>().is_err() && "".parse::<Role>().is_err());
        assert_eq!(serde_json::to_string(&(Role::Admin, RecordScope::Team)).unwrap(), r#"["admin","team"]"#);
    }

    #[test]
    fn only_owners_manage_owners() {
        assert!(Role::Admin.manages(Role::Admin) && !Role::Admin.manages(Role::Owner));
        assert!(Role::Owner.manages(Role::Owner) && !Role::Manager.manages(Role::Viewer));
    }

    #[test]
    fn a_scope_covers_its_own_surface_and_writing_includes_reading() {
        let scope = |text: &str| text.parse::<Scope>().unwrap();
        assert!(scope("leads:write").allows(scope("leads:read")));
        assert!(!scope("leads:read").allows(scope("leads:write")));
        assert!(!scope("leads:write").allows(scope("finance:read")));
        assert!(any_allows(&[scope("leads:read"), scope("finance:write")], scope("finance:read")));
        assert!(!any_allows(&[], scope("leads:read")));
    }

    proptest! {
        #[test]
        fn scopes_parse_exactly_as_they_print(text in "[a-z]{0,12}:?(read|write|admin|[a-z]{0,5})") {
            if let Ok(scope) = text.parse::<Scope>() {
                prop_assert_eq!(scope.to_string(), text);
            }
        }

        #[test]
        fn every_scope_survives_json(surface in select(Surface::ALL), access in select(Access::ALL)) {
            let scope = Scope { surface, access };
            let json = serde_json::to_string(&scope).unwrap();
            prop_assert_eq!(serde_json::from_str::<Scope>(&json).unwrap(), scope);
        }
    }
}
