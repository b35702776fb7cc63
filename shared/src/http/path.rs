//! Ids in paths. A malformed id is as absent as a missing one: 404, the same bytes.

use axum::extract::{FromRequestParts, Path};
use http::request::Parts;
use uuid::Uuid;

use super::Problem;

/// The one id of a path.
pub struct PathId(pub Uuid);

impl<S: Send + Sync> FromRequestParts<S> for PathId {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let Path(id) =
            Path::<Uuid>::from_request_parts(parts, state).await.map_err(|_| Problem::not_found())?;
        Ok(Self(id))
    }
}

/// The two ids of a path, outer first.
pub struct PathIds(pub Uuid, pub Uuid);

impl<S: Send + Sync> FromRequestParts<S> for PathIds {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let Path((outer, inner)) =
            Path::<(Uuid, Uuid)>::from_request_parts(parts, state).await.map_err(|_| Problem::not_found())?;
        Ok(Self(outer, inner))
    }
}
