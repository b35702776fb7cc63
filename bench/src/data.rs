//! The data set: twenty businesses with ten thousand leads each, and one with a million.
//!
//! SQL outside `shared` is otherwise banned; a data set of this size has to be made where it is kept. The owner writes
//! it, a tenant at a time, as the policies demand.

/// Businesses of ordinary size, besides the one that is measured.
const OTHERS: u32 = 19;

/// Leads of a business, with identities, an activity each and a conversation for every tenth.
pub(crate) fn leads(tenant: &str, count: u32) -> String {
    format!(
        "select set_config('app.tenant_id', '{tenant}', false);
         insert into leads (tenant_id, id, status, source, first_name, last_name, email, phone, tags, created_at, updated_at,
                            last_activity_at)
         select '{tenant}', new_id(), (array['new', 'contacted', 'qualified', 'customer', 'lost'])[1 + n % 5],
                (array['form', 'instagram', 'stripe', 'referral'])[1 + n % 4], 'Given' || n % 900, 'Family' || n % 7000,
                'lead' || n || '@example.com', '+49151' || (10000000 + n), array['tag' || n % 20],
                now() - make_interval(secs => n * 60), now(), now()
           from generate_series(1, {count}) n;
         insert into lead_identities (tenant_id, id, lead_id, kind, value, normalized, is_primary)
         select tenant_id, new_id(), id, 'email', email, email, true from leads where tenant_id = '{tenant}';
         insert into activities (tenant_id, id, lead_id, kind, title, occurred_at)
         select l.tenant_id, new_id(), l.id, 'note', 'A note', l.created_at
           from leads l, generate_series(1, case when {count} > 100000 then 1 else 5 end) where l.tenant_id = '{tenant}';
         insert into conversations (tenant_id, id, lead_id, channel, last_message_at)
         select tenant_id, new_id(), id, 'email', created_at from leads where tenant_id = '{tenant}' and right(id::text, 1) = '0';"
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
pub(crate) fn runs(tenant: &str, automation: &str, count: u32, due: bool) -> String {
    let wake = if due { "now()" } else { "now() + interval '100 years'" };
    format!(
        "select set_config('app.tenant_id', '{tenant}', false);
         insert into automation_runs (tenant_id, id, automation_id, version, lead_id, entry_key, status, wake_at, depth)
         select '{tenant}', new_id(), '{automation}', 1, l.id, 'bench-' || '{wake_word}' || l.id, '{status}', {wake}, 1
           from (select id from leads where tenant_id = '{tenant}' limit {count}) l;
         analyze automation_runs;",
        wake_word = if due { "due-" } else { "later-" },
        status = if due { "queued" } else { "waiting" },
    )
}

/// The other businesses, so that no index holds one tenant only.
pub(crate) fn others() -> Vec<String> {
    (1..=OTHERS)
        .map(|number| {
            let tenant = format!("00000000-0000-7000-8000-{number:012}");
            format!(
                "select set_config('app.tenant_id', '{tenant}', false);
                 insert into tenants (id, slug, name) values ('{tenant}', 'other-{number}', 'Other {number}');
                 {}",
                leads(&tenant, 10_000)
            )
        })
        .collect()
}
