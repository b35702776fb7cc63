-- Leads by what is known about them: worth and reasons on the board, typed own fields that an index finds, conditions as SQL, segments that
-- notice who comes and goes, merges that can be undone.

-- Why a deal was won, as lost_reason says why it was lost. Both belong to the stage that the lead stands on.
alter table leads add column won_reason text;

-- A lead as conditions and templates see it, now with what the board knows.
create or replace function lead_facts(l leads) returns jsonb
    language sql stable
    set search_path = pg_catalog, public, pg_temp
as $$
    select jsonb_build_object(
        'id', l.id, 'status', l.status, 'source', l.source, 'firstName', l.first_name, 'lastName', l.last_name,
        'name', nullif(concat_ws(' ', l.first_name, l.last_name), ''), 'email', l.email, 'phone', l.phone, 'ownerId', l.owner_id,
        'stageId', l.stage_id, 'stageEnteredAt', l.stage_entered_at, 'wonReason', l.won_reason, 'lostReason', l.lost_reason,
        'value', l.value, 'currency', l.currency, 'tags', to_jsonb(l.tags), 'customFields', l.custom_fields, 'score', l.score,
        'timezone', l.timezone, 'locale', l.locale, 'firstTouch', l.first_touch, 'lastTouch', l.last_touch, 'createdAt', l.created_at,
        'updatedAt', l.updated_at, 'lastActivityAt', l.last_activity_at, 'lastInboundAt', l.last_inbound_at)
$$;

-- What a value means to a condition. The engine in memory says the same in its own words, and a test asks both the same questions. JSON
-- null stands for "missing"; no function but condition_order, condition_number and condition_instant ever answers null.

-- A JSON number, or a text of up to 18 digits with up to nine decimals; at nine decimals.
create function condition_number(v jsonb) returns numeric
    language sql immutable parallel safe
    set search_path = pg_catalog, public, pg_temp
as $$
    select case
        when jsonb_typeof(v) = 'number' then case when abs((v #>> '{}')::numeric) < 1e18 then round((v #>> '{}')::numeric, 9) end
        when jsonb_typeof(v) = 'string' and v #>> '{}' ~ '^-?[0-9]{1,18}(\.[0-9]{1,9})?$' then (v #>> '{}')::numeric
    end
$$;

-- RFC 3339 with capital letters, or a day, which means its first moment in UTC; in microseconds.
create function condition_instant(v jsonb) returns timestamptz
    language plpgsql immutable parallel safe
    set search_path = pg_catalog, public, pg_temp
as $$
declare
    t text := case when jsonb_typeof(v) = 'string' then v #>> '{}' end;
begin
    -- Leap years are those that four divides, but of the centuries only every fourth.
    if t is null or t !~ ('^(?!0000)([0-9]{4}-((01|03|05|07|08|10|12)-(0[1-9]|[12][0-9]|3[01])|(04|06|09|11)-(0[1-9]|[12][0-9]|30)'
        || '|02-(0[1-9]|1[0-9]|2[0-8]))|([0-9]{2}(0[48]|[2468][048]|[13579][26])|([02468][048]|[13579][26])00)-02-29)'
        || '(T([01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9](\.[0-9]+)?(Z|[+-](0[0-9]|1[0-4]):[0-5][0-9]))?$') then
        return null;
    end if;
    if length(t) = 10 then
        return (t || 'T00:00:00Z')::timestamptz;
    end if;
    return regexp_replace(t, '(\.[0-9]{6})[0-9]+', '\1')::timestamptz;
end
$$;

create function condition_is_set(v jsonb) returns boolean
    language sql immutable parallel safe
    set search_path = pg_catalog, public, pg_temp
as $$
    select v not in ('null', '""', '[]')
$$;

create function condition_same(l jsonb, r jsonb) returns boolean
    language sql immutable parallel safe
    set search_path = pg_catalog, public, pg_temp
as $$
    select case
        when jsonb_typeof(l) = 'string' and jsonb_typeof(r) = 'string'
            then l = r or coalesce(condition_instant(l) = condition_instant(r), false)
        when jsonb_typeof(l) = 'number' or jsonb_typeof(r) = 'number'
            then coalesce(condition_number(l) = condition_number(r), false)
        else l = r
    end
$$;

-- -1, 0 or 1; null when the two cannot be compared.
create function condition_order(l jsonb, r jsonb) returns integer
    language sql immutable parallel safe
    set search_path = pg_catalog, public, pg_temp
as $$
    select case
        when condition_number(l) is not null and condition_number(r) is not null
            then sign(condition_number(l) - condition_number(r))::integer
        when condition_instant(l) is not null and condition_instant(r) is not null
            then case when condition_instant(l) < condition_instant(r) then -1 when condition_instant(l) = condition_instant(r) then 0 else 1 end
        when jsonb_typeof(l) = 'string' and jsonb_typeof(r) = 'string'
            then case when l #>> '{}' collate "C" < r #>> '{}' then -1 when l #>> '{}' = r #>> '{}' then 0 else 1 end
    end
$$;

create function condition_includes(list jsonb, item jsonb) returns boolean
    language sql immutable parallel safe
    set search_path = pg_catalog, public, pg_temp
as $$
    select exists (
        select from jsonb_array_elements(case when jsonb_typeof(list) = 'array' then list else '[]' end) as e (item)
        where condition_same(e.item, condition_includes.item))
$$;

-- Letter case is folded by Unicode's own rules, whatever the locale of the database.
create function condition_contains(v jsonb, part jsonb) returns boolean
    language sql immutable parallel safe
    set search_path = pg_catalog, public, pg_temp
as $$
    select jsonb_typeof(v) = 'string' and jsonb_typeof(part) = 'string'
       and strpos(lower(v #>> '{}' collate "und-x-icu") collate "C", lower(part #>> '{}' collate "und-x-icu") collate "C") > 0
$$;

create function condition_starts_with(v jsonb, part jsonb) returns boolean
    language sql immutable parallel safe
    set search_path = pg_catalog, public, pg_temp
as $$
    select jsonb_typeof(v) = 'string' and jsonb_typeof(part) = 'string'
       and starts_with(lower(v #>> '{}' collate "und-x-icu") collate "C", lower(part #>> '{}' collate "und-x-icu") collate "C")
$$;

-- Within so many days of an instant, before or after it.
create function condition_within(v jsonb, days jsonb, at timestamptz) returns boolean
    language sql immutable parallel safe
    set search_path = pg_catalog, public, pg_temp
as $$
    select coalesce(abs(trunc(extract(epoch from condition_instant(v)) - extract(epoch from at)))
                    <= least(condition_number(days), 1000000) * 86400, false)
$$;

do $$
declare
    f regprocedure;
begin
    for f in select oid from pg_proc where pronamespace = 'public'::regnamespace and proname like 'condition\_%' loop
        execute format('grant execute on function %s to wellspring_app', f);
    end loop;
end
$$;

-- The values of custom fields as an index can find them, kept by a trigger. Times and plain numbers compare without leaking, so under
-- row-level security their indexes may be used, which an expression on the JSON column's may not.
create table lead_field_values (
    tenant_id uuid not null,
    lead_id uuid not null,
    key text not null,
    place integer not null default 0,            -- within a list of choices
    text_value text,                             -- the first 200 characters
    number_value double precision,
    time_value timestamptz,
    constraint lead_field_values_pkey primary key (tenant_id, lead_id, key, place),
    constraint lead_field_values_lead_id_fkey foreign key (tenant_id, lead_id) references leads (tenant_id, id) on delete cascade
);
create index lead_field_values_tenant_id_key_text_value_idx on lead_field_values (tenant_id, key, text_value, lead_id);
create index lead_field_values_tenant_id_key_number_value_idx on lead_field_values (tenant_id, key, number_value, lead_id)
    where number_value is not null;
create index lead_field_values_tenant_id_key_time_value_idx on lead_field_values (tenant_id, key, time_value, lead_id)
    where time_value is not null;

create function lead_field_rows(p_custom jsonb)
    returns table (key text, place integer, text_value text, number_value double precision, time_value timestamptz)
    language sql immutable
    set search_path = pg_catalog, public, pg_temp
as $$
    select f.key, (i.place - 1)::integer, left(i.value #>> '{}', 200), condition_number(i.value)::double precision, condition_instant(i.value)
    from jsonb_each(p_custom) as f
    cross join lateral jsonb_array_elements(case when jsonb_typeof(f.value) = 'array' then f.value else jsonb_build_array(f.value) end)
        with ordinality as i (value, place)
    where length(f.key) <= 60 and jsonb_typeof(i.value) in ('string', 'number', 'boolean') and i.place <= 200
$$;
grant execute on function lead_field_rows(jsonb) to wellspring_app;

-- The leads that are there already. The policies bind the owner too, hence the moment without them.
alter table leads no force row level security;
insert into lead_field_values (tenant_id, lead_id, key, place, text_value, number_value, time_value)
select l.tenant_id, l.id, r.key, r.place, r.text_value, r.number_value, r.time_value
from leads l cross join lateral lead_field_rows(l.custom_fields) as r;
alter table leads force row level security;
call protect_tenant_table('lead_field_values');

create function index_lead_fields() returns trigger
    language plpgsql
    set search_path = pg_catalog, public, pg_temp
as $$
begin
    if tg_op = 'UPDATE' then
        delete from lead_field_values where tenant_id = new.tenant_id and lead_id = new.id;
    end if;
    insert into lead_field_values (tenant_id, lead_id, key, place, text_value, number_value, time_value)
    select new.tenant_id, new.id, r.key, r.place, r.text_value, r.number_value, r.time_value
    from lead_field_rows(new.custom_fields) as r;
    return null;
end
$$;
create trigger leads_index_fields_insert after insert on leads for each row
    when (new.custom_fields <> '{}') execute function index_lead_fields();
create trigger leads_index_fields_update after update of custom_fields on leads for each row
    when (new.custom_fields is distinct from old.custom_fields) execute function index_lead_fields();

-- When a live segment is asked next; a static one never is, hence null. Asking it is no change of the segment, so it raises no version: only its name and its conditions do.
alter table segments add column due_at timestamptz;
create index segments_due_at_idx on segments (tenant_id, due_at) where due_at is not null;
-- contract: replaced by the next statement; nothing reads a trigger
drop trigger segments_touch on segments;
create trigger segments_touch before update of name, conditions on segments for each row execute function touch_versioned_row();

-- Live segments whose turn it is, across tenants: ids and nothing else.
call open_columns('segments', 'wellspring_sweeper', 'tenant_id, id, due_at');
create function sweep_segments(p_limit integer) returns table (tenant_id uuid, id uuid)
    language plpgsql stable security definer
    set search_path = pg_catalog, public, pg_temp
as $$
begin
    return query
        select s.tenant_id, s.id from tenants t join segments s on s.tenant_id = t.id
        where t.status in ('trial', 'active') and s.due_at <= now()
        order by s.due_at limit p_limit;
end
$$;
call give_function('sweep_segments(integer)', 'wellspring_sweeper');

-- Moves what hangs on one lead to another, and tells what was moved, so that it can go back: {"table.column": [ids]}. Which tables refer to leads
-- is asked of the catalogue, so a new one cannot be forgotten. With `p_only` only the named rows move: the way back. What both
-- have alike (a measurement, a source rule) stays where it is. The ledger is append-only: its entries keep the id, which answers with the survivor.
create function move_lead_rows(p_from uuid, p_to uuid, p_only jsonb default null) returns jsonb
    language plpgsql
    set search_path = pg_catalog, public, pg_temp
as $$
declare
    tenant uuid := nullif(current_setting('app.tenant_id', true), '')::uuid;
    moved jsonb := '{}';
    reference record;
    ids jsonb;
begin
    -- A channel has one thread per person: the absorbed one's gets a key of its own, which it loses on the way back.
    update conversations c set thread_key = c.thread_key || '#' || c.id
     where p_only is null and c.tenant_id = tenant and c.lead_id = p_from
       and exists (select from conversations o
                    where o.tenant_id = tenant and o.lead_id = p_to and o.channel = c.channel and o.thread_key = c.thread_key);
    update lead_identities i set is_primary = false
     where i.tenant_id = tenant and i.lead_id = p_from and i.is_primary
       and (p_only is null or i.id::text in (select jsonb_array_elements_text(p_only -> 'lead_identities.lead_id')));
    for reference in
        select r.relname, a.attname, r.relname || '.' || a.attname as name,
               case r.relname
                   when 'metrics' then ' and not exists (select from metrics o where o.tenant_id = t.tenant_id and o.lead_id = $3 and o.type = t.type'
                        || ' and o.source = t.source and o.grain = t.grain and o.start_at = t.start_at)'
                   when 'metric_sources' then ' and not exists (select from metric_sources o where o.tenant_id = t.tenant_id and o.lead_id = $3'
                        || ' and o.type = t.type)'
                   else '' end as unless_alike
        from pg_constraint c
        join pg_class r on r.oid = c.conrelid
        join pg_attribute a on a.attrelid = c.conrelid and a.attnum = c.conkey[2]
        where c.contype = 'f' and c.confrelid = 'public.leads'::regclass and c.conparentid = 0
          and r.relname not in ('leads', 'lead_merges', 'ledger_entries', 'lead_field_values', 'segment_members', 'metric_days')
        order by r.relname
    loop
        continue when p_only is not null and p_only -> reference.name is null;
        execute format(
            'with moved as (
                 update %1$I t set %2$I = $3
                  where t.tenant_id = $1 and t.%2$I = $2 and ($4::jsonb is null or t.id::text in (select jsonb_array_elements_text($4))) %3$s
                 returning t.id)
             select jsonb_agg(id) from moved', reference.relname, reference.attname, reference.unless_alike)
        into ids using tenant, p_from, p_to, p_only -> reference.name;
        if ids is not null then
            moved := moved || jsonb_build_object(reference.name, ids);
        end if;
    end loop;
    update conversations c set thread_key = replace(c.thread_key, '#' || c.id, '')
     where p_only is not null and c.tenant_id = tenant and c.lead_id = p_to and c.thread_key like '%#' || c.id;

    -- Days are sums of measurements.
    delete from metric_days where tenant_id = tenant and lead_id in (p_from, p_to);
    insert into metric_days (tenant_id, lead_id, type, local_date, source, grain, count, sum, min, max, last, last_at)
    select m.tenant_id, m.lead_id, m.type, m.local_date, m.source, m.grain, count(*), sum(m.value), min(m.value), max(m.value),
           (array_agg(m.value order by m.start_at desc, m.id desc))[1], max(m.start_at)
    from metrics m where m.tenant_id = tenant and m.lead_id in (p_from, p_to)
    group by m.tenant_id, m.lead_id, m.type, m.local_date, m.source, m.grain;

    -- Membership goes along without being told. The way back knows in which segments the absorbed one was.
    if p_only is null then
        select jsonb_agg(m.segment_id) into ids from segment_members m where m.tenant_id = tenant and m.lead_id = p_from;
        insert into segment_members (tenant_id, segment_id, lead_id, entered_at)
        select tenant, m.segment_id, p_to, m.entered_at from segment_members m where m.tenant_id = tenant and m.lead_id = p_from
        on conflict (tenant_id, segment_id, lead_id) do nothing;
        delete from segment_members m where m.tenant_id = tenant and m.lead_id = p_from;
        moved := moved || jsonb_build_object('segments', coalesce(ids, '[]'));
    else
        insert into segment_members (tenant_id, segment_id, lead_id)
        select tenant, s.id, p_to from segments s
        where s.tenant_id = tenant and s.id::text in (select jsonb_array_elements_text(p_only -> 'segments'))
        on conflict (tenant_id, segment_id, lead_id) do nothing;
    end if;
    return moved;
end
$$;
grant execute on function move_lead_rows(uuid, uuid, jsonb) to wellspring_app;
