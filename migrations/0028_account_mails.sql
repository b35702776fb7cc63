-- Who is mailed when somebody forgot a password, and that nobody works in a business without one.

-- The accounts that an address may ask a new password for: those that may sign in, in one business if it is named. Anybody can register a business with
-- anybody's address, so the accounts that have proved it come first, and only the first few are answered.
grant select (email_verified_at) on users to wellspring_lookup;
create function find_resets(p_email text, p_tenant text, p_most integer) returns table (tenant_id uuid, user_id uuid)
    language plpgsql stable security definer
    set search_path = pg_catalog, public, pg_temp
as $$
begin
    return query
    select i.tenant_id, i.user_id
    from login_index i
    join users u on u.tenant_id = i.tenant_id and u.id = i.user_id
    join tenants t on t.id = i.tenant_id
    where i.email = lower(p_email) and u.status = 'active' and t.status <> 'deleting'
      and (p_tenant is null or t.slug = p_tenant or t.id::text = p_tenant)
    order by u.email_verified_at is null, t.created_at, t.id
    limit p_most;
end
$$;
call give_function('find_resets(text, text, integer)', 'wellspring_lookup');

-- Somebody active signs in with a password: who was invited becomes active by choosing one, and by nothing else. Those who became it otherwise are
-- invited again. The owner is behind the wall as well, so it stands aside for this statement.
alter table users no force row level security;
update users set status = 'invited' where status = 'active' and password_hash is null;
alter table users force row level security;
alter table users add constraint users_password_hash_check check (status <> 'active' or password_hash is not null);
