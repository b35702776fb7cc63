//! Which websites' pages may post to a form, as their browsers ask beforehand (Fetch standard, CORS preflight).

use http::HeaderValue;

use crate::{
    app::App,
    crypto::{OpaqueToken, TokenKind},
    webhooks::{Provider, verify},
};

/// The addresses of forms, before the token.
const FORMS: &str = "/api/webhooks/forms/";

/// Whether the answer at `path` may be read by a page of `origin`. Forms have lists of their own; no other path has one.
///
/// A browser asks first (`preflight`) and the source's settings are looked up. The form itself is posted to a handler
/// that refuses origins that are not listed, so nothing is looked up twice.
pub(crate) async fn may_post(app: &App, path: &str, origin: &HeaderValue, preflight: bool) -> bool {
    let Some(token) = path.strip_prefix(FORMS) else { return false };
    if !preflight {
        return true;
    }
    let (Some(token), Ok(origin)) = (OpaqueToken::parse(TokenKind::Webhook, token), origin.to_str()) else {
        return false;
    };
    let allowed = match app.db.open_webhook_source(Provider::Forms, &token.hash(), None).await {
        Ok(opened) => {
            opened.granted.is_some_and(|(_tx, grant)| verify::forms::origin_allowed(&grant.settings, origin))
        }
        Err(error) => {
            tracing::error!(%error, "the origins of a form cannot be read");
            false
        }
    };
    // This runs outside the layer that otherwise ends what was left open.
    app.db.settle().await;
    allowed
}
