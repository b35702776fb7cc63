-- Wellness: measurements of people, what they add up to, and what was aimed at.
--
-- A measurement is stored once per (lead, type, source, grain, start), in the type's canonical unit beside what was sent. The local day is fixed
-- when it is written, from the offset the device reported, because a day is where the person was and not where the server is. Several sources
-- may report the same day; each keeps its own rollup, and readers choose a source instead of adding them up.

-- Types a tenant added, or its changes to the built-in ones, which live in code.
create table metric_types (
    tenant_id uuid not null,
    key text not null,
    title text not null,
    unit text not null,                          -- canonical (UCUM)
    accepted_units jsonb not null default '{}',  -- unit → factor and offset to the canonical one
    aggregation text not null,
    min_value double precision,                  -- plausible range, in the canonical unit
    max_value double precision,
    loinc text,
    archived_at timestamptz,
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    constraint metric_types_pkey primary key (tenant_id, key),
    constraint metric_types_tenant_id_fkey foreign key (tenant_id) references tenants (id) on delete cascade,
    constraint metric_types_key_check check (key ~ '^[a-z][a-zA-Z0-9]{0,59}$'),
    constraint metric_types_aggregation_check check (aggregation in ('sum', 'avg', 'min', 'max', 'last'))
);
call protect_tenant_table('metric_types');

-- One measurement.
create table metrics (
    tenant_id uuid not null,
    id uuid not null,
    lead_id uuid not null,
    type text not null,                          -- a built-in key or one of metric_types
    value double precision not null,             -- in the canonical unit
    unit text not null,
    original_value double precision not null,
    original_unit text not null,
    start_at timestamptz not null,
    end_at timestamptz,                          -- null: a moment
    offset_minutes smallint not null default 0,  -- the device's distance from UTC
    local_date date not null,                    -- the day of start_at at that offset
    grain text not null default 'instant',       -- what one row covers; a day's total and its samples are never added up
    source text not null,                        -- watch, phone, scale, coach, import …
    external_id text,
    note text,
    data jsonb not null default '{}',            -- sessions: phases, kind of sport …
    recorded_by uuid,
    version bigint not null default 1,
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    constraint metrics_pkey primary key (tenant_id, id),
    constraint metrics_tenant_id_fkey foreign key (tenant_id) references tenants (id) on delete cascade,
    constraint metrics_lead_id_fkey foreign key (tenant_id, lead_id) references leads (tenant_id, id) on delete cascade,
    constraint metrics_tenant_id_lead_id_type_source_grain_start_at_key unique (tenant_id, lead_id, type, source, grain, start_at),
    constraint metrics_grain_check check (grain in ('instant', 'interval', 'day', 'session')),
    constraint metrics_offset_minutes_check check (offset_minutes between -960 and 960),
    constraint metrics_end_at_check check (end_at >= start_at)
);
create index metrics_tenant_id_lead_id_type_start_at_idx on metrics (tenant_id, lead_id, type, start_at, id);
create index metrics_tenant_id_lead_id_type_local_date_idx on metrics (tenant_id, lead_id, type, local_date);
create index metrics_tenant_id_created_at_idx on metrics (tenant_id, created_at, id);
call protect_tenant_table('metrics', p_versioned => true);

-- What one source said about one day; rewritten whenever a measurement of that day comes, changes or goes.
create table metric_days (
    tenant_id uuid not null,
    lead_id uuid not null,
    type text not null,
    local_date date not null,
    source text not null,
    grain text not null,
    count integer not null,
    sum double precision not null,
    min double precision not null,
    max double precision not null,
    last double precision not null,
    last_at timestamptz not null,
    updated_at timestamptz not null default now(),
    constraint metric_days_pkey primary key (tenant_id, lead_id, type, local_date, source, grain),
    constraint metric_days_lead_id_fkey foreign key (tenant_id, lead_id) references leads (tenant_id, id) on delete cascade,
    constraint metric_days_count_check check (count > 0)
);
call protect_tenant_table('metric_days');

-- What a person aims at, per day, week or month.
create table metric_goals (
    tenant_id uuid not null,
    id uuid not null,
    lead_id uuid not null,
    type text not null,
    target double precision not null,            -- in the canonical unit
    direction text not null default 'atLeast',
    period text not null default 'day',
    aggregation text not null,
    title text,
    starts_on date not null,
    ends_on date,
    status text not null default 'active',
    progress double precision,                   -- of the current period
    streak integer not null default 0,           -- periods in a row
    best_streak integer not null default 0,
    evaluated_through date,                      -- the last finished period that was judged; late data moves it back
    reached_at timestamptz,
    version bigint not null default 1,
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    constraint metric_goals_pkey primary key (tenant_id, id),
    constraint metric_goals_tenant_id_fkey foreign key (tenant_id) references tenants (id) on delete cascade,
    constraint metric_goals_lead_id_fkey foreign key (tenant_id, lead_id) references leads (tenant_id, id) on delete cascade,
    constraint metric_goals_direction_check check (direction in ('atLeast', 'atMost')),
    constraint metric_goals_period_check check (period in ('day', 'week', 'month')),
    constraint metric_goals_aggregation_check check (aggregation in ('sum', 'avg', 'min', 'max', 'last', 'count')),
    constraint metric_goals_status_check check (status in ('active', 'reached', 'missed', 'archived')),
    constraint metric_goals_ends_on_check check (ends_on >= starts_on)
);
create index metric_goals_tenant_id_lead_id_type_idx on metric_goals (tenant_id, lead_id, type);
create index metric_goals_tenant_id_created_at_idx on metric_goals (tenant_id, created_at, id);
create index metric_goals_tenant_id_active_idx on metric_goals (tenant_id, evaluated_through) where status = 'active';
call protect_tenant_table('metric_goals', p_versioned => true);

-- Which source is believed first, per type, for everyone (lead_id null) or for one person.
create table metric_sources (
    tenant_id uuid not null,
    id uuid not null,
    type text not null,
    lead_id uuid,
    priority text[] not null,
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    constraint metric_sources_pkey primary key (tenant_id, id),
    constraint metric_sources_tenant_id_fkey foreign key (tenant_id) references tenants (id) on delete cascade,
    constraint metric_sources_lead_id_fkey foreign key (tenant_id, lead_id) references leads (tenant_id, id) on delete cascade,
    constraint metric_sources_tenant_id_type_lead_id_key unique nulls not distinct (tenant_id, type, lead_id)
);
create index metric_sources_tenant_id_lead_id_idx on metric_sources (tenant_id, lead_id) where lead_id is not null;
call protect_tenant_table('metric_sources');
