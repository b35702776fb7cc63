-- Jobs at work: imports, exports and changes of many leads at once.
--
-- The row of `jobs` is the queue and the progress at once. A worker takes it by lease and epoch, as it takes every other row, does a portion in one
-- transaction together with the counts and the place that it has come to, and goes on. So a portion is done once, whoever is killed when.

-- Who belongs to a bulk change: those whom the filter found when the job began. What the change does to the filter's answer cannot move the ground
-- under it. No reference to the lead: a list of what was chosen, and one who is gone meanwhile is skipped.
create table job_leads (
    tenant_id uuid not null,
    job_id uuid not null,
    seq integer not null,
    lead_id uuid not null,
    constraint job_leads_pkey primary key (tenant_id, job_id, seq),
    constraint job_leads_job_id_fkey foreign key (tenant_id, job_id) references jobs (tenant_id, id) on delete cascade
);
call protect_tenant_table('job_leads');

-- What a rehearsed import would have made so far, so that a person who comes twice in the file is counted as in the real one. `key` is an
-- identity (`email:…`) or the lead itself (`lead:…`), which alone has a state. Gone when the job ends.
create table job_drafts (
    tenant_id uuid not null,
    job_id uuid not null,
    key text not null,
    lead_id uuid not null,
    state jsonb,
    constraint job_drafts_pkey primary key (tenant_id, job_id, key),
    constraint job_drafts_job_id_fkey foreign key (tenant_id, job_id) references jobs (tenant_id, id) on delete cascade
);
call protect_tenant_table('job_drafts');

-- Jobs that are due, found like other work. The columns are those that say when and whose, and no more.
call open_columns('jobs', 'wellspring_sweeper', 'tenant_id, id, status, next_attempt_at, lease_until');

-- As before, and jobs too.
call take_function('sweep_due(interval, integer, integer)', 'wellspring_sweeper');
create or replace function sweep_due(p_horizon interval, p_per_tenant integer, p_limit integer)
    returns table (queue text, kind text, tenant_id uuid, id uuid, due_in_seconds integer)
    language plpgsql stable security definer
    set search_path = pg_catalog, public, pg_temp
as $$
declare
    until timestamptz := now() + p_horizon;
begin
    return query
    with recursive
    receipt_tenants as (
        (select r.tenant_id, r.next_attempt_at as due from webhook_receipts r
         where r.status = 'received' order by r.tenant_id, r.next_attempt_at limit 1)
        union all
        select n.* from receipt_tenants p cross join lateral (
            select r.tenant_id, r.next_attempt_at from webhook_receipts r
            where r.status = 'received' and r.tenant_id > p.tenant_id
            order by r.tenant_id, r.next_attempt_at limit 1) n
    ),
    run_tenants as (
        (select r.tenant_id, r.wake_at as due from automation_runs r
         where r.status in ('queued', 'waiting') order by r.tenant_id, r.wake_at limit 1)
        union all
        select n.* from run_tenants p cross join lateral (
            select r.tenant_id, r.wake_at from automation_runs r
            where r.status in ('queued', 'waiting') and r.tenant_id > p.tenant_id
            order by r.tenant_id, r.wake_at limit 1) n
    ),
    effect_tenants as (
        (select e.tenant_id, e.next_attempt_at as due from effects e
         where e.state = 'planned' order by e.tenant_id, e.next_attempt_at limit 1)
        union all
        select n.* from effect_tenants p cross join lateral (
            select e.tenant_id, e.next_attempt_at from effects e
            where e.state = 'planned' and e.tenant_id > p.tenant_id
            order by e.tenant_id, e.next_attempt_at limit 1) n
    ),
    delivery_tenants as (
        (select d.tenant_id, d.next_attempt_at as due from webhook_deliveries d
         where d.state = 'pending' order by d.tenant_id, d.next_attempt_at limit 1)
        union all
        select n.* from delivery_tenants p cross join lateral (
            select d.tenant_id, d.next_attempt_at from webhook_deliveries d
            where d.state = 'pending' and d.tenant_id > p.tenant_id
            order by d.tenant_id, d.next_attempt_at limit 1) n
    ),
    job_tenants as (
        (select j.tenant_id, j.next_attempt_at as due from jobs j
         where j.status in ('queued', 'running') order by j.tenant_id, j.next_attempt_at limit 1)
        union all
        select n.* from job_tenants p cross join lateral (
            select j.tenant_id, j.next_attempt_at from jobs j
            where j.status in ('queued', 'running') and j.tenant_id > p.tenant_id
            order by j.tenant_id, j.next_attempt_at limit 1) n
    ),
    due_rows as (
        select 'receipts' as queue, 'receipt' as kind, x.tenant_id, x.id, x.due
        from receipt_tenants t cross join lateral (
            select r.tenant_id, r.id, r.next_attempt_at as due from webhook_receipts r
            where r.tenant_id = t.tenant_id and r.status = 'received' and r.next_attempt_at <= until
              and (r.lease_until is null or r.lease_until < now())
            order by r.next_attempt_at limit p_per_tenant) x
        where t.due <= until
        union all
        select 'runs', 'run', x.tenant_id, x.id, x.due
        from run_tenants t cross join lateral (
            select r.tenant_id, r.id, r.wake_at as due from automation_runs r
            where r.tenant_id = t.tenant_id and r.status in ('queued', 'waiting') and r.wake_at <= until
            order by r.wake_at limit p_per_tenant) x
        where t.due <= until
        union all
        (select 'runs', 'run', r.tenant_id, r.id, r.lease_until from automation_runs r
         where r.status = 'running' and r.lease_until < now() order by r.lease_until limit p_limit)
        union all
        select 'messages', 'effect', x.tenant_id, x.id, x.due
        from effect_tenants t cross join lateral (
            select e.tenant_id, e.id, e.next_attempt_at as due from effects e
            where e.tenant_id = t.tenant_id and e.state = 'planned' and e.next_attempt_at <= until
            order by e.next_attempt_at limit p_per_tenant) x
        where t.due <= until
        union all
        (select 'messages', 'effect', e.tenant_id, e.id, e.lease_until from effects e
         where e.state = 'dispatching' and e.lease_until < now() order by e.lease_until limit p_limit)
        union all
        (select 'messages', 'effect', e.tenant_id, e.id, e.settle_after from effects e
         where e.state = 'unknown' and e.settle_after <= until order by e.settle_after limit p_limit)
        union all
        select 'deliveries', 'delivery', x.tenant_id, x.id, x.due
        from delivery_tenants t cross join lateral (
            select d.tenant_id, d.id, d.next_attempt_at as due from webhook_deliveries d
            where d.tenant_id = t.tenant_id and d.state = 'pending' and d.next_attempt_at <= until
            order by d.next_attempt_at limit p_per_tenant) x
        where t.due <= until
        union all
        (select 'deliveries', 'delivery', d.tenant_id, d.id, d.lease_until from webhook_deliveries d
         where d.state = 'delivering' and d.lease_until < now() order by d.lease_until limit p_limit)
        union all
        select 'jobs', 'job', x.tenant_id, x.id, x.due
        from job_tenants t cross join lateral (
            select j.tenant_id, j.id, j.next_attempt_at as due from jobs j
            where j.tenant_id = t.tenant_id and j.status in ('queued', 'running') and j.next_attempt_at <= until
              and (j.lease_until is null or j.lease_until < now())
            order by j.next_attempt_at limit p_per_tenant) x
        where t.due <= until
    ),
    ranked as (
        select w.*, row_number() over (partition by w.queue, w.tenant_id order by w.due, w.id) as place
        from due_rows w join tenants t on t.id = w.tenant_id and t.status in ('trial', 'active')
    )
    select r.queue, r.kind, r.tenant_id, r.id, greatest(0, ceil(extract(epoch from r.due - now())))::integer
    from ranked r
    where r.place <= p_per_tenant
    order by r.place, r.due
    limit p_limit;
end
$$;
call give_function('sweep_due(interval, integer, integer)', 'wellspring_sweeper');
