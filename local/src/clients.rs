//! The caller's address: here the peer of the connection, where Lambda reads the gateway's event.

use std::net::SocketAddr;

use axum::{
    extract::{ConnectInfo, Request},
    middleware::Next,
    response::Response,
};
use shared::http::ClientIp;

/// Notes the peer's address where the law of the API looks for it.
pub(crate) async fn note_address(
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    mut request: Request,
    next: Next,
) -> Response {
    request.extensions_mut().insert(ClientIp(peer.ip()));
    next.run(request).await
}
