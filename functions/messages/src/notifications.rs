//! What colleagues are told inside the product.

use axum::Json;
use serde::{Deserialize, Serialize};
use shared::{
    auth::{self, WriteSelf},
    http::{ApiResult, Check, Cx, FieldErrors, ListQuery, Page, QueryString, Valid},
    notifications::{self, Notification, NotificationFilter},
};
use utoipa::ToSchema;
use uuid::Uuid;

/// One's own notifications, the latest first.
#[utoipa::path(get, path = "/api/notifications", operation_id = "list_notifications", tag = "messages",
    extensions(("x-role" = json!("viewer")), ("x-scope" = json!("none"))), params(NotificationFilter, shared::http::PageParams),
    responses((status = 200, body = Page<Notification>)))]
pub(crate) async fn list_notifications(mut cx: Cx<auth::ReadNotifications>, query: QueryString) -> ApiResult {
    let query: ListQuery<NotificationFilter> = query.list(cx.zone())?;
    let user = cx.actor.id();
    let page = notifications::list(&mut cx.tx, user, &query, cx.actor.own_records_of()).await?;
    let page = cx.actor.shown(page);
    cx.commit(Json(page)).await
}

/// Which notifications were read.
#[derive(Default, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub(crate) struct ReadNotifications {
    /// The ones that were read; all when left out.
    ids: Option<Vec<Uuid>>,
}

impl Check for ReadNotifications {
    fn check(&self, errors: &mut FieldErrors) {
        if self.ids.as_ref().is_some_and(|ids| ids.len() > 500) {
            errors.add("/ids", "too_many_values", "At most 500 are taken at once.");
        }
    }
}

/// How many notifications were marked.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct MarkedNotifications {
    /// Those that had not been read before.
    marked: u64,
}

/// Marks one's own notifications as read.
#[utoipa::path(post, path = "/api/notifications/read", operation_id = "read_notifications", tag = "messages",
    extensions(("x-role" = json!("viewer")), ("x-scope" = json!("none"))), request_body = ReadNotifications,
    responses((status = 200, body = MarkedNotifications)))]
pub(crate) async fn read_notifications(
    mut cx: Cx<WriteSelf>,
    Valid(read): Valid<ReadNotifications>,
) -> ApiResult {
    let (now, user) = (cx.now(), cx.actor.id());
    let own = cx.actor.own_records_of();
    let marked = notifications::mark_read(&mut cx.tx, now, user, read.ids.as_deref(), own).await?;
    cx.commit(Json(MarkedNotifications { marked })).await
}
