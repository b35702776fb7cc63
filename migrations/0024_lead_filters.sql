-- Rare sources and rare tags among a million leads: found by an index instead of by walking past everybody.

create index leads_tenant_id_source_created_at_idx on leads (tenant_id, source, created_at, id) where source is not null;

-- `&&` leaks, so under row-level security no index on the array may be used. The tags stand beside the values of custom fields, whose indexes compare
-- plain text, under a key that no field can have.
create or replace function index_lead_fields() returns trigger
    language plpgsql
    set search_path = pg_catalog, public, pg_temp
as $$
begin
    if tg_op = 'UPDATE' then
        delete from lead_field_values where tenant_id = new.tenant_id and lead_id = new.id and key <> '#tags';
    end if;
    insert into lead_field_values (tenant_id, lead_id, key, place, text_value, number_value, time_value)
    select new.tenant_id, new.id, r.key, r.place, r.text_value, r.number_value, r.time_value
    from lead_field_rows(new.custom_fields) as r;
    return null;
end
$$;

create function index_lead_tags() returns trigger
    language plpgsql
    set search_path = pg_catalog, public, pg_temp
as $$
begin
    if tg_op = 'UPDATE' then
        delete from lead_field_values where tenant_id = new.tenant_id and lead_id = new.id and key = '#tags';
    end if;
    insert into lead_field_values (tenant_id, lead_id, key, place, text_value)
    select new.tenant_id, new.id, '#tags', t.place, t.tag
    from unnest(new.tags) with ordinality as t (tag, place);
    return null;
end
$$;
create trigger leads_index_tags_insert after insert on leads for each row
    when (new.tags <> '{}') execute function index_lead_tags();
create trigger leads_index_tags_update after update of tags on leads for each row
    when (new.tags is distinct from old.tags) execute function index_lead_tags();

-- The leads that are there already. The policies bind the owner too, hence the moment without them.
alter table leads no force row level security;
alter table lead_field_values no force row level security;
insert into lead_field_values (tenant_id, lead_id, key, place, text_value)
select l.tenant_id, l.id, '#tags', t.place, t.tag
from leads l cross join lateral unnest(l.tags) with ordinality as t (tag, place);
alter table lead_field_values force row level security;
alter table leads force row level security;

-- Multiplied, the shares of a business, of tags and of one tag make a frequent tag look rare, and a page would collect and sort everybody who has
-- it. So what goes together is counted together.
create statistics lead_field_values_tenant_id_key_text_value_stats (mcv) on tenant_id, key, text_value from lead_field_values;
alter statistics lead_field_values_tenant_id_key_text_value_stats set statistics 1000;
