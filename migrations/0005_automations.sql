-- Automations: what should happen when something happens, and every time it did.
--
-- A definition is edited freely; publishing freezes a copy that can never change, and each run stays on the copy it began with. A run is a row
-- that workers claim with a lease and a fencing epoch (see 0006 for the words). It is created in the transaction of its cause, exactly once:
-- `entry_key` says what "once" means for its automation (per event, per lead, per lead and window).

-- A definition.
create table automations (
    tenant_id uuid not null,
    id uuid not null,
    name text not null,
    status text not null default 'draft',
    trigger_type text not null,
    trigger jsonb not null,                      -- the whole trigger with its filter
    has_filter boolean not null generated always as ((trigger -> 'filter') is not null and (trigger -> 'filter') <> 'null'::jsonb) stored,
    steps jsonb not null default '[]',           -- as published, or the first draft; runs read their version
    reentry jsonb,                               -- when a lead may enter again: never, afterExit, always, window, key
    goal jsonb,                                  -- a condition that ends runs early, as a success
    caps jsonb,                                  -- send and entry limits
    current_version integer,                     -- the version new runs take; null: never published
    draft jsonb,                                 -- edits since it was published: the columns above stay what lets runs begin
    pause_policy text,                           -- while paused: hold (go on later) or drop
    published_at timestamptz,
    version bigint not null default 1,           -- of this row, for the ETag; not the published version
    created_by uuid,
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    constraint automations_pkey primary key (tenant_id, id),
    constraint automations_tenant_id_fkey foreign key (tenant_id) references tenants (id) on delete cascade,
    constraint automations_status_check check (status in ('draft', 'active', 'paused', 'archived')),
    constraint automations_pause_policy_check check (pause_policy in ('hold', 'drop')),
    constraint automations_active_check check (status <> 'active' or current_version is not null)
);
create index automations_tenant_id_created_at_idx on automations (tenant_id, created_at, id);
-- Asked with every recorded event: whom does this wake?
create index automations_tenant_id_trigger_type_active_idx on automations (tenant_id, trigger_type) where status = 'active';
call protect_tenant_table('automations', p_versioned => true);

-- A published copy. Immutable: runs that are months old still read it.
create table automation_versions (
    tenant_id uuid not null,
    automation_id uuid not null,
    version integer not null,
    graph jsonb not null,                        -- trigger, steps, reentry, goal and caps as they were
    graph_schema smallint not null default 1,    -- the shape of `graph`; every shape ever shipped stays readable
    sha256 bytea not null,                       -- of the graph, so that publishing without a change can be noticed
    published_by uuid,
    published_at timestamptz not null default now(),
    constraint automation_versions_pkey primary key (tenant_id, automation_id, version),
    constraint automation_versions_automation_id_fkey foreign key (tenant_id, automation_id)
        references automations (tenant_id, id) on delete cascade
);
create trigger automation_versions_immutable before update on automation_versions for each row execute function refuse_update();
call protect_tenant_table('automation_versions', p_grants => 'select, insert, delete');

-- The published version must exist.
alter table automations add constraint automations_current_version_fkey
    foreign key (tenant_id, id, current_version) references automation_versions (tenant_id, automation_id, version)
    on delete set null (current_version) deferrable initially deferred;

-- One person (or one event without a person) going through one version.
create table automation_runs (
    tenant_id uuid not null,
    id uuid not null,
    automation_id uuid not null,
    version integer not null,                    -- pinned
    lead_id uuid,
    trigger_event_id uuid,                       -- history, hence no reference: the journal is shortened before runs are
    entry_key text not null,
    status text not null default 'queued',
    current_step text,                           -- the id of the step to execute next
    step_seq integer not null default 0,         -- how many steps were begun
    wake_at timestamptz default now(),           -- due then; null while waiting for an event without a time limit
    wake_kind text,                              -- why it sleeps: time, event, retry, effect, rate
    wait_event text,                             -- the event type it waits for
    lease_epoch bigint not null default 0,       -- raised by each claim; a worker with an older one may write nothing
    lease_until timestamptz,
    claims_since_progress integer not null default 0, -- raised before work begins, so that a crash counts; at the limit the run goes to attention
    cancel_requested_at timestamptz,
    error_code text,
    error_message text,
    error_step text,
    skip_reason text,
    exit_reason text,                            -- completed: end, exit, goal
    context jsonb not null default '{}',         -- variables; what steps saved
    depth smallint not null default 0,           -- how many automations stand between this run and a person's act
    started_at timestamptz,
    finished_at timestamptz,
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    constraint automation_runs_pkey primary key (tenant_id, id),
    constraint automation_runs_version_fkey foreign key (tenant_id, automation_id, version)
        references automation_versions (tenant_id, automation_id, version) on delete cascade,
    constraint automation_runs_lead_id_fkey foreign key (tenant_id, lead_id) references leads (tenant_id, id) on delete cascade,
    constraint automation_runs_tenant_id_automation_id_entry_key_key unique (tenant_id, automation_id, entry_key),
    constraint automation_runs_status_check check (status in (
        'queued', 'running', 'waiting', 'completed', 'failed', 'cancelled', 'skipped', 'attention')),
    constraint automation_runs_depth_check check (depth between 0 and 8),
    constraint automation_runs_context_check check (pg_column_size(context) <= 65536)
);
create index automation_runs_tenant_id_automation_id_created_at_idx on automation_runs (tenant_id, automation_id, version, created_at, id);
create index automation_runs_tenant_id_created_at_idx on automation_runs (tenant_id, created_at, id);
create index automation_runs_tenant_id_lead_id_idx on automation_runs (tenant_id, lead_id, created_at) where lead_id is not null;
-- What is due, tenant by tenant: the sweep visits each tenant's first entry, so a tenant with a million due rows delays nobody.
create index automation_runs_tenant_id_wake_at_due_idx on automation_runs (tenant_id, wake_at) where status in ('queued', 'waiting');
-- Leases, in order of their end: few rows, and those of dead workers come first.
create index automation_runs_lease_until_idx on automation_runs (lease_until) where status = 'running';
create index automation_runs_tenant_id_wait_event_idx on automation_runs (tenant_id, wait_event, lead_id)
    where status = 'waiting' and wait_event is not null;
create index automation_runs_tenant_id_attention_idx on automation_runs (tenant_id, created_at, id) where status in ('failed', 'attention');
call protect_tenant_table('automation_runs');

alter table messages add constraint messages_run_id_fkey
    foreign key (tenant_id, run_id) references automation_runs (tenant_id, id) on delete set null (run_id);

-- One execution of one step.
create table automation_run_steps (
    tenant_id uuid not null,
    run_id uuid not null,
    seq integer not null,                        -- 1, 2, 3 … in order of execution; a loop gives one step several rows
    step_id text not null,
    type text not null,
    status text not null,
    attempt integer not null default 1,
    input jsonb,                                 -- without secrets
    output jsonb,
    error_code text,
    error_message text,
    started_at timestamptz not null default now(),
    ended_at timestamptz,
    constraint automation_run_steps_pkey primary key (tenant_id, run_id, seq),
    constraint automation_run_steps_run_id_fkey foreign key (tenant_id, run_id) references automation_runs (tenant_id, id) on delete cascade,
    constraint automation_run_steps_status_check check (status in ('pending', 'running', 'waiting', 'completed', 'skipped', 'failed'))
);
call protect_tenant_table('automation_run_steps');

-- What makes an entry the same entry, so that the unique key on runs expresses the re-entry rule by itself:
--   never      one run per lead, ever
--   afterExit  the next run only when the lead has none under way; the count of finished ones makes the key of the next
--   window     one run per lead and window of so many days, counted from the epoch
--   always     one run per event
-- Without a lead there is nobody to enter twice, so each event is an entry.
create function entry_key(p_reentry jsonb, p_automation uuid, p_lead uuid, p_event uuid) returns text
    language plpgsql stable
    set search_path = pg_catalog, public, pg_temp
as $$
declare
    mode text := coalesce(p_reentry ->> 'mode', 'never');
    tenant uuid := nullif(current_setting('app.tenant_id', true), '')::uuid;
begin
    if p_lead is null or mode = 'always' then
        return 'event:' || p_event;
    elsif mode = 'afterExit' then
        return 'lead:' || p_lead || ':' || (
            select count(*) from automation_runs r
            where r.tenant_id = tenant and r.lead_id = p_lead and r.automation_id = p_automation and r.finished_at is not null);
    elsif mode = 'window' then
        return 'lead:' || p_lead || ':' || floor(extract(epoch from now()) / (86400 * (p_reentry ->> 'days')::numeric));
    end if;
    return 'lead:' || p_lead;
end
$$;
grant execute on function entry_key(jsonb, uuid, uuid, uuid) to wellspring_app;
