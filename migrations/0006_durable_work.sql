-- Durable work: the journal, the outbox, limits, locks and replays.
--
-- The state tables are the outbox. What must be done is a row with a state and a time; a queue message only says "look at that row". A worker
-- claims a row with one conditional update that raises its epoch and sets a lease by the database clock; whoever holds an older epoch changes
-- nothing. A row that is due and that nobody holds is found by `sweep_due` within a minute, so a lost message makes work late, never lost.

-- The ordered journal of what happened. Inserting an event, the runs it starts and the webhook deliveries it owes is one statement.
create table events (
    tenant_id uuid not null,
    id uuid not null,
    type text not null,                          -- lead.created, invoice.paid …
    subject_kind text not null,
    subject_id uuid,
    lead_id uuid,                                -- the person it is about, if any; it goes when they go
    payload jsonb not null default '{}',         -- the subject as the API shows it
    previous jsonb,                              -- changed fields with their former values
    source text not null,                        -- who says so: api, automation, stripe, nightly …
    dedupe_key text not null,                    -- unique within the source: the same fact told twice is one event
    cause_run_id uuid,                           -- the run whose step caused it; history, hence no reference
    depth smallint not null default 0,           -- automations between this event and a person's act; at 8 nothing more is started
    occurred_at timestamptz not null default now(),
    recorded_at timestamptz not null default now(),
    constraint events_pkey primary key (tenant_id, id),
    constraint events_tenant_id_fkey foreign key (tenant_id) references tenants (id) on delete cascade,
    constraint events_lead_id_fkey foreign key (tenant_id, lead_id) references leads (tenant_id, id) on delete cascade,
    constraint events_tenant_id_source_dedupe_key_key unique (tenant_id, source, dedupe_key),
    constraint events_depth_check check (depth between 0 and 8)
);
create index events_tenant_id_recorded_at_idx on events (tenant_id, recorded_at, id);
create index events_tenant_id_type_recorded_at_idx on events (tenant_id, type, recorded_at, id);
create index events_tenant_id_lead_id_idx on events (tenant_id, lead_id, type, occurred_at) where lead_id is not null;
call protect_tenant_table('events');

-- One owed side effect. plan (row) → mark (dispatching, committed) → call → settle. The mark is what prevents a double send: a row found
-- dispatching after its lease ended may have been sent, and is handled by what its provider can promise.
create table effects (
    tenant_id uuid not null,
    id uuid not null,
    kind text not null,                          -- message, httpCall …
    run_id uuid,
    run_seq integer,                             -- the step that asked for it
    message_id uuid,
    channel text,
    provider text,
    connection_id uuid,
    idem_key text not null,                      -- a stable function of its cause; given to providers that honour one
    request_sha256 bytea,                        -- of what was sent, so that a repeat can be shown to be the same
    payload jsonb not null default '{}',
    state text not null default 'planned',
    attempt integer not null default 0,
    dispatch_epoch bigint not null default 0,
    lease_until timestamptz,
    dispatched_at timestamptz,
    provider_ref text,
    http_status smallint,
    next_attempt_at timestamptz not null default now(), -- while planned: not before
    settle_after timestamptz,                    -- while unknown: when to ask the provider; null: only a person can tell
    error_code text,
    error_detail text,
    resolved_by uuid,                            -- the colleague who settled an unknown one
    resolved_at timestamptz,
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    constraint effects_pkey primary key (tenant_id, id),
    constraint effects_tenant_id_fkey foreign key (tenant_id) references tenants (id) on delete cascade,
    constraint effects_run_id_fkey foreign key (tenant_id, run_id) references automation_runs (tenant_id, id) on delete cascade,
    constraint effects_message_id_fkey foreign key (tenant_id, message_id) references messages (tenant_id, id) on delete cascade,
    constraint effects_connection_id_fkey foreign key (tenant_id, connection_id) references connections (tenant_id, id)
        on delete set null (connection_id),
    constraint effects_tenant_id_idem_key_key unique (tenant_id, idem_key),
    constraint effects_tenant_id_provider_provider_ref_key unique (tenant_id, provider, provider_ref),
    constraint effects_state_check check (state in (
        'planned', 'dispatching', 'accepted', 'rejected', 'failed', 'suppressed', 'unknown', 'not_sent'))
);
create index effects_tenant_id_next_attempt_at_due_idx on effects (tenant_id, next_attempt_at) where state = 'planned';
create index effects_lease_until_idx on effects (lease_until) where state = 'dispatching';
create index effects_settle_after_idx on effects (settle_after) where state = 'unknown';
create index effects_tenant_id_run_id_idx on effects (tenant_id, run_id, run_seq) where run_id is not null;
create index effects_tenant_id_message_id_idx on effects (tenant_id, message_id) where message_id is not null;
create index effects_tenant_id_connection_id_idx on effects (tenant_id, connection_id) where connection_id is not null;
call protect_tenant_table('effects');

-- Token buckets of a tenant: API calls by key and route class, sends by connection.
create table rate_buckets (
    tenant_id uuid not null,
    name text not null,
    tokens double precision not null,
    refilled_at timestamptz not null default now(),
    rate double precision not null,              -- tokens per second
    burst double precision not null,
    updated_at timestamptz not null default now(),
    constraint rate_buckets_pkey primary key (tenant_id, name),
    constraint rate_buckets_tenant_id_fkey foreign key (tenant_id) references tenants (id) on delete cascade
);
create index rate_buckets_tenant_id_updated_at_idx on rate_buckets (tenant_id, updated_at);
call protect_tenant_table('rate_buckets');

-- Named locks with an end, for work that must not run twice at once and is no row of its own.
create table locks (
    tenant_id uuid not null,
    name text not null,
    holder uuid not null,
    epoch bigint not null default 1,             -- raised by each new holder: a fencing token
    expires_at timestamptz not null,
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    constraint locks_pkey primary key (tenant_id, name),
    constraint locks_tenant_id_fkey foreign key (tenant_id) references tenants (id) on delete cascade
);
call protect_tenant_table('locks');

-- Answers of POSTs that carried an Idempotency-Key, written in the transaction of their effect and kept for a day.
create table idempotency_keys (
    tenant_id uuid not null,
    caller text not null,                        -- user, key or site
    route text not null,                         -- method and route pattern
    key text not null,
    body_hash bytea not null,                    -- the same key with another body is refused
    status smallint,
    headers jsonb not null default '{}',
    body bytea,
    created_at timestamptz not null default now(),
    constraint idempotency_keys_pkey primary key (tenant_id, caller, route, key),
    constraint idempotency_keys_tenant_id_fkey foreign key (tenant_id) references tenants (id) on delete cascade,
    constraint idempotency_keys_key_check check (length(key) between 1 and 255)
);
create index idempotency_keys_tenant_id_created_at_idx on idempotency_keys (tenant_id, created_at);
call protect_tenant_table('idempotency_keys');

-- A schedule's slot, taken by whoever inserts it first: five schedulers at once still do the work once.
create table cron_slots (
    tenant_id uuid not null,
    name text not null,                          -- nightly, automation:<id> …
    slot timestamptz not null,                   -- the time the slot stands for, not when it ran
    started_at timestamptz not null default now(),
    finished_at timestamptz,
    detail jsonb not null default '{}',
    constraint cron_slots_pkey primary key (tenant_id, name, slot),
    constraint cron_slots_tenant_id_fkey foreign key (tenant_id) references tenants (id) on delete cascade
);
call protect_tenant_table('cron_slots');
