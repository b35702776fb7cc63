-- Scores: points for what is known about a lead, with the reasons beside them.
--
-- A business says in rules what is worth how much; until it does, the product's own rules hold. The score follows the facts at a distance of a
-- minute: the sweep looks at leads that something was told about, and once a day at everybody, because points for "within
-- 30 days" end by the passing of time alone. What it writes is derived, so it is no change of the lead: no version, no event.

alter table leads add column score_given integer not null default 0; -- points that an automation or a colleague gave, besides those of rules
alter table leads add column scored_at timestamptz;                  -- only the scorer writes it

-- As before, except when it is the scorer who writes.
-- contract: replaced by the next statement; nothing reads a trigger
drop trigger leads_touch on leads;
create trigger leads_touch before update on leads for each row
    when (new.scored_at is not distinct from old.scored_at) execute function touch_versioned_row();

-- A lead without points has none, so that lists can be sorted by them. Written as the scorer writes, so that it is no change of the lead.
-- The policies bind the owner too, hence the moment without them.
alter table leads no force row level security;
update leads set score = 0, scored_at = now() where score is null;
alter table leads force row level security;
alter table leads alter column score set default 0, alter column score set not null;
create index leads_tenant_id_score_idx on leads (tenant_id, score, id);

-- The rules, as one document.
create table scoring (
    tenant_id uuid not null,
    rules jsonb not null,                        -- [{id, reason, condition, points, decay}]
    version bigint not null default 1,
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    constraint scoring_pkey primary key (tenant_id),
    constraint scoring_tenant_id_fkey foreign key (tenant_id) references tenants (id) on delete cascade
);
call protect_tenant_table('scoring', p_versioned => true);

-- How far the scorer has come.
create table scoring_progress (
    tenant_id uuid not null,
    told_through timestamptz not null,           -- what changed or was told before is scored,
    told_lead uuid,                              -- and of that very moment the leads up to this one; no reference, it only marks a place
    pass_due_at timestamptz not null,            -- when everybody is looked at again
    pass_cursor uuid,                            -- the last lead of a pass that is under way; no reference, it only marks a place
    constraint scoring_progress_pkey primary key (tenant_id),
    constraint scoring_progress_tenant_id_fkey foreign key (tenant_id) references tenants (id) on delete cascade
);
call protect_tenant_table('scoring_progress');
call open_columns('scoring_progress', 'wellspring_sweeper', 'tenant_id, told_through, pass_due_at');
call open_columns('events', 'wellspring_sweeper', 'tenant_id, recorded_at');
call open_columns('leads', 'wellspring_sweeper', 'tenant_id, updated_at');

-- Businesses whose scores are behind, the furthest first: ids and nothing else. Asked for one sort at a time, so that those whose daily
-- turn it is never stand before those with whom something happened.
create function sweep_scores(p_everybody boolean, p_limit integer) returns table (tenant_id uuid)
    language plpgsql stable security definer
    set search_path = pg_catalog, public, pg_temp
as $$
begin
    if p_everybody then
        return query
            select t.id from tenants t left join scoring_progress p on p.tenant_id = t.id
            where t.status in ('trial', 'active') and (p.pass_due_at is null or p.pass_due_at <= now())
            order by p.pass_due_at nulls first limit p_limit;
    else
        return query
            select t.id from tenants t join scoring_progress p on p.tenant_id = t.id
            where t.status in ('trial', 'active')
              and (exists (select from leads l where l.tenant_id = t.id and l.updated_at >= p.told_through)
                   or exists (select from events e where e.tenant_id = t.id and e.recorded_at >= p.told_through))
            order by p.told_through limit p_limit;
    end if;
end
$$;
call give_function('sweep_scores(boolean, integer)', 'wellspring_sweeper');
