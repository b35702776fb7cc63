//! Many guesses from many places.

use std::net::{Ipv4Addr, SocketAddr};

use futures::{StreamExt, future::join_all, stream};
use serde_json::json;
use shared::{
    accounts::Guard,
    config::{Config, Needs},
};
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader},
    net::TcpSocket,
};

use super::{Backend, World};
use crate::support::{Answer, Client, Tenant, stack, tenant::PASSWORD};

/// Guesses a password `tries` times from one network, over one connection. Answers the statuses.
async fn guess_from(network: u32, server: SocketAddr, request: &str, tries: usize) -> Vec<u16> {
    let [_, _, third, fourth] = network.to_be_bytes();
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind(SocketAddr::from(([127, 88, third, fourth], 0))).unwrap();
    let mut connection = BufReader::new(socket.connect(server).await.unwrap());
    let mut statuses = Vec::new();
    for _ in 0..tries {
        connection.write_all(request.as_bytes()).await.unwrap();
        let (mut line, mut length) = (String::new(), 0);
        connection.read_line(&mut line).await.unwrap();
        statuses.push(line.split(' ').nth(1).unwrap().parse().unwrap());
        while line != "\r\n" {
            line.clear();
            connection.read_line(&mut line).await.unwrap();
            if let Some(given) = line.to_ascii_lowercase().strip_prefix("content-length:") {
                length = given.trim().parse().unwrap();
            }
        }
        connection.read_exact(&mut vec![0; length]).await.unwrap();
    }
    statuses
}

/// Fails unless exactly so many verifications of an account's password have failed. A guess that was turned away before is no
/// verification and stands nowhere.
fn require_failures(email: &str, count: usize) {
    let config = Config::from_values(stack().values.clone(), Needs::Worker).unwrap();
    let guard = Guard::new(config.secret_box.as_ref().unwrap(), email, Ipv4Addr::LOCALHOST.into()).unwrap();
    let key: String = guard.account_key().iter().map(|byte| format!("{byte:02x}")).collect();
    let stored =
        format!("(select count from throttles where kind = 'login_account' and key_hash = '\\x{key}')");
    let check = format!("do $$ begin assert {stored} = {count}, 'it counts ' || {stored}; end $$");
    stack().execute(private_postgres::DATABASE, &check);
}

async fn guesses_from_everywhere(backend: Backend, networks: std::ops::Range<u32>, tries: usize) {
    let world = World::new(backend, "").await;
    let tenant = Tenant::new().await;
    let sign_in = async |address: Ipv4Addr| -> Answer {
        let body = json!({"email": tenant.email, "password": PASSWORD});
        Client::at(address).on(&world.base).post("/api/auth/login", body).await
    };
    let body = json!({"email": tenant.email, "password": "a guess like any other"}).to_string();
    let request = format!(
        "POST /api/auth/login HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    );
    let server = world.stack.address;
    let stranger = networks.end;
    let guessing = stream::iter(networks).map(|network| guess_from(network, server, &request, tries));
    let statuses: Vec<u16> = guessing.buffer_unordered(100).collect::<Vec<_>>().await.concat();
    let verified = statuses.iter().filter(|status| **status == 401).count();
    // Forty, and one more for each minute that this takes.
    assert!((40..=50).contains(&verified), "{verified} passwords were verified");
    assert!(statuses.iter().all(|status| matches!(status, 401 | 429)), "{statuses:?}");
    if backend == Backend::Database {
        require_failures(&tenant.email, verified);
    }
    // As many tries have come back as this took minutes.
    let late = (stranger + 1..stranger + 9).map(|network| guess_from(network, server, &request, 1));
    join_all(late).await;
    // A stranger waits, whatever the password. The owner comes from where the account was founded, and gets in.
    let [_, _, third, fourth] = stranger.to_be_bytes();
    let refused = sign_in(Ipv4Addr::new(127, 88, third, fourth)).await;
    refused.expect_problem(429, "too_many_attempts");
    assert!(!refused.header("retry-after").is_empty());
    sign_in(Ipv4Addr::LOCALHOST).await.expect(200);
}

#[tokio::test(flavor = "multi_thread")]
async fn ten_thousand_guesses_from_a_thousand_networks_verify_few_passwords_and_the_owner_gets_in() {
    guesses_from_everywhere(Backend::Database, 1..1001, 10).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn guesses_from_everywhere_verify_few_passwords_and_the_owner_gets_in_by_redis() {
    guesses_from_everywhere(Backend::Redis, 0x8000..0x8000 + 90, 1).await;
}

async fn one_place_is_shut_out(backend: Backend) {
    let world = World::new(backend, "").await;
    let tenant = Tenant::new().await;
    let fourth = if backend == Backend::Redis { 9 } else { 8 };
    let (bad, good) = (Ipv4Addr::new(127, 89, 1, fourth), Ipv4Addr::new(127, 89, 2, fourth));
    let sign_in = async |address: Ipv4Addr, password: &str| -> Answer {
        let body = json!({"email": tenant.email, "password": password});
        Client::at(address).on(&world.base).post("/api/auth/login", body).await
    };
    let wrong = async |address: Ipv4Addr, times: usize| {
        for answer in join_all((0..times).map(|_| sign_in(address, "not the password"))).await {
            answer.expect_problem(401, "invalid_credentials");
        }
    };
    wrong(bad, 10).await;
    sign_in(bad, PASSWORD).await.expect_problem(429, "too_many_attempts");
    // Six failures, the right password, six failures: forgiven in between, or the tenth would have been refused.
    for _ in 0..2 {
        wrong(good, 6).await;
        sign_in(good, PASSWORD).await.expect(200);
    }
}

#[tokio::test]
async fn ten_failures_shut_one_place_out_and_a_success_forgives_in_redis_too() {
    one_place_is_shut_out(Backend::Redis).await;
}

#[tokio::test]
async fn ten_failures_shut_one_place_out_and_a_success_forgives() {
    one_place_is_shut_out(Backend::Database).await;
}
