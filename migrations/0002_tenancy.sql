-- Tenancy: the businesses, the people who work in them, and every way to prove who one is.
--
-- A tenant is one business. Everything else in the database belongs to exactly one tenant and disappears with it. A person who works
-- for two businesses has two rows in `users`; nothing links them but the e-mail address, and only `login_index` can be searched by it.
-- Secrets are never stored in the clear: what only has to be recognised (tokens, keys) is stored as SHA-256, what has to be read back
-- (TOTP secrets, provider keys) is sealed with AEAD by the application.

-- One business. Its own id is its tenant id.
create table tenants (
    id uuid not null,
    slug text not null,                          -- a name for URLs and for choosing a business at login; public, hence unique over all tenants
    name text not null,
    status text not null default 'trial',
    status_reason text,                          -- why it was suspended, for the people who look
    trial_ends_at timestamptz,
    timezone text not null default 'UTC',        -- IANA name; all day math of the tenant happens here
    country char(2) not null default 'US',       -- ISO 3166; the default for telephone numbers without a prefix
    currency char(3) not null default 'USD',     -- ISO 4217; the default for new documents
    locale text not null default 'en',
    settings jsonb not null default '{}',        -- quiet hours, rounding, limits, retention; typed in code, where the defaults live
    version bigint not null default 1,
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    constraint tenants_pkey primary key (id),
    constraint tenants_slug_key unique (slug),
    constraint tenants_slug_check check (slug ~ '^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$'),
    constraint tenants_status_check check (status in ('trial', 'active', 'suspended', 'deleting')),
    constraint tenants_country_check check (country ~ '^[A-Z]{2}$'),
    constraint tenants_currency_check check (currency ~ '^[A-Z]{3}$')
);
call protect_tenant_table('tenants', p_versioned => true, p_tenant_column => 'id');

-- A person who can sign in to one tenant.
create table users (
    tenant_id uuid not null,
    id uuid not null,
    email text not null,                         -- always lower case
    name text not null,
    image_url text,
    password_hash text,                          -- PHC string (argon2id, or bcrypt from a legacy system); null until an invitation is accepted
    role text not null,
    record_scope text not null default 'all',    -- which records the role applies to: own, those of the team, or all
    team text,                                   -- colleagues with the same word form a team
    mfa_secret bytea,                            -- sealed TOTP secret; set means that login asks for a code
    mfa_pending_secret bytea,                    -- sealed; enrolled but not yet confirmed by a first code
    mfa_last_step bigint,                        -- the last accepted TOTP time step, so that a code works once
    recovery_hashes bytea[] not null default '{}', -- SHA-256 of unused recovery codes
    session_version integer not null default 1,  -- raised by a password change or logout-all
    status text not null default 'active',
    timezone text,                               -- null: the tenant's
    locale text,
    settings jsonb not null default '{}',        -- working hours, notification choices, assignment weight; typed in code
    email_verified_at timestamptz,
    last_login_at timestamptz,
    version bigint not null default 1,
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    constraint users_pkey primary key (tenant_id, id),
    constraint users_tenant_id_fkey foreign key (tenant_id) references tenants (id) on delete cascade,
    constraint users_tenant_id_email_key unique (tenant_id, email),
    constraint users_email_check check (email = lower(email) and length(email) <= 320),
    constraint users_role_check check (role in ('viewer', 'staff', 'manager', 'admin', 'owner')),
    constraint users_record_scope_check check (record_scope in ('own', 'team', 'all')),
    constraint users_status_check check (status in ('active', 'invited', 'disabled'))
);
create index users_tenant_id_created_at_idx on users (tenant_id, created_at, id);
call protect_tenant_table('users', p_versioned => true);

-- E-mail address → the tenants and users that have it. The only place where tenants can be found by an address, so it is no tenant table:
-- no policy guards it because nobody but `find_logins` may read it. A trigger on `users` keeps it, on_user_email below.
-- no tenant: it is what finds the tenant, and only definer functions may read it
create table login_index (
    tenant_id uuid not null,
    user_id uuid not null,
    email text not null,
    constraint login_index_pkey primary key (tenant_id, user_id),
    constraint login_index_user_id_fkey foreign key (tenant_id, user_id) references users (tenant_id, id) on delete cascade
);
create index login_index_email_idx on login_index (email);
revoke all on login_index from public;
grant select, insert, update on login_index to wellspring_lookup;

create function index_login() returns trigger
    language plpgsql security definer
    set search_path = pg_catalog, public, pg_temp
as $$
begin
    insert into login_index (tenant_id, user_id, email) values (new.tenant_id, new.id, new.email)
    on conflict (tenant_id, user_id) do update set email = excluded.email;
    return null;
end
$$;
create trigger users_index_login after insert or update of email on users for each row execute function index_login();
call give_function('index_login()', 'wellspring_lookup', '');

-- A signed-in device. One row is one family of refresh tokens: a rotation changes the row, it never adds one.
create table sessions (
    tenant_id uuid not null,
    id uuid not null,                            -- the `sid` of the access token
    user_id uuid not null,
    family_id uuid not null,                     -- what is revoked together when an old token comes back
    refresh_hash bytea not null,                 -- SHA-256 of the live refresh token
    previous_hash bytea,                         -- its parent: good for ten seconds after `rotated_at`, answered with the same successor
    rotated_at timestamptz,
    session_version integer not null default 1,  -- users.session_version at login; an older one is no longer a session
    authenticated_at timestamptz not null default now(), -- when the password was last given; dangerous calls ask for a recent one
    last_used_at timestamptz not null default now(),
    expires_at timestamptz not null,
    revoked_at timestamptz,
    revoked_reason text,
    user_agent text,
    ip_hash bytea,                               -- keyed hash; addresses are not stored
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    constraint sessions_pkey primary key (tenant_id, id),
    constraint sessions_tenant_id_fkey foreign key (tenant_id) references tenants (id) on delete cascade,
    constraint sessions_user_id_fkey foreign key (tenant_id, user_id) references users (tenant_id, id) on delete cascade
);
create index sessions_tenant_id_user_id_idx on sessions (tenant_id, user_id, created_at);
create index sessions_tenant_id_expires_at_idx on sessions (tenant_id, expires_at);
-- A refresh token carries no tenant, so it is found by its hash alone; 256 random bits make the match unique.
create index sessions_refresh_hash_idx on sessions (refresh_hash);
create index sessions_previous_hash_idx on sessions (previous_hash) where previous_hash is not null;
call protect_tenant_table('sessions');

-- Refresh tokens older than the parent. One that comes back was stolen or replayed; knowing its session lets the family be revoked.
create table spent_refresh_tokens (
    tenant_id uuid not null,
    session_id uuid not null,
    hash bytea not null,
    spent_at timestamptz not null default now(),
    constraint spent_refresh_tokens_pkey primary key (tenant_id, session_id, hash),
    constraint spent_refresh_tokens_session_id_fkey foreign key (tenant_id, session_id)
        references sessions (tenant_id, id) on delete cascade
);
create index spent_refresh_tokens_hash_idx on spent_refresh_tokens (hash);
call protect_tenant_table('spent_refresh_tokens', p_grants => 'select, insert, delete');

create function keep_spent_token() returns trigger
    language plpgsql
    set search_path = pg_catalog, public, pg_temp
as $$
begin
    insert into spent_refresh_tokens (tenant_id, session_id, hash)
    values (old.tenant_id, old.id, old.previous_hash) on conflict do nothing;
    return null;
end
$$;
create trigger sessions_keep_spent after update of previous_hash on sessions for each row
    when (old.previous_hash is not null and old.previous_hash is distinct from new.previous_hash)
    execute function keep_spent_token();

-- Links and codes that work once (or, for unsubscribe and document links, until they expire).
create table one_time_tokens (
    tenant_id uuid not null,
    id uuid not null,
    kind text not null,
    hash bytea not null,                         -- SHA-256 of the token
    user_id uuid,                                -- invite, reset, verify, mfa: whose
    lead_id uuid,                                -- unsubscribe, preferences: whose
    subject_id uuid,                             -- invoice: which document
    payload jsonb not null default '{}',
    used_at timestamptz,
    expires_at timestamptz not null,
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    constraint one_time_tokens_pkey primary key (tenant_id, id),
    constraint one_time_tokens_tenant_id_fkey foreign key (tenant_id) references tenants (id) on delete cascade,
    constraint one_time_tokens_user_id_fkey foreign key (tenant_id, user_id) references users (tenant_id, id) on delete cascade,
    constraint one_time_tokens_tenant_id_kind_hash_key unique (tenant_id, kind, hash),
    constraint one_time_tokens_kind_check
        check (kind in ('invite', 'reset', 'verify', 'mfa', 'unsubscribe', 'preferences', 'invoice'))
);
create index one_time_tokens_hash_idx on one_time_tokens (hash);
create index one_time_tokens_tenant_id_user_id_idx on one_time_tokens (tenant_id, user_id) where user_id is not null;
create index one_time_tokens_tenant_id_lead_id_idx on one_time_tokens (tenant_id, lead_id) where lead_id is not null;
create index one_time_tokens_tenant_id_expires_at_idx on one_time_tokens (tenant_id, expires_at);
call protect_tenant_table('one_time_tokens');

-- Keys of programs. A secret key acts with scopes; a site key is public and good only for CTA events and forms.
create table api_keys (
    tenant_id uuid not null,
    id uuid not null,
    kind text not null,
    name text not null,
    prefix text not null,                        -- the first characters, so that a person can tell keys apart
    hash bytea not null,                         -- SHA-256 of the whole key
    scopes text[] not null default '{}',         -- `<surface>:read`, `<surface>:write`
    created_by uuid,
    last_used_at timestamptz,                    -- exact to the minute
    expires_at timestamptz,
    revoked_at timestamptz,
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    constraint api_keys_pkey primary key (tenant_id, id),
    constraint api_keys_tenant_id_fkey foreign key (tenant_id) references tenants (id) on delete cascade,
    constraint api_keys_created_by_fkey foreign key (tenant_id, created_by) references users (tenant_id, id)
        on delete set null (created_by),
    constraint api_keys_tenant_id_hash_key unique (tenant_id, hash),
    constraint api_keys_kind_check check (kind in ('secret', 'site'))
);
create index api_keys_hash_idx on api_keys (hash);
create index api_keys_tenant_id_created_at_idx on api_keys (tenant_id, created_at, id);
create index api_keys_tenant_id_created_by_idx on api_keys (tenant_id, created_by);
call protect_tenant_table('api_keys');

-- Counters of failed logins and of calls that come before a tenant is known. Keyed by a keyed hash of the account or the address, so it
-- holds nothing about a person and needs no tenant; the runtime reads and writes it directly.
-- no tenant: it counts before one is known, and holds keyed hashes only
create table throttles (
    kind text not null,                          -- what is counted: login_account, login_address, register, forgot …
    key_hash bytea not null,
    count integer not null default 0,
    window_started_at timestamptz not null default now(),
    blocked_until timestamptz,                   -- not before then; a delay that grows, never a lock
    updated_at timestamptz not null default now(),
    constraint throttles_pkey primary key (kind, key_hash)
);
create index throttles_updated_at_idx on throttles (updated_at);
revoke all on throttles from public;
grant select, insert, update, delete on throttles to wellspring_app;

-- The last link of each tenant's audit chain. Kept apart so that appending locks one row, and so that a missing tail shows.
create table audit_heads (
    tenant_id uuid not null,
    seq bigint not null,
    hash bytea not null,
    constraint audit_heads_pkey primary key (tenant_id),
    constraint audit_heads_tenant_id_fkey foreign key (tenant_id) references tenants (id) on delete cascade
);
call protect_tenant_table('audit_heads', p_grants => 'select');
grant select, insert, update on audit_heads to wellspring_lookup;

-- Who did what to what, in order, for good. The runtime may add and read; each row's hash covers the one before it, so a change behind the
-- application's back shows. `seq`, `prev_hash`, `hash` and `at` are set by the trigger, whatever the writer says.
create table audit_log (
    tenant_id uuid not null,
    seq bigint not null default 0,               -- 1, 2, 3 … without a gap within the tenant
    at timestamptz not null default now(),
    actor_kind text not null,
    actor_id uuid,                               -- a user, key or run; kept when that row is gone, hence no reference
    action text not null,                        -- `lead.merged`, `user.role_changed` …
    object_kind text not null,
    object_id text,
    before jsonb,                                -- hashes stand in for personal values, so that erasing a person leaves the chain whole
    after jsonb,
    request_id text,
    prev_hash bytea not null default '',
    hash bytea not null default '',
    constraint audit_log_pkey primary key (tenant_id, seq),
    constraint audit_log_tenant_id_fkey foreign key (tenant_id) references tenants (id) on delete cascade,
    constraint audit_log_actor_kind_check check (actor_kind in ('user', 'apiKey', 'automation', 'system', 'lead'))
);
create index audit_log_tenant_id_object_idx on audit_log (tenant_id, object_kind, object_id, seq);
create index audit_log_tenant_id_at_idx on audit_log (tenant_id, at, seq);
call protect_tenant_table('audit_log', p_grants => 'select, insert');

-- The hash of one row: SHA-256 over a rendering that does not depend on session settings (time zone, float digits).
create function audit_hash(p audit_log) returns bytea
    language sql stable
    set search_path = pg_catalog, public, pg_temp
as $$
    select sha256(convert_to(jsonb_build_array(
        p.tenant_id, p.seq, to_char(p.at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US'), p.actor_kind, p.actor_id,
        p.action, p.object_kind, p.object_id, p.before, p.after, p.request_id, encode(p.prev_hash, 'hex')
    )::text, 'UTF8'))
$$;
grant execute on function audit_hash(audit_log) to wellspring_app, wellspring_lookup, wellspring_readonly;

create function chain_audit() returns trigger
    language plpgsql security definer
    set search_path = pg_catalog, public, pg_temp
as $$
declare
    head audit_heads;
begin
    insert into audit_heads as h (tenant_id, seq, hash) values (new.tenant_id, 0, '')
    on conflict (tenant_id) do update set seq = h.seq
    returning * into head;                       -- holds the row until commit: one writer per tenant at a time
    new.seq := head.seq + 1;
    new.at := clock_timestamp();                 -- in the order of the chain, not of the transactions' starts
    new.prev_hash := head.hash;
    new.hash := audit_hash(new);
    update audit_heads set seq = new.seq, hash = new.hash where tenant_id = new.tenant_id;
    return new;
end
$$;
create trigger audit_log_chain before insert on audit_log for each row execute function chain_audit();
call give_function('chain_audit()', 'wellspring_lookup', '');

-- Walks the current tenant's chain: how many rows were checked and the first seq that does not fit (null when all fit).
-- A missing tail shows as the seq that should have followed.
create function verify_audit() returns table (checked bigint, bad_seq bigint)
    language sql stable
    set search_path = pg_catalog, public, pg_temp
as $$
    with chain as (
        select a.seq, a.hash, a.prev_hash, audit_hash(a) as computed,
               lag(a.hash, 1, ''::bytea) over (order by a.seq) as before_hash,
               row_number() over (order by a.seq) as place
        from audit_log a
        where a.tenant_id = (select nullif(current_setting('app.tenant_id', true), '')::uuid)
    ), head as (
        select h.seq, h.hash from audit_heads h
        where h.tenant_id = (select nullif(current_setting('app.tenant_id', true), '')::uuid)
    ), bad as (
        select seq from chain where hash <> computed or prev_hash <> before_hash or seq <> place
        union all
        select (select coalesce(max(seq), 0) + 1 from chain) from head
        where head.seq <> (select coalesce(max(seq), 0) from chain)
        union all
        select max(c.seq) from chain c, head where head.seq = c.seq and head.hash <> c.hash having max(c.seq) is not null
    )
    select (select count(*) from chain), (select min(seq) from bad)
$$;
grant execute on function verify_audit() to wellspring_app, wellspring_readonly;
