//! The values that the laptop makes up where nobody gave any: keys and roles.

use std::{collections::HashMap, fs, io, path::Path};

use shared::crypto::generate_entry;
use url::Url;

/// The variables of a private stack. Keys are made once and kept in `dir`, so that tokens and sealed secrets survive a
/// restart; whatever `given` sets wins.
///
/// # Errors
/// When the folder cannot be read or written.
pub fn values(
    dir: &Path,
    database_url: &str,
    port: u16,
    given: &HashMap<String, String>,
) -> io::Result<HashMap<String, String>> {
    let base = format!("http://localhost:{port}");
    let mut values = HashMap::from([
        ("APP_ENV".to_owned(), "local".to_owned()),
        ("PUBLIC_BASE_URL".to_owned(), base.clone()),
        ("CORS_ORIGINS".to_owned(), format!("{base},http://127.0.0.1:{port},http://localhost:5173")),
        ("JWT_SIGNING_KEYS".to_owned(), kept_key(dir, "jwt-signing-key")?),
        ("SECRET_BOX_KEYS".to_owned(), kept_key(dir, "secret-box-key")?),
    ]);
    values.extend(
        given
            .iter()
            .filter(|(_, value)| !value.is_empty())
            .map(|(name, value)| (name.clone(), value.clone())),
    );
    values.insert("DATABASE_URL".to_owned(), database_url.to_owned());
    Ok(values)
}

fn kept_key(dir: &Path, name: &str) -> io::Result<String> {
    let path = dir.join(name);
    match fs::read_to_string(&path) {
        Ok(key) => Ok(key.trim().to_owned()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let key = generate_entry("local").map_err(io::Error::other)?.expose().to_owned();
            fs::create_dir_all(dir)?;
            write_private(&path, &key)?;
            Ok(key)
        }
        Err(error) => Err(error),
    }
}

/// The runtime role's password on a server that asks for one, made once and kept.
///
/// # Errors
/// When the folder cannot be read or written.
pub fn kept_password(dir: &Path) -> io::Result<String> {
    // The part behind the kid is 32 random bytes in base64.
    let key = kept_key(dir, "app-password")?;
    Ok(key.chars().filter(char::is_ascii_alphanumeric).collect())
}

/// Readable by its owner only.
fn write_private(path: &Path, text: &str) -> io::Result<()> {
    use std::{io::Write, os::unix::fs::OpenOptionsExt};
    let mut file = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    file.write_all(text.as_bytes())
}

/// The same database as another role.
///
/// # Errors
/// When the URL is none.
pub fn as_role(owner_url: &str, role: &str, password: Option<&str>) -> io::Result<String> {
    let refused =
        || io::Error::other("DATABASE_URL is not of the form postgres://user:password@host:port/database");
    let mut url = Url::parse(owner_url).map_err(|_| refused())?;
    url.set_username(role).and_then(|()| url.set_password(password)).map_err(|()| refused())?;
    Ok(url.into())
}
