-- Guesses: counted per account, before the password is looked at.
--
-- An address is neither unique nor proven: anybody may found a business with somebody else's. So what is counted of an account goes by its user, never by
-- the address, and only the account that was opened is forgiven. What callers are *told* goes by the address as they said it, so that the answer
-- is the same whether anybody has it or not. docs/limits.md tells the whole story.

-- Raises a counter of attempts within a window that begins with the first of them, unless it has reached its limit (null: none). Whoever asks at the
-- same time waits for the row, so ten are ten however many come at once.
create function raise_attempts(p_kind text, p_key bytea, p_limit integer, p_seconds integer)
    returns table (raised boolean, attempts integer, ends_in double precision)
    language plpgsql
    set search_path = pg_catalog, public, pg_temp
as $$
declare
    at timestamptz := clock_timestamp();
    since timestamptz := at - make_interval(secs => p_seconds);
begin
    insert into throttles as t (kind, key_hash, count, window_started_at, updated_at) values (p_kind, p_key, 1, at, at)
    on conflict (kind, key_hash) do update set
        count = case when t.window_started_at > since then t.count + 1 else 1 end,
        window_started_at = case when t.window_started_at > since then t.window_started_at else at end,
        updated_at = at
    where t.window_started_at <= since or p_limit is null or t.count < p_limit
    returning t.count, extract(epoch from t.window_started_at - since) into attempts, ends_in;
    raised := found;
    if not raised then
        select t.count, extract(epoch from t.window_started_at - since) into attempts, ends_in
        from throttles t where t.kind = p_kind and t.key_hash = p_key;
    end if;
    return next;
end
$$;
revoke all on function raise_attempts(text, bytea, integer, integer) from public;
grant execute on function raise_attempts(text, bytea, integer, integer) to wellspring_app;

-- Takes one attempt back.
create function lower_attempts(p_kind text, p_key bytea) returns void
    language sql
    set search_path = pg_catalog, public, pg_temp
as $$
    update throttles set count = greatest(count - 1, 0) where kind = p_kind and key_hash = p_key
$$;
revoke all on function lower_attempts(text, bytea) from public;
grant execute on function lower_attempts(text, bytea) to wellspring_app;

-- Counts a guess before it is looked at: for the network, for what was asked (an address with the business that was named, if any), for the address whatever
-- was named (null for codes), and for each account that it would be compared with. `wait`: it is refused, nothing was counted, and in so many seconds it may
-- be tried again. Otherwise `failures` is what was asked's from everywhere, `spent` says that the address has used up its tries here and for how many seconds, and
-- `admitted` which accounts may be compared. Rations bind networks that the account does not know.
--
-- Locks are taken in one order by everybody: the network, what was asked, the address, the accounts by their ids. `give_guess_back` keeps to it.
create function take_guess(
    p_network bytea, p_asked bytea, p_asked_pair bytea, p_asked_ration text, p_whole_pair bytea, p_whole_ration text, p_known boolean,
    p_pairs bytea[], p_rations text[], p_knowns boolean[],
    p_pair_limit integer, p_network_limit integer, p_window integer, p_tries integer, p_span integer
)
    returns table (wait double precision, failures integer, spent double precision, admitted boolean[])
    language plpgsql
    set search_path = pg_catalog, public, pg_temp
as $$
declare
    counter record;
    short double precision;
begin
    -- A counter that a crash of the server sets back by a moment harms nobody; a login that waits for the disk twice does.
    perform set_config('synchronous_commit', 'off', true);
    admitted := '{}';
    select * into counter from raise_attempts('login_network', p_network, p_network_limit, p_window);
    if not counter.raised then
        wait := counter.ends_in;
        return next;
        return;
    end if;
    select * into counter from raise_attempts('login_pair', p_asked_pair, p_pair_limit, p_window);
    if not counter.raised then
        wait := counter.ends_in;
    elsif not p_known then
        select t.wait into wait from take_token(p_asked_ration, p_tries, p_span) t;
        if wait is not null then
            perform lower_attempts('login_pair', p_asked_pair);
        end if;
    end if;
    if wait is not null then
        perform lower_attempts('login_network', p_network);
        return next;
        return;
    end if;
    select c.attempts - 1 into failures from raise_attempts('login_account', p_asked, null, p_window) c;
    if p_whole_pair is not null then
        select * into counter from raise_attempts('login_pair', p_whole_pair, null, p_window);
        if counter.attempts > p_pair_limit then
            spent := counter.ends_in;
        end if;
        if not p_known then
            select t.wait into short from take_token(p_whole_ration, p_tries, p_span) t;
            spent := greatest(spent, short);
        end if;
    end if;
    for place in 1 .. cardinality(p_pairs) loop
        select * into counter from raise_attempts('login_pair', p_pairs[place], p_pair_limit, p_window);
        if counter.raised and not p_knowns[place] then
            select t.wait into short from take_token(p_rations[place], p_tries, p_span) t;
            if short is not null then
                perform lower_attempts('login_pair', p_pairs[place]);
                counter.raised := false;
            end if;
        end if;
        admitted := admitted || counter.raised;
    end loop;
    return next;
end
$$;
revoke all on function take_guess(
    bytea, bytea, bytea, text, bytea, text, boolean, bytea[], text[], boolean[], integer, integer, integer, integer, integer
) from public;
grant execute on function take_guess(
    bytea, bytea, bytea, text, bytea, text, boolean, bytea[], text[], boolean[], integer, integer, integer, integer, integer
) to wellspring_app;

-- The guess was right. Forgiving gives back what it took and forgets what failed before it from this network, of what was asked and of the account that was
-- opened. Otherwise the accounts named here only matched and none was opened: they get their try back, and it stays counted for what was asked. Accounts that
-- it was compared with in vain are not named: they keep what they have counted.
create function give_guess_back(
    p_network bytea, p_asked bytea, p_asked_pair bytea, p_asked_ration text, p_whole_pair bytea, p_whole_ration text, p_known boolean,
    p_pairs bytea[], p_rations text[], p_knowns boolean[], p_forgive boolean, p_step double precision
)
    returns void
    language plpgsql
    set search_path = pg_catalog, public, pg_temp
as $$
begin
    if p_forgive then
        perform lower_attempts('login_network', p_network);
        delete from throttles where kind = 'login_pair' and key_hash = p_asked_pair;
        if not p_known then
            update rate_limits set full_at = full_at - make_interval(secs => p_step) where key = p_asked_ration;
        end if;
        perform lower_attempts('login_account', p_asked);
        delete from throttles where kind = 'login_pair' and key_hash = p_whole_pair;
        if not p_known then
            update rate_limits set full_at = full_at - make_interval(secs => p_step) where key = p_whole_ration;
        end if;
    end if;
    for place in 1 .. cardinality(p_pairs) loop
        if p_forgive then
            delete from throttles where kind = 'login_pair' and key_hash = p_pairs[place];
        else
            perform lower_attempts('login_pair', p_pairs[place]);
        end if;
        if not p_knowns[place] then
            update rate_limits set full_at = full_at - make_interval(secs => p_step) where key = p_rations[place];
        end if;
    end loop;
end
$$;
revoke all on function give_guess_back(
    bytea, bytea, bytea, text, bytea, text, boolean, bytea[], text[], boolean[], boolean, double precision
) from public;
grant execute on function give_guess_back(
    bytea, bytea, bytea, text, bytea, text, boolean, bytea[], text[], boolean[], boolean, double precision
) to wellspring_app;

-- Whether a user has signed in from one of these networks before (keyed hashes: one per key that is still listed). Guesses from elsewhere are rationed
-- together; they cannot shut out whoever comes from home. It was asked of everybody with an address before, and the address is not the user.
-- The former function of that name stays for the code that runs until this release has taken over.
create function knows_network(p_tenant uuid, p_user uuid, p_networks bytea[]) returns boolean
    language plpgsql stable security definer
    set search_path = pg_catalog, public, pg_temp
as $$
begin
    return exists (
        select from sessions s where s.tenant_id = p_tenant and s.user_id = p_user and s.ip_hash = any (p_networks)
    );
end
$$;
call give_function('knows_network(uuid, uuid, bytea[])', 'wellspring_lookup');

-- Whom an address may open, in one business (by id or slug) or in all. Businesses are founded with any address, and there may be many with this one: first
-- come accounts that have signed in from here, then those whose address is proven, then the oldest. Who has no password or may not sign in is not
-- compared with anything, and so is nobody.
grant select (email_verified_at) on users to wellspring_lookup;
create function find_candidates(p_email text, p_tenant text, p_networks bytea[])
    returns table (
        tenant_id uuid, user_id uuid, tenant_name text, tenant_slug text, password_hash text, known boolean, proven boolean
    )
    language plpgsql stable security definer
    set search_path = pg_catalog, public, pg_temp
as $$
begin
    return query
    select c.tenant_id, c.user_id, c.name, c.slug, c.password_hash, c.known, c.proven
    from (
        select i.tenant_id, i.user_id, t.name, t.slug, u.password_hash, u.email_verified_at is not null as proven, t.created_at,
               exists (select from sessions s
                       where s.tenant_id = i.tenant_id and s.user_id = i.user_id and s.ip_hash = any (p_networks)) as known
        from login_index i
        join users u on u.tenant_id = i.tenant_id and u.id = i.user_id
        join tenants t on t.id = i.tenant_id
        where i.email = lower(p_email) and t.status <> 'deleting' and u.status = 'active' and u.password_hash is not null
          and (p_tenant is null or t.slug = p_tenant or t.id::text = lower(p_tenant))
    ) c
    order by c.known desc, c.proven desc, c.created_at, c.tenant_id
    limit 100;
end
$$;
call give_function('find_candidates(text, text, bytea[])', 'wellspring_lookup');

-- The session of a refresh token, for its bucket: the live one's or its parent's. Null for a token that is none, so that guesses make no rows.
create function session_of_refresh(p_hash bytea) returns uuid
    language plpgsql stable security definer
    set search_path = pg_catalog, public, pg_temp
as $$
begin
    return coalesce(
        (select s.id from sessions s where s.refresh_hash = p_hash limit 1),
        (select s.id from sessions s where s.previous_hash = p_hash limit 1),
        (select p.session_id from spent_refresh_tokens p where p.hash = p_hash limit 1)
    );
end
$$;
call give_function('session_of_refresh(bytea)', 'wellspring_lookup');
