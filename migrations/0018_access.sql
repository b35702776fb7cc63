-- Searching without reading addresses, and the status of a business with its reason.

-- Whoever sees only hints of e-mail addresses and telephone numbers must not find people by them either: a search that answers yes or no, letter
-- by letter, tells the whole address. So the searches take which fields they look through: `all`, or `names`. The index stays the same: what it
-- finds by all fields is then compared with the names alone, so that a search of names finds no more and costs no more.
grant select (first_name, last_name) on leads to wellspring_lookup;

call take_function('search_leads(text, integer)', 'wellspring_lookup');
drop function search_leads(text, integer);

-- As before (0011), with `p_fields`.
create function search_leads(p_query text, p_limit integer, p_fields text default 'all') returns setof uuid
    language plpgsql stable security definer
    set search_path = pg_catalog, public, pg_temp
    set enable_sort = on                         -- switched off below for step 3; being named here restores it at the end
as $$
declare
    tenant uuid := nullif(current_setting('app.tenant_id', true), '')::uuid;
    patterns text[] := search_patterns(p_query);
    wanted integer := greatest(0, least(coalesce(p_limit, 1000), 10000));
    names constant text := '('' '' || lower(coalesce(first_name, '''')) || '' '' || lower(coalesce(last_name, '''')))';
    condition text;
    found_ids uuid[];
    matches integer;
begin
    if tenant is null or patterns is null or wanted = 0 then
        return;
    end if;
    select string_agg(format('search_text like %L', pattern), ' and ') into condition from unnest(patterns) as pattern;
    if p_fields is distinct from 'all' then
        select condition || ' and ' || string_agg(format('%s like %L', names, pattern), ' and ') into condition
        from unnest(patterns) as pattern;
    end if;

    execute format(
        'select array_agg(id order by created_at desc, id desc) from (
             select id, created_at from (
                 select id, created_at, search_text, first_name, last_name from leads where tenant_id = %L::uuid
                 order by created_at desc, id desc limit 2000) newest
             where %s order by created_at desc, id desc limit %s) found', tenant, condition, wanted
    ) into found_ids;
    if cardinality(found_ids) = wanted then
        return query select unnest(found_ids);
        return;
    end if;

    execute format(
        'with hits as materialized (
             select id, created_at from leads where tenant_id = %L::uuid and %s limit 10001)
         select (select count(*) from hits),
                array(select id from hits order by created_at desc, id desc limit %s)', tenant, condition, wanted
    ) into matches, found_ids;
    if matches <= 10000 then
        return query select unnest(found_ids);
        return;
    end if;

    -- Believing the fragments rare, the planner would collect all matches and sort them. Without sorting only the walk is left.
    perform set_config('enable_sort', 'off', true);
    return query execute format(
        'select id from leads where tenant_id = %L::uuid and %s order by created_at desc, id desc limit %s', tenant, condition, wanted
    );
end
$$;
call give_function('search_leads(text, integer, text)', 'wellspring_lookup');

call take_function('search_conversations(text, integer)', 'wellspring_lookup');
drop function search_conversations(text, integer);

-- As before (0011), with `p_fields` of the people; the subject is nobody's secret.
create function search_conversations(p_query text, p_limit integer, p_fields text default 'all') returns setof uuid
    language plpgsql stable security definer
    set search_path = pg_catalog, public, pg_temp
as $$
declare
    tenant uuid := nullif(current_setting('app.tenant_id', true), '')::uuid;
    patterns text[] := search_patterns(p_query);
    condition text;
begin
    if tenant is null or patterns is null then
        return;
    end if;
    select string_agg(format('(%L || lower(subject)) like %L', ' ', pattern), ' and ') into condition from unnest(patterns) as pattern;
    return query execute format(
        'select id from (
             select id, last_message_at from conversations where tenant_id = %1$L::uuid and %2$s
             union
             select c.id, c.last_message_at from search_leads(%3$L, 10000, %5$L) as found (lead_id)
             join conversations c on c.tenant_id = %1$L::uuid and c.lead_id = found.lead_id
         ) found order by last_message_at desc nulls last, id desc limit %4$s',
        tenant, condition, p_query, greatest(0, least(coalesce(p_limit, 1000), 10000)), p_fields
    );
end
$$;
call give_function('search_conversations(text, integer, text)', 'wellspring_lookup');

-- The tenant that an operator names by its id or its slug. The owner of the schema is bound by the wall like everybody and could not look for it;
-- only the owner may ask. What it then does to the tenant happens behind the wall, with the tenant opened.
create function tenant_named(p_name text) returns uuid
    language plpgsql stable security definer
    set search_path = pg_catalog, public, pg_temp
as $$
declare
    named uuid;
begin
    if p_name ~* '^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$' then
        select t.id into named from tenants t where t.id = p_name::uuid;
    end if;
    if named is null then
        select t.id into named from tenants t where t.slug = p_name;
    end if;
    return named;
end
$$;
call give_function('tenant_named(text)', 'wellspring_lookup', '');

-- Giving a function away gives the former owner's rights away with it, so that the new owner grants it back.
do $$
declare
    migrating name := current_user;
begin
    execute format('grant wellspring_lookup to %I', migrating);
    execute 'set local role wellspring_lookup';
    execute format('grant execute on function tenant_named(text) to %I', migrating);
    execute format('set local role %I', migrating);
    execute format('revoke wellspring_lookup from %I', migrating);
end
$$;

-- The business that a visitor has founded with an Idempotency-Key within a day: a registration whose answer was lost is answered again and
-- founds no second one. `p_caller` is `visitor:` and a keyed hash of the owner's address; callers of other kinds belong to a business and look there.
call open_columns('idempotency_keys', 'wellspring_lookup', 'tenant_id, caller, route, key, created_at');
create index idempotency_keys_visitor_idx on idempotency_keys (caller, key) where caller like 'visitor:%';
create function tenant_of_visitor(p_caller text, p_route text, p_key text) returns uuid
    language plpgsql stable security definer
    set search_path = pg_catalog, public, pg_temp
as $$
begin
    return (
        select k.tenant_id from idempotency_keys k
        where k.caller = p_caller and k.key = p_key and k.route = p_route and k.caller like 'visitor:%'
          and k.created_at > now() - interval '24 hours'
        order by k.created_at desc limit 1
    );
end
$$;
call give_function('tenant_of_visitor(text, text, text)', 'wellspring_lookup');
