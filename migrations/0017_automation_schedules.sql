-- When automations with a `schedule` trigger tick next. Apart from `automations`, so that a tick is no change of the definition.
create table automation_schedules (
    tenant_id uuid not null,
    automation_id uuid not null,
    tick_at timestamptz not null,                -- the slot that is due then; slots that nobody was there for are skipped
    cursor_lead_id uuid,                         -- the last person that this slot has looked at; no reference, it only marks a place
    created_at timestamptz not null default now(),
    constraint automation_schedules_pkey primary key (tenant_id, automation_id),
    constraint automation_schedules_automation_id_fkey foreign key (tenant_id, automation_id)
        references automations (tenant_id, id) on delete cascade
);
-- Few rows, in order of their time.
create index automation_schedules_tick_at_idx on automation_schedules (tick_at);
call protect_tenant_table('automation_schedules');

call open_columns('automation_schedules', 'wellspring_sweeper', 'tenant_id, automation_id, tick_at');

-- Ticks that are due within the horizon, the earliest first.
create function sweep_schedules(p_horizon interval, p_limit integer)
    returns table (tenant_id uuid, automation_id uuid, due_in_seconds integer)
    language plpgsql stable security definer
    set search_path = pg_catalog, public, pg_temp
as $$
begin
    return query
    select s.tenant_id, s.automation_id, greatest(0, ceil(extract(epoch from s.tick_at - now())))::integer
    from automation_schedules s
    where s.tick_at <= now() + p_horizon
    order by s.tick_at
    limit p_limit;
end
$$;
call give_function('sweep_schedules(interval, integer)', 'wellspring_sweeper');
