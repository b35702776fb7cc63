//! Conversations.

use axum::{Json, extract::State};
use serde::Deserialize;
use serde_json::{Map, Value};
use shared::{
    accounts::refuse_disabled,
    app::App,
    auth::{Permission, ReadMessages, WriteMessages},
    db::OnConstraint,
    http::{
        Accepted, ApiResult, Check, Created, Cx, FieldErrors, IfMatch, ListQuery, NoContent, Page, PathId,
        Problem, QueryString, Valid, Versioned,
    },
    ids::new_id,
    messages::{
        self, Channel, Conversation, ConversationFilter, ConversationPatch, Message, MessageFilter,
        PlannedMessage, Purpose, unsubscribe,
    },
    private::Private,
    templates,
    values::{Line, Prose},
};
use utoipa::ToSchema;
use uuid::Uuid;

use crate::{hasher, send::Sending};

/// Conversations, the latest first.
#[utoipa::path(get, path = "/api/conversations", operation_id = "list_conversations", tag = "messages",
    extensions(("x-role" = json!("viewer"))), params(ConversationFilter, shared::http::PageParams),
    responses((status = 200, body = Page<Conversation>)))]
pub(crate) async fn list_conversations(mut cx: Cx<ReadMessages>, query: QueryString) -> ApiResult {
    let mut query: ListQuery<ConversationFilter> = query.list(cx.zone())?;
    query.filter.search_fields = cx.actor.searches();
    let page = messages::list_conversations(&mut cx.tx, &query, cx.actor.own_records_of()).await?;
    let page = cx.actor.shown(page);
    cx.commit(Json(page)).await
}

/// One conversation.
#[utoipa::path(get, path = "/api/conversations/{id}", operation_id = "get_conversation", tag = "messages",
    extensions(("x-role" = json!("viewer"))), params(("id" = Uuid, Path)),
    responses((status = 200, body = Conversation)))]
pub(crate) async fn get_conversation(mut cx: Cx<ReadMessages>, PathId(id): PathId) -> ApiResult {
    let conversation = find(&mut cx, id).await?;
    let conversation = cx.actor.shown(conversation);
    cx.commit(Versioned { version: conversation.version, answer: Json(conversation) }).await
}

/// Closes, opens, puts aside, assigns or renames a conversation.
#[utoipa::path(patch, path = "/api/conversations/{id}", operation_id = "update_conversation", tag = "messages",
    extensions(("x-role" = json!("staff"))), params(("id" = Uuid, Path)), request_body = ConversationPatch,
    responses((status = 200, body = Conversation)))]
pub(crate) async fn update_conversation(
    mut cx: Cx<WriteMessages>,
    PathId(id): PathId,
    if_match: IfMatch,
    Valid(patch): Valid<ConversationPatch>,
) -> ApiResult {
    let before = find(&mut cx, id).await?;
    if_match.require(before.version)?;
    let now = cx.now();
    if patch.snoozed_until.as_set().is_some_and(|until| *until <= now) {
        return Err(Problem::invalid("/snoozedUntil", "past", "A time in the future is expected."));
    }
    let assignee = patch.assignee_id.as_set().copied().filter(|user| Some(*user) != before.assignee_id);
    refuse_disabled(&mut cx.tx, "/assigneeId", assignee).await?;
    let conversation = messages::update_conversation(&mut cx.tx, now, id, before.version, patch)
        .await
        .on_constraint("conversations_assignee_id_fkey", || {
            Problem::invalid("/assigneeId", "unknown_user", "There is no such colleague.")
        })?
        .ok_or_else(Problem::concurrent_change)?;
    cx.commit(Versioned { version: conversation.version, answer: Json(conversation) }).await
}

/// The messages of a conversation, the latest first.
#[utoipa::path(get, path = "/api/conversations/{id}/messages", operation_id = "list_conversation_messages",
    tag = "messages", extensions(("x-role" = json!("viewer"))),
    params(("id" = Uuid, Path), MessageFilter, shared::http::PageParams),
    responses((status = 200, body = Page<Message>)))]
pub(crate) async fn list_conversation_messages(
    mut cx: Cx<ReadMessages>,
    PathId(id): PathId,
    query: QueryString,
) -> ApiResult {
    let mut query: ListQuery<MessageFilter> = query.list(cx.zone())?;
    find(&mut cx, id).await?;
    query.filter.conversation_id = vec![id];
    let page = messages::list(&mut cx.tx, &query, cx.actor.own_records_of()).await?;
    let page = cx.actor.shown(page);
    cx.commit(Json(page)).await
}

/// A reply in a conversation.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Reply {
    /// The text, as it is; or `templateId`.
    #[serde(default)]
    body: Option<Prose>,
    /// The template; or `body`.
    #[serde(default)]
    template_id: Option<Uuid>,
    /// Values of the template's `{{ vars.… }}`.
    #[serde(default)]
    #[schema(value_type = Object)]
    variables: Map<String, Value>,
    /// E-mail: the subject; the conversation's when left out.
    #[serde(default)]
    subject: Option<Line>,
    /// Not before; at once when left out.
    #[serde(default)]
    send_at: Option<chrono::DateTime<chrono::Utc>>,
}

impl Check for Reply {
    fn check(&self, errors: &mut FieldErrors) {
        if self.body.is_some() == self.template_id.is_some() {
            errors.add("/body", "required", "Give body or templateId.");
        }
    }
}

/// Writes to the person of a conversation.
#[utoipa::path(post, path = "/api/conversations/{id}/messages", operation_id = "create_conversation_message",
    tag = "messages", extensions(("x-role" = json!("staff"))), params(("id" = Uuid, Path)), request_body = Reply,
    responses((status = 202, body = Sending)))]
#[expect(
    clippy::indexing_slicing,
    reason = "a member of a JSON object: missing reads as null, writing makes it"
)]
pub(crate) async fn reply(
    mut cx: Cx<WriteMessages>,
    PathId(id): PathId,
    State(app): State<App>,
    Valid(reply): Valid<Reply>,
) -> ApiResult {
    let conversation = find(&mut cx, id).await?;
    let channel = Channel::parse(&conversation.channel).ok_or_else(Problem::internal)?;
    let (now, user) = (cx.now(), cx.actor.user_id());
    let subject = reply.subject.map(Line::into_string).or(conversation.subject.map(Private::into_inner));
    let mut message = PlannedMessage {
        thread_key: conversation.thread_key,
        connection: conversation.connection_id,
        send_at: reply.send_at,
        sent_by: user,
        ..PlannedMessage::new(
            conversation.lead_id,
            channel,
            Purpose::Transactional,
            reply.body.map(Prose::into_string).unwrap_or_default(),
            format!("api:{}", new_id()),
        )
    };
    message.subject = subject.filter(|_| channel == Channel::Email).map(Private::new);
    let mut missing = Vec::new();
    if let Some(template_id) = reply.template_id {
        let template = templates::find(&mut cx.tx, template_id)
            .await?
            .filter(|template| template.channel == conversation.channel)
            .ok_or_else(|| {
                Problem::invalid("/templateId", "unknown_template", "There is no such template.")
            })?;
        let mut context =
            templates::roots(&mut cx.tx, Some(conversation.lead_id), user, reply.variables.into()).await?;
        if let Some(url) = unsubscribe::url(&app, cx.tx.tenant_id(), conversation.lead_id, channel) {
            context["unsubscribeUrl"] = url.into();
        }
        let composed = templates::compose(channel, template.subject.as_deref(), &template.body, &context)
            .map_err(|(_, error)| error.problem("/templateId"))?;
        message.subject = message.subject.or(composed.subject.map(Private::new));
        message.body = Private::new(composed.body);
        message.html = composed.html.map(Private::new);
        message.purpose = Purpose::parse(&template.purpose).unwrap_or_default();
        message.template = Some((template.id, template.version));
        missing = composed.missing;
    }
    let planned = messages::plan(&mut cx.tx, &hasher(&app)?, now, vec![message]).await?;
    let planned = planned.into_iter().next().ok_or_else(Problem::internal)?;
    cx.commit(Accepted(Sending::of(planned, missing))).await
}

/// An internal note.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct NewNote {
    /// The text.
    body: Prose,
}

impl Check for NewNote {}

/// Writes an internal note. No provider ever sees it.
#[utoipa::path(post, path = "/api/conversations/{id}/notes", operation_id = "create_conversation_note",
    tag = "messages", extensions(("x-role" = json!("staff"))), params(("id" = Uuid, Path)), request_body = NewNote,
    responses((status = 201, body = Message)))]
pub(crate) async fn create_note(
    mut cx: Cx<WriteMessages>,
    PathId(id): PathId,
    Valid(note): Valid<NewNote>,
) -> ApiResult {
    let conversation = find(&mut cx, id).await?;
    let (now, user) = (cx.now(), cx.actor.user_id());
    let message = messages::insert_note(&mut cx.tx, now, &conversation, &note.body, user).await?;
    cx.commit(Created { location: format!("/api/messages/{}", message.id), body: message }).await
}

/// Notes that everything in a conversation has been read.
#[utoipa::path(post, path = "/api/conversations/{id}/read", operation_id = "read_conversation", tag = "messages",
    extensions(("x-role" = json!("staff"))), params(("id" = Uuid, Path)), responses((status = 204)))]
pub(crate) async fn read_conversation(mut cx: Cx<WriteMessages>, PathId(id): PathId) -> ApiResult {
    find(&mut cx, id).await?;
    messages::mark_read(&mut cx.tx, id).await?;
    cx.commit(NoContent).await
}

async fn find<P: Permission>(cx: &mut Cx<P>, id: Uuid) -> ApiResult<Conversation> {
    messages::find_conversation(&mut cx.tx, id, cx.actor.own_records_of())
        .await?
        .ok_or_else(Problem::not_found)
}
