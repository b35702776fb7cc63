-- System functions: the only doors between tenants.
--
-- The runtime sees one tenant at a time, and first it must learn which. Each function here takes something that proves a tenant (a session, a
-- key, a token) and opens that tenant for the rest of the transaction, or lists ids for the schedules. They are SECURITY DEFINER: they
-- run as wellspring_lookup or wellspring_sweeper, which nobody can log in as and which read only the columns granted below. The search path is
-- fixed, EXECUTE is granted to the runtime alone, and a test holds the list of such functions.
-- They are plpgsql so that their inner plans are kept by the connection. None raises for an unknown secret: no row is the answer.

call open_columns('tenants', 'wellspring_lookup', 'id, slug, name, status, timezone, country, currency');
call open_columns('users', 'wellspring_lookup', 'tenant_id, id, email, role, record_scope, status, session_version, password_hash');
call open_columns('sessions', 'wellspring_lookup',
    'tenant_id, id, user_id, refresh_hash, previous_hash, rotated_at, session_version, authenticated_at, expires_at, revoked_at');
call open_columns('spent_refresh_tokens', 'wellspring_lookup', 'tenant_id, session_id, hash');
call open_columns('one_time_tokens', 'wellspring_lookup',
    'tenant_id, id, kind, hash, user_id, lead_id, subject_id, payload, used_at, expires_at');
call open_columns('api_keys', 'wellspring_lookup', 'tenant_id, id, kind, hash, scopes, last_used_at, expires_at, revoked_at');
grant update (last_used_at) on api_keys to wellspring_lookup; -- through the tenant policy, once the tenant is open
call open_columns('webhook_sources', 'wellspring_lookup',
    'tenant_id, id, provider, token_hash, secret_sealed, previous_secret_sealed, previous_expires_at, settings, status');
call open_columns('leads', 'wellspring_lookup', 'tenant_id, id, created_at, search_text');
call open_columns('conversations', 'wellspring_lookup', 'tenant_id, id, lead_id, subject, last_message_at');

call open_columns('tenants', 'wellspring_sweeper', 'id, status');
call open_columns('webhook_receipts', 'wellspring_sweeper', 'tenant_id, id, status, next_attempt_at, lease_until');
call open_columns('automation_runs', 'wellspring_sweeper', 'tenant_id, id, status, wake_at, lease_until');
call open_columns('effects', 'wellspring_sweeper', 'tenant_id, id, state, next_attempt_at, lease_until, settle_after');
call open_columns('webhook_deliveries', 'wellspring_sweeper', 'tenant_id, id, state, next_attempt_at, lease_until');

-- Opens the tenant of a session and checks the session in the same breath, so that a revoked one ends with the next request. No row when it was
-- revoked or has expired, when the password has changed since, when the person may no longer sign in, or when the tenant is being deleted.
create function open_session(p_tenant uuid, p_session uuid)
    returns table (
        user_id uuid, role text, record_scope text, tenant_status text,
        timezone text, country text, currency text, authenticated_at timestamptz
    )
    language plpgsql security definer
    set search_path = pg_catalog, public, pg_temp
as $$
begin
    select u.id, u.role, u.record_scope, t.status, t.timezone, t.country::text, t.currency::text, s.authenticated_at
    into user_id, role, record_scope, tenant_status, timezone, country, currency, authenticated_at
    from sessions s
    join users u on u.tenant_id = s.tenant_id and u.id = s.user_id
    join tenants t on t.id = s.tenant_id
    where s.tenant_id = p_tenant and s.id = p_session
      and s.revoked_at is null and s.expires_at > now() and s.session_version = u.session_version
      and u.status = 'active' and t.status <> 'deleting';
    if not found then
        return;
    end if;
    perform set_config('app.tenant_id', p_tenant::text, true), set_config('app.user_id', user_id::text, true);
    return next;
end
$$;
call give_function('open_session(uuid, uuid)', 'wellspring_lookup');

-- Opens the tenant of an API key, by the SHA-256 of the whole key. The time of last use is written at most once a minute, and never waited for.
create function open_api_key(p_hash bytea)
    returns table (
        tenant_id uuid, key_id uuid, kind text, scopes text[], tenant_status text,
        timezone text, country text, currency text
    )
    language plpgsql security definer
    set search_path = pg_catalog, public, pg_temp
as $$
declare
    last_used timestamptz;
begin
    select k.tenant_id, k.id, k.kind, k.scopes, t.status, t.timezone, t.country::text, t.currency::text, k.last_used_at
    into tenant_id, key_id, kind, scopes, tenant_status, timezone, country, currency, last_used
    from api_keys k
    join tenants t on t.id = k.tenant_id
    where k.hash = p_hash and k.revoked_at is null and (k.expires_at is null or k.expires_at > now()) and t.status <> 'deleting'
    limit 1;
    if not found then
        return;
    end if;
    perform set_config('app.tenant_id', tenant_id::text, true);
    if last_used is null or last_used < now() - interval '1 minute' then
        update api_keys k set last_used_at = now()
        where k.tenant_id = open_api_key.tenant_id and k.id in (
            select held.id from api_keys held
            where held.tenant_id = open_api_key.tenant_id and held.id = key_id
              and (held.last_used_at is null or held.last_used_at < now() - interval '1 minute')
            for no key update skip locked
        );
    end if;
    return next;
end
$$;
call give_function('open_api_key(bytea)', 'wellspring_lookup');

-- Opens the tenant of an inbound webhook, by the token in its URL. The previous secret comes only while it is still accepted.
create function open_webhook_source(p_provider text, p_token_hash bytea)
    returns table (
        tenant_id uuid, source_id uuid, secret_sealed bytea, previous_secret_sealed bytea, settings jsonb,
        tenant_status text, timezone text, country text, currency text
    )
    language plpgsql security definer
    set search_path = pg_catalog, public, pg_temp
as $$
begin
    select w.tenant_id, w.id, w.secret_sealed,
           case when w.previous_expires_at > now() then w.previous_secret_sealed end,
           w.settings, t.status, t.timezone, t.country::text, t.currency::text
    into tenant_id, source_id, secret_sealed, previous_secret_sealed, settings, tenant_status, timezone, country, currency
    from webhook_sources w
    join tenants t on t.id = w.tenant_id
    where w.token_hash = p_token_hash and w.provider = p_provider and w.status = 'active' and t.status <> 'deleting'
    limit 1;
    if not found then
        return;
    end if;
    perform set_config('app.tenant_id', tenant_id::text, true);
    return next;
end
$$;
call give_function('open_webhook_source(text, bytea)', 'wellspring_lookup');

-- Opens a tenant for a worker or a schedule that was told its id. Proves nothing, hence never called for a request.
create function open_tenant(p_tenant uuid)
    returns table (tenant_status text, timezone text, country text, currency text)
    language plpgsql security definer
    set search_path = pg_catalog, public, pg_temp
as $$
begin
    select t.status, t.timezone, t.country::text, t.currency::text
    into tenant_status, timezone, country, currency
    from tenants t
    where t.id = p_tenant and t.status <> 'deleting';
    if not found then
        return;
    end if;
    perform set_config('app.tenant_id', p_tenant::text, true);
    return next;
end
$$;
call give_function('open_tenant(uuid)', 'wellspring_lookup');

-- Opens the tenant of a refresh token. `matched` says what the token is to its session: the live one (rotate it), its parent (answer with the
-- same successor while `seconds_since_rotation` is within the grace), or spent (someone has an old copy: revoke the family).
-- `live` is false when the session, the person or the tenant can no longer sign in. The row comes all the same, so that the caller
-- can tell reuse from nonsense.
create function open_refresh(p_hash bytea)
    returns table (
        tenant_id uuid, session_id uuid, user_id uuid, matched text, seconds_since_rotation double precision, live boolean,
        role text, tenant_status text, timezone text, country text, currency text
    )
    language plpgsql security definer
    set search_path = pg_catalog, public, pg_temp
as $$
begin
    select s.tenant_id, s.id, 'current' into tenant_id, session_id, matched
    from sessions s where s.refresh_hash = p_hash limit 1;
    if not found then
        select s.tenant_id, s.id, 'previous' into tenant_id, session_id, matched
        from sessions s where s.previous_hash = p_hash limit 1;
    end if;
    if not found then
        select p.tenant_id, p.session_id, 'spent' into tenant_id, session_id, matched
        from spent_refresh_tokens p where p.hash = p_hash limit 1;
    end if;
    if not found then
        return;
    end if;
    select s.user_id, extract(epoch from clock_timestamp() - s.rotated_at)::double precision,
           s.revoked_at is null and s.expires_at > now() and s.session_version = u.session_version
               and u.status = 'active' and t.status <> 'deleting',
           u.role, t.status, t.timezone, t.country::text, t.currency::text
    into user_id, seconds_since_rotation, live, role, tenant_status, timezone, country, currency
    from sessions s
    join users u on u.tenant_id = s.tenant_id and u.id = s.user_id
    join tenants t on t.id = s.tenant_id
    where s.tenant_id = open_refresh.tenant_id and s.id = session_id;
    if not found then
        return;
    end if;
    perform set_config('app.tenant_id', tenant_id::text, true), set_config('app.user_id', user_id::text, true);
    return next;
end
$$;
call give_function('open_refresh(bytea)', 'wellspring_lookup');

-- Opens the tenant of a one-time token. A used or expired one comes too, marked: the answer to it is 410, not 404.
create function open_one_time_token(p_kind text, p_hash bytea)
    returns table (
        tenant_id uuid, token_id uuid, user_id uuid, lead_id uuid, subject_id uuid, payload jsonb,
        used_at timestamptz, expired boolean, tenant_status text, timezone text, country text, currency text
    )
    language plpgsql security definer
    set search_path = pg_catalog, public, pg_temp
as $$
begin
    select o.tenant_id, o.id, o.user_id, o.lead_id, o.subject_id, o.payload, o.used_at, o.expires_at <= now(),
           t.status, t.timezone, t.country::text, t.currency::text
    into tenant_id, token_id, user_id, lead_id, subject_id, payload, used_at, expired,
         tenant_status, timezone, country, currency
    from one_time_tokens o
    join tenants t on t.id = o.tenant_id
    where o.hash = p_hash and o.kind = p_kind and t.status <> 'deleting'
    limit 1;
    if not found then
        return;
    end if;
    perform set_config('app.tenant_id', tenant_id::text, true);
    return next;
end
$$;
call give_function('open_one_time_token(text, bytea)', 'wellspring_lookup');

-- Who can sign in with an e-mail address: one row per tenant that knows it. The caller compares the password with each hash and tells nobody about
-- tenants whose hash does not match.
create function find_logins(p_email text)
    returns table (
        tenant_id uuid, user_id uuid, tenant_name text, tenant_slug text, tenant_status text, password_hash text, user_status text
    )
    language plpgsql stable security definer
    set search_path = pg_catalog, public, pg_temp
as $$
begin
    return query
    select i.tenant_id, i.user_id, t.name, t.slug, t.status, u.password_hash, u.status
    from login_index i
    join users u on u.tenant_id = i.tenant_id and u.id = i.user_id
    join tenants t on t.id = i.tenant_id
    where i.email = lower(p_email) and t.status <> 'deleting'
    order by t.created_at, t.id
    limit 100;
end
$$;
grant select (created_at) on tenants to wellspring_lookup;
call give_function('find_logins(text)', 'wellspring_lookup');

-- What a search asks for, as LIKE patterns that must all match. A query that is only digits and their punctuation is one telephone number, whose
-- leading zeros are left out because numbers are stored with their country. Otherwise each word is a fragment; one of less than three
-- letters has no trigram of its own and is taken as the beginning of a word.
create function search_patterns(p_query text) returns text[]
    language sql immutable
    set search_path = pg_catalog, public, pg_temp
as $$
    select case
        when p_query ~ '^[0-9 +()./-]*[0-9][0-9 +()./-]*$' then
            array['%' || ltrim(regexp_replace(p_query, '[^0-9]', '', 'g'), '0') || '%']
        else (
            select array_agg(case when length(word) < 3 then '% ' else '%' end || escaped || '%')
            from (
                select word, replace(replace(replace(word, '\', '\\'), '%', '\%'), '_', '\_') as escaped
                from regexp_split_to_table(lower(left(p_query, 200)), '\s+') as words (word)
                where word <> '' limit 5
            ) fragments
        )
    end
$$;
grant execute on function search_patterns(text) to wellspring_lookup;

-- Leads of the current tenant whose name, address or number contain all fragments of a query, the newest first. Under row-level
-- security LIKE may not run before the policy, so that no index could serve it; here the tenant is a plain condition and the index
-- leads with it. How common a fragment is cannot be estimated from statistics, so it is tried:
--   1. among the newest two thousand leads: enough for what nearly everybody matches;
--   2. by the trigram index, up to ten thousand matches: exact for everything that is at all selective;
--   3. otherwise more than that match, and walking the newest leads soon finds enough of them.
create function search_leads(p_query text, p_limit integer) returns setof uuid
    language plpgsql stable security definer
    set search_path = pg_catalog, public, pg_temp
    set enable_sort = on                         -- switched off below for step 3; being named here restores it at the end
as $$
declare
    tenant uuid := nullif(current_setting('app.tenant_id', true), '')::uuid;
    patterns text[] := search_patterns(p_query);
    wanted integer := greatest(0, least(coalesce(p_limit, 1000), 10000));
    condition text;
    found_ids uuid[];
    matches integer;
begin
    if tenant is null or patterns is null or wanted = 0 then
        return;
    end if;
    select string_agg(format('search_text like %L', pattern), ' and ') into condition from unnest(patterns) as pattern;

    execute format(
        'select array_agg(id order by created_at desc, id desc) from (
             select id, created_at from (
                 select id, created_at, search_text from leads where tenant_id = %L::uuid
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
call give_function('search_leads(text, integer)', 'wellspring_lookup');

-- Conversations whose subject contains all fragments, or whose person is found by search_leads; the latest first.
create index conversations_search_idx on conversations using gin (tenant_id, (' ' || lower(subject)) gin_trgm_ops)
    with (gin_pending_list_limit = 256);
create function search_conversations(p_query text, p_limit integer) returns setof uuid
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
             select c.id, c.last_message_at from search_leads(%3$L, 10000) as found (lead_id)
             join conversations c on c.tenant_id = %1$L::uuid and c.lead_id = found.lead_id
         ) found order by last_message_at desc nulls last, id desc limit %4$s',
        tenant, condition, p_query, greatest(0, least(coalesce(p_limit, 1000), 10000))
    );
end
$$;
call give_function('search_conversations(text, integer)', 'wellspring_lookup');

-- Work that is due within the horizon and that nobody holds, or whose holder's lease has ended: the ids to hint to a queue again.
-- Each tenant's earliest rows come first, then each tenant's second, and so on, so that a tenant with a million due rows delays nobody. To
-- find them the function hops from tenant to tenant along each due index (one probe per tenant with open work) and never reads
-- the rows of a backlog beyond p_per_tenant. Tenants that are suspended or being deleted wait.
create function sweep_due(p_horizon interval, p_per_tenant integer, p_limit integer)
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

-- Tenants that nightly work is done for.
create function sweep_tenants() returns setof uuid
    language plpgsql stable security definer
    set search_path = pg_catalog, public, pg_temp
as $$
begin
    return query select t.id from tenants t where t.status in ('trial', 'active') order by t.id;
end
$$;
call give_function('sweep_tenants()', 'wellspring_sweeper');
