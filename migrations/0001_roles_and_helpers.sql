-- Roles and helpers.
--
-- The role that runs these migrations owns the database and every object in it. It needs CREATEROLE but is no superuser,
-- so any managed PostgreSQL from version 15 on will do. The runtime connects as wellspring_app, which owns nothing and cannot
-- bypass row-level security: what it may see is decided by the policies that `protect_tenant_table` writes, and by nothing else.
-- Work that must look across tenants (whose session is this, which rows are due) is done by a few SECURITY DEFINER functions,
-- each owned by one of two roles that nobody can log in as and that may read just the columns those functions need.

-- Functions are callable by nobody until they are granted. Without this PostgreSQL lets PUBLIC execute every new function.
alter default privileges revoke execute on routines from public;

do $$
declare
    wanted record;
begin
    for wanted in
        select * from (values
            -- The runtime: every Lambda function and worker. Its password is set by whoever deploys, not here.
            ('wellspring_app', 'login'),
            -- Owns the functions that turn a secret (session id, token hash, e-mail) into the one tenant it proves.
            ('wellspring_lookup', 'nologin'),
            -- Owns the functions that list due work across tenants. Reads ids, states and times; never a person's data.
            ('wellspring_sweeper', 'nologin'),
            -- A group for people and tools that may look at one tenant at a time but never write.
            ('wellspring_readonly', 'nologin')
        ) as roles (name, login)
    loop
        if not exists (select from pg_roles where rolname = wanted.name) then
            begin
                execute format('create role %I %s noinherit', wanted.name, wanted.login);
            exception when duplicate_object or unique_violation then
                -- Roles belong to the whole server: another database of it was migrated at the same moment.
                null;
            end;
        end if;
    end loop;
end
$$;

revoke create on schema public from public;
grant usage on schema public to wellspring_app, wellspring_lookup, wellspring_sweeper, wellspring_readonly;

-- Trigram matching for search by fragments; btree_gin lets the same index begin with the tenant. Both are trusted extensions.
create extension if not exists pg_trgm;
create extension if not exists btree_gin;

-- Stamps a changed row. The database clock is used, as everywhere where rows of different writers are compared.
create function touch_row() returns trigger
    language plpgsql
    set search_path = pg_catalog, public, pg_temp
as $$
begin
    new.updated_at := now();
    return new;
end
$$;

-- The same for rows that carry an ETag: every change raises `version`, whoever makes it.
create function touch_versioned_row() returns trigger
    language plpgsql
    set search_path = pg_catalog, public, pg_temp
as $$
begin
    new.updated_at := now();
    new.version := old.version + 1;
    return new;
end
$$;

-- Refuses a change to a row that is history. Attached with `before update`.
create function refuse_update() returns trigger
    language plpgsql
    set search_path = pg_catalog, public, pg_temp
as $$
begin
    raise exception 'rows of % are immutable', tg_table_name using errcode = 'restrict_violation';
end
$$;

-- Puts a table behind the tenant wall; each tenant table calls it once, right after it is created.
--   * Row-level security is enabled and forced, so that it binds the owner of the table too.
--   * One policy for all commands compares the tenant column with the transaction's setting. The setting reads back as '' after
--     the transaction that set it, hence nullif; the sub-select makes it one look-up per statement instead of one per row.
--     No setting means no rows.
--   * The runtime gets the four row commands (or fewer: `p_grants`), never TRUNCATE or REFERENCES, which row-level security
--     does not bind.
--   * A table with `updated_at` gets its trigger; with `p_versioned` the trigger also raises `version`.
create procedure protect_tenant_table(
    p_table text,
    p_versioned boolean default false,
    p_grants text default 'select, insert, update, delete',
    p_tenant_column text default 'tenant_id'
)
    language plpgsql
    set search_path = pg_catalog, public, pg_temp
as $$
begin
    execute format('alter table %I enable row level security', p_table);
    execute format('alter table %I force row level security', p_table);
    execute format(
        'create policy %1$I on %2$I for all to public
             using (%3$I = (select nullif(current_setting(''app.tenant_id'', true), '''')::uuid))
             with check (%3$I = (select nullif(current_setting(''app.tenant_id'', true), '''')::uuid))',
        p_table || '_tenant', p_table, p_tenant_column
    );
    execute format('revoke all on %I from public', p_table);
    execute format('grant %s on %I to wellspring_app', p_grants, p_table);
    execute format('grant select on %I to wellspring_readonly', p_table);
    if exists (
        select from pg_attribute
        where attrelid = format('%I', p_table)::regclass and attname = 'updated_at' and not attisdropped
    ) then
        execute format(
            'create trigger %I before update on %I for each row execute function %s',
            p_table || '_touch', p_table, case when p_versioned then 'touch_versioned_row()' else 'touch_row()' end
        );
    end if;
end
$$;

-- Lets one of the two definer roles read a few columns of every tenant. Without the policy it would see no row at all.
create procedure open_columns(p_table text, p_role text, p_columns text)
    language plpgsql
    set search_path = pg_catalog, public, pg_temp
as $$
begin
    execute format('grant select (%s) on %I to %I', p_columns, p_table, p_role);
    execute format(
        'create policy %I on %I for select to %I using (true)',
        p_table || '_' || replace(p_role, 'wellspring_', ''), p_table, p_role
    );
end
$$;

-- Hands a SECURITY DEFINER function to the role whose rights it runs with, and lets only the runtime call it.
-- To give a function away one must belong to the new owner, and the new owner must be able to create in the schema; both are true
-- only inside this call, so that the migrating role does not keep the cross-tenant view.
create procedure give_function(p_function text, p_role text, p_callers text default 'wellspring_app')
    language plpgsql
    set search_path = pg_catalog, public, pg_temp
as $$
begin
    execute format('revoke all on function %s from public', p_function);
    if p_callers <> '' then
        execute format('grant execute on function %s to %s', p_function, p_callers);
    end if;
    execute format('grant create on schema public to %I', p_role);
    execute format('grant %I to current_user', p_role);
    execute format('alter function %s owner to %I', p_function, p_role);
    execute format('revoke %I from current_user', p_role);
    execute format('revoke create on schema public from %I', p_role);
end
$$;

-- The way back, for a migration that replaces such a function: take it, `create or replace` it, give it again.
create procedure take_function(p_function text, p_role text)
    language plpgsql
    set search_path = pg_catalog, public, pg_temp
as $$
begin
    execute format('grant %I to current_user', p_role);
    execute format('alter function %s owner to current_user', p_function);
    execute format('revoke %I from current_user', p_role);
end
$$;

-- A UUIDv7 (RFC 9562, section 5.7) for rows that a statement makes by itself: the runs that an event starts, the deliveries that it owes.
-- Everything else gets its id from the application. PostgreSQL has this function built in from version 18 on.
create function new_id() returns uuid
    language sql volatile
    set search_path = pg_catalog, public, pg_temp
as $$
    select encode(set_bit(set_bit(overlay(uuid_send(gen_random_uuid())
        placing substring(int8send((extract(epoch from clock_timestamp()) * 1000)::bigint) from 3) from 1 for 6), 52, 1), 53, 1), 'hex')::uuid
$$;
grant execute on function new_id() to wellspring_app, wellspring_lookup, wellspring_sweeper;
