//! The demo's people. Addresses are of example.com (RFC 2606), numbers of ranges that are kept for fiction.

use chrono::{DateTime, Duration, Utc};
use uuid::Uuid;

use super::{DemoTenant, began, id};
use crate::crypto::sha256;

const GIVEN: [&str; 16] = [
    "Ada", "Ben", "Clara", "David", "Elif", "Finn", "Grace", "Hugo", "Ines", "Jonas", "Kira", "Liam", "Mara",
    "Noah", "Olga", "Paul",
];
const FAMILY: [&str; 15] = [
    "Adler", "Brandt", "Costa", "Demir", "Evans", "Fischer", "Gomez", "Hansen", "Ivanova", "Jansen",
    "Keller", "Lopez", "Meyer", "Novak", "Okafor",
];
const STATUSES: [&str; 5] = ["new", "contacted", "qualified", "customer", "lost"];
const SOURCES: [&str; 4] = ["form", "instagram", "referral", "walk-in"];
const TAGS: [&str; 6] = ["yoga", "pilates", "spa", "trial", "vip", "corporate"];

/// A person of the demo.
pub(super) struct Person {
    pub(super) id: Uuid,
    pub(super) email_id: Uuid,
    pub(super) phone_id: Uuid,
    pub(super) activity_id: Uuid,
    pub(super) first_name: &'static str,
    pub(super) last_name: &'static str,
    pub(super) email: String,
    pub(super) phone: String,
    pub(super) status: &'static str,
    pub(super) source: &'static str,
    pub(super) tag: &'static str,
    pub(super) created_at: DateTime<Utc>,
}

/// The people of a business.
pub(super) fn leads(tenant: &DemoTenant, count: u32) -> Vec<Person> {
    (0..count).map(|number| person(tenant, number)).collect()
}

fn person(tenant: &DemoTenant, number: u32) -> Person {
    let dice = sha256(format!("{}/{}/person/{number}", tenant.seed, tenant.slug).as_bytes());
    let pick = |place: usize| usize::from(dice.get(place).copied().unwrap_or_default());
    let choose = |options: &[&'static str], place: usize| {
        options.get(pick(place) % options.len()).copied().unwrap_or_default()
    };
    let (first_name, last_name) = (choose(&GIVEN, 0), choose(&FAMILY, 1));
    // 0171 39200xx is kept free by the German regulator, 07700 900xxx by the British one.
    let phone = match tenant.country {
        "GB" => format!("+447700900{:03}", number % 1000),
        _ => format!("+491713920{:04}", number % 10_000),
    };
    let make = |kind: &str| id(tenant.seed, &tenant.slug, kind, number);
    Person {
        id: make("lead"),
        email_id: make("email"),
        phone_id: make("phone"),
        activity_id: make("activity"),
        first_name,
        last_name,
        email: format!("{}.{}{number}@example.com", first_name.to_lowercase(), last_name.to_lowercase()),
        phone,
        status: choose(&STATUSES, 2),
        source: choose(&SOURCES, 3),
        tag: choose(&TAGS, 4),
        created_at: began()
            + Duration::hours(i64::from(number))
            + Duration::minutes(i64::try_from(pick(5) % 60).unwrap_or_default()),
    }
}
