//! Classes of routes: what is alike in cost is counted together.

use http::Method;

/// A class of routes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    /// Reading.
    Read,
    /// Changing.
    Write,
    /// What leaves the house: messages, runs of automations.
    Send,
    /// What walks through much at once: exports, imports.
    Bulk,
    /// Signing in and other calls of nobody in particular.
    Door,
    /// Renewing a session.
    Refresh,
    /// Website forms.
    Form,
    /// Deliveries of providers.
    Webhook,
    /// What pages report.
    Event,
    /// Mails about an account. No route is of this class: it is counted where the mail is planned, by the hour.
    Mail,
}

/// Answered from memory or by the laptop's health checks; nothing is counted.
const FREE: [&str; 5] =
    ["/api/health/live", "/api/health/ready", "/api/version", "/api/openapi.json", "/api/auth/jwks"];

/// Calls that come before anybody is known, besides everything below `/api/public/`.
const DOORS: [&str; 8] = [
    "/api/auth/register",
    "/api/auth/login",
    "/api/auth/logout",
    "/api/auth/accept-invite",
    "/api/auth/forgot",
    "/api/auth/reset",
    "/api/auth/verify-email",
    "/api/auth/mfa/verify",
];

/// Counted by the session, for many sessions are renewed by one server; a token that nobody has is counted as a door's.
const REFRESH: &str = "/api/auth/refresh";

/// The address of providers and forms; the provider is a part of it.
const INBOUND: &str = "/api/webhooks/{provider}/{token}";

/// POSTs that make something leave.
const SENDS: [&str; 5] = [
    "/api/messages/send",
    "/api/messages/batch",
    "/api/messages/{id}/retry",
    "/api/conversations/{id}/messages",
    "/api/automations/{id}/execute",
];

impl Class {
    /// All of them.
    pub const ALL: [Self; 10] = [
        Self::Read,
        Self::Write,
        Self::Send,
        Self::Bulk,
        Self::Door,
        Self::Refresh,
        Self::Form,
        Self::Webhook,
        Self::Event,
        Self::Mail,
    ];

    /// The class of a route, by its template. `None` for what is not counted.
    #[must_use]
    pub fn of(method: &Method, route: &str, path: &str) -> Option<Self> {
        let posts = method == Method::POST;
        if FREE.contains(&route) || !route.starts_with("/api/") || method == Method::OPTIONS {
            return None;
        }
        Some(match route {
            INBOUND if path.starts_with("/api/webhooks/forms/") => Self::Form,
            INBOUND => Self::Webhook,
            "/api/analytics/cta" if posts => Self::Event,
            REFRESH => Self::Refresh,
            _ if DOORS.contains(&route) || route.starts_with("/api/public/") => Self::Door,
            _ if is_bulk(route) => Self::Bulk,
            _ if posts && SENDS.contains(&route) => Self::Send,
            _ if method == Method::GET || method == Method::HEAD => Self::Read,
            _ => Self::Write,
        })
    }

    /// The class in configuration, headers and keys.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Write => "write",
            Self::Send => "send",
            Self::Bulk => "bulk",
            Self::Door => "door",
            Self::Refresh => "refresh",
            Self::Form => "form",
            Self::Webhook => "webhook",
            Self::Event => "event",
            Self::Mail => "mail",
        }
    }
}

/// Exports and imports are told by their names, wherever they are.
fn is_bulk(route: &str) -> bool {
    route.split('/').any(|part| matches!(part, "export" | "import" | "bulk"))
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    #[test]
    fn every_public_route_is_counted_by_network_or_session_or_known_to_be_free_and_no_other_is() {
        let document: Value = serde_json::from_str(crate::http::DOCUMENT).unwrap();
        for (route, operations) in document["paths"].as_object().unwrap() {
            for (method, operation) in operations.as_object().unwrap() {
                let method: Method = method.to_uppercase().parse().unwrap();
                let class = Class::of(&method, route, route);
                let for_visitors =
                    matches!(class, None | Some(Class::Door | Class::Refresh | Class::Form | Class::Webhook));
                // A session's own view is answered with or without a token; it is counted like every reading.
                let is_public = operation["x-role"] == "public" && route != "/api/auth/session";
                assert_eq!(for_visitors, is_public, "{method} {route} is of class {class:?}");
            }
        }
    }

    #[test]
    fn what_leaves_and_what_is_much_is_told_from_everyday_work() {
        let class = |method, route: &str| Class::of(&method, route, route).unwrap();
        assert_eq!(class(Method::POST, "/api/messages/send"), Class::Send);
        assert_eq!(class(Method::GET, "/api/conversations/{id}/messages"), Class::Read);
        assert_eq!(class(Method::POST, "/api/conversations/{id}/messages"), Class::Send);
        assert_eq!(class(Method::GET, "/api/analytics/cta/export"), Class::Bulk);
        assert_eq!(class(Method::POST, "/api/wellness/import/{format}"), Class::Bulk);
        assert_eq!(class(Method::POST, "/api/analytics/cta"), Class::Event);
        assert_eq!(class(Method::GET, "/api/analytics/cta"), Class::Read);
        assert_eq!(class(Method::DELETE, "/api/leads/{id}"), Class::Write);
        assert_eq!(Class::of(&Method::POST, INBOUND, "/api/webhooks/forms/x"), Some(Class::Form));
        assert_eq!(Class::of(&Method::POST, INBOUND, "/api/webhooks/stripe/x"), Some(Class::Webhook));
        assert_eq!(Class::of(&Method::OPTIONS, "/api/leads", "/api/leads"), None);
        assert_eq!(Class::of(&Method::GET, "unknown", "/api/nothing"), None);
    }
}
