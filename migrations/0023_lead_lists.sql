-- Lists of leads: two more orders, tasks across leads, and a search that stops when the page is full.

-- The orders `lastActivityAt` and `name`. A list is walked by position, so the columns behind its orders are never null: whoever was never active
-- counts from when they came, and whoever has no name comes first. Names are compared by Unicode's rules, not by code points.
alter table leads
    add column activity_at timestamptz not null generated always as (coalesce(last_activity_at, created_at)) stored,
    add column sort_name text collate "und-x-icu" not null generated always as (
        case when first_name is null then coalesce(last_name, '') when last_name is null then first_name
             else first_name || ' ' || last_name end) stored;
create index leads_tenant_id_activity_at_idx on leads (tenant_id, activity_at, id);
create index leads_tenant_id_sort_name_idx on leads (tenant_id, sort_name, id);
-- contract: no statement sorts by the column itself; the index above takes its place
drop index leads_tenant_id_last_activity_at_idx;

-- What is to be done and what was done, of all leads together.
create index activities_tenant_id_occurred_at_idx on activities (tenant_id, occurred_at, id);
create index activities_tenant_id_due_at_idx on activities (tenant_id, due_at, id) where due_at is not null;
-- A person's measurements in the timeline, whatever their type.
create index metrics_tenant_id_lead_id_start_at_idx on metrics (tenant_id, lead_id, start_at, id);

grant select (first_name, last_name) on leads to wellspring_lookup;

-- The next leads behind a position (or from the end, when it is null) that contain all fragments of a query, in the order of their creation. Like
-- search_leads it tries what is cheap for the usual query first:
--   1. walk two thousand leads: enough for what one in a hundred matches;
--   2. ask the trigram index, unless the walk has shown that the fragment is frequent. A long fragment has many trigrams, and the
--      index would walk the list of each, so it is asked for the rarest four letters only, judged by the leads just seen, and
--      the rest is compared on the rows that it finds;
--   3. walk on: what the index found too often will soon be met.
-- Walks have an end, because matches may all lie at the other end of the list: then the index sorts them after all.
create function search_leads_page(
    p_query text, p_fields text, p_descending boolean, p_after_at timestamptz, p_after_id uuid, p_limit integer
)
    returns table (id uuid, created_at timestamptz)
    language plpgsql stable security definer
    set search_path = pg_catalog, public, pg_temp
    set enable_sort = on                         -- switched off below for the last walk; being named here restores it at the end
    set jit = off                                -- statements of a few milliseconds are not worth compiling
as $$
declare
    tenant uuid := nullif(current_setting('app.tenant_id', true), '')::uuid;
    patterns text[] := search_patterns(p_query);
    wanted integer := greatest(0, least(coalesce(p_limit, 100), 10000));
    names constant text := '('' '' || lower(coalesce(l.first_name, '''')) || '' '' || lower(coalesce(l.last_name, '''')))';
    -- The second form is one that no index knows.
    condition text;
    unindexed text;
    behind text := '';
    in_order text := case when p_descending then 'l.created_at desc, l.id desc' else 'l.created_at, l.id' end;
    found_ids uuid[];
    found_times timestamptz[];
    seen integer;
    hits integer;
    rarest text;
    step record;
begin
    if tenant is null or patterns is null or wanted = 0 then
        return;
    end if;
    select string_agg(format('l.search_text like %L', pattern), ' and '),
           string_agg(format('(l.search_text || '''') like %L', pattern), ' and ')
      into condition, unindexed from unnest(patterns) as pattern;
    if p_fields is distinct from 'all' then
        select condition || ' and ' || string_agg(format('%s like %L', names, pattern), ' and '),
               unindexed || ' and ' || string_agg(format('%s like %L', names, pattern), ' and ')
          into condition, unindexed from unnest(patterns) as pattern;
    end if;
    if p_after_id is not null then
        behind := format(' and (l.created_at, l.id) %s (%L::timestamptz, %L::uuid)', case when p_descending then '<' else '>' end, p_after_at, p_after_id);
    end if;

    for step in select * from (values (2000, 2000), (20000, 10000)) as steps (walk, collect) loop
        execute format(
            'select count(*), (array_agg(l.id order by %3$s) filter (where %5$s))[1:%6$s],
                    (array_agg(l.created_at order by %3$s) filter (where %5$s))[1:%6$s]
               from (select l.id, l.created_at, l.search_text, l.first_name, l.last_name from leads l
                      where l.tenant_id = %1$L::uuid %2$s order by %3$s limit %4$s) l',
            tenant, behind, in_order, step.walk, condition, wanted) into seen, found_ids, found_times;
        hits := coalesce(cardinality(found_ids), 0);
        if hits >= wanted or seen < step.walk then
            return query select * from unnest(found_ids, found_times);
            return;
        end if;
        continue when step.walk = 2000 and hits >= 4;

        if rarest is null then
            select w.part into rarest
              from (select distinct substr(f.fragment, p.place, 4) as part, p.place
                      from (select trim(both '%' from f.pattern) as fragment from unnest(patterns) as f (pattern)) f
                     cross join lateral generate_series(1, greatest(length(f.fragment) - 3, 1)) as p (place)) w
             where w.part !~ '[%\\_]'
             order by (select count(*) from (select s.search_text from leads s where s.tenant_id = tenant
                                              order by s.created_at desc, s.id desc limit 300) n
                        where strpos(n.search_text, w.part) > 0), length(w.part) desc, w.place desc
             limit 1;
        end if;
        execute format(
            'with hits as materialized (
                 select l.id, l.created_at from leads l where l.tenant_id = %1$L::uuid and %2$s %3$s limit %4$s),
             first_ones as (select l.id, l.created_at from hits l order by %5$s limit %6$s)
             select (select count(*) from hits), array_agg(l.id order by %5$s), array_agg(l.created_at order by %5$s) from first_ones l',
            tenant, case when rarest is null then condition else format('l.search_text like %L and %s', '%' || rarest || '%', unindexed) end,
            behind, step.collect + 1, in_order, wanted) into seen, found_ids, found_times;
        if seen <= step.collect then
            return query select * from unnest(found_ids, found_times);
            return;
        end if;
    end loop;

    -- Believing the fragments rare, the planner would collect all matches and sort them. Without sorting only the walk is left.
    perform set_config('enable_sort', 'off', true);
    return query execute format(
        'select l.id, l.created_at from leads l where l.tenant_id = %L::uuid and %s %s order by %s limit %s',
        tenant, unindexed, behind, in_order, wanted
    );
end
$$;
call give_function('search_leads_page(text, text, boolean, timestamptz, uuid, integer)', 'wellspring_lookup');
