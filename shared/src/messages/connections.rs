//! Accounts with providers. Secrets go in and never come out.

mod model;

use chrono::{DateTime, Utc};
use serde_json::{Map, Value};
use sqlx::QueryBuilder;
use utoipa::IntoParams;
use uuid::Uuid;

pub use model::{Connection, ConnectionPatch, NewConnection};

use super::Channel;
use crate::{
    app::App,
    crypto::Purpose,
    db::{
        DbError, DbResult, TenantTx,
        keyset::{push_any, push_page, total},
    },
    http::{
        FieldErrors, FromQuery, Keyset, KeysetValue, ListQuery, Page, Params, Problem, SortField, SortKind,
    },
    ids::new_id,
    private::Private,
    providers::{Account, Provider},
    queue::{Hint, HintKind},
    values::Line,
};

/// The constraint that says: the channel has another default by now.
pub const CONNECTION_IS_DEFAULT: &str = "connections_tenant_id_channel_default_key";
/// Waiting messages that are hinted at once when an account is resumed; the sweep finds the others.
const WAKE_AT_ONCE: i64 = 100;

/// What connections can be narrowed by.
#[derive(Clone, Debug, Default, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct ConnectionFilter {
    /// Channels.
    pub channel: Vec<String>,
    /// Providers.
    pub provider: Vec<String>,
    /// Statuses.
    pub status: Vec<String>,
}

impl FromQuery for ConnectionFilter {
    const SORTS: &'static [SortField] =
        &[SortField { word: "createdAt", column: "created_at", kind: SortKind::Time }];

    fn read(params: &mut Params) -> Self {
        Self {
            channel: params.choices("channel", Channel::WORDS),
            provider: params.choices("provider", Provider::WORDS),
            status: params.choices("status", &["active", "paused", "disabled"]),
        }
    }
}

/// One page of connections.
///
/// # Errors
/// When the database refuses.
pub async fn list_connections(
    tx: &mut TenantTx,
    query: &ListQuery<ConnectionFilter>,
) -> DbResult<Page<Connection>> {
    let tenant = tx.tenant();
    let filtered = |head: &str| {
        let mut select = QueryBuilder::new(head);
        select.push("select c.id, c.channel, c.provider, c.name, c.is_default, c.settings, c.status, c.status_reason, c.created_at,
                c.updated_at, c.version
           from connections c where c.tenant_id = ");
        select.push_bind(tenant);
        push_any(&mut select, "c.channel", &query.filter.channel);
        push_any(&mut select, "c.provider", &query.filter.provider);
        push_any(&mut select, "c.status", &query.filter.status);
        select
    };
    let mut select = filtered("");
    push_page(&mut select, "c", &query.page);
    let rows = select.build_query_as::<Connection>().fetch_all(tx.conn()).await?;
    let mut page =
        query.page.page(rows, |row| Keyset { value: KeysetValue::Time(row.created_at), id: row.id });
    page.total = total(tx, &query.page, filtered).await?;
    Ok(page)
}

/// One connection.
///
/// # Errors
/// When the database refuses.
pub async fn find_connection(tx: &mut TenantTx, id: Uuid) -> DbResult<Option<Connection>> {
    let connection = sqlx::query_as!(
        Connection,
        "select id, channel, provider, name, is_default, settings, status, status_reason, created_at, updated_at, version
           from connections where tenant_id = $1 and id = $2",
        tx.tenant(),
        id,
    )
    .fetch_optional(tx.conn())
    .await?;
    Ok(connection)
}

/// Makes a connection. As default it takes the place of the former one.
///
/// # Errors
/// [`CONNECTION_IS_DEFAULT`] when another request makes a default at the same time.
pub async fn insert_connection(
    tx: &mut TenantTx,
    app: &App,
    now: DateTime<Utc>,
    new: NewConnection,
) -> Result<Connection, Problem> {
    let mut errors = FieldErrors::default();
    if let Some(provider) = Provider::parse(&new.provider) {
        provider.check_settings(&new.settings, app.config.allow_private_targets, &mut errors);
    }
    errors.into_result()?;
    let sealed = seal(tx, app, new.secrets.expose())?;
    if new.is_default {
        step_down(tx, new.channel.word()).await?;
    }
    let connection = sqlx::query_as!(
        Connection,
        "insert into connections (tenant_id, id, channel, provider, name, is_default, settings, secrets_sealed,
                                  created_at, updated_at)
         values ($1, $2, $3, $4, $5,
                 $6 or not exists (select from connections where tenant_id = $1 and channel = $3 and is_default),
                 $7, $8, $9, $9)
         returning id, channel, provider, name, is_default, settings, status, status_reason, created_at, updated_at,
                   version",
        tx.tenant(),
        new_id(),
        new.channel.word(),
        new.provider,
        new.name.as_str(),
        new.is_default,
        Value::Object(new.settings),
        sealed,
        now,
    )
    .fetch_one(tx.conn())
    .await
    .map_err(DbError::from)?;
    Ok(connection)
}

/// Changes a connection. Becoming active, it wakes the messages that waited for it.
///
/// # Errors
/// 422 for settings or secrets that the provider does not take; [`CONNECTION_IS_DEFAULT`].
pub async fn update_connection(
    tx: &mut TenantTx,
    app: &App,
    before: &Connection,
    patch: ConnectionPatch,
) -> Result<Option<Connection>, Problem> {
    let mut errors = FieldErrors::default();
    if let Some(provider) = Provider::parse(&before.provider) {
        if let Some(settings) = &patch.settings {
            provider.check_settings(settings, app.config.allow_private_targets, &mut errors);
        }
        if let Some(secrets) = &patch.secrets {
            provider.check_secrets(secrets.expose(), &mut errors);
        }
    }
    errors.into_result()?;
    let sealed = match &patch.secrets {
        Some(secrets) => seal(tx, app, secrets.expose())?,
        None => None,
    };
    if patch.is_default == Some(true) && !before.is_default {
        step_down(tx, &before.channel).await?;
    }
    let resumes = patch.status.as_deref() == Some("active") && before.status != "active";
    let connection = sqlx::query_as!(
        Connection,
        "update connections
            set name = coalesce($4, name), is_default = coalesce($5, is_default), settings = coalesce($6, settings),
                secrets_sealed = coalesce($7, secrets_sealed), status = coalesce($8, status),
                status_reason = case when $8 is null then status_reason end
          where tenant_id = $1 and id = $2 and version = $3
         returning id, channel, provider, name, is_default, settings, status, status_reason, created_at, updated_at,
                   version",
        tx.tenant(),
        before.id,
        before.version,
        patch.name.as_ref().map(Line::as_str),
        patch.is_default,
        patch.settings.map(Value::Object),
        sealed,
        patch.status,
    )
    .fetch_optional(tx.conn())
    .await
    .map_err(DbError::from)?;
    if resumes && connection.is_some() {
        wake(tx, before.id).await?;
    }
    Ok(connection)
}

/// Removes a connection, unless a message still waits for it or for an answer through it.
///
/// # Errors
/// When the database refuses.
pub async fn delete_connection(tx: &mut TenantTx, before: &Connection) -> DbResult<bool> {
    let deleted = sqlx::query!(
        "delete from connections c
          where tenant_id = $1 and id = $2 and version = $3
            and not exists (select from effects e where e.tenant_id = $1 and e.connection_id = $2
                                                     and e.state in ('planned', 'dispatching', 'unknown'))",
        tx.tenant(),
        before.id,
        before.version,
    )
    .execute(tx.conn())
    .await?;
    Ok(deleted.rows_affected() == 1)
}

/// Opens an account for a test of its keys.
///
/// # Errors
/// When the database refuses, or the secrets do not open.
pub async fn open_account(tx: &mut TenantTx, app: &App, connection: &Connection) -> DbResult<Account> {
    let sealed = sqlx::query_scalar!(
        "select secrets_sealed from connections where tenant_id = $1 and id = $2",
        tx.tenant(),
        connection.id,
    )
    .fetch_optional(tx.conn())
    .await?
    .flatten();
    let secrets = match sealed {
        Some(sealed) => {
            let opened = app
                .secret_box()
                .open(tx.tenant(), Purpose::ConnectionSecrets, &sealed)
                .map_err(|error| DbError::Defect(error.to_string()))?;
            serde_json::from_slice(&opened)
                .map_err(|_| DbError::Defect("sealed secrets are no JSON".to_owned()))?
        }
        None => Value::Null,
    };
    let provider = Provider::parse(&connection.provider).unwrap_or(Provider::Sandbox);
    Ok(Account { provider, settings: connection.settings.clone(), secrets: Private::new(secrets) })
}

fn seal(tx: &TenantTx, app: &App, secrets: &Map<String, Value>) -> Result<Option<Vec<u8>>, Problem> {
    if secrets.is_empty() {
        return Ok(None);
    }
    let plain = serde_json::to_vec(secrets).map_err(|_| Problem::internal())?;
    let sealed = app.secret_box().seal(tx.tenant(), Purpose::ConnectionSecrets, &plain);
    sealed.map(Some).map_err(|_| Problem::internal())
}

/// Takes the default away from whichever connection of the channel has it.
async fn step_down(tx: &mut TenantTx, channel: &str) -> DbResult<()> {
    sqlx::query!(
        "update connections set is_default = false where tenant_id = $1 and channel = $2 and is_default",
        tx.tenant(),
        channel,
    )
    .execute(tx.conn())
    .await?;
    Ok(())
}

/// Makes everything due that was held for the account.
async fn wake(tx: &mut TenantTx, id: Uuid) -> DbResult<()> {
    let woken = sqlx::query_scalar!(
        "with woken as (
             update effects e set next_attempt_at = now()
               from messages m
              where e.tenant_id = $1 and e.connection_id = $2 and e.state = 'planned' and e.next_attempt_at > now()
                and m.tenant_id = $1 and m.id = e.message_id and m.status = 'queued'
             returning e.id
         )
         select id from woken limit $3",
        tx.tenant(),
        id,
        WAKE_AT_ONCE,
    )
    .fetch_all(tx.conn())
    .await?;
    let tenant = tx.tenant_id();
    for effect in woken {
        tx.hint(Hint::now(tenant, HintKind::Effect, effect));
    }
    Ok(())
}
