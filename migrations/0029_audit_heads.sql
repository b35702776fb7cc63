-- The audit log shows that all of it is gone, not only a part.

-- A chain without its head was taken for one that has not begun: whoever removed the log and its head left nothing to find. Every business has
-- a head from its first moment now, so a missing one is a finding, whatever else is there.
create function begin_audit() returns trigger
    language plpgsql security definer
    set search_path = pg_catalog, public, pg_temp
as $$
begin
    insert into audit_heads (tenant_id, seq, hash) values (new.id, 0, '') on conflict (tenant_id) do nothing;
    return new;
end
$$;
create trigger tenants_begin_audit after insert on tenants for each row execute function begin_audit();
call give_function('begin_audit()', 'wellspring_lookup', '');

-- Businesses from before that have never had an entry. The owner is behind the wall as well, so it stands aside for this statement.
alter table tenants no force row level security;
alter table audit_heads no force row level security;
insert into audit_heads (tenant_id, seq, hash) select id, 0, '' from tenants on conflict (tenant_id) do nothing;
alter table audit_heads force row level security;
alter table tenants force row level security;

-- Walks the current tenant's chain as before (0002), and says where it ends: the count and the hash of the head are written down every night
-- outside the database (a line of the log), so that a chain which somebody has calculated anew, each link fitting, is seen not to be the one
-- that was there. A missing head shows as the seq that should have followed; so does a missing tail.
drop function verify_audit();
create function verify_audit() returns table (checked bigint, bad_seq bigint, head_seq bigint, head_hash bytea)
    language sql stable
    set search_path = pg_catalog, public, pg_temp
as $$
    with chain as (
        select a.seq, a.hash, a.prev_hash, audit_hash(a) as computed,
               lag(a.hash, 1, ''::bytea) over (order by a.seq) as before_hash,
               row_number() over (order by a.seq) as place
        from audit_log a
        where a.tenant_id = (select nullif(current_setting('app.tenant_id', true), '')::uuid)
    ), head as (
        select h.seq, h.hash from audit_heads h
        where h.tenant_id = (select nullif(current_setting('app.tenant_id', true), '')::uuid)
    ), bad as (
        select seq from chain where hash <> computed or prev_hash <> before_hash or seq <> place
        union all
        select coalesce(max(seq), 0) + 1 from chain having coalesce(max(seq), 0) is distinct from (select seq from head)
        union all
        select max(c.seq) from chain c, head where head.seq = c.seq and head.hash <> c.hash having max(c.seq) is not null
    )
    select (select count(*) from chain), (select min(seq) from bad), (select seq from head), (select hash from head)
$$;
grant execute on function verify_audit() to wellspring_app, wellspring_readonly;
