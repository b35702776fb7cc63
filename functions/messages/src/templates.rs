//! Templates.

use axum::{Json, extract::State};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use shared::{
    app::App,
    auth::{ManageMessages, Permission, ReadMessages, WriteMessages},
    http::{
        ApiResult, Check, Created, Cx, IfMatch, ListQuery, NoContent, Page, PathId, Problem, QueryString,
        Valid, Versioned,
    },
    leads::{self, Hidden},
    messages::{Channel, unsubscribe},
    private::Private,
    templates::{self, NewTemplate, Template, TemplateFilter, TemplatePatch},
};
use utoipa::ToSchema;
use uuid::Uuid;

/// Templates, the newest first.
#[utoipa::path(get, path = "/api/templates", operation_id = "list_templates", tag = "messages",
    extensions(("x-role" = json!("viewer"))), params(TemplateFilter, shared::http::PageParams),
    responses((status = 200, body = Page<Template>)))]
pub(crate) async fn list_templates(mut cx: Cx<ReadMessages>, query: QueryString) -> ApiResult {
    let query: ListQuery<TemplateFilter> = query.list(cx.zone())?;
    let page = templates::list(&mut cx.tx, &query).await?;
    cx.commit(Json(page)).await
}

/// Makes a template. A text that cannot be read is refused with its line.
#[utoipa::path(post, path = "/api/templates", operation_id = "create_template", tag = "messages",
    extensions(("x-role" = json!("manager"))), request_body = NewTemplate,
    responses((status = 201, body = Template)))]
pub(crate) async fn create_template(mut cx: Cx<ManageMessages>, Valid(new): Valid<NewTemplate>) -> ApiResult {
    let (now, user) = (cx.now(), cx.actor.user_id());
    let template = templates::insert(&mut cx.tx, now, new, user).await?;
    cx.note("template.created", ("template", template.id), (None, None)).await?;
    let created = Created { location: format!("/api/templates/{}", template.id), body: &template };
    cx.commit(Versioned { version: template.row_version, answer: created }).await
}

/// One template.
#[utoipa::path(get, path = "/api/templates/{id}", operation_id = "get_template", tag = "messages",
    extensions(("x-role" = json!("viewer"))), params(("id" = Uuid, Path)),
    responses((status = 200, body = Template)))]
pub(crate) async fn get_template(mut cx: Cx<ReadMessages>, PathId(id): PathId) -> ApiResult {
    let template = find(&mut cx, id).await?;
    cx.commit(Versioned { version: template.row_version, answer: Json(template) }).await
}

/// Changes a template. A changed text is a new version; messages keep the one that they came from.
#[utoipa::path(patch, path = "/api/templates/{id}", operation_id = "update_template", tag = "messages",
    extensions(("x-role" = json!("manager"))), params(("id" = Uuid, Path)), request_body = TemplatePatch,
    responses((status = 200, body = Template)))]
pub(crate) async fn update_template(
    mut cx: Cx<ManageMessages>,
    PathId(id): PathId,
    if_match: IfMatch,
    Valid(patch): Valid<TemplatePatch>,
) -> ApiResult {
    let before = find(&mut cx, id).await?;
    if_match.require(before.row_version)?;
    let user = cx.actor.user_id();
    let template =
        templates::update(&mut cx.tx, &before, patch, user).await?.ok_or_else(Problem::concurrent_change)?;
    cx.note_change("template.updated", ("template", id), (&before, &template)).await?;
    cx.commit(Versioned { version: template.row_version, answer: Json(template) }).await
}

/// Removes a template from lists and from use.
#[utoipa::path(delete, path = "/api/templates/{id}", operation_id = "delete_template", tag = "messages",
    extensions(("x-role" = json!("manager"))), params(("id" = Uuid, Path)), responses((status = 204)))]
pub(crate) async fn delete_template(
    mut cx: Cx<ManageMessages>,
    PathId(id): PathId,
    if_match: IfMatch,
) -> ApiResult {
    let before = find(&mut cx, id).await?;
    if_match.require(before.row_version)?;
    let now = cx.now();
    if !templates::archive(&mut cx.tx, now, &before).await? {
        return Err(Problem::concurrent_change());
    }
    cx.note("template.deleted", ("template", id), (None, None)).await?;
    cx.commit(NoContent).await
}

/// For whom a template is to be rendered.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
#[derive(Default)]
pub(crate) struct RenderTemplate {
    /// The person; without one, the person's fields have no values.
    lead_id: Option<Uuid>,
    /// Values of `{{ vars.… }}`.
    #[schema(value_type = Object)]
    variables: Map<String, Value>,
}

impl Check for RenderTemplate {}

/// A rendered template.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct RenderedTemplate {
    /// E-mail: the subject.
    subject: Option<Private<String>>,
    /// The text.
    body: Private<String>,
    /// E-mail: the same as HTML.
    html: Option<Private<String>>,
    /// Variables that were shown as nothing.
    missing: Vec<String>,
}

/// Shows a template as a person would get it.
#[utoipa::path(post, path = "/api/templates/{id}/render", operation_id = "render_template", tag = "messages",
    extensions(("x-role" = json!("staff"))), params(("id" = Uuid, Path)), request_body = RenderTemplate,
    responses((status = 200, body = RenderedTemplate)))]
#[expect(
    clippy::indexing_slicing,
    reason = "a member of a JSON object: missing reads as null, writing makes it"
)]
pub(crate) async fn render_template(
    mut cx: Cx<WriteMessages>,
    PathId(id): PathId,
    State(app): State<App>,
    Valid(render): Valid<RenderTemplate>,
) -> ApiResult {
    let template = find(&mut cx, id).await?;
    if let Some(lead) = render.lead_id
        && !leads::exists(&mut cx.tx, lead, cx.actor.own_records_of()).await?
    {
        return Err(Problem::invalid("/leadId", "unknown_lead", "There is no such lead."));
    }
    let user = cx.actor.user_id();
    let channel = Channel::parse(&template.channel).ok_or_else(Problem::internal)?;
    let mut context = templates::roots(&mut cx.tx, render.lead_id, user, render.variables.into()).await?;
    Hidden::from(&mut cx.tx, &cx.actor).await?.veil(&mut context);
    if let Some(url) =
        render.lead_id.and_then(|lead| unsubscribe::url(&app, cx.tx.tenant_id(), lead, channel))
    {
        context["unsubscribeUrl"] = url.into();
    }
    let composed = templates::compose(channel, template.subject.as_deref(), &template.body, &context)
        .map_err(|(pointer, error)| error.problem(pointer))?;
    let answer = RenderedTemplate {
        subject: composed.subject.map(Private::new),
        body: Private::new(composed.body),
        html: composed.html.map(Private::new),
        missing: composed.missing,
    };
    cx.commit(Json(answer)).await
}

async fn find<P: Permission>(cx: &mut Cx<P>, id: Uuid) -> ApiResult<Template> {
    templates::find(&mut cx.tx, id).await?.ok_or_else(Problem::not_found)
}
