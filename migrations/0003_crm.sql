-- CRM: the people a business talks to, what is known about them and what was done with them.
--
-- A lead is a person, from the first click to the last invoice. It may have many e-mail addresses and telephone numbers; those live in
-- `lead_identities`, where the normalised value is unique within the tenant, and that uniqueness is what makes fifty parallel webhooks about
-- one new person end in one lead. Everything that hangs on a lead goes when the lead goes, except money, which stays on an anonymised lead.

-- A sales path; its stages are columns of a board.
create table pipelines (
    tenant_id uuid not null,
    id uuid not null,
    name text not null,
    is_default boolean not null default false,
    position integer not null default 0,
    archived_at timestamptz,
    version bigint not null default 1,
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    constraint pipelines_pkey primary key (tenant_id, id),
    constraint pipelines_tenant_id_fkey foreign key (tenant_id) references tenants (id) on delete cascade
);
create unique index pipelines_tenant_id_default_key on pipelines (tenant_id) where is_default;
call protect_tenant_table('pipelines', p_versioned => true);

-- One stage of a path.
create table pipeline_stages (
    tenant_id uuid not null,
    id uuid not null,
    pipeline_id uuid not null,
    name text not null,
    position integer not null,
    probability smallint not null default 0,     -- per cent, for forecasts
    outcome text not null default 'open',        -- reaching a won or lost stage ends the path
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    constraint pipeline_stages_pkey primary key (tenant_id, id),
    constraint pipeline_stages_pipeline_id_fkey foreign key (tenant_id, pipeline_id) references pipelines (tenant_id, id) on delete cascade,
    constraint pipeline_stages_tenant_id_pipeline_id_position_key unique (tenant_id, pipeline_id, position) deferrable initially deferred,
    constraint pipeline_stages_probability_check check (probability between 0 and 100),
    constraint pipeline_stages_outcome_check check (outcome in ('open', 'won', 'lost'))
);
call protect_tenant_table('pipeline_stages');

-- A field the tenant invented. Values live in the record's `custom_fields`; this says what they may be.
create table custom_fields (
    tenant_id uuid not null,
    id uuid not null,
    entity text not null,
    key text not null,
    label text not null,
    type text not null,
    options jsonb not null default '[]',         -- the choices of select and multiSelect
    required boolean not null default false,
    masked boolean not null default false,       -- shown in part only to roles below manager
    is_health_data boolean not null default false, -- needs the lead's health consent
    position integer not null default 0,
    archived_at timestamptz,
    version bigint not null default 1,
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    constraint custom_fields_pkey primary key (tenant_id, id),
    constraint custom_fields_tenant_id_fkey foreign key (tenant_id) references tenants (id) on delete cascade,
    constraint custom_fields_tenant_id_entity_key_key unique (tenant_id, entity, key),
    constraint custom_fields_entity_check check (entity ~ '^[a-z][a-zA-Z]{0,39}$'),
    constraint custom_fields_key_check check (key ~ '^[a-zA-Z][a-zA-Z0-9_]{0,59}$'),
    constraint custom_fields_type_check check (type in ('text', 'number', 'boolean', 'date', 'datetime', 'select', 'multiSelect', 'url', 'email', 'phone'))
);
call protect_tenant_table('custom_fields', p_versioned => true);

-- A person.
create table leads (
    tenant_id uuid not null,
    id uuid not null,
    status text not null default 'new',          -- new contacted qualified customer lost; a tenant may add its own, so only the shape is checked
    source text,                                 -- where the person came from: instagram, form, stripe, import …
    first_name text,
    last_name text,
    email text,                                  -- the primary e-mail address, copied from lead_identities
    phone text,                                  -- the primary number in E.164, copied likewise
    owner_id uuid,                               -- the colleague in charge
    stage_id uuid,
    stage_entered_at timestamptz,                -- for "time in stage"
    lost_reason text,
    value bigint,                                -- what the deal may be worth, minor units; the board sums it
    currency char(3),
    tags text[] not null default '{}',
    custom_fields jsonb not null default '{}',
    score integer,
    score_parts jsonb not null default '[]',     -- the reasons; they add up to the score
    timezone text,                               -- the person's own, for quiet hours and waits; null: the tenant's
    locale text,
    first_touch jsonb,                           -- source, UTM and click ids of the first visit; written once
    last_touch jsonb,                            -- the same of the latest
    last_inbound_at timestamptz,                 -- the last message from the person; opens WhatsApp's 24 h window
    last_activity_at timestamptz,
    merged_into_id uuid,                         -- the survivor, once this record was absorbed; the id then answers 301
    deleted_at timestamptz,                      -- in the bin; purged after 30 days
    erased_at timestamptz,                       -- anonymised at the person's request; only money rows still need it
    version bigint not null default 1,
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    -- What search_leads looks through: name, address and the digits of the number, each with a blank before it, so that a fragment of two
    -- letters can still be looked up as the beginning of a word.
    search_text text not null generated always as (
        ' ' || lower(coalesce(first_name, '')) || ' ' || lower(coalesce(last_name, '')) || ' ' || lower(coalesce(email, ''))
        || ' ' || regexp_replace(coalesce(phone, ''), '[^0-9]', '', 'g')
    ) stored,
    constraint leads_pkey primary key (tenant_id, id),
    constraint leads_tenant_id_fkey foreign key (tenant_id) references tenants (id) on delete cascade,
    constraint leads_owner_id_fkey foreign key (tenant_id, owner_id) references users (tenant_id, id) on delete set null (owner_id),
    constraint leads_stage_id_fkey foreign key (tenant_id, stage_id) references pipeline_stages (tenant_id, id) on delete set null (stage_id),
    constraint leads_merged_into_id_fkey foreign key (tenant_id, merged_into_id) references leads (tenant_id, id)
        on delete set null (merged_into_id),
    constraint leads_status_check check (status ~ '^[a-z][a-z0-9_]{0,39}$'),
    constraint leads_currency_check check (currency ~ '^[A-Z]{3}$'),
    constraint leads_value_check check ((value is null) = (currency is null))
);
-- The list, in every order it offers; the rest of a filter is checked on the rows that come by.
create index leads_tenant_id_created_at_idx on leads (tenant_id, created_at, id);
create index leads_tenant_id_status_created_at_idx on leads (tenant_id, status, created_at, id);
create index leads_tenant_id_owner_id_created_at_idx on leads (tenant_id, owner_id, created_at, id);
create index leads_tenant_id_updated_at_idx on leads (tenant_id, updated_at, id);
create index leads_tenant_id_last_activity_at_idx on leads (tenant_id, last_activity_at, id);
create index leads_tenant_id_stage_id_idx on leads (tenant_id, stage_id, created_at, id) where stage_id is not null;
create index leads_tenant_id_merged_into_id_idx on leads (tenant_id, merged_into_id) where merged_into_id is not null;
create index leads_tenant_id_deleted_at_idx on leads (tenant_id, deleted_at) where deleted_at is not null;
-- Only search_leads can use this one: under row-level security LIKE may not run before the policy. The pending list is kept short because
-- every search reads all of it.
create index leads_search_idx on leads using gin (tenant_id, search_text gin_trgm_ops) with (gin_pending_list_limit = 256);
call protect_tenant_table('leads', p_versioned => true);

alter table one_time_tokens add constraint one_time_tokens_lead_id_fkey
    foreign key (tenant_id, lead_id) references leads (tenant_id, id) on delete cascade;

-- An e-mail address, number or foreign id by which a lead is recognised.
create table lead_identities (
    tenant_id uuid not null,
    id uuid not null,
    lead_id uuid not null,
    kind text not null,
    value text not null,                         -- as it was given
    normalized text not null,                    -- lower-cased address, E.164 number, `<system>:<id>` for external, visitor id
    is_primary boolean not null default false,
    verified_at timestamptz,
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    constraint lead_identities_pkey primary key (tenant_id, id),
    constraint lead_identities_lead_id_fkey foreign key (tenant_id, lead_id) references leads (tenant_id, id) on delete cascade,
    constraint lead_identities_tenant_id_kind_normalized_key unique (tenant_id, kind, normalized),
    constraint lead_identities_kind_check check (kind in ('email', 'phone', 'external', 'visitor'))
);
create index lead_identities_tenant_id_lead_id_idx on lead_identities (tenant_id, lead_id);
create unique index lead_identities_tenant_id_lead_id_kind_primary_key on lead_identities (tenant_id, lead_id, kind) where is_primary;
call protect_tenant_table('lead_identities');

-- A merge that can be undone: what both records looked like before.
create table lead_merges (
    tenant_id uuid not null,
    id uuid not null,
    survivor_id uuid not null,
    absorbed_id uuid not null,
    snapshot jsonb not null,                     -- fields and moved row ids; emptied when either person is erased
    merged_by uuid,
    undone_at timestamptz,
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    constraint lead_merges_pkey primary key (tenant_id, id),
    constraint lead_merges_survivor_id_fkey foreign key (tenant_id, survivor_id) references leads (tenant_id, id) on delete cascade,
    constraint lead_merges_absorbed_id_fkey foreign key (tenant_id, absorbed_id) references leads (tenant_id, id) on delete cascade
);
create index lead_merges_tenant_id_survivor_id_idx on lead_merges (tenant_id, survivor_id);
create index lead_merges_tenant_id_absorbed_id_idx on lead_merges (tenant_id, absorbed_id);
call protect_tenant_table('lead_merges');

-- What happened with a lead, or what is to be done: notes, calls, tasks, visits, forms, stage changes.
create table activities (
    tenant_id uuid not null,
    id uuid not null,
    lead_id uuid not null,
    kind text not null,
    title text,
    body text,
    data jsonb not null default '{}',
    actor_kind text not null default 'system',
    actor_id uuid,                               -- a user, key, run or receipt; history, hence no reference
    due_at timestamptz,                          -- tasks
    done_at timestamptz,
    assignee_id uuid,
    occurred_at timestamptz not null default now(),
    dedupe_key text,                             -- the cause, so that a redelivered webhook adds nothing
    version bigint not null default 1,
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    constraint activities_pkey primary key (tenant_id, id),
    constraint activities_lead_id_fkey foreign key (tenant_id, lead_id) references leads (tenant_id, id) on delete cascade,
    constraint activities_assignee_id_fkey foreign key (tenant_id, assignee_id) references users (tenant_id, id)
        on delete set null (assignee_id),
    constraint activities_tenant_id_dedupe_key_key unique (tenant_id, dedupe_key),
    constraint activities_kind_check check (kind ~ '^[a-z][a-zA-Z]{0,39}$'),
    constraint activities_actor_kind_check check (actor_kind in ('user', 'apiKey', 'automation', 'system', 'lead'))
);
create index activities_tenant_id_lead_id_occurred_at_idx on activities (tenant_id, lead_id, occurred_at, id);
create index activities_tenant_id_assignee_id_due_at_idx on activities (tenant_id, assignee_id, due_at) where assignee_id is not null;
call protect_tenant_table('activities', p_versioned => true);

-- A saved question about leads. Live: asked anew each time; static: a fixed list.
create table segments (
    tenant_id uuid not null,
    id uuid not null,
    name text not null,
    kind text not null default 'live',
    conditions jsonb not null default '{}',      -- the tree of the shared condition engine
    member_count integer,                        -- as of evaluated_at
    evaluated_at timestamptz,
    version bigint not null default 1,
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    constraint segments_pkey primary key (tenant_id, id),
    constraint segments_tenant_id_fkey foreign key (tenant_id) references tenants (id) on delete cascade,
    constraint segments_kind_check check (kind in ('live', 'static'))
);
create index segments_tenant_id_created_at_idx on segments (tenant_id, created_at, id);
call protect_tenant_table('segments', p_versioned => true);

-- Who is in a segment now. Entering and leaving are events, so membership is stored for live segments too.
create table segment_members (
    tenant_id uuid not null,
    segment_id uuid not null,
    lead_id uuid not null,
    entered_at timestamptz not null default now(),
    constraint segment_members_pkey primary key (tenant_id, segment_id, lead_id),
    constraint segment_members_segment_id_fkey foreign key (tenant_id, segment_id) references segments (tenant_id, id) on delete cascade,
    constraint segment_members_lead_id_fkey foreign key (tenant_id, lead_id) references leads (tenant_id, id) on delete cascade
);
create index segment_members_tenant_id_lead_id_idx on segment_members (tenant_id, lead_id);
call protect_tenant_table('segment_members');

-- What a person allowed or refused, per channel and purpose. A ledger: the latest row wins, earlier ones are the proof.
create table consents (
    tenant_id uuid not null,
    id uuid not null,
    lead_id uuid not null,
    channel text,                                -- null for health, which is about data and not about messages
    purpose text not null,
    state text not null,
    source text not null,                        -- form, import, keyword, unsubscribe, staff …
    reason text,
    proof jsonb,                                 -- the text shown, where and when
    effective_at timestamptz not null default now(),
    recorded_by uuid,
    created_at timestamptz not null default now(),
    constraint consents_pkey primary key (tenant_id, id),
    constraint consents_lead_id_fkey foreign key (tenant_id, lead_id) references leads (tenant_id, id) on delete cascade,
    constraint consents_purpose_check check (purpose in ('marketing', 'transactional', 'health')),
    constraint consents_state_check check (state in ('granted', 'denied', 'revoked')),
    constraint consents_channel_check check (channel is not null or purpose = 'health')
);
create index consents_tenant_id_lead_id_idx on consents (tenant_id, lead_id, purpose, channel, effective_at, id);
call protect_tenant_table('consents');

-- Addresses that must not be written to, whatever a lead says. Only a keyed hash is kept, so that it outlives the erased person.
create table suppressions (
    tenant_id uuid not null,
    id uuid not null,
    channel text not null,
    address_hash bytea not null,
    reason text not null,
    since timestamptz not null default now(),
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    constraint suppressions_pkey primary key (tenant_id, id),
    constraint suppressions_tenant_id_fkey foreign key (tenant_id) references tenants (id) on delete cascade,
    constraint suppressions_tenant_id_channel_address_hash_key unique (tenant_id, channel, address_hash),
    constraint suppressions_reason_check check (reason in ('stop', 'unsubscribe', 'bounce', 'complaint', 'invalid', 'manual', 'erased'))
);
call protect_tenant_table('suppressions');

-- Long work asked for by a person: import, export, bulk change, erase. The row is the queue and the progress at once.
create table jobs (
    tenant_id uuid not null,
    id uuid not null,
    kind text not null,
    status text not null default 'queued',
    params jsonb not null default '{}',
    cursor jsonb,                                -- how far it got, so that a killed worker's successor goes on and does not begin again
    total_count integer,                         -- null until known
    created_count integer not null default 0,
    updated_count integer not null default 0,
    skipped_count integer not null default 0,
    failed_count integer not null default 0,
    result jsonb,
    checksum bytea,                              -- SHA-256 of a produced file
    attempts integer not null default 0,
    lease_epoch bigint not null default 0,
    lease_until timestamptz,
    next_attempt_at timestamptz not null default now(),
    cancel_requested_at timestamptz,
    error_code text,
    error_detail text,
    created_by uuid,
    started_at timestamptz,
    finished_at timestamptz,
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    constraint jobs_pkey primary key (tenant_id, id),
    constraint jobs_tenant_id_fkey foreign key (tenant_id) references tenants (id) on delete cascade,
    constraint jobs_created_by_fkey foreign key (tenant_id, created_by) references users (tenant_id, id) on delete set null (created_by),
    constraint jobs_kind_check check (kind ~ '^[a-z][a-zA-Z_]{0,39}$'),
    constraint jobs_status_check check (status in ('awaitingParts', 'queued', 'running', 'completed', 'failed', 'cancelled'))
);
create index jobs_tenant_id_created_at_idx on jobs (tenant_id, created_at, id);
create index jobs_tenant_id_created_by_idx on jobs (tenant_id, created_by);
create index jobs_tenant_id_next_attempt_at_idx on jobs (tenant_id, next_attempt_at) where status in ('queued', 'running');
call protect_tenant_table('jobs');

-- What went wrong in a job, row by row.
create table job_errors (
    tenant_id uuid not null,
    job_id uuid not null,
    seq integer not null,
    line bigint,                                 -- of the uploaded file, counted from 1 with the header
    column_name text,
    code text not null,
    value text,                                  -- what stood there, cut to 200 characters
    detail text,
    created_at timestamptz not null default now(),
    constraint job_errors_pkey primary key (tenant_id, job_id, seq),
    constraint job_errors_job_id_fkey foreign key (tenant_id, job_id) references jobs (tenant_id, id) on delete cascade
);
call protect_tenant_table('job_errors');

-- Pieces of a file too large for one request: what a person uploads (input) and what a job produced (output). Removed with the job's end or expiry.
create table job_parts (
    tenant_id uuid not null,
    job_id uuid not null,
    role text not null default 'input',
    part integer not null,
    content bytea not null,
    sha256 bytea not null,
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    constraint job_parts_pkey primary key (tenant_id, job_id, role, part),
    constraint job_parts_job_id_fkey foreign key (tenant_id, job_id) references jobs (tenant_id, id) on delete cascade,
    constraint job_parts_role_check check (role in ('input', 'output')),
    constraint job_parts_part_check check (part between 1 and 10000),
    constraint job_parts_content_check check (octet_length(content) <= 4194304)
);
call protect_tenant_table('job_parts');

-- A lead as conditions and templates see it: the names of the API, so that `lead.firstName` means the same in a filter, a branch, a
-- segment and a message.
create function lead_facts(l leads) returns jsonb
    language sql stable
    set search_path = pg_catalog, public, pg_temp
as $$
    select jsonb_build_object(
        'id', l.id, 'status', l.status, 'source', l.source, 'firstName', l.first_name, 'lastName', l.last_name,
        'name', nullif(concat_ws(' ', l.first_name, l.last_name), ''), 'email', l.email, 'phone', l.phone, 'ownerId', l.owner_id,
        'stageId', l.stage_id, 'tags', to_jsonb(l.tags), 'customFields', l.custom_fields, 'score', l.score, 'timezone', l.timezone,
        'locale', l.locale, 'firstTouch', l.first_touch, 'lastTouch', l.last_touch, 'createdAt', l.created_at,
        'updatedAt', l.updated_at, 'lastActivityAt', l.last_activity_at, 'lastInboundAt', l.last_inbound_at)
$$;
grant execute on function lead_facts(leads) to wellspring_app;
