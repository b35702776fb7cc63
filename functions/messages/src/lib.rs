//! The `messages` surface: sending, conversations, templates, provider accounts, notifications.

mod connections;
mod conversations;
mod messages;
mod notifications;
mod send;
mod templates;
mod unsubscribe;

use shared::{
    app::App,
    crypto::AddressHasher,
    http::{Api, ApiResult, Problem},
};
use utoipa_axum::{router::OpenApiRouter, routes};

/// The routes of this function.
#[must_use]
pub fn api() -> Api {
    OpenApiRouter::new()
        .routes(routes!(send::send_message))
        .routes(routes!(send::preflight_message))
        .routes(routes!(messages::list_messages))
        .routes(routes!(messages::list_sandbox_deliveries))
        .routes(routes!(messages::get_message))
        .routes(routes!(messages::reschedule_message, messages::cancel_message))
        .routes(routes!(messages::retry_message))
        .routes(routes!(conversations::list_conversations))
        .routes(routes!(conversations::get_conversation, conversations::update_conversation))
        .routes(routes!(conversations::list_conversation_messages, conversations::reply))
        .routes(routes!(conversations::create_note))
        .routes(routes!(conversations::read_conversation))
        .routes(routes!(templates::list_templates, templates::create_template))
        .routes(routes!(templates::get_template, templates::update_template, templates::delete_template))
        .routes(routes!(templates::render_template))
        .routes(routes!(connections::list_connections, connections::create_connection))
        .routes(routes!(
            connections::get_connection,
            connections::update_connection,
            connections::delete_connection
        ))
        .routes(routes!(connections::test_connection))
        .routes(routes!(notifications::list_notifications))
        .routes(routes!(notifications::read_notifications))
        .routes(routes!(unsubscribe::show_unsubscribe, unsubscribe::unsubscribe))
}

fn hasher(app: &App) -> ApiResult<AddressHasher> {
    AddressHasher::new(app.secret_box()).map_err(|_| Problem::internal())
}
