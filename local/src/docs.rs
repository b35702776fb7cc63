//! The description of the API as a page to read and try, at `/api/docs`.
//!
//! The viewer is part of this binary, and the page's policy lets the browser ask this origin alone: what is tried here goes nowhere else. Only the
//! laptop serves the page; a deployment serves the description, and whoever wants a page over it has one here.

use axum::{
    Router,
    http::header,
    response::{IntoResponse, Redirect},
    routing::get,
};

/// Scripts, styles and requests of this origin only; pictures may also stand in the style sheet. Nobody may frame the page.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; \
                      base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// For files whose path has their version.
const FOR_EVER: &str = "public, max-age=31536000, immutable";
/// For files that change with this repository.
const ASK_FIRST: &str = "no-cache";

struct File {
    path: &'static str,
    media_type: &'static str,
    cache: &'static str,
    content: &'static str,
}

static FILES: [File; 5] = [
    File {
        path: "/api/docs",
        media_type: "text/html; charset=utf-8",
        cache: ASK_FIRST,
        content: include_str!("../assets/docs/index.html"),
    },
    File {
        path: "/api/docs/page.css",
        media_type: "text/css; charset=utf-8",
        cache: ASK_FIRST,
        content: include_str!("../assets/docs/page.css"),
    },
    File {
        path: "/api/docs/page.js",
        media_type: "text/javascript; charset=utf-8",
        cache: ASK_FIRST,
        content: include_str!("../assets/docs/page.js"),
    },
    File {
        path: "/api/docs/swagger-ui-5.32.15/swagger-ui.css",
        media_type: "text/css; charset=utf-8",
        cache: FOR_EVER,
        content: include_str!("../assets/swagger-ui/swagger-ui.css"),
    },
    File {
        path: "/api/docs/swagger-ui-5.32.15/swagger-ui-bundle.js",
        media_type: "text/javascript; charset=utf-8",
        cache: FOR_EVER,
        content: include_str!("../assets/swagger-ui/swagger-ui-bundle.js"),
    },
];

/// The page and its parts.
pub(crate) fn routes() -> Router {
    let router = Router::new().route("/api/docs/", get(async || Redirect::permanent("/api/docs")));
    FILES.iter().fold(router, |router, file| router.route(file.path, get(async || answer(file))))
}

fn answer(file: &'static File) -> impl IntoResponse {
    let headers = [
        (header::CONTENT_TYPE, file.media_type),
        (header::CACHE_CONTROL, file.cache),
        (header::CONTENT_SECURITY_POLICY, POLICY),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "no-referrer"),
    ];
    (headers, file.content)
}
