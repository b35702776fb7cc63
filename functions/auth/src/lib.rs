//! Auth: registration and login, sessions and their tokens, the business, its colleagues and its API keys.

mod audit;
mod credentials;
mod door;
mod invites;
mod keys;
mod login;
mod me;
mod mfa;
mod note;
mod recovery;
mod refresh;
mod register;
mod sessions;
mod tenant;
mod users;

use shared::http::Api;
use utoipa_axum::{router::OpenApiRouter, routes};

/// The routes of this function.
#[must_use]
pub fn api() -> Api {
    OpenApiRouter::new()
        .routes(routes!(register::register))
        .routes(routes!(login::login))
        .routes(routes!(refresh::refresh))
        .routes(routes!(sessions::logout))
        .routes(routes!(sessions::logout_all))
        .routes(routes!(sessions::get_session))
        .routes(routes!(sessions::get_jwks))
        .routes(routes!(sessions::list_sessions))
        .routes(routes!(sessions::delete_session))
        .routes(routes!(invites::accept_invite))
        .routes(routes!(recovery::forgot))
        .routes(routes!(recovery::reset))
        .routes(routes!(recovery::verify_email))
        .routes(routes!(credentials::reauth))
        .routes(routes!(mfa::enrol_mfa, mfa::delete_mfa))
        .routes(routes!(mfa::verify_mfa))
        .routes(routes!(mfa::renew_recovery_codes))
        .routes(routes!(mfa::delete_user_mfa))
        .routes(routes!(me::get_me, me::update_me))
        .routes(routes!(credentials::change_password))
        .routes(routes!(credentials::change_email))
        .routes(routes!(tenant::get_tenant, tenant::update_tenant, tenant::delete_tenant))
        .routes(routes!(users::list_users, users::create_user))
        .routes(routes!(users::update_user, users::delete_user))
        .routes(routes!(invites::invite_user))
        .routes(routes!(invites::resend_invite))
        .routes(routes!(keys::list_api_keys, keys::create_api_key))
        .routes(routes!(keys::delete_api_key))
        .routes(routes!(audit::list_audit))
        .routes(routes!(audit::verify_audit))
}
