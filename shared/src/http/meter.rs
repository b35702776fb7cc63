//! The request's meter: which class it is of, and what the counters said.
//!
//! The outermost layer reads the class from the route, so no handler can forget it. Calls of nobody in particular are
//! counted there, by their network. All others are counted by whatever opens their tenant, in the same round trip, and
//! the layer writes what was read into the answer's headers, refused or not.

use std::{
    sync::{
        Arc, OnceLock,
        atomic::{AtomicBool, Ordering},
    },
    time::Instant,
};

use axum::extract::FromRequestParts;
use http::request::Parts;

use super::{Params, Problem, law::ClientIp};
use crate::{
    app::App,
    crypto::sha256,
    db::{DbResult, KeyGrant, Opened, RefreshGrant, SessionGrant, SourceGrant, TenantTx},
    ids::TenantId,
    limits::{Caller, Class, Reading, Toll, Whole},
    webhooks::Provider,
};

/// Counts a request, and remembers what the log line and the headers say of it.
#[derive(Clone)]
pub struct Meter {
    class: Option<Class>,
    address: ClientIp,
    tenant: Arc<OnceLock<TenantId>>,
    reading: Arc<OnceLock<Reading>>,
    query_read: Arc<AtomicBool>,
    sees_hints: Arc<AtomicBool>,
}

impl Meter {
    pub(super) fn new(class: Option<Class>, address: ClientIp) -> Self {
        Self {
            class,
            address,
            tenant: Arc::default(),
            reading: Arc::default(),
            query_read: Arc::default(),
            sees_hints: Arc::default(),
        }
    }

    pub(super) fn saw(&self, tenant: TenantId) {
        // A second authentication in the same request would be for the same tenant.
        let _ = self.tenant.set(tenant);
    }

    /// Notes that the answer is for somebody who sees hints of people's addresses.
    pub(super) fn hide_addresses(&self) {
        self.sees_hints.store(true, Ordering::Relaxed);
    }

    pub(super) fn hides_addresses(&self) -> bool {
        self.sees_hints.load(Ordering::Relaxed)
    }

    /// Notes that the route reads its query string, and thereby refuses what it does not know.
    pub(super) fn reads_query(&self) {
        self.query_read.store(true, Ordering::Relaxed);
    }

    /// Refuses the parameters of a route that reads none. The callers of public routes are others' programs, which may add what
    /// they like.
    pub(super) fn refuse_unread(&self, query: Option<&str>) -> Result<(), Problem> {
        match query {
            Some(query) if self.tenant().is_some() && !self.query_read.load(Ordering::Relaxed) => {
                Params::parse(query, chrono_tz::UTC).finish()
            }
            Some(_) | None => Ok(()),
        }
    }

    /// Refuses the parameters of a call that signs somebody in or up: none reads any, and none gets far enough to notice by itself.
    pub(super) fn refuse_at_door(&self, route: &str, query: Option<&str>) -> Result<(), Problem> {
        match query {
            Some(query)
                if matches!(self.class, Some(Class::Door | Class::Refresh))
                    && route.starts_with("/api/auth/") =>
            {
                Params::parse(query, chrono_tz::UTC).finish()
            }
            Some(_) | None => Ok(()),
        }
    }

    pub(super) fn tenant(&self) -> Option<TenantId> {
        self.tenant.get().copied()
    }

    pub(super) fn reading(&self) -> Option<&Reading> {
        self.reading.get()
    }

    /// Counts a call that no credential opens.
    pub(super) async fn count_visitor(&self, app: &App) -> Result<(), Problem> {
        match self.class {
            Some(class @ Class::Door) => {
                self.note(app.limits.take_of_network(&app.db, class, self.address.0).await?)
            }
            Some(_) | None => Ok(()),
        }
    }

    /// Opens the tenant of a session.
    pub(super) async fn open_session(
        &self,
        app: &App,
        tenant: TenantId,
        session: uuid::Uuid,
        user: uuid::Uuid,
    ) -> Result<Option<(TenantTx, SessionGrant)>, Problem> {
        let toll = self.toll(app, Caller::User(user), Whole::Tenant(tenant));
        self.open(app, toll, async |toll| app.db.open_session(tenant, session, toll).await).await
    }

    /// Opens the tenant of a secret API key.
    pub(super) async fn open_key(
        &self,
        app: &App,
        key: &str,
    ) -> Result<Option<(TenantTx, KeyGrant)>, Problem> {
        let hash = sha256(key.as_bytes());
        let toll = self.toll(app, Caller::Key(hash), Whole::OfKey(hash));
        self.open(app, toll, async |toll| app.db.open_api_key(&hash, toll).await).await
    }

    /// Opens the tenant of a site key, which any visitor of a page has.
    pub(super) async fn open_site_key(
        &self,
        app: &App,
        key: &str,
    ) -> Result<Option<(TenantTx, KeyGrant)>, Problem> {
        let hash = sha256(key.as_bytes());
        let toll = self.toll(app, Caller::Visitor(hash, self.address.0), Whole::OfKey(hash));
        self.open(app, toll, async |toll| app.db.open_api_key(&hash, toll).await).await
    }

    /// Opens the tenant of a webhook source, by the SHA-256 of its token.
    ///
    /// # Errors
    /// 429 when its senders have used up their calls, 503 without a database.
    pub async fn open_source(
        &self,
        app: &App,
        provider: Provider,
        token_hash: &[u8; 32],
    ) -> Result<Option<(TenantTx, SourceGrant)>, Problem> {
        let sender = Caller::Visitor(*token_hash, self.address.0);
        let toll = self.toll(app, sender, Whole::Source(provider, *token_hash));
        self.open(app, toll, async |toll| app.db.open_webhook_source(provider, token_hash, toll).await).await
    }

    /// Opens the tenant of a refresh token, counted by its session. A text that is none, or a token that nobody has, is counted by
    /// its network like everything at the door.
    ///
    /// # Errors
    /// 429 when the session or the network has used up its calls, 503 without a database.
    pub async fn open_refresh(
        &self,
        app: &App,
        hash: Option<[u8; 32]>,
    ) -> Result<Option<(TenantTx, RefreshGrant)>, Problem> {
        let by_redis = app.limits.redis().is_some();
        if let Some(hash) = hash {
            let toll = app.limits.toll_of_refresh(hash);
            let opened = app.db.open_refresh(&hash, Some(&toll).filter(|_| !by_redis)).await?;
            if let Some((mut tx, grant)) = opened.granted {
                let reading = match by_redis {
                    true => app.limits.take_of_session(&mut tx, &toll, grant.session_id).await?,
                    false => opened.reading,
                };
                reading.map_or(Ok(()), |reading| self.note(reading))?;
                return Ok(Some((tx, grant)));
            }
            app.db.settle().await;
        }
        self.note(app.limits.take_of_network(&app.db, Class::Door, self.address.0).await?)?;
        Ok(None)
    }

    fn toll(&self, app: &App, caller: Caller, whole: Whole) -> Option<Toll> {
        // A visitor's call was counted before; signing out is one that may also carry a token.
        let class = self.class.filter(|class| *class != Class::Door)?;
        Some(app.limits.toll(class, caller, whole))
    }

    /// The database takes the toll while it opens; Redis when the tenant is known.
    async fn open<G>(
        &self,
        app: &App,
        toll: Option<Toll>,
        open: impl AsyncFnOnce(Option<&Toll>) -> DbResult<Opened<G>>,
    ) -> Result<Option<(TenantTx, G)>, Problem> {
        if let Some(refusal) = toll.as_ref().and_then(|toll| app.limits.refusal(toll)) {
            self.note(refusal)?;
        }
        let (by_redis, asked) = (app.limits.redis().is_some(), Instant::now());
        let Opened { mut granted, reading } = open(toll.as_ref().filter(|_| !by_redis)).await?;
        let reading = match (&toll, &mut granted) {
            (Some(toll), Some((tx, _))) if by_redis => app.limits.take_later(tx, toll).await?,
            _ => reading,
        };
        if let (Some(toll), Some(reading)) = (&toll, reading) {
            app.limits.remember(toll, reading, asked);
            self.note(reading)?;
        }
        Ok(granted)
    }

    fn note(&self, reading: Reading) -> Result<(), Problem> {
        let _ = self.reading.set(reading);
        reading.allow()
    }
}

/// The parameters of a request, until its handler has run and it is known whether anybody reads them.
pub(super) struct Unread {
    meter: Meter,
    query: Option<String>,
}

impl Unread {
    pub(super) fn of(parts: &Parts) -> Result<Self, Problem> {
        Ok(Self { meter: Meter::of(parts)?, query: parts.uri.query().map(str::to_owned) })
    }

    /// Refuses them before anything is kept, when nobody has read them.
    pub(super) fn refuse(&self) -> Result<(), Problem> {
        self.meter.refuse_unread(self.query.as_deref())
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Meter {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        Self::of(parts)
    }
}

impl Meter {
    /// The meter of a request; the outermost layer has put it there.
    pub(super) fn of(parts: &Parts) -> Result<Self, Problem> {
        parts.extensions.get::<Self>().cloned().ok_or_else(Problem::internal)
    }
}
