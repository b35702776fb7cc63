//! The data set: twenty businesses with ten thousand leads each, and one with a million.
//!
//! SQL outside `shared` is otherwise banned; a data set of this size has to be made where it is kept. The owner writes
//! it, a tenant at a time, as the policies demand.

/// Businesses of ordinary size, besides the one that is measured.
const OTHERS: u32 = 19;

/// Leads that one statement makes.
const PORTION: u32 = 50_000;

/// Leads of a business, with identities, activities and a conversation for every sixteenth, in portions.
pub(crate) fn leads(tenant: &str, count: u32) -> impl Iterator<Item = String> {
    let notes = if count > PORTION { 1 } else { 5 };
    (0..count.div_ceil(PORTION)).map(move |portion| {
        let first = portion * PORTION;
        portion_of_leads(tenant, first + 1, count.min(first + PORTION), notes)
    })
}

fn portion_of_leads(tenant: &str, first: u32, last: u32, notes: u32) -> String {
    format!(
        "select set_config('app.tenant_id', '{tenant}', false);
         with made as (
             insert into leads (tenant_id, id, status, source, first_name, last_name, email, phone, tags, created_at, updated_at,
                                last_activity_at)
             select '{tenant}', new_id(), (array['new', 'contacted', 'qualified', 'customer', 'lost'])[1 + n % 5],
                    (array['form', 'instagram', 'stripe', 'referral'])[1 + n % 4], 'Given' || n % 900, 'Family' || n % 7000,
                    'lead' || n || '@example.com', '+49151' || (10000000 + n), array['tag' || n % 20],
                    now() - make_interval(secs => n * 60), now(), now()
               from generate_series({first}, {last}) n
             returning id, email, created_at
         ), identities as (
             insert into lead_identities (tenant_id, id, lead_id, kind, value, normalized, is_primary)
             select '{tenant}', new_id(), id, 'email', email, email, true from made
         ), notes as (
             insert into activities (tenant_id, id, lead_id, kind, title, occurred_at)
             select '{tenant}', new_id(), id, 'note', 'A note', created_at from made, generate_series(1, {notes})
         )
         insert into conversations (tenant_id, id, lead_id, channel, last_message_at)
         select '{tenant}', new_id(), id, 'email', created_at from made where right(id::text, 1) = '0';"
    )
}

/// Calls to action of the last minutes, as a page sends them.
pub(crate) fn cta_events(tenant: &str, count: u32) -> String {
    format!(
        "select set_config('app.tenant_id', '{tenant}', false);
         insert into cta_events (tenant_id, id, event_id, surface, cta_id, kind, occurred_at, visitor_id, page, utm)
         select '{tenant}', new_id(), 'seed-' || n, 'seeded', 'book-trial', 'click', now() - make_interval(secs => n * 0.01),
                'visitor-' || n, 'https://studio.example/trial?n=' || n, '{{\"source\": \"instagram\"}}'
           from generate_series(1, {count}) n;"
    )
}

/// Runs of a published automation, one for each lead: due at once, or not in this century.
pub(crate) fn runs(tenant: &str, automation: &str, count: u32, due: bool) -> impl Iterator<Item = String> {
    let (status, wake) = if due { ("queued", "now()") } else { ("waiting", "now() + interval '100 years'") };
    (0..count.div_ceil(PORTION)).map(move |portion| {
        format!(
            "select set_config('app.tenant_id', '{tenant}', false);
             insert into automation_runs (tenant_id, id, automation_id, version, lead_id, entry_key, status, wake_at, depth)
             select '{tenant}', new_id(), '{automation}', 1, l.id, 'bench:' || l.id, '{status}', {wake}, 1
               from (select id from leads where tenant_id = '{tenant}' order by id limit {size} offset {first}) l;",
            size = PORTION.min(count),
            first = portion * PORTION,
        )
    })
}

/// The other businesses, so that no index holds one tenant only.
pub(crate) fn others() -> impl Iterator<Item = String> {
    (1..=OTHERS).flat_map(|number| {
        let tenant = format!("00000000-0000-7000-8000-{number:012}");
        let founded = format!(
            "select set_config('app.tenant_id', '{tenant}', false);
             insert into tenants (id, slug, name) values ('{tenant}', 'other-{number}', 'Other {number}');"
        );
        std::iter::once(founded).chain(leads(&tenant, 10_000).collect::<Vec<_>>())
    })
}
