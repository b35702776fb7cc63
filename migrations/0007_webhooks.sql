-- Webhooks, inbound and outbound.
--
-- Inbound: a provider calls a URL that holds a token; the token names the tenant and the source, the signature proves the provider. The raw bytes
-- are committed as a receipt before anything is answered, and worked on afterwards. Outbound: an event owes one delivery to each endpoint that
-- listens, each with its own retries, so that one dead endpoint delays nobody.

-- A place where a provider may post.
create table webhook_sources (
    tenant_id uuid not null,
    id uuid not null,
    provider text not null,
    name text not null,
    token_hash bytea not null,                   -- SHA-256 of the token in the URL
    token_prefix text not null,
    secret_sealed bytea,                         -- the signing secret; null where the provider has none (forms)
    previous_secret_sealed bytea,                -- still accepted until previous_expires_at, so that secrets can be changed without a gap
    previous_expires_at timestamptz,
    settings jsonb not null default '{}',        -- forms: honeypot, mapping, allowed origins; Meta: verify token …
    status text not null default 'active',
    version bigint not null default 1,
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    constraint webhook_sources_pkey primary key (tenant_id, id),
    constraint webhook_sources_tenant_id_fkey foreign key (tenant_id) references tenants (id) on delete cascade,
    constraint webhook_sources_tenant_id_token_hash_key unique (tenant_id, token_hash),
    constraint webhook_sources_provider_check check (provider in (
        'stripe', 'twilio', 'meta', 'sendgrid', 'mailgun', 'postmark', 'square', 'shopify', 'calendly', 'typeform',
        'github', 'slack', 'standard', 'generic', 'forms')),
    constraint webhook_sources_status_check check (status in ('active', 'disabled'))
);
-- The token is all that a call brings.
create index webhook_sources_token_hash_idx on webhook_sources (token_hash);
create index webhook_sources_tenant_id_created_at_idx on webhook_sources (tenant_id, created_at, id);
call protect_tenant_table('webhook_sources', p_versioned => true);

-- One delivery by a provider, kept as it came.
create table webhook_receipts (
    tenant_id uuid not null,
    id uuid not null,
    source_id uuid not null,
    provider text not null,
    provider_event_id text,
    delivery_key text not null,                  -- what makes it the same delivery: event id, sid + status, or a hash of the body
    body_sha256 bytea not null,
    raw bytea,                                   -- null once purged
    headers jsonb not null default '{}',         -- the few that matter for reading the body; never authorisation
    query text not null default '',              -- of the URL: status callbacks carry our own ids in it
    status text not null default 'received',
    attempts integer not null default 0,
    lease_epoch bigint not null default 0,
    lease_until timestamptz,
    next_attempt_at timestamptz not null default now(),
    canonical jsonb,                             -- what was understood: the canonical events
    error_code text,
    error_detail text,
    replay_of_id uuid,
    received_at timestamptz not null default now(),
    processed_at timestamptz,
    raw_purged_at timestamptz,
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    constraint webhook_receipts_pkey primary key (tenant_id, id),
    constraint webhook_receipts_source_id_fkey foreign key (tenant_id, source_id) references webhook_sources (tenant_id, id) on delete cascade,
    constraint webhook_receipts_replay_of_id_fkey foreign key (tenant_id, replay_of_id) references webhook_receipts (tenant_id, id)
        on delete set null (replay_of_id),
    constraint webhook_receipts_tenant_id_source_id_delivery_key_key unique (tenant_id, source_id, delivery_key),
    constraint webhook_receipts_status_check check (status in ('received', 'processed', 'ignored', 'quarantined'))
);
create index webhook_receipts_tenant_id_received_at_idx on webhook_receipts (tenant_id, received_at, id);
-- The list of one source, and when it last received something.
create index webhook_receipts_tenant_id_source_id_received_at_idx on webhook_receipts (tenant_id, source_id, received_at, id);
create index webhook_receipts_tenant_id_next_attempt_at_due_idx on webhook_receipts (tenant_id, next_attempt_at) where status = 'received';
create index webhook_receipts_tenant_id_quarantined_idx on webhook_receipts (tenant_id, received_at, id) where status = 'quarantined';
create index webhook_receipts_tenant_id_replay_of_id_idx on webhook_receipts (tenant_id, replay_of_id) where replay_of_id is not null;
create index webhook_receipts_tenant_id_raw_purge_idx on webhook_receipts (tenant_id, received_at) where raw is not null;
call protect_tenant_table('webhook_receipts');

-- Someone who wants to be told.
create table webhook_endpoints (
    tenant_id uuid not null,
    id uuid not null,
    url text not null,
    description text,
    events text[] not null,                      -- patterns: lead.*, invoice.paid, *
    secret_sealed bytea not null,
    previous_secret_sealed bytea,                -- signs too until previous_expires_at
    previous_expires_at timestamptz,
    status text not null default 'active',
    disabled_reason text,
    consecutive_failures integer not null default 0,
    failing_since timestamptz,                   -- the first failure after the last success: warned at 24 h, disabled at 72 h
    warned_at timestamptz,
    version bigint not null default 1,
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    constraint webhook_endpoints_pkey primary key (tenant_id, id),
    constraint webhook_endpoints_tenant_id_fkey foreign key (tenant_id) references tenants (id) on delete cascade,
    constraint webhook_endpoints_status_check check (status in ('active', 'disabled'))
);
create index webhook_endpoints_tenant_id_created_at_idx on webhook_endpoints (tenant_id, created_at, id);
call protect_tenant_table('webhook_endpoints', p_versioned => true);

-- One event owed to one endpoint.
create table webhook_deliveries (
    tenant_id uuid not null,
    id uuid not null,
    endpoint_id uuid not null,
    event_id uuid not null,                      -- also the `webhook-id` of every try
    state text not null default 'pending',
    attempt integer not null default 0,
    lease_epoch bigint not null default 0,
    lease_until timestamptz,
    next_attempt_at timestamptz not null default now(),
    response_status smallint,                    -- of the last try
    response_ms integer,
    response_excerpt text,                       -- the beginning of the answer
    error_code text,
    error_detail text,
    history jsonb not null default '[]',         -- [{at, status, ms, error}] of each try
    delivered_at timestamptz,
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    constraint webhook_deliveries_pkey primary key (tenant_id, id),
    constraint webhook_deliveries_endpoint_id_fkey foreign key (tenant_id, endpoint_id) references webhook_endpoints (tenant_id, id)
        on delete cascade,
    constraint webhook_deliveries_event_id_fkey foreign key (tenant_id, event_id) references events (tenant_id, id) on delete cascade,
    constraint webhook_deliveries_tenant_id_endpoint_id_event_id_key unique (tenant_id, endpoint_id, event_id),
    constraint webhook_deliveries_state_check check (state in ('pending', 'delivering', 'delivered', 'failed'))
);
create index webhook_deliveries_tenant_id_endpoint_id_created_at_idx on webhook_deliveries (tenant_id, endpoint_id, created_at, id);
create index webhook_deliveries_tenant_id_event_id_idx on webhook_deliveries (tenant_id, event_id);
create index webhook_deliveries_tenant_id_next_attempt_at_due_idx on webhook_deliveries (tenant_id, next_attempt_at) where state = 'pending';
create index webhook_deliveries_lease_until_idx on webhook_deliveries (lease_until) where state = 'delivering';
call protect_tenant_table('webhook_deliveries');
