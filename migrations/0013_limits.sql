-- Limits: how often callers may ask, and what the schedules clear away or wake up.

-- Token buckets. A bucket is full at `full_at`; taking a token moves that time one step later, and a bucket whose time lies a whole window ahead is
-- empty. So one timestamp is the whole state, and no job refills anything. Unlogged: a token taken writes no WAL and its commit waits for no
-- disk, and after a crash every bucket is full again, which harms nobody. `key` names a class, a tenant, user or source by its id, an API key by
-- its hash, a network by a keyed hash.
-- no tenant: it counts before one is open, and holds ids and hashes only
create unlogged table rate_limits (
    key text not null,
    full_at timestamptz not null,
    constraint rate_limits_pkey primary key (key)
) with (fillfactor = 50, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 5000);
revoke all on rate_limits from public;
grant select, insert, update, delete on rate_limits to wellspring_app;

-- Takes a token from a bucket of p_quota tokens that fills up within p_seconds. A refused call takes nothing; `wait` is when to come back. Strict: a
-- null key (an unknown credential) has no bucket and yields no row.
create function take_token(p_key text, p_quota integer, p_seconds integer)
    returns table (quota integer, tokens_left integer, full_in double precision, wait double precision)
    language plpgsql strict
    set search_path = pg_catalog, public, pg_temp
as $$
declare
    at timestamptz := clock_timestamp();
    span interval := make_interval(secs => p_seconds);
    step interval := make_interval(secs => p_seconds) / p_quota;
    until timestamptz;
begin
    insert into rate_limits as r (key, full_at) values (p_key, at + step)
    on conflict (key) do update set full_at = greatest(r.full_at, at) + step where greatest(r.full_at, at) + step <= at + span
    returning r.full_at into until;
    if until is null then
        select r.full_at into until from rate_limits r where r.key = p_key;
        wait := greatest(extract(epoch from until + step - at - span), 0.001);
    end if;
    quota := p_quota;
    full_in := greatest(extract(epoch from until - at), 0);
    -- The hundredth forgives what intervals lose by ending at microseconds.
    tokens_left := case when wait is null then floor((p_seconds - full_in) * p_quota / p_seconds + 0.01) else 0 end;
    return next;
end
$$;
revoke all on function take_token(text, integer, integer) from public;
grant execute on function take_token(text, integer, integer) to wellspring_app;

-- Takes a token of a caller and one of the business (or source) behind it; the row tells of the tighter one. The caller's comes first: what a
-- caller asks beyond its own quota does not eat up that of its colleagues. Every request pays for this function, so it does not call the one
-- above, which would cost as much again.
create function take_tokens(p_caller text, p_caller_quota integer, p_whole text, p_whole_quota integer, p_seconds integer)
    returns table (of_caller boolean, quota integer, tokens_left integer, full_in double precision, wait double precision)
    language plpgsql strict
    set search_path = pg_catalog, public, pg_temp
as $$
declare
    at timestamptz := clock_timestamp();
    span interval := make_interval(secs => p_seconds);
    step interval := span / p_caller_quota;
    name text := p_caller;
    until timestamptz;
    ahead double precision;
    remaining integer;
begin
    of_caller := true;
    quota := p_caller_quota;
    insert into rate_limits as r (key, full_at) values (p_caller, at + step)
    on conflict (key) do update set full_at = greatest(r.full_at, at) + step where greatest(r.full_at, at) + step <= at + span
    returning r.full_at into until;
    if until is not null then
        full_in := extract(epoch from until - at);
        tokens_left := floor((p_seconds - full_in) * p_caller_quota / p_seconds + 0.01);
        name := p_whole;
        step := span / p_whole_quota;
        insert into rate_limits as r (key, full_at) values (p_whole, at + step)
        on conflict (key) do update set full_at = greatest(r.full_at, at) + step where greatest(r.full_at, at) + step <= at + span
        returning r.full_at into until;
        ahead := extract(epoch from until - at);
        remaining := floor((p_seconds - ahead) * p_whole_quota / p_seconds + 0.01);
        if until is null or remaining < tokens_left then
            of_caller := false;
            quota := p_whole_quota;
            full_in := ahead;
            tokens_left := remaining;
        end if;
    end if;
    if until is null then
        tokens_left := 0;
        select extract(epoch from r.full_at - at) into full_in from rate_limits r where r.key = name;
        wait := greatest(full_in + extract(epoch from step) - p_seconds, 0.001);
    end if;
    return next;
end
$$;
revoke all on function take_tokens(text, integer, text, integer, integer) from public;
grant execute on function take_tokens(text, integer, text, integer, integer) to wellspring_app;

-- Whose bucket a call with an API key takes from. Null for a key that is none, so that guesses make no rows.
create function tenant_of_key(p_hash bytea) returns uuid
    language plpgsql stable security definer
    set search_path = pg_catalog, public, pg_temp
as $$
begin
    return (select k.tenant_id from api_keys k
            where k.hash = p_hash and k.revoked_at is null and (k.expires_at is null or k.expires_at > now()) limit 1);
end
$$;
call give_function('tenant_of_key(bytea)', 'wellspring_lookup');

-- The same for the address of a webhook.
create function source_of_token(p_provider text, p_token_hash bytea) returns uuid
    language plpgsql stable security definer
    set search_path = pg_catalog, public, pg_temp
as $$
begin
    return (select w.id from webhook_sources w
            where w.token_hash = p_token_hash and w.provider = p_provider and w.status = 'active' limit 1);
end
$$;
call give_function('source_of_token(text, bytea)', 'wellspring_lookup');

-- Whether somebody with this address has signed in from one of these networks before (keyed hashes: one per key that is still listed). Guesses from
-- elsewhere are rationed together; they cannot shut out whoever comes from home.
grant select (ip_hash) on sessions to wellspring_lookup;
create function knows_network(p_email text, p_networks bytea[]) returns boolean
    language plpgsql stable security definer
    set search_path = pg_catalog, public, pg_temp
as $$
begin
    return exists (
        select from login_index i
        join sessions s on s.tenant_id = i.tenant_id and s.user_id = i.user_id
        where i.email = lower(p_email) and s.ip_hash = any (p_networks)
    );
end
$$;
call give_function('knows_network(text, bytea[])', 'wellspring_lookup');

-- Tenants with a conversation whose snooze has ended. Like `sweep_due` it goes from tenant to tenant along the index, and suspended ones wait.
grant select (tenant_id, id, status, snoozed_until) on conversations to wellspring_sweeper;
create policy conversations_sweeper on conversations for select to wellspring_sweeper using (true);
create function sweep_snoozed(p_limit integer) returns setof uuid
    language plpgsql stable security definer
    set search_path = pg_catalog, public, pg_temp
as $$
begin
    return query
    with recursive snoozing as (
        (select c.tenant_id, c.snoozed_until as due from conversations c
         where c.status = 'snoozed' order by c.tenant_id, c.snoozed_until limit 1)
        union all
        select n.* from snoozing p cross join lateral (
            select c.tenant_id, c.snoozed_until from conversations c
            where c.status = 'snoozed' and c.tenant_id > p.tenant_id
            order by c.tenant_id, c.snoozed_until limit 1) n
    )
    select s.tenant_id from snoozing s join tenants t on t.id = s.tenant_id and t.status in ('trial', 'active')
    where s.due <= now() order by s.due limit p_limit;
end
$$;
call give_function('sweep_snoozed(integer)', 'wellspring_sweeper');

-- The nightly schedule makes the partition of the month that comes, whatever day it is; so the bound moves from two days to thirty-five.
create or replace function ensure_cta_month(p_at timestamptz) returns void
    language plpgsql security definer
    set search_path = pg_catalog, public, pg_temp
as $$
declare
    -- Months are those of UTC. Adding one to a timestamptz would follow the session zone's clock changes, hence the detour.
    month_start timestamptz := date_trunc('month', p_at, 'UTC');
    month_end timestamptz := (date_trunc('month', p_at at time zone 'UTC') + interval '1 month') at time zone 'UTC';
    partition_name text := 'cta_events_' || to_char(p_at at time zone 'UTC', 'YYYY_MM');
begin
    if p_at is null or p_at < now() - interval '400 days' or p_at > now() + interval '35 days' then
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
