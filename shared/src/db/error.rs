//! What can go wrong between us and PostgreSQL, reduced to what a caller can act on.

use sqlx::postgres::PgDatabaseError;

/// The result of a store function.
pub type DbResult<T> = Result<T, DbError>;

/// How the text of a refused login ends.
const REFUSED: &str = ": the login was refused";

/// A failed statement or connection.
#[derive(Debug, thiserror::Error)]
pub enum DbError {
    /// A named constraint refused the row. The name is part of our API: see [`super::OnConstraint`].
    #[error("constraint {0} refused the row")]
    Constraint(String),
    /// The server cannot be reached, is starting or is shutting down. Retrying later may help.
    #[error("the database is unavailable: {0}")]
    Unavailable(String),
    /// Two transactions met (serialization failure, deadlock, lock time-out). Retrying at once may help.
    #[error("the transaction met another one: {0}")]
    Contention(String),
    /// A value is beyond what the database can hold. Checks come before; this is what they have overlooked.
    #[error("a value is out of range: {0}")]
    OutOfRange(String),
    /// The runtime role could bypass row-level security, so the process refuses to work with it.
    #[error("{0}")]
    UnsafeRole(String),
    /// Anything else: a defect of ours. The text names codes and constraints, never values.
    #[error("{0}")]
    Defect(String),
}

impl DbError {
    /// Whether the same statement may succeed on a fresh connection.
    #[must_use]
    pub const fn is_connection_loss(&self) -> bool {
        matches!(self, Self::Unavailable(_))
    }

    /// Whether the server knows the login no more, or another password of it.
    #[must_use]
    pub(super) fn is_refused_login(&self) -> bool {
        matches!(self, Self::Unavailable(why) if why.ends_with(REFUSED))
    }

    /// The violated constraint, when there is one.
    #[must_use]
    pub fn constraint(&self) -> Option<&str> {
        match self {
            Self::Constraint(name) => Some(name),
            _ => None,
        }
    }
}

impl From<sqlx::Error> for DbError {
    fn from(error: sqlx::Error) -> Self {
        match &error {
            sqlx::Error::Database(inner) => match inner.try_downcast_ref::<PgDatabaseError>() {
                Some(pg) => from_server(pg),
                None => Self::Defect("unknown database error".to_owned()),
            },
            sqlx::Error::Io(io) => Self::Unavailable(format!("connection: {:?}", io.kind())),
            sqlx::Error::Tls(_) => Self::Unavailable("TLS handshake failed".to_owned()),
            sqlx::Error::Protocol(_) | sqlx::Error::WorkerCrashed => {
                Self::Unavailable("protocol error".to_owned())
            }
            sqlx::Error::RowNotFound => Self::Defect("a row that must exist was not found".to_owned()),
            // These quote column names and types, never values.
            sqlx::Error::ColumnDecode { .. } | sqlx::Error::ColumnNotFound(_) | sqlx::Error::Decode(_) => {
                Self::Defect(error.to_string())
            }
            _ => Self::Defect("statement failed before it reached the server".to_owned()),
        }
    }
}

/// Sorts a server error by its SQLSTATE (PostgreSQL manual, appendix A). Messages may quote values of a row, so only
/// the code, the constraint and the table are kept.
fn from_server(error: &PgDatabaseError) -> DbError {
    let code = error.code();
    match (code.get(..2), error.constraint()) {
        (Some("23"), Some(name)) => DbError::Constraint(name.to_owned()),
        (Some("08" | "53" | "57"), _) if code != "57014" => DbError::Unavailable(format!("SQLSTATE {code}")),
        // Ended by the server: the transaction had been silent for too long.
        _ if code == "25P03" => DbError::Unavailable("SQLSTATE 25P03".to_owned()),
        _ if code == "25006" => DbError::Unavailable("SQLSTATE 25006: the server is read-only".to_owned()),
        _ if matches!(code, "40001" | "40P01" | "55P03" | "57014") => {
            DbError::Contention(format!("SQLSTATE {code}"))
        }
        // Out of range: a number (22003), an instant or a day (22008).
        _ if matches!(code, "22003" | "22008") => DbError::OutOfRange(format!("SQLSTATE {code}")),
        (Some("28" | "3D"), _) => DbError::Unavailable(format!("SQLSTATE {code}{REFUSED}")),
        _ => DbError::Defect(format!("SQLSTATE {code} on {}", error.table().unwrap_or("no table"))),
    }
}
