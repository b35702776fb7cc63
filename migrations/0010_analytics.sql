-- Analytics: which button, on which surface, brought whom.
--
-- CTA events come in great numbers and are read by date range, so they are partitioned by month and old months can be dropped. A partitioned table
-- cannot be unique on the event id alone, therefore the ids stand in a table of their own: the insert into it, with `on conflict do
-- nothing`, decides whether an event is new. No address and no cookie is stored, only a visitor hash that changes with the day's salt.

-- Surfaces seen so far: a page, a screen, an advertisement. An unknown one registers itself.
create table cta_surfaces (
    tenant_id uuid not null,
    name text not null,
    title text,
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    constraint cta_surfaces_pkey primary key (tenant_id, name),
    constraint cta_surfaces_tenant_id_fkey foreign key (tenant_id) references tenants (id) on delete cascade
);
call protect_tenant_table('cta_surfaces');

-- The salt of a local day, thrown away when the next day begins: after that nobody can tell who a visitor hash was.
create table visitor_salts (
    tenant_id uuid not null,
    local_date date not null,
    salt bytea not null,
    created_at timestamptz not null default now(),
    constraint visitor_salts_pkey primary key (tenant_id, local_date),
    constraint visitor_salts_tenant_id_fkey foreign key (tenant_id) references tenants (id) on delete cascade
);
call protect_tenant_table('visitor_salts');

-- Event ids that were counted. One row per event, for as long as the event may be sent again.
create table cta_event_ids (
    tenant_id uuid not null,
    event_id text not null,                      -- chosen by the client
    occurred_at timestamptz not null,            -- says which month holds the event
    constraint cta_event_ids_pkey primary key (tenant_id, event_id),
    constraint cta_event_ids_tenant_id_fkey foreign key (tenant_id) references tenants (id) on delete cascade,
    constraint cta_event_ids_event_id_check check (length(event_id) between 1 and 100)
);
create index cta_event_ids_tenant_id_occurred_at_idx on cta_event_ids (tenant_id, occurred_at);
call protect_tenant_table('cta_event_ids');

-- One view, click or submission.
create table cta_events (
    tenant_id uuid not null,
    id uuid not null,
    event_id text not null,
    surface text not null,
    cta_id text not null,
    kind text not null,
    occurred_at timestamptz not null,
    recorded_at timestamptz not null default now(),
    visitor_id text,                             -- the client's own word for the visitor, if it has one
    visitor_hash bytea,                          -- keyed hash of address and browser with the day's salt
    lead_id uuid,
    page text,
    referrer text,
    utm jsonb not null default '{}',
    click_ids jsonb not null default '{}',       -- gclid, fbclid …
    variant text,
    value double precision,
    device text,
    is_bot boolean not null default false,       -- kept and marked, left out of statistics
    constraint cta_events_pkey primary key (tenant_id, id, occurred_at),
    constraint cta_events_tenant_id_fkey foreign key (tenant_id) references tenants (id) on delete cascade,
    constraint cta_events_lead_id_fkey foreign key (tenant_id, lead_id) references leads (tenant_id, id) on delete set null (lead_id),
    constraint cta_events_kind_check check (kind in ('view', 'click', 'submit'))
) partition by range (occurred_at);
-- The export and the list walk a date range; the summary reads the same range of one surface.
create index cta_events_tenant_id_occurred_at_idx on cta_events (tenant_id, occurred_at, id);
create index cta_events_tenant_id_surface_occurred_at_idx on cta_events (tenant_id, surface, occurred_at, id);
create index cta_events_tenant_id_lead_id_idx on cta_events (tenant_id, lead_id, occurred_at) where lead_id is not null;
call protect_tenant_table('cta_events');

-- Makes sure that the month of a time has its partition. Runs as the owner of the table, for only the owner can; therefore it does nothing else and
-- only for times an event may have: up to 400 days ago, up to two days ahead. The partition is made beside the table and then attached, which
-- lets other sessions go on writing. Partitions get the wall too, though nobody is granted access to them directly.
create function ensure_cta_month(p_at timestamptz) returns void
    language plpgsql security definer
    set search_path = pg_catalog, public, pg_temp
as $$
declare
    -- Months are those of UTC. Adding one to a timestamptz would follow the session zone's clock changes, hence the detour.
    month_start timestamptz := date_trunc('month', p_at, 'UTC');
    month_end timestamptz := (date_trunc('month', p_at at time zone 'UTC') + interval '1 month') at time zone 'UTC';
    partition_name text := 'cta_events_' || to_char(p_at at time zone 'UTC', 'YYYY_MM');
begin
    if p_at is null or p_at < now() - interval '400 days' or p_at > now() + interval '2 days' then
        raise exception 'no partition is kept for %', p_at using errcode = 'datetime_field_overflow';
    end if;
    if to_regclass('public.' || partition_name) is not null then
        return;
    end if;
    perform pg_advisory_xact_lock(hashtextextended('ensure_cta_month', 0));
    if to_regclass('public.' || partition_name) is not null then
        return;                                  -- another session was faster
    end if;
    execute format('create table public.%I (like public.cta_events including defaults including constraints)', partition_name);
    execute format('alter table public.%I enable row level security', partition_name);
    execute format('alter table public.%I force row level security', partition_name);
    execute format(
        'create policy %I on public.%I for all to public
             using (tenant_id = (select nullif(current_setting(''app.tenant_id'', true), '''')::uuid))
             with check (tenant_id = (select nullif(current_setting(''app.tenant_id'', true), '''')::uuid))',
        partition_name || '_tenant', partition_name
    );
    execute format(
        'alter table public.cta_events attach partition public.%I for values from (%L) to (%L)',
        partition_name, month_start, month_end
    );
end
$$;
revoke all on function ensure_cta_month(timestamptz) from public;
grant execute on function ensure_cta_month(timestamptz) to wellspring_app;

-- Thirteen months back and the current one, so that in practice the function above is only called by the nightly schedule.
select ensure_cta_month(greatest(at, now() - interval '399 days'))
from generate_series(date_trunc('month', now()) - interval '13 months', now() + interval '1 day', interval '1 month') as months (at);
