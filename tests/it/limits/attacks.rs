//! What guesses an own business buys, and what many at once do.

use std::net::Ipv4Addr;

use futures::future::join_all;
use serde_json::{Value, json};

use super::{Backend, World};
use crate::{
    auth::mfa::with_app,
    support::{
        Answer, Client, Tenant,
        tenant::{PASSWORD, unique_email},
    },
};

/// What somebody else signs in with.
const OTHER: &str = "another horse, another battery";

/// A login, in one business or in whichever the password opens.
async fn login(client: &Client, email: &str, password: &str, tenant: Option<&str>) -> Answer {
    let mut body = json!({"email": email, "password": password});
    if let Some(tenant) = tenant {
        body["tenant"] = json!(tenant);
    }
    client.post("/api/auth/login", body).await
}

/// So many wrong passwords at once; the statuses, sorted.
async fn guesses(client: &Client, email: &str, tenant: Option<&str>, count: usize) -> Vec<u16> {
    let guesses = (0..count).map(|_| login(client, email, "a guess like any other", tenant));
    statuses(&join_all(guesses).await)
}

fn statuses(answers: &[Answer]) -> Vec<u16> {
    let mut statuses: Vec<u16> = answers.iter().map(|answer| answer.status.as_u16()).collect();
    statuses.sort_unstable();
    statuses
}

/// A business that somebody founds, with whatever address.
async fn found(client: &Client, email: &str, password: &str) -> Value {
    let body =
        json!({"businessName": "Studio Süd", "name": "Somebody", "email": email, "password": password});
    client.post("/api/auth/register", body).await.expect(201)
}

/// A place of its own for each backend.
fn place(backend: Backend, third: u8) -> Client {
    let fourth = if backend == Backend::Redis { 2 } else { 1 };
    Client::at(Ipv4Addr::new(127, 90, third, fourth))
}

async fn an_own_business_buys_nothing(backend: Backend) {
    let world = World::new(backend, "").await;
    let victim = Tenant::new().await;
    let thief = place(backend, 1).on(&world.base);
    let own = found(&thief, &victim.email, OTHER).await;
    let opens_own = |answer: Answer| {
        let session = answer.expect(200);
        assert_eq!(session["user"]["tenantId"], own["tenant"]["id"]);
        session
    };
    let mut session = own.clone();
    for _ in 0..2 {
        assert_eq!(guesses(&thief, &victim.email, None, 4).await, [401; 4]);
        // It opens the own business, and is a guess at the victim's.
        session = opens_own(login(&thief, &victim.email, OTHER, None).await);
    }
    // Ten were looked at. The victim's own password is the eleventh, wherever it is tried.
    login(&thief, &victim.email, PASSWORD, None).await.expect_problem(401, "invalid_credentials");
    login(&thief, &victim.email, PASSWORD, Some(&victim.id)).await.expect_problem(401, "invalid_credentials");
    // Nor does setting the guess as one's own password tell whether it is the victim's.
    let change = json!({"currentPassword": OTHER, "newPassword": PASSWORD});
    let changing = thief.with_token(session["accessToken"].as_str().unwrap());
    changing.post("/api/me/password", change).await.expect(200);
    opens_own(login(&thief, &victim.email, PASSWORD, None).await);

    let home = Client::anonymous().on(&world.base);
    let choices = login(&home, &victim.email, PASSWORD, None).await.expect_problem(409, "tenant_required");
    assert_eq!(choices["tenants"].as_array().unwrap().len(), 2);
    login(&home, &victim.email, PASSWORD, Some(&victim.id)).await.expect(200);
}

#[tokio::test]
async fn a_business_with_the_victims_address_buys_no_guess_at_the_victims_password() {
    an_own_business_buys_nothing(Backend::Database).await;
}

#[tokio::test]
async fn a_business_with_the_victims_address_buys_no_guess_at_the_victims_password_by_redis() {
    an_own_business_buys_nothing(Backend::Redis).await;
}

async fn businesses_are_guessed_apart(backend: Backend) {
    let world = World::new(backend, "").await;
    let first = Tenant::new().await;
    let second = found(&Client::anonymous(), &first.email, OTHER).await;
    let second = second["tenant"]["id"].as_str().unwrap();
    let (here, email) = (place(backend, 2).on(&world.base), &first.email);
    assert_eq!(guesses(&here, email, Some(&first.id), 12).await, [[401; 10].as_slice(), &[429; 2]].concat());
    login(&here, email, PASSWORD, Some(&first.id)).await.expect_problem(429, "too_many_attempts");
    // Where no business is named the first is left out: its owner is told to wait, not that the password is wrong.
    login(&here, email, PASSWORD, None).await.expect_problem(429, "too_many_attempts");
    login(&here, email, OTHER, Some(second)).await.expect(200);
    login(&here, email, OTHER, None).await.expect(200);
}

#[tokio::test]
async fn failures_at_one_business_do_not_shut_the_address_out_of_another() {
    businesses_are_guessed_apart(Backend::Database).await;
}

#[tokio::test]
async fn failures_at_one_business_do_not_shut_the_address_out_of_another_by_redis() {
    businesses_are_guessed_apart(Backend::Redis).await;
}

async fn nobody_looks_like_somebody(backend: Backend) {
    let world = World::new(backend, "").await;
    let (tenant, other) = (Tenant::new().await, Tenant::new().await);
    let nobody = unique_email("nobody");
    let looks = async |third: u8, email: &str, business: &str| {
        let here = place(backend, third).on(&world.base);
        let mut seen = Vec::new();
        for named in [None, Some(business), None, Some(business)] {
            seen.push(guesses(&here, email, named, 6).await);
        }
        seen
    };
    let (known, elsewhere, unknown) = tokio::join!(
        looks(3, &tenant.email, &tenant.id),
        looks(4, &tenant.email, &other.id),
        looks(5, &nobody, &tenant.id),
    );
    let once = |status: u16| vec![status; 6];
    assert_eq!(known, [once(401), vec![401, 401, 401, 401, 429, 429], once(429), once(429)]);
    assert_eq!((&elsewhere, &unknown), (&known, &known));
}

#[tokio::test]
async fn an_address_that_nobody_has_is_refused_like_one_that_somebody_has() {
    nobody_looks_like_somebody(Backend::Database).await;
}

#[tokio::test]
async fn an_address_that_nobody_has_is_refused_like_one_that_somebody_has_by_redis() {
    nobody_looks_like_somebody(Backend::Redis).await;
}

async fn ten_at_once_are_ten(backend: Backend) {
    let world = World::new(backend, "").await;
    let ten_of_forty = [[401; 10].as_slice(), &[429; 30]].concat();
    let home = Client::anonymous().on(&world.base);
    let first = Tenant::new().await;
    assert_eq!(guesses(&home, &first.email, None, 40).await, ten_of_forty);

    let second = Tenant::new().await;
    let owner = second.owner.on(&world.base);
    let wrong = || owner.post("/api/auth/reauth", json!({"password": "a guess like any other"}));
    assert_eq!(statuses(&join_all((0..40).map(|_| wrong())).await), ten_of_forty);

    let (third, _) = with_app().await;
    let challenge = login(&home, &third.email, PASSWORD, Some(&third.id)).await.expect(200);
    let wrong = || {
        home.post("/api/auth/mfa/verify", json!({"challengeId": challenge["challengeId"], "code": "000000x"}))
    };
    assert_eq!(statuses(&join_all((0..40).map(|_| wrong())).await), ten_of_forty);
}

#[tokio::test]
async fn of_forty_guesses_at_once_ten_are_looked_at() {
    ten_at_once_are_ten(Backend::Database).await;
}

#[tokio::test]
async fn of_forty_guesses_at_once_ten_are_looked_at_by_redis() {
    ten_at_once_are_ten(Backend::Redis).await;
}

async fn codes_are_guessed_slowly(backend: Backend) {
    let world = World::new(backend, "").await;
    let (tenant, enrolment) = with_app().await;
    let home = Client::anonymous().on(&world.base);
    let challenge = async || {
        let answer = login(&home, &tenant.email, PASSWORD, Some(&tenant.id)).await.expect(200);
        answer["challengeId"].as_str().unwrap().to_owned()
    };
    let verify = async |client: Client, challenge: &str, code: Value| {
        client.post("/api/auth/mfa/verify", json!({"challengeId": challenge, "code": code})).await
    };
    // Whoever has the password, and a world of networks to guess codes from.
    let first = challenge().await;
    let networks = if backend == Backend::Redis { 100..150 } else { 150..200 };
    let thieves = networks.map(|fourth| Client::at(Ipv4Addr::new(127, 90, 100, fourth)).on(&world.base));
    let tries = join_all(thieves.map(|thief| verify(thief, &first, json!("000000x")))).await;
    let looked_at = statuses(&tries).iter().filter(|status| **status == 401).count();
    assert!((40..=42).contains(&looked_at), "{:?}", statuses(&tries));
    // It does not shut the owner out, and what the owner mistypes is forgiven with the right code.
    for good in 0..2 {
        let challenge = challenge().await;
        let wrong = join_all((0..6).map(|_| verify(home.clone(), &challenge, json!("000000x")))).await;
        assert_eq!(statuses(&wrong), [401; 6]);
        verify(home.clone(), &challenge, enrolment["recoveryCodes"][good].clone()).await.expect(200);
    }
}

#[tokio::test]
async fn who_has_the_password_guesses_few_codes_and_the_owner_gets_in() {
    codes_are_guessed_slowly(Backend::Database).await;
}

#[tokio::test]
async fn who_has_the_password_guesses_few_codes_and_the_owner_gets_in_by_redis() {
    codes_are_guessed_slowly(Backend::Redis).await;
}

#[tokio::test]
async fn businesses_that_anybody_founds_with_an_address_do_not_hide_the_one_that_it_works_for() {
    let email = unique_email("newhire");
    join_all((0..30).map(|_| async { found(&Client::anonymous(), &email, OTHER).await })).await;
    let employer = Tenant::new().await;
    let invite =
        employer.post("/api/users/invite", json!({"email": email, "role": "staff"})).await.expect(201);
    let accept = json!({"token": invite["token"], "password": PASSWORD});
    Client::anonymous().post("/api/auth/accept-invite", accept).await.expect(200);
    // Its address is proven, so it comes before those that are older.
    let away = Client::at(Ipv4Addr::new(127, 90, 6, 1));
    let session = login(&away, &email, PASSWORD, None).await.expect(200);
    assert_eq!(session["user"]["tenantId"], employer.id.as_str());
    // An address that is not proven opens the business that is named, however many are older.
    let second = Tenant::new().await;
    let new = json!({"name": "New hire", "email": email, "role": "staff", "password": "a third horse, a third battery"});
    second.post("/api/users", new).await.expect(201);
    let session = login(&away, &email, "a third horse, a third battery", Some(&second.id)).await.expect(200);
    assert_eq!(session["user"]["tenantId"], second.id.as_str());
}

async fn what_matches_several_stays_counted(backend: Backend) {
    let world = World::new(backend, "").await;
    let email = unique_email("many");
    let made = join_all((0..12).map(|_| async { found(&Client::anonymous(), &email, OTHER).await })).await;
    let here = place(backend, 7).on(&world.base);
    // Each of these computes twelve hashes, and opens nothing.
    let answers = join_all((0..12).map(|_| login(&here, &email, OTHER, None))).await;
    assert_eq!(statuses(&answers), [[409; 10].as_slice(), &[429; 2]].concat());
    login(&here, &email, OTHER, made[0]["tenant"]["slug"].as_str()).await.expect(200);
}

#[tokio::test]
async fn a_password_that_opens_many_businesses_computes_their_hashes_ten_times() {
    what_matches_several_stays_counted(Backend::Database).await;
}

#[tokio::test]
async fn a_password_that_opens_many_businesses_computes_their_hashes_ten_times_by_redis() {
    what_matches_several_stays_counted(Backend::Redis).await;
}
