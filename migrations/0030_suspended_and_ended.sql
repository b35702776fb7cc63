-- What goes on while a tenant is suspended, and the end of a large one.
--
-- Suspended: what a tenant owes waits, but mails about accounts leave and exports are written, since signing in, reading and exporting work.
--
-- The end: a tenant with a few thousand rows ends within the request that asks for it (`erase_tenant`). Millions fit into no request, and into no
-- transaction that anybody should wait for. Such a tenant is set to `deleting`: from then on no session, key, public door, receiver, worker
-- or schedule finds it. A worker removes its rows, a portion per transaction, those that refer before those that are referred to, and at
-- last the tenant itself. One that is killed leaves nothing half-done: its successor begins where rows are left.

alter table tenants
    add column lease_until timestamptz,            -- deleting: until then a worker is at it
    add column erased jsonb not null default '{}'; -- deleting: how many rows are gone, by table
create index tenants_halted_idx on tenants (id) where status in ('suspended', 'deleting');

-- Rows of the open tenant by table, as before; the small tables first. A time limit on the statement ends the counting, not the statement: tables
-- that were not counted by then come without a number.
create or replace function count_tenant_rows(p_tenant uuid) returns table (table_name text, row_count bigint)
    language plpgsql stable
    set search_path = pg_catalog, public, pg_temp
as $$
declare
    found record;
    late boolean := false;
begin
    for found in
        select c.relname::text as name, case when c.relname = 'tenants' then 'id' else 'tenant_id' end as tenant_column
        from pg_class c cross join lateral (
            select sum(p.reltuples) as estimate from pg_class p
            where p.oid = c.oid or p.oid in (select i.inhrelid from pg_inherits i where i.inhparent = c.oid)) size
        where c.relnamespace = 'public'::regnamespace and c.relkind in ('r', 'p') and not c.relispartition and c.relrowsecurity
        order by size.estimate, c.relname
    loop
        table_name := found.name;
        row_count := null;
        if not late then
            begin
                execute format('select count(*) from %I where %I = $1', found.name, found.tenant_column) into row_count using p_tenant;
            exception when query_canceled then
                late := true;
            end;
        end if;
        return next;
    end loop;
end
$$;

-- Tables with rows of tenants, in an order in which they can be emptied: no table before those that refer to it. Partitions come one by one, under
-- the name of their table. Where references go round in a circle, one that removes what refers to it may go first.
create function erasure_order() returns table (place integer, table_name text, relation text)
    language plpgsql stable
    set search_path = pg_catalog, public, pg_temp
as $$
declare
    remaining oid[];
    ready oid[];
    ignored text;
begin
    place := 0;
    select array_agg(c.oid) into remaining from pg_class c
    where c.relnamespace = 'public'::regnamespace and c.relkind = 'r' and c.relrowsecurity and c.relname <> 'tenants';
    while remaining <> '{}' loop
        foreach ignored in array array['', 'c', 'cnd'] loop
            ready := array(
                select r.oid from unnest(remaining) as r (oid)
                where not exists (
                    select from pg_constraint k
                    where k.contype = 'f' and k.confrelid = r.oid and k.conrelid = any (remaining) and k.conrelid <> r.oid
                      and strpos(ignored, k.confdeltype::text) = 0)
                order by r.oid::regclass::text);
            exit when ready <> '{}';
        end loop;
        if ready = '{}' then
            raise exception 'tables hold each other by restricting references: %', remaining::regclass[];
        end if;
        foreach relation in array ready::regclass[]::text[] loop
            place := place + 1;
            table_name := coalesce(
                (select i.inhparent::regclass::text from pg_inherits i where i.inhrelid = relation::regclass), relation);
            return next;
        end loop;
        remaining := array(select r.oid from unnest(remaining) as r (oid) where r.oid <> all (ready));
    end loop;
end
$$;
grant execute on function erasure_order() to wellspring_app;

-- Removes up to so many rows of the open tenant from one table, along its primary key behind `p_after`, and tells how many and how far it came
-- (null: to the end). Rows that others of the same table hold by a restricting reference stay for the next round. It runs as the owner of
-- the tables, who may delete from append-only ones, and only while the tenant is being deleted.
create function erase_rows(p_tenant uuid, p_relation text, p_after text[], p_rows integer, out removed bigint, out reached text[])
    language plpgsql security definer
    set search_path = pg_catalog, public, pg_temp
as $$
declare
    target regclass := to_regclass(p_relation);
    keys text;
    texts text;
    after text;
    held text;
begin
    if p_tenant is distinct from nullif(current_setting('app.tenant_id', true), '')::uuid
        or not exists (select from tenants t where t.id = p_tenant and t.status = 'deleting') then
        raise exception 'only rows of the open tenant, which is being deleted' using errcode = 'insufficient_privilege';
    end if;
    if not exists (
        select from pg_class c where c.oid = target and c.relnamespace = 'public'::regnamespace
            and c.relkind = 'r' and c.relrowsecurity and c.relname <> 'tenants') then
        raise exception 'no table of tenants: %', p_relation using errcode = 'insufficient_privilege';
    end if;
    select string_agg(format('t.%I', a.attname), ', ' order by k.n),
           string_agg(format('t.%I::text', a.attname), ', ' order by k.n),
           format('(%s) > (%s)', string_agg(format('t.%I', a.attname), ', ' order by k.n),
                  string_agg(format('$3[%s]::%s', k.n - 1, format_type(a.atttypid, a.atttypmod)), ', ' order by k.n))
    into keys, texts, after
    from pg_index i cross join lateral unnest(i.indkey::smallint[]) with ordinality as k (attnum, n)
    join pg_attribute a on a.attrelid = i.indrelid and a.attnum = k.attnum
    where i.indrelid = target and i.indisprimary and k.n > 1;
    select string_agg(format(' and not exists (select from %s held where %s)', target, (
        select string_agg(format('held.%I = t.%I', own.attname, other.attname), ' and ')
        from unnest(k.conkey, k.confkey) as pair (own_number, other_number)
        join pg_attribute own on own.attrelid = target and own.attnum = pair.own_number
        join pg_attribute other on other.attrelid = target and other.attnum = pair.other_number)), '')
    into held
    from pg_constraint k
    where k.contype = 'f' and k.conrelid = target and k.confrelid = target and k.confdeltype in ('r', 'a');
    execute format(
        'with chosen as materialized (
             select c.place, c.key, row_number() over () as n from (
                 select t.ctid as place, array[%s]::text[] as key from %s t where t.tenant_id = $1%s%s%s limit $2) c
         ), gone as (
             delete from %s t where t.tenant_id = $1 and t.ctid = any (array(select place from chosen)) returning 1
         )
         select (select count(*) from gone), (select key from chosen order by n desc limit 1)',
        texts, target, coalesce(held, ''), case when p_after <> '{}' then ' and ' || after end, ' order by ' || keys, target)
    into removed, reached using p_tenant, p_rows, p_after;
end
$$;
revoke all on function erase_rows(uuid, text, text[], integer) from public;
grant execute on function erase_rows(uuid, text, text[], integer) to wellspring_app;

-- Opens a tenant that is being deleted, for the worker that removes it. Nothing else finds it any more.
create function open_ended_tenant(p_tenant uuid)
    returns table (tenant_status text, timezone text, country text, currency text)
    language plpgsql security definer
    set search_path = pg_catalog, public, pg_temp
as $$
begin
    select t.status, t.timezone, t.country::text, t.currency::text
    into tenant_status, timezone, country, currency
    from tenants t
    where t.id = p_tenant and t.status = 'deleting';
    if not found then
        return;
    end if;
    perform set_config('app.tenant_id', p_tenant::text, true);
    return next;
end
$$;
call give_function('open_ended_tenant(uuid)', 'wellspring_lookup');

-- As before, but a registration that is repeated when its tenant is being deleted founds another one.
call take_function('tenant_of_visitor(text, text, text)', 'wellspring_lookup');
create or replace function tenant_of_visitor(p_caller text, p_route text, p_key text) returns uuid
    language plpgsql stable security definer
    set search_path = pg_catalog, public, pg_temp
as $$
begin
    return (
        select k.tenant_id from idempotency_keys k join tenants t on t.id = k.tenant_id and t.status <> 'deleting'
        where k.caller = p_caller and k.key = p_key and k.route = p_route and k.caller like 'visitor:%'
          and k.created_at > now() - interval '24 hours'
        order by k.created_at desc limit 1
    );
end
$$;
call give_function('tenant_of_visitor(text, text, text)', 'wellspring_lookup');

-- Tenants that are being deleted and that no worker is at.
grant select (lease_until) on tenants to wellspring_sweeper;
create function sweep_ended(p_limit integer) returns setof uuid
    language plpgsql stable security definer
    set search_path = pg_catalog, public, pg_temp
as $$
begin
    return query
    select t.id from tenants t
    where t.status = 'deleting' and (t.lease_until is null or t.lease_until < now())
    order by t.id limit p_limit;
end
$$;
call give_function('sweep_ended(integer)', 'wellspring_sweeper');

-- Due rows of suspended tenants that nobody holds: mails of the product, and jobs. Which jobs may go on their worker decides. There are few of both,
-- also behind a large backlog of messages.
create index effects_mails_idx on effects (tenant_id) where kind = 'mail' and state in ('planned', 'dispatching');
grant select (kind) on effects to wellspring_sweeper;
create function sweep_suspended(p_limit integer) returns table (kind text, tenant_id uuid, id uuid)
    language plpgsql stable security definer
    set search_path = pg_catalog, public, pg_temp
as $$
begin
    return query
    select due.kind, t.id, due.id
    from tenants t cross join lateral (
        (select 'effect' as kind, e.id from effects e
         where e.tenant_id = t.id and e.kind = 'mail'
           and (e.state = 'planned' and e.next_attempt_at <= now() or e.state = 'dispatching' and e.lease_until < now())
         limit 50)
        union all
        (select 'job', j.id from jobs j
         where j.tenant_id = t.id and j.status in ('queued', 'running') and j.next_attempt_at <= now()
           and (j.lease_until is null or j.lease_until < now())
         order by j.next_attempt_at limit 50)
    ) due
    where t.status = 'suspended'
    limit p_limit;
end
$$;
call give_function('sweep_suspended(integer)', 'wellspring_sweeper');
