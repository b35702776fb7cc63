//! The laws of the schema, asked of the database's own catalogue.
//!
//! Tenancy rests on properties that every table must have: the tenant leads its keys, row-level security is forced, nobody but a few
//! known functions looks across tenants. A migration that forgets one of them compiles, runs and passes its feature's tests. So
//! each law here is one query over `pg_catalog` that returns the offenders, whatever tables exist by then, with a message that says
//! what was probably done and what to do instead. The connection may be any role's: the catalogue is public.

use sqlx::PgConnection;

/// One law: a query that returns one text per offender, and what to tell whoever broke it.
#[derive(Debug, Clone, Copy)]
pub struct Law {
    /// A short name, to find the law by.
    pub name: &'static str,
    /// What was probably done, and what to do instead.
    pub advice: &'static str,
    /// Returns one row with one text column per offender.
    pub sql: &'static str,
}

/// Tables without a tenant, on purpose. `login_index` is reached only by a definer function, `throttles` and
/// `rate_limits` hold ids and hashes only, `_sqlx_migrations` is the migrator's. A macro, because every law's SQL is a constant.
macro_rules! tenant_tables {
    ($rest:literal) => {
        concat!(
            "with tenant_tables as (
                select c.oid, c.relname::text as name, c.relkind, c.relispartition, c.relowner,
                       c.relrowsecurity, c.relforcerowsecurity,
                       case when c.relname = 'tenants' then 'id' else 'tenant_id' end as tenant_column
                from pg_class c
                where c.relnamespace = 'public'::regnamespace and c.relkind in ('r', 'p')
                  and c.relname not in ('login_index', 'throttles', 'rate_limits', '_sqlx_migrations')
            ) ",
            $rest
        )
    };
}

/// Every law of the schema.
pub const LAWS: &[Law] = &[
    Law {
        name: "tenant column",
        advice: "a table has no `tenant_id uuid not null`. Every row belongs to a tenant: add the column and lead every key with it. \
                 Only a table that can hold nothing of a tenant may be listed as global in shared/src/db/catalogue.rs, with the reason",
        sql: tenant_tables!(
            "select t.name from tenant_tables t
             where not exists (select from pg_attribute a where a.attrelid = t.oid and a.attname = t.tenant_column
                 and a.atttypid = 'uuid'::regtype and a.attnotnull and not a.attisdropped)"
        ),
    },
    Law {
        name: "primary key",
        advice: "a table has no primary key, or one that does not begin with the tenant. \
                 Write `constraint <table>_pkey primary key (tenant_id, id)`",
        sql: tenant_tables!(
            "select t.name from tenant_tables t
             where not exists (select from pg_constraint k
                 join pg_attribute a on a.attrelid = t.oid and a.attnum = k.conkey[1]
                 where k.conrelid = t.oid and k.contype = 'p' and a.attname = t.tenant_column)"
        ),
    },
    Law {
        name: "unique indexes",
        advice: "a unique index does not begin with the tenant: its duplicate-key error would tell one tenant what another has. \
                 Put tenant_id first; a value that must be unique over all tenants belongs behind a definer function",
        sql: tenant_tables!(
            "select t.name || '.' || x.relname from tenant_tables t
             join pg_index i on i.indrelid = t.oid and i.indisunique
             join pg_class x on x.oid = i.indexrelid
             left join pg_attribute a on a.attrelid = t.oid and a.attnum = i.indkey[0]
             where a.attname is distinct from t.tenant_column and x.relname <> 'tenants_slug_key'"
        ),
    },
    Law {
        name: "foreign keys",
        advice: "a foreign key does not pair tenant with tenant: foreign-key checks ignore row-level security, so it would accept \
                 another tenant's row. Write `foreign key (tenant_id, x_id) references xs (tenant_id, id)`, and for an optional \
                 reference `on delete set null (x_id)`",
        sql: tenant_tables!(
            "select t.name || '.' || k.conname from tenant_tables t
             join pg_constraint k on k.conrelid = t.oid and k.contype = 'f'
             join pg_class r on r.oid = k.confrelid
             join pg_attribute own on own.attrelid = t.oid and own.attnum = k.conkey[1]
             join pg_attribute their on their.attrelid = r.oid and their.attnum = k.confkey[1]
             where own.attname <> t.tenant_column
                or their.attname <> case when r.relname = 'tenants' then 'id' else 'tenant_id' end
                or (k.confdeltype in ('n', 'd') and (k.confdelsetcols is null or k.conkey[1] = any (k.confdelsetcols)))"
        ),
    },
    Law {
        name: "cascade from the tenant",
        advice: "deleting a tenant would not delete this table's rows. Reference tenants (id) `on delete cascade`, or a parent \
                 that does, with a column that is never null",
        sql: tenant_tables!(
            "select t.name from tenant_tables t
             where t.name <> 'tenants' and not exists (
                 select from pg_constraint k where k.conrelid = t.oid and k.contype = 'f' and k.confdeltype = 'c'
                   and not exists (select from pg_attribute a where a.attrelid = t.oid
                       and a.attnum = any (k.conkey) and not a.attnotnull))"
        ),
    },
    Law {
        name: "index behind each foreign key",
        advice: "no index begins with the columns of a foreign key, so deleting the referenced row (or the tenant) would read the \
                 whole table once per row. Add an index on the same columns, `where x_id is not null` if it is optional",
        sql: tenant_tables!(
            "select t.name || '.' || k.conname from tenant_tables t
             join pg_constraint k on k.conrelid = t.oid and k.contype = 'f'
             where not exists (
                 select from pg_index i join pg_class x on x.oid = i.indexrelid join pg_am m on m.oid = x.relam and m.amname = 'btree'
                 where i.indrelid = t.oid and i.indkey[0] = k.conkey[1]
                   -- Two leading columns suffice: the second is a row id.
                   and (cardinality(k.conkey) = 1 or i.indkey[1] = any (k.conkey[2:])))"
        ),
    },
    Law {
        name: "row-level security",
        advice: "row-level security is not both enabled and forced. Call `protect_tenant_table('<table>')` after creating the table",
        sql: tenant_tables!("select t.name from tenant_tables t where not (t.relrowsecurity and t.relforcerowsecurity)"),
    },
    Law {
        name: "tenant policy",
        advice: "the table has no policy for all commands that compares its tenant column with the setting app.tenant_id, both in \
                 `using` and in `with check`. Call `protect_tenant_table('<table>')` instead of writing a policy by hand",
        sql: tenant_tables!(
            "select t.name from tenant_tables t
             where not exists (
                 select from pg_policy p where p.polrelid = t.oid and p.polcmd = '*' and p.polpermissive and p.polroles = '{0}'
                   and pg_get_expr(p.polqual, t.oid) = pg_get_expr(p.polwithcheck, t.oid)
                   and pg_get_expr(p.polqual, t.oid) ~ ('^\\(' || t.tenant_column
                       || ' = \\( SELECT \\(NULLIF\\(current_setting\\(''app\\.tenant_id''::text, true\\), ''''::text\\)\\)::uuid AS [\"a-z]+\\)\\)$'))"
        ),
    },
    Law {
        name: "other policies",
        advice: "a policy lets somebody past the tenant wall. Only wellspring_lookup and wellspring_sweeper may have one, for select \
                 alone, made with `open_columns`",
        sql: tenant_tables!(
            "select t.name || '.' || p.polname from tenant_tables t join pg_policy p on p.polrelid = t.oid
             where p.polroles <> '{0}' and (p.polcmd <> 'r' or p.polwithcheck is not null or exists (
                 select from unnest(p.polroles) as member (oid)
                 where pg_get_userbyid(member.oid) not in ('wellspring_lookup', 'wellspring_sweeper')))
             union all
             select t.name || ' has a second policy for everybody' from tenant_tables t join pg_policy p on p.polrelid = t.oid
             where p.polroles = '{0}' group by t.name having count(*) > 1"
        ),
    },
    Law {
        name: "grants on tables",
        advice: "a role holds a right it must not have. The runtime may SELECT, INSERT, UPDATE and DELETE (only SELECT and INSERT on \
                 audit_log and ledger_entries, only SELECT on audit_heads, nothing on login_index and _sqlx_migrations); \
                 wellspring_readonly may SELECT; the definer roles read single columns, wellspring_sweeper ids, kinds, states and times alone; \
                 PUBLIC nothing. TRUNCATE, REFERENCES and TRIGGER are not bound by row-level security",
        sql: "select c.relname || ': ' || case g.grantee when 0 then 'public' else pg_get_userbyid(g.grantee) end || ' ' || g.privilege_type
              from pg_class c cross join lateral aclexplode(c.relacl) g
              where c.relnamespace = 'public'::regnamespace and c.relkind in ('r', 'p', 'v', 'm') and g.grantee <> c.relowner
                and (g.grantee = 0
                  or (pg_get_userbyid(g.grantee) = 'wellspring_app' and (
                      g.privilege_type not in ('SELECT', 'INSERT', 'UPDATE', 'DELETE')
                      or c.relname in ('login_index', '_sqlx_migrations')
                      or (c.relname in ('audit_log', 'ledger_entries') and g.privilege_type in ('UPDATE', 'DELETE'))
                      or (c.relname = 'audit_heads' and g.privilege_type <> 'SELECT')
                      or (c.relname in ('automation_versions', 'template_versions') and g.privilege_type = 'UPDATE')))
                  or (pg_get_userbyid(g.grantee) = 'wellspring_readonly' and g.privilege_type <> 'SELECT')
                  or (pg_get_userbyid(g.grantee) = 'wellspring_lookup' and c.relname not in ('login_index', 'audit_heads'))
                  or pg_get_userbyid(g.grantee) = 'wellspring_sweeper')
              union all
              select c.relname || '.' || a.attname || ': ' || pg_get_userbyid(g.grantee) || ' ' || g.privilege_type
              from pg_class c join pg_attribute a on a.attrelid = c.oid cross join lateral aclexplode(a.attacl) g
              where c.relnamespace = 'public'::regnamespace
                and (case when g.grantee = 0 then 'public' else pg_get_userbyid(g.grantee)::text end
                         not in ('wellspring_lookup', 'wellspring_sweeper')
                  or (g.privilege_type <> 'SELECT' and (c.relname, a.attname) <> ('api_keys', 'last_used_at'))
                  -- The sweeper sees every tenant's queues, so it sees ids, kinds, states and times and nothing else.
                  or (pg_get_userbyid(g.grantee) = 'wellspring_sweeper' and a.attname not in (
                      'tenant_id', 'id', 'automation_id', 'kind', 'status', 'state', 'wake_at', 'tick_at', 'next_attempt_at', 'lease_until',
                      'settle_after', 'snoozed_until', 'due_at', 'recorded_at', 'updated_at', 'told_through', 'pass_due_at')))",
    },
    Law {
        name: "owners",
        advice: "the runtime or a definer role owns a table. Whoever owns a table may switch its wall off; migrations must run as the owner role",
        sql: "select c.relname::text from pg_class c where c.relnamespace = 'public'::regnamespace and c.relkind in ('r', 'p', 'v', 'm', 'S')
              and pg_get_userbyid(c.relowner) in ('wellspring_app', 'wellspring_lookup', 'wellspring_sweeper', 'wellspring_readonly')",
    },
    Law {
        name: "roles",
        advice: "a role can do too much: no role of the product may be superuser, bypass row-level security or belong to another, and \
                 nobody may log in as a definer role. Alter the role; do not connect the runtime as anything but wellspring_app",
        sql: "select r.rolname::text from pg_roles r
              where r.rolname in ('wellspring_app', 'wellspring_lookup', 'wellspring_sweeper', 'wellspring_readonly')
                and (r.rolsuper or r.rolbypassrls or r.rolcreaterole or r.rolcreatedb or r.rolreplication
                  or (r.rolcanlogin and r.rolname in ('wellspring_lookup', 'wellspring_sweeper'))
                  or exists (select from pg_auth_members m where m.member = r.oid))
              union all
              select name || ' is missing' from unnest(array['wellspring_app', 'wellspring_lookup', 'wellspring_sweeper', 'wellspring_readonly']) as name
              where not exists (select from pg_roles where rolname = name)
              union all
              select 'public may create in schema public' where has_schema_privilege('wellspring_app', 'public', 'create')",
    },
    Law {
        name: "definer functions",
        advice: "a SECURITY DEFINER function is not on the list, has another owner than it should, or no fixed search_path. Such a \
                 function sees every tenant. Give it with `give_function`, set `search_path = pg_catalog, public, pg_temp`, and list it \
                 in shared/src/db/catalogue.rs with its owner",
        sql: "with allowed (name, owner) as (values
                  ('index_login', 'wellspring_lookup'), ('chain_audit', 'wellspring_lookup'), ('begin_audit', 'wellspring_lookup'), ('open_session', 'wellspring_lookup'),
                  ('open_api_key', 'wellspring_lookup'), ('open_webhook_source', 'wellspring_lookup'), ('open_tenant', 'wellspring_lookup'),
                  ('open_refresh', 'wellspring_lookup'), ('open_ended_tenant', 'wellspring_lookup'), ('open_one_time_token', 'wellspring_lookup'), ('find_logins', 'wellspring_lookup'), ('find_candidates', 'wellspring_lookup'), ('session_of_refresh', 'wellspring_lookup'), ('find_resets', 'wellspring_lookup'),
                  ('search_leads', 'wellspring_lookup'), ('search_leads_page', 'wellspring_lookup'), ('search_conversations', 'wellspring_lookup'),
                  ('tenant_named', 'wellspring_lookup'), ('tenant_of_key', 'wellspring_lookup'), ('tenant_of_visitor', 'wellspring_lookup'), ('source_of_token', 'wellspring_lookup'), ('knows_network', 'wellspring_lookup'),
                  ('sweep_due', 'wellspring_sweeper'), ('sweep_schedules', 'wellspring_sweeper'),
                  ('sweep_tenants', 'wellspring_sweeper'), ('sweep_segments', 'wellspring_sweeper'), ('sweep_scores', 'wellspring_sweeper'),
                  ('sweep_snoozed', 'wellspring_sweeper'), ('sweep_ended', 'wellspring_sweeper'), ('sweep_suspended', 'wellspring_sweeper'),
                  ('erase_rows', pg_get_userbyid((select relowner from pg_class where oid = to_regclass('public.tenants')))),
                  ('erase_tenant', pg_get_userbyid((select relowner from pg_class where oid = to_regclass('public.tenants')))),
                  ('ensure_cta_month', pg_get_userbyid((select relowner from pg_class where oid = to_regclass('public.cta_events')))))
              select p.oid::regprocedure::text from pg_proc p left join allowed a on a.name = p.proname
              where p.pronamespace = 'public'::regnamespace and p.prosecdef
                and (a.name is null or a.owner <> pg_get_userbyid(p.proowner)
                  or not coalesce(p.proconfig, '{}') @> array['search_path=pg_catalog, public, pg_temp'])",
    },
    Law {
        name: "calling functions",
        advice: "everybody may call one of our functions. `revoke all … from public` and grant EXECUTE to the role that needs it; \
                 `give_function` does both",
        sql: "select p.oid::regprocedure::text from pg_proc p
              where p.pronamespace = 'public'::regnamespace
                and not exists (select from pg_depend d where d.classid = 'pg_proc'::regclass and d.objid = p.oid and d.deptype = 'e')
                and (p.proacl is null or exists (select from aclexplode(p.proacl) g where g.grantee = 0))",
    },
    Law {
        name: "views",
        advice: "a view runs with its owner's rights, and a materialised view is never filtered: both would show every tenant. Write \
                 `with (security_invoker = true)`, and use a table instead of a materialised view",
        sql: "select c.relname::text from pg_class c where c.relnamespace = 'public'::regnamespace
              and not exists (select from pg_depend d where d.classid = 'pg_class'::regclass and d.objid = c.oid and d.deptype = 'e')
              and (c.relkind = 'm' or (c.relkind = 'v' and not coalesce(c.reloptions, '{}') && array['security_invoker=true', 'security_invoker=on']))",
    },
    Law {
        name: "column types",
        advice: "a column has a type whose comparison is not leakproof (so no index serves it under row-level security), loses the \
                 zone of a time, or is a shared sequence. Use text with a named CHECK for statuses, timestamptz, and uuid keys",
        sql: tenant_tables!(
            "select t.name || '.' || a.attname || ' ' || format_type(a.atttypid, a.atttypmod) from tenant_tables t
             join pg_attribute a on a.attrelid = t.oid and a.attnum > 0 and not a.attisdropped join pg_type y on y.oid = a.atttypid
             where y.typtype = 'e' or y.typname in ('citext', 'timestamp', 'timetz', 'money') or a.attidentity <> ''
                or coalesce((select pg_get_expr(d.adbin, d.adrelid) from pg_attrdef d where d.adrelid = t.oid and d.adnum = a.attnum), '')
                    like 'nextval(%'"
        ),
    },
    Law {
        name: "statuses and currencies",
        advice: "a `status`, `state` or `currency` column has no CHECK. Add `constraint <table>_<column>_check check (…)`",
        sql: tenant_tables!(
            "select t.name || '.' || a.attname from tenant_tables t
             join pg_attribute a on a.attrelid = t.oid and a.attname in ('status', 'state', 'currency')
                 and a.atttypid in ('text'::regtype, 'bpchar'::regtype)
             where not exists (select from pg_constraint k where k.conrelid = t.oid and k.contype = 'c' and a.attnum = any (k.conkey))"
        ),
    },
    Law {
        name: "constraint names",
        advice: "a constraint was named by PostgreSQL or in another manner. Names are API, code translates them: \
                 `<table>_<columns>_key`, `_fkey`, `_check`, `_pkey`",
        sql: tenant_tables!(
            "select t.name || '.' || k.conname from tenant_tables t join pg_constraint k on k.conrelid = t.oid
             where not t.relispartition and length(k.conname) < 63
               and ((k.contype = 'p' and k.conname <> t.name || '_pkey') or (k.contype = 'u' and k.conname !~ '_key$')
                 or (k.contype = 'f' and k.conname !~ '_fkey$') or (k.contype = 'c' and k.conname !~ '_check$')
                 or (k.contype in ('u', 'f', 'c') and not starts_with(k.conname::text, t.name || '_')))"
        ),
    },
    Law {
        name: "updated_at",
        advice: "a table has `updated_at` and no trigger that sets it. Call `protect_tenant_table` after the column exists \
                 (with `p_versioned => true` when it carries an ETag)",
        sql: tenant_tables!(
            "select t.name from tenant_tables t
             join pg_attribute a on a.attrelid = t.oid and a.attname = 'updated_at' and not a.attisdropped
             where not t.relispartition and not exists (select from pg_trigger g join pg_proc f on f.oid = g.tgfoid
                 where g.tgrelid = t.oid and g.tgenabled <> 'D' and f.proname in ('touch_row', 'touch_versioned_row'))"
        ),
    },
];

/// Asks the database for every breach of [`LAWS`]: `law: offender: advice`, one line each. Empty when all hold.
///
/// # Errors
/// When the database cannot be asked.
pub async fn violations(conn: &mut PgConnection) -> Result<Vec<String>, sqlx::Error> {
    let mut found = Vec::new();
    for law in LAWS {
        let offenders: Vec<String> = sqlx::query_scalar(law.sql).fetch_all(&mut *conn).await?;
        found.extend(
            offenders.into_iter().map(|offender| format!("{}: {offender}: {}", law.name, law.advice)),
        );
    }
    Ok(found)
}
