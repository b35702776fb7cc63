-- The end of a tenant: what it has is counted, removed and counted again.
--
-- `delete from tenants` alone does not do it. Money rows refuse to lose what they refer to (`on delete restrict`), and a cascade from the tenant
-- reaches tables in no particular order, so that it may meet a lead before its invoices. And some tables are append-only for the
-- runtime. So one function removes a tenant in the order of those references. Both functions ask the catalogue which tables there are.

-- Rows of the open tenant by table. Runs with the caller's rights, behind the wall like any other statement.
create function count_tenant_rows(p_tenant uuid) returns table (table_name text, row_count bigint)
    language plpgsql stable
    set search_path = pg_catalog, public, pg_temp
as $$
declare
    found record;
begin
    for found in
        select c.relname::text as name, case when c.relname = 'tenants' then 'id' else 'tenant_id' end as tenant_column
        from pg_class c
        where c.relnamespace = 'public'::regnamespace and c.relkind in ('r', 'p') and not c.relispartition and c.relrowsecurity
        order by c.relname
    loop
        table_name := found.name;
        execute format('select count(*) from %I where %I = $1', found.name, found.tenant_column) into row_count using p_tenant;
        return next;
    end loop;
end
$$;
grant execute on function count_tenant_rows(uuid) to wellspring_app, wellspring_readonly;

-- Removes the open tenant. It runs as the owner of the tables, who may delete from append-only ones too; the wall is forced for the owner as
-- well, so it cannot touch anybody but the tenant that is open, and it refuses to be asked for another.
create function erase_tenant(p_tenant uuid) returns void
    language plpgsql security definer
    set search_path = pg_catalog, public, pg_temp
as $$
declare
    remaining oid[];
    ready oid[];
    target oid;
begin
    if p_tenant is distinct from nullif(current_setting('app.tenant_id', true), '')::uuid then
        raise exception 'only the tenant of the transaction can be erased' using errcode = 'insufficient_privilege';
    end if;
    -- Writers that hold a reference to the tenant end first, and no new one begins.
    perform from tenants t where t.id = p_tenant for update;
    -- Tables that hold a restricting reference, or are held by one: those that nobody left refers to go first.
    select array_agg(distinct held.oid) into remaining
    from pg_constraint k cross join lateral (values (k.conrelid), (k.confrelid)) as held (oid)
    join pg_class c on c.oid = held.oid
    where k.contype = 'f' and k.confdeltype in ('r', 'a') and k.connamespace = 'public'::regnamespace
      and not c.relispartition and c.relrowsecurity and c.relname <> 'tenants';
    loop
        select array_agg(r.oid) into ready from unnest(remaining) as r (oid)
        where not exists (
            select from pg_constraint k
            where k.confrelid = r.oid and k.conrelid = any (remaining) and k.conrelid <> r.oid
              and k.contype = 'f' and k.confdeltype in ('r', 'a'));
        exit when ready is null;
        foreach target in array ready loop
            execute format('delete from %s where tenant_id = $1', target::regclass) using p_tenant;
        end loop;
        select array_agg(r.oid) into remaining from unnest(remaining) as r (oid) where r.oid <> all (ready);
    end loop;
    -- Everything else hangs on the tenant by a cascade.
    delete from tenants t where t.id = p_tenant;
end
$$;
revoke all on function erase_tenant(uuid) from public;
grant execute on function erase_tenant(uuid) to wellspring_app;
