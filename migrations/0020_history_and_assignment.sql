-- Conditions over what people did, and the colleagues who take turns at new leads.
--
-- A condition such as "three visits within seven days" gathers the people from the entries of that kind and time, so each kind of entry
-- has an index that begins with them and ends with the lead. All compare texts and times, which do not leak, so the indexes
-- may be used under row-level security.
create index events_tenant_id_type_occurred_at_idx on events (tenant_id, type, occurred_at, lead_id) where lead_id is not null;
create index activities_tenant_id_kind_occurred_at_idx on activities (tenant_id, kind, occurred_at, lead_id);
-- When a message was sent, or came; one that waits, when it was written. Not as `coalesce`, which the planner does not know to be silent, and not
-- for a part of the rows, because the planner would not use what it knows of the distribution of an expression.
create index messages_tenant_id_at_idx on messages (tenant_id, (case when sent_at is null then created_at else sent_at end), lead_id);
create index invoices_tenant_id_paid_at_idx on invoices (tenant_id, paid_at, lead_id) where status = 'paid' and lead_id is not null;
create index metrics_tenant_id_type_start_at_idx on metrics (tenant_id, type, start_at, lead_id);

-- How leads find their colleague.
create table assignment_policies (
    tenant_id uuid not null,
    id uuid not null,
    name text not null,
    strategy text not null default 'roundRobin',
    conditions jsonb,                            -- for whom it is; null: for everybody
    for_new_leads boolean not null default false, -- asked when a lead comes that nobody owns; the first that fits decides
    position integer not null default 0,         -- the order in which those are asked
    working_hours boolean not null default true, -- whether colleagues are left out outside their hours
    fallback_user_id uuid,                       -- who takes the lead when nobody else can
    version bigint not null default 1,
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    constraint assignment_policies_pkey primary key (tenant_id, id),
    constraint assignment_policies_tenant_id_fkey foreign key (tenant_id) references tenants (id) on delete cascade,
    constraint assignment_policies_fallback_user_id_fkey foreign key (tenant_id, fallback_user_id) references users (tenant_id, id)
        on delete set null (fallback_user_id),
    constraint assignment_policies_strategy_check check (strategy in ('roundRobin', 'weighted'))
);
create index assignment_policies_tenant_id_created_at_idx on assignment_policies (tenant_id, created_at, id);
create index assignment_policies_tenant_id_fallback_user_id_idx on assignment_policies (tenant_id, fallback_user_id)
    where fallback_user_id is not null;
call protect_tenant_table('assignment_policies', p_versioned => true);

-- Who takes turns.
create table assignment_members (
    tenant_id uuid not null,
    policy_id uuid not null,
    user_id uuid not null,
    position integer not null,
    weight integer not null default 1,           -- the share of turns
    capacity integer,                            -- open leads at most; null: any number
    created_at timestamptz not null default now(),
    constraint assignment_members_pkey primary key (tenant_id, policy_id, user_id),
    constraint assignment_members_policy_id_fkey foreign key (tenant_id, policy_id) references assignment_policies (tenant_id, id)
        on delete cascade,
    constraint assignment_members_user_id_fkey foreign key (tenant_id, user_id) references users (tenant_id, id) on delete cascade,
    constraint assignment_members_weight_check check (weight between 1 and 100),
    constraint assignment_members_capacity_check check (capacity between 0 and 1000000)
);
create index assignment_members_tenant_id_user_id_idx on assignment_members (tenant_id, user_id);
call protect_tenant_table('assignment_members');

-- Whose turn it is: `policy:<id>`, or `list:<hash>` for colleagues who were named on the spot. Whoever takes a turn holds the row until the
-- lead is assigned or nothing has happened, so that no turn is taken twice and none is lost.
create table assignment_turns (
    tenant_id uuid not null,
    name text not null,
    turns jsonb not null default '{}',           -- user → how far they are ahead of their share (negative) or behind it
    updated_at timestamptz not null default now(),
    constraint assignment_turns_pkey primary key (tenant_id, name),
    constraint assignment_turns_tenant_id_fkey foreign key (tenant_id) references tenants (id) on delete cascade
);
call protect_tenant_table('assignment_turns');

-- The leads that count against a colleague's capacity.
create index leads_tenant_id_owner_id_open_idx on leads (tenant_id, owner_id)
    where deleted_at is null and merged_into_id is null and status not in ('customer', 'lost');
