-- A session also says whose records its user sees, so that `team` costs no further question.
--
-- Colleagues with the same word in `users.team` are a team. Whoever is bound to a team and has none sees their own records. The list of owners comes
-- with the session, in the statement that opens it; a business has few colleagues.

grant select (team) on users to wellspring_lookup;

call take_function('open_session(uuid, uuid)', 'wellspring_lookup');
drop function open_session(uuid, uuid);

-- As before, with `owners`: the users whose records are seen, or null for all records of the business.
create function open_session(p_tenant uuid, p_session uuid)
    returns table (
        user_id uuid, role text, owners uuid[], tenant_status text,
        timezone text, country text, currency text, authenticated_at timestamptz
    )
    language plpgsql security definer
    set search_path = pg_catalog, public, pg_temp
as $$
declare
    record_scope text;
    own_team text;
begin
    select u.id, u.role, u.record_scope, u.team, t.status, t.timezone, t.country::text, t.currency::text, s.authenticated_at
    into user_id, role, record_scope, own_team, tenant_status, timezone, country, currency, authenticated_at
    from sessions s
    join users u on u.tenant_id = s.tenant_id and u.id = s.user_id
    join tenants t on t.id = s.tenant_id
    where s.tenant_id = p_tenant and s.id = p_session
      and s.revoked_at is null and s.expires_at > now() and s.session_version = u.session_version
      and u.status = 'active' and t.status <> 'deleting';
    if not found then
        return;
    end if;
    if record_scope = 'own' or (record_scope = 'team' and own_team is null) then
        owners := array[user_id];
    elsif record_scope = 'team' then
        select array_agg(u.id) into owners from users u where u.tenant_id = p_tenant and u.team = own_team;
    end if;
    perform set_config('app.tenant_id', p_tenant::text, true), set_config('app.user_id', user_id::text, true);
    return next;
end
$$;
call give_function('open_session(uuid, uuid)', 'wellspring_lookup');
