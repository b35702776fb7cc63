-- Addresses in texts. Whoever sees only hints of e-mail addresses and telephone numbers must not find them where people wrote them down
-- either: in subjects, memos, names. Their searches pass over such texts, their comparisons take them for absent.

-- Whether a text holds an e-mail address or seven digits with no more than the usual separators between them, which may be a telephone number.
-- Ids, dates and numbers of documents that name the year are none. The same patterns as in shared/src/mask/text.rs.
create function holds_address(p_text text) returns boolean
    language sql immutable parallel safe
    set search_path = pg_catalog, public, pg_temp
as $$
    -- In the order of what it costs: most texts are done with by the first look.
    select p_text ~ '[@%&]|\d' and (
        p_text ~* '[^\s•](@|%40|&#64;|&#x40;|&commat;)[^\s@]+\.[^\s@.]'
        or p_text ~ '\d(([ \t\u00a0\u2009\u202f().\u2010-\u2015\u00b7/+-]|%20|&nbsp;){0,3}\d){6}'
            and regexp_replace(
                    regexp_replace(p_text, '\m[A-Z]{1,6}-(19|20)\d\d-\d{1,8}\M', '', 'g'),
                    '\m[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}\M'
                    || '|\m(19|20)\d\d-\d\d-\d\d([T ]\d\d:\d\d(:\d\d(\.\d+)?)?(Z|[+-]\d\d(:?\d\d)?)?)?\M'
                    || '|\m\d{1,2}[./-]\d{1,2}[./-](19|20)\d\d\M', '', 'gi')
                ~ '\d(([ \t\u00a0\u2009\u202f().\u2010-\u2015\u00b7/+-]|%20|&nbsp;){0,3}\d){6}')
$$;
grant execute on function holds_address(text) to wellspring_app, wellspring_lookup;

-- A value as those may compare it who see hints of addresses. Numbers are values, not texts.
create function without_address(p_value jsonb) returns jsonb
    language sql immutable parallel safe
    set search_path = pg_catalog, public, pg_temp
as $$
    select case when jsonb_typeof(p_value) in ('string', 'array', 'object') and holds_address(p_value #>> '{}') then 'null' else p_value end
$$;
grant execute on function without_address(jsonb) to wellspring_app;

-- As before (0018). A search through names passes over subjects and names that hold an address.
call take_function('search_conversations(text, integer, text)', 'wellspring_lookup');
create or replace function search_conversations(p_query text, p_limit integer, p_fields text default 'all') returns setof uuid
    language plpgsql stable security definer
    set search_path = pg_catalog, public, pg_temp
as $$
declare
    tenant uuid := nullif(current_setting('app.tenant_id', true), '')::uuid;
    patterns text[] := search_patterns(p_query);
    condition text;
    people text := 'select lead_id from search_leads(%3$L, 10000, %5$L) as found (lead_id)';
begin
    if tenant is null or patterns is null then
        return;
    end if;
    select string_agg(format('(%L || lower(subject)) like %L', ' ', pattern), ' and ') into condition from unnest(patterns) as pattern;
    if p_fields is distinct from 'all' then
        condition := condition || ' and not holds_address(subject)';
        people := people || ' join leads l on l.tenant_id = %1$L::uuid and l.id = found.lead_id
                             where not holds_address(concat_ws('' '', l.first_name, l.last_name))';
    end if;
    return query execute format(
        'select id from (
             select id, last_message_at from conversations where tenant_id = %1$L::uuid and %2$s
             union
             select c.id, c.last_message_at from (' || people || ') as people
             join conversations c on c.tenant_id = %1$L::uuid and c.lead_id = people.lead_id
         ) found order by last_message_at desc nulls last, id desc limit %4$s',
        tenant, condition, p_query, greatest(0, least(coalesce(p_limit, 1000), 10000)), p_fields
    );
end
$$;
call give_function('search_conversations(text, integer, text)', 'wellspring_lookup');

-- Nor may the order of names tell them: the cursor of a list is a position that anybody can write, and whether somebody comes before or behind it is
-- an answer. Whoever has an address for a name stands with those who have none. The column of 0023 is made anew with its index.
-- contract: the column itself stays, with another value for those few
alter table leads drop column sort_name;
alter table leads add column sort_name text collate "und-x-icu" not null generated always as (
    case when holds_address(coalesce(first_name, '') || ' ' || coalesce(last_name, '')) then ''
         when first_name is null then coalesce(last_name, '') when last_name is null then first_name
         else first_name || ' ' || last_name end) stored;
create index leads_tenant_id_sort_name_idx on leads (tenant_id, sort_name, id);
