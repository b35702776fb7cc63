//! Templates at rest. Every change of the text makes a version; a message says which one it came from.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sqlx::{FromRow, QueryBuilder};
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

use super::{TemplateError, check};
use crate::{
    db::{
        DbResult, TenantTx,
        keyset::{push_any, push_page, total},
    },
    http::{
        Check, FieldErrors, FromQuery, Keyset, KeysetValue, ListQuery, Page, Params, Patch, SortField,
        SortKind,
    },
    ids::new_id,
    messages::{Channel, Purpose},
    values::{Line, Prose},
};

/// A text with variables.
#[derive(Clone, Debug, Serialize, FromRow, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Template {
    /// The template.
    pub id: Uuid,
    /// Its name in lists.
    pub name: String,
    /// `email`, `sms`, `whatsapp` or `inApp`.
    pub channel: String,
    /// `transactional` or `marketing`.
    pub purpose: String,
    /// Language.
    pub locale: String,
    /// E-mail: the subject, with variables.
    pub subject: Option<String>,
    /// The text, with variables; an e-mail that begins with a tag is HTML.
    pub body: String,
    /// Names of the variables, in order of the alphabet.
    #[schema(value_type = Vec<String>)]
    pub variables: Value,
    /// Number of the text's version.
    pub version: i32,
    /// When it was made.
    pub created_at: DateTime<Utc>,
    /// When it last changed.
    pub updated_at: DateTime<Utc>,
    /// Version of the row, which is its `ETag`.
    #[serde(skip)]
    pub row_version: i64,
}

/// A template that is about to be made.
#[derive(Clone, Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct NewTemplate {
    /// Its name in lists.
    pub name: Line,
    /// `email`, `sms`, `whatsapp` or `inApp`.
    pub channel: Channel,
    /// `transactional` when left out.
    #[serde(default)]
    pub purpose: Purpose,
    /// Language; `en` when left out.
    #[serde(default)]
    pub locale: Option<Line>,
    /// E-mail: the subject, with variables.
    #[serde(default)]
    pub subject: Option<Line>,
    /// The text, with variables.
    pub body: Prose,
}

impl Check for NewTemplate {
    fn check(&self, errors: &mut FieldErrors) {
        check_text(errors, "/subject", self.subject.as_ref().map(Line::as_str));
        check_text(errors, "/body", Some(self.body.as_str()));
    }
}

/// What of a template changes.
#[derive(Clone, Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct TemplatePatch {
    /// Its name in lists.
    #[serde(default)]
    pub name: Option<Line>,
    /// `transactional` or `marketing`.
    #[serde(default)]
    pub purpose: Option<Purpose>,
    /// Language.
    #[serde(default)]
    pub locale: Option<Line>,
    /// E-mail: the subject; null removes it.
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    pub subject: Patch<Line>,
    /// The text.
    #[serde(default)]
    pub body: Option<Prose>,
}

impl Check for TemplatePatch {
    fn check(&self, errors: &mut FieldErrors) {
        check_text(errors, "/subject", self.subject.as_set().map(Line::as_str));
        check_text(errors, "/body", self.body.as_ref().map(Prose::as_str));
    }
}

fn check_text(errors: &mut FieldErrors, pointer: &str, source: Option<&str>) {
    if let Some(Err(error)) = source.map(check) {
        errors.add(pointer, error.code(), error.to_string());
    }
}

/// Variables of both texts; both have been checked.
fn variables(subject: Option<&str>, body: &str) -> Result<Value, TemplateError> {
    let mut names = check(body)?;
    names.extend(subject.map(check).transpose()?.unwrap_or_default());
    names.sort();
    names.dedup();
    Ok(names.into())
}

/// What templates can be narrowed by.
#[derive(Clone, Debug, Default, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct TemplateFilter {
    /// Channels.
    pub channel: Vec<String>,
    /// Purposes.
    pub purpose: Vec<String>,
}

impl FromQuery for TemplateFilter {
    const SORTS: &'static [SortField] =
        &[SortField { word: "createdAt", column: "created_at", kind: SortKind::Time }];

    fn read(params: &mut Params) -> Self {
        Self {
            channel: params.choices("channel", Channel::WORDS),
            purpose: params.choices("purpose", &["transactional", "marketing"]),
        }
    }
}

/// One page of templates.
///
/// # Errors
/// When the database refuses.
pub async fn list(tx: &mut TenantTx, query: &ListQuery<TemplateFilter>) -> DbResult<Page<Template>> {
    let tenant = tx.tenant();
    let filtered = |head: &str| {
        let mut select = QueryBuilder::new(head);
        select.push(
            "select t.id, t.name, t.channel, t.purpose, t.locale, t.subject, t.body, t.variables,
                t.current_version as version, t.created_at, t.updated_at, t.version as row_version
           from templates t where t.archived_at is null and t.tenant_id = ",
        );
        select.push_bind(tenant);
        push_any(&mut select, "t.channel", &query.filter.channel);
        push_any(&mut select, "t.purpose", &query.filter.purpose);
        select
    };
    let mut select = filtered("");
    push_page(&mut select, "t", &query.page);
    let rows = select.build_query_as::<Template>().fetch_all(tx.conn()).await?;
    let mut page =
        query.page.page(rows, |row| Keyset { value: KeysetValue::Time(row.created_at), id: row.id });
    page.total = total(tx, &query.page, filtered).await?;
    Ok(page)
}

/// One template, unless it was removed.
///
/// # Errors
/// When the database refuses.
pub async fn find(tx: &mut TenantTx, id: Uuid) -> DbResult<Option<Template>> {
    let template = sqlx::query_as!(
        Template,
        "select id, name, channel, purpose, locale, subject, body, variables, current_version as version, created_at,
                updated_at, version as row_version
           from templates where tenant_id = $1 and id = $2 and archived_at is null",
        tx.tenant(),
        id,
    )
    .fetch_optional(tx.conn())
    .await?;
    Ok(template)
}

/// Subject and body of one version, for automations that pin it.
///
/// # Errors
/// When the database refuses.
pub async fn text_of_version(
    tx: &mut TenantTx,
    id: Uuid,
    version: i32,
) -> DbResult<Option<(Option<String>, String)>> {
    let row = sqlx::query!(
        "select subject, body from template_versions where tenant_id = $1 and template_id = $2 and version = $3",
        tx.tenant(),
        id,
        version,
    )
    .fetch_optional(tx.conn())
    .await?;
    Ok(row.map(|row| (row.subject, row.body)))
}

/// Makes a template with its first version.
///
/// # Errors
/// When the database refuses.
pub async fn insert(
    tx: &mut TenantTx,
    now: DateTime<Utc>,
    new: NewTemplate,
    by: Option<Uuid>,
) -> DbResult<Template> {
    let subject = new.subject.map(Line::into_string);
    let template = sqlx::query_as!(
        Template,
        r#"with t as (
               insert into templates (tenant_id, id, name, channel, purpose, locale, subject, body, variables,
                                      created_at, updated_at)
               values ($1, $2, $3, $4, $5, coalesce($6, 'en'), $7, $8, $9, $10, $10)
               returning *
           ), first as (
               insert into template_versions (tenant_id, template_id, version, locale, subject, body, variables,
                                              created_by)
               select $1, id, 1, locale, subject, body, variables, $11::uuid from t
           )
           select id as "id!", name as "name!", channel as "channel!", purpose as "purpose!", locale as "locale!",
                  subject, body as "body!", variables as "variables!", current_version as "version!",
                  created_at as "created_at!", updated_at as "updated_at!", version as "row_version!" from t"#,
        tx.tenant(),
        new_id(),
        new.name.as_str(),
        new.channel.word(),
        new.purpose.word(),
        new.locale.as_ref().map(Line::as_str),
        subject,
        new.body.as_str(),
        variables(subject.as_deref(), new.body.as_str()).unwrap_or_default(),
        now,
        by,
    )
    .fetch_one(tx.conn())
    .await?;
    Ok(template)
}

/// Changes a template. A changed text is a new version; earlier ones stay for the messages that came from them.
///
/// # Errors
/// When the database refuses.
pub async fn update(
    tx: &mut TenantTx,
    before: &Template,
    patch: TemplatePatch,
    by: Option<Uuid>,
) -> DbResult<Option<Template>> {
    let subject = match patch.subject {
        Patch::Keep => before.subject.clone(),
        Patch::Clear => None,
        Patch::Set(line) => Some(line.into_string()),
    };
    let body = patch.body.map_or_else(|| before.body.clone(), Prose::into_string);
    let locale = patch.locale.map_or_else(|| before.locale.clone(), Line::into_string);
    let new_text = subject != before.subject || body != before.body || locale != before.locale;
    let template = sqlx::query_as!(
        Template,
        r#"with t as (
               update templates
                  set name = coalesce($3, name), purpose = coalesce($4, purpose), locale = $5, subject = $6, body = $7,
                      variables = $8, current_version = current_version + case when $9 then 1 else 0 end
                where tenant_id = $1 and id = $2 and archived_at is null and version = $10
               returning *
           ), next as (
               insert into template_versions (tenant_id, template_id, version, locale, subject, body, variables,
                                              created_by)
               select $1, id, current_version, locale, subject, body, variables, $11::uuid from t where $9
           )
           select id as "id!", name as "name!", channel as "channel!", purpose as "purpose!", locale as "locale!",
                  subject, body as "body!", variables as "variables!", current_version as "version!",
                  created_at as "created_at!", updated_at as "updated_at!", version as "row_version!" from t"#,
        tx.tenant(),
        before.id,
        patch.name.map(Line::into_string),
        patch.purpose.map(Purpose::word),
        locale,
        subject,
        body,
        variables(subject.as_deref(), &body).unwrap_or_default(),
        new_text,
        before.row_version,
        by,
    )
    .fetch_optional(tx.conn())
    .await?;
    Ok(template)
}

/// Removes a template from lists and from use; messages keep their reference to it.
///
/// # Errors
/// When the database refuses.
pub async fn archive(tx: &mut TenantTx, now: DateTime<Utc>, before: &Template) -> DbResult<bool> {
    let done = sqlx::query!(
        "update templates set archived_at = $4
          where tenant_id = $1 and id = $2 and version = $3 and archived_at is null",
        tx.tenant(),
        before.id,
        before.row_version,
        now,
    )
    .execute(tx.conn())
    .await?;
    Ok(done.rows_affected() == 1)
}
