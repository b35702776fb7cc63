//! Messages that were sent, are to be sent, or came in.

use axum::{Json, extract::State};
use chrono::{DateTime, Utc};
use serde::Deserialize;
use shared::{
    app::App,
    auth::{Permission, ReadMessages, ReadSandbox, WriteMessages},
    http::{Accepted, ApiResult, Check, Cx, ListQuery, Page, PathId, Problem, QueryString, Valid, Versioned},
    messages::{
        self, Channel, Message, MessageFilter, PlannedMessage, Purpose, SandboxDelivery, SandboxFilter,
    },
    private::Private,
};
use utoipa::ToSchema;
use uuid::Uuid;

use crate::{hasher, send::Sending};

/// Messages, the latest first.
#[utoipa::path(get, path = "/api/messages", operation_id = "list_messages", tag = "messages",
    extensions(("x-role" = json!("viewer"))), params(MessageFilter, shared::http::PageParams),
    responses((status = 200, body = Page<Message>)))]
pub(crate) async fn list_messages(mut cx: Cx<ReadMessages>, query: QueryString) -> ApiResult {
    let query: ListQuery<MessageFilter> = query.list(cx.zone())?;
    let page = messages::list(&mut cx.tx, &query, cx.actor.own_records_of()).await?;
    let page = cx.actor.shown(page);
    cx.commit(Json(page)).await
}

/// The sandbox's ledger: what would have been sent, and how often.
#[utoipa::path(get, path = "/api/messages/sandbox", operation_id = "list_sandbox_deliveries", tag = "messages",
    extensions(("x-role" = json!("admin")), ("x-record-scope" = json!("all"))), params(SandboxFilter, shared::http::PageParams),
    responses((status = 200, body = Page<SandboxDelivery>)))]
pub(crate) async fn list_sandbox_deliveries(mut cx: Cx<ReadSandbox>, query: QueryString) -> ApiResult {
    let query: ListQuery<SandboxFilter> = query.list(cx.zone())?;
    let page = messages::list_sandbox(&mut cx.tx, &query).await?;
    cx.commit(Json(page)).await
}

/// One message, with its history and why it was sent, held or blocked.
#[utoipa::path(get, path = "/api/messages/{id}", operation_id = "get_message", tag = "messages",
    extensions(("x-role" = json!("viewer"))), params(("id" = Uuid, Path)),
    responses((status = 200, body = Message)))]
pub(crate) async fn get_message(mut cx: Cx<ReadMessages>, PathId(id): PathId) -> ApiResult {
    let message = find(&mut cx, id).await?;
    let message = cx.actor.shown(message);
    cx.commit(Versioned { version: message.version, answer: Json(message) }).await
}

/// Another time for a waiting message.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Schedule {
    /// Not before.
    send_at: DateTime<Utc>,
}

impl Check for Schedule {}

/// Gives a waiting message another time.
#[utoipa::path(patch, path = "/api/messages/{id}/schedule", operation_id = "reschedule_message", tag = "messages",
    extensions(("x-role" = json!("staff"))), params(("id" = Uuid, Path)), request_body = Schedule,
    responses((status = 200, body = Message)))]
pub(crate) async fn reschedule_message(
    mut cx: Cx<WriteMessages>,
    PathId(id): PathId,
    Valid(schedule): Valid<Schedule>,
) -> ApiResult {
    find(&mut cx, id).await?;
    let now = cx.now();
    if schedule.send_at <= now {
        return Err(Problem::invalid("/sendAt", "past", "A time in the future is expected."));
    }
    let message = messages::reschedule(&mut cx.tx, now, id, schedule.send_at).await?.ok_or_else(under_way)?;
    cx.commit(Versioned { version: message.version, answer: Json(message) }).await
}

/// Calls a waiting message back.
#[utoipa::path(delete, path = "/api/messages/{id}/schedule", operation_id = "cancel_message", tag = "messages",
    extensions(("x-role" = json!("staff"))), params(("id" = Uuid, Path)),
    responses((status = 200, body = Message)))]
pub(crate) async fn cancel_message(mut cx: Cx<WriteMessages>, PathId(id): PathId) -> ApiResult {
    let before = find(&mut cx, id).await?;
    if before.status == "canceled" {
        return cx.commit(Versioned { version: before.version, answer: Json(before) }).await;
    }
    let now = cx.now();
    let message = messages::cancel(&mut cx.tx, now, id).await?.ok_or_else(under_way)?;
    cx.commit(Versioned { version: message.version, answer: Json(message) }).await
}

fn under_way() -> Problem {
    Problem::conflict("already_under_way", "The message no longer waits.")
}

/// Sends a message again that was not sent, or whose answer was lost. The new one names it in `retryOfId`.
#[utoipa::path(post, path = "/api/messages/{id}/retry", operation_id = "retry_message", tag = "messages",
    extensions(("x-role" = json!("staff"))), params(("id" = Uuid, Path)),
    responses((status = 202, body = Sending)))]
pub(crate) async fn retry_message(
    mut cx: Cx<WriteMessages>,
    PathId(id): PathId,
    State(app): State<App>,
) -> ApiResult {
    let failed = find(&mut cx, id).await?;
    if !["failed", "undelivered", "blocked", "canceled", "unknown"].contains(&failed.status.as_str()) {
        return Err(Problem::conflict(
            "not_retryable",
            "Only a message that was not sent can be sent again.",
        ));
    }
    let (Some(channel), Some(purpose), Some(body)) =
        (Channel::parse(&failed.channel), Purpose::parse(&failed.purpose), failed.body)
    else {
        return Err(Problem::conflict("not_retryable", "The message's text is no longer kept."));
    };
    let conversation =
        messages::find_conversation(&mut cx.tx, failed.conversation_id, cx.actor.own_records_of())
            .await?
            .ok_or_else(Problem::not_found)?;
    let (now, user) = (cx.now(), cx.actor.user_id());
    messages::resolve_unknown(&mut cx.tx, id, user).await?;
    // The key makes two clicks one message: a second retry of the same message answers the first.
    let again = PlannedMessage {
        to: failed.to.clone(),
        thread_key: conversation.thread_key,
        subject: failed.subject,
        html: failed.html,
        template: failed.template_id.zip(failed.template_version),
        sent_by: user,
        retry_of: Some(id),
        ..PlannedMessage::new(
            failed.lead_id,
            channel,
            purpose,
            Private::into_inner(body),
            format!("retry:{id}"),
        )
    };
    let planned = messages::plan(&mut cx.tx, &hasher(&app)?, now, vec![again]).await?;
    let planned = planned.into_iter().next().ok_or_else(Problem::internal)?;
    cx.commit(Accepted(Sending::of(planned, Vec::new()))).await
}

async fn find<P: Permission>(cx: &mut Cx<P>, id: Uuid) -> ApiResult<Message> {
    messages::find(&mut cx.tx, id, cx.actor.own_records_of()).await?.ok_or_else(Problem::not_found)
}
