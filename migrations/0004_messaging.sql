-- Messaging: accounts with providers, texts, conversations and the messages in them.
--
-- A message is written in the same transaction as the effect that will send it (0006): the message is what people see, the effect is what the
-- worker claims. Status only ever rises (`status_rank`), because providers report in any order.

-- An account with a provider that sends and receives for one channel.
create table connections (
    tenant_id uuid not null,
    id uuid not null,
    channel text not null,
    provider text not null,
    name text not null,
    is_default boolean not null default false,   -- used when a send names no connection
    settings jsonb not null default '{}',
    secrets_sealed bytea,                        -- sealed JSON; never leaves through the API
    status text not null default 'active',
    status_reason text,                          -- e.g. the provider's 401
    rate_per_minute integer,
    breaker_state text not null default 'closed', -- open: the provider is down, nothing is tried; halfOpen: one probe is on its way
    breaker_failures integer not null default 0,
    breaker_until timestamptz,
    version bigint not null default 1,
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    constraint connections_pkey primary key (tenant_id, id),
    constraint connections_tenant_id_fkey foreign key (tenant_id) references tenants (id) on delete cascade,
    constraint connections_channel_check check (channel in ('email', 'sms', 'whatsapp', 'inApp')),
    constraint connections_status_check check (status in ('active', 'paused', 'disabled')),
    constraint connections_breaker_state_check check (breaker_state in ('closed', 'open', 'halfOpen'))
);
create unique index connections_tenant_id_channel_default_key on connections (tenant_id, channel) where is_default;
create index connections_tenant_id_created_at_idx on connections (tenant_id, created_at, id);
call protect_tenant_table('connections', p_versioned => true);

-- A text with variables. The row holds the draft; what was used is in template_versions.
create table templates (
    tenant_id uuid not null,
    id uuid not null,
    name text not null,
    channel text not null,
    purpose text not null default 'transactional',
    locale text not null default 'en',
    subject text,
    body text not null,
    variables jsonb not null default '[]',       -- names, whether required, fallbacks
    translations jsonb not null default '{}',    -- locale → {subject, body}
    current_version integer not null default 1,
    archived_at timestamptz,
    version bigint not null default 1,
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    constraint templates_pkey primary key (tenant_id, id),
    constraint templates_tenant_id_fkey foreign key (tenant_id) references tenants (id) on delete cascade,
    constraint templates_channel_check check (channel in ('email', 'sms', 'whatsapp', 'inApp')),
    constraint templates_purpose_check check (purpose in ('marketing', 'transactional'))
);
create index templates_tenant_id_created_at_idx on templates (tenant_id, created_at, id);
call protect_tenant_table('templates', p_versioned => true);

-- A text as it was at one time; a message says which one it came from.
create table template_versions (
    tenant_id uuid not null,
    template_id uuid not null,
    version integer not null,
    locale text not null,
    subject text,
    body text not null,
    variables jsonb not null default '[]',
    translations jsonb not null default '{}',
    created_by uuid,
    created_at timestamptz not null default now(),
    constraint template_versions_pkey primary key (tenant_id, template_id, version),
    constraint template_versions_template_id_fkey foreign key (tenant_id, template_id) references templates (tenant_id, id) on delete cascade
);
create trigger template_versions_immutable before update on template_versions for each row execute function refuse_update();
call protect_tenant_table('template_versions', p_grants => 'select, insert, delete');

-- A thread with one person on one channel.
create table conversations (
    tenant_id uuid not null,
    id uuid not null,
    lead_id uuid not null,
    channel text not null,
    thread_key text not null default '',         -- '' where a channel has one thread per person; for e-mail the root Message-ID
    reply_token text,                            -- part of the reply address, so that an answer without References finds its thread
    connection_id uuid,
    status text not null default 'open',
    assignee_id uuid,
    subject text,
    priority text not null default 'normal',
    unread_count integer not null default 0,
    last_message_at timestamptz,
    last_inbound_at timestamptz,
    last_outbound_at timestamptz,
    snoozed_until timestamptz,
    first_response_due_at timestamptz,
    first_responded_at timestamptz,
    closed_at timestamptz,
    version bigint not null default 1,
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    constraint conversations_pkey primary key (tenant_id, id),
    constraint conversations_tenant_id_fkey foreign key (tenant_id) references tenants (id) on delete cascade,
    constraint conversations_lead_id_fkey foreign key (tenant_id, lead_id) references leads (tenant_id, id) on delete cascade,
    constraint conversations_assignee_id_fkey foreign key (tenant_id, assignee_id) references users (tenant_id, id)
        on delete set null (assignee_id),
    constraint conversations_connection_id_fkey foreign key (tenant_id, connection_id) references connections (tenant_id, id)
        on delete set null (connection_id),
    constraint conversations_tenant_id_lead_id_channel_thread_key_key unique (tenant_id, lead_id, channel, thread_key),
    constraint conversations_tenant_id_reply_token_key unique (tenant_id, reply_token),
    constraint conversations_channel_check check (channel in ('email', 'sms', 'whatsapp', 'inApp')),
    constraint conversations_status_check check (status in ('open', 'pending', 'snoozed', 'closed')),
    constraint conversations_priority_check check (priority in ('low', 'normal', 'high', 'urgent')),
    constraint conversations_unread_count_check check (unread_count >= 0)
);
create index conversations_tenant_id_last_message_at_idx on conversations (tenant_id, last_message_at, id);
create index conversations_tenant_id_status_last_message_at_idx on conversations (tenant_id, status, last_message_at, id);
create index conversations_tenant_id_assignee_id_idx on conversations (tenant_id, assignee_id, last_message_at, id);
create index conversations_tenant_id_connection_id_idx on conversations (tenant_id, connection_id) where connection_id is not null;
create index conversations_tenant_id_snoozed_until_idx on conversations (tenant_id, snoozed_until) where status = 'snoozed';
create index conversations_tenant_id_first_response_due_at_idx on conversations (tenant_id, first_response_due_at)
    where first_responded_at is null and first_response_due_at is not null;
call protect_tenant_table('conversations', p_versioned => true);

-- One message, in or out, or an internal note (channel `note`), which no provider ever sees.
create table messages (
    tenant_id uuid not null,
    id uuid not null,
    conversation_id uuid not null,
    lead_id uuid not null,
    direction text not null,
    channel text not null,
    purpose text not null default 'transactional',
    status text not null,
    status_rank smallint not null default 0,     -- the place of the status in its order; an update with a lower rank only goes to history
    to_address text,
    from_address text,
    subject text,
    body text,                                   -- null once purged
    html_body text,
    attachments jsonb not null default '[]',
    template_id uuid,
    template_version integer,
    send_at timestamptz,                         -- null: at once
    provider text,
    provider_ref text,                           -- the provider's id; ties status callbacks to the message
    connection_id uuid,
    email_message_id text,                       -- RFC 5322 Message-ID; replies name it
    in_reply_to text,
    run_id uuid,                                 -- the automation run and step that sent it
    run_seq integer,
    retry_of_id uuid,
    dedupe_key text,                             -- the cause, so that the same step or request sends once
    verdicts jsonb not null default '[]',        -- [{rule, outcome, reason}]: why it was sent, held or blocked
    history jsonb not null default '[]',         -- [{status, at}] as reported, in order of arrival
    failure jsonb,                               -- {class, code, reason}
    segment_count smallint,                      -- SMS parts
    sent_by uuid,                                -- the colleague who wrote it; history, hence no reference
    sent_at timestamptz,
    delivered_at timestamptz,
    read_at timestamptz,
    body_purged_at timestamptz,                  -- when retention or erasure emptied it
    version bigint not null default 1,
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    constraint messages_pkey primary key (tenant_id, id),
    constraint messages_conversation_id_fkey foreign key (tenant_id, conversation_id) references conversations (tenant_id, id) on delete cascade,
    constraint messages_lead_id_fkey foreign key (tenant_id, lead_id) references leads (tenant_id, id) on delete cascade,
    constraint messages_template_id_fkey foreign key (tenant_id, template_id) references templates (tenant_id, id) on delete set null (template_id),
    constraint messages_connection_id_fkey foreign key (tenant_id, connection_id) references connections (tenant_id, id)
        on delete set null (connection_id),
    constraint messages_retry_of_id_fkey foreign key (tenant_id, retry_of_id) references messages (tenant_id, id) on delete set null (retry_of_id),
    constraint messages_tenant_id_provider_provider_ref_key unique (tenant_id, provider, provider_ref),
    constraint messages_tenant_id_dedupe_key_key unique (tenant_id, dedupe_key),
    constraint messages_direction_check check (direction in ('inbound', 'outbound')),
    constraint messages_channel_check check (channel in ('email', 'sms', 'whatsapp', 'inApp', 'note')),
    constraint messages_purpose_check check (purpose in ('marketing', 'transactional')),
    constraint messages_status_check check (status in (
        'scheduled', 'deferred', 'queued', 'sending', 'sent', 'delivered', 'read',
        'failed', 'undelivered', 'canceled', 'blocked', 'unknown', 'received'))
);
create index messages_tenant_id_conversation_id_idx on messages (tenant_id, conversation_id, created_at, id);
create index messages_tenant_id_lead_id_idx on messages (tenant_id, lead_id, created_at, id);
create index messages_tenant_id_created_at_idx on messages (tenant_id, created_at, id);
create index messages_tenant_id_status_idx on messages (tenant_id, status, created_at, id);
create index messages_tenant_id_run_id_idx on messages (tenant_id, run_id) where run_id is not null;
create index messages_tenant_id_retry_of_id_idx on messages (tenant_id, retry_of_id) where retry_of_id is not null;
create index messages_tenant_id_template_id_idx on messages (tenant_id, template_id) where template_id is not null;
create index messages_tenant_id_connection_id_idx on messages (tenant_id, connection_id) where connection_id is not null;
create index messages_tenant_id_email_message_id_idx on messages (tenant_id, email_message_id) where email_message_id is not null;
call protect_tenant_table('messages', p_versioned => true);

-- What the sandbox provider "sent": the ledger that shows how often each message really went out.
create table sandbox_deliveries (
    tenant_id uuid not null,
    id uuid not null,
    idem_key text not null,                      -- the effect's key: a second call with it raises `attempts` and is a double send
    channel text not null,
    recipient text not null,
    subject text,
    body text,
    attempts integer not null default 1,
    first_at timestamptz not null default now(),
    last_at timestamptz not null default now(),
    constraint sandbox_deliveries_pkey primary key (tenant_id, id),
    constraint sandbox_deliveries_tenant_id_fkey foreign key (tenant_id) references tenants (id) on delete cascade,
    constraint sandbox_deliveries_tenant_id_idem_key_key unique (tenant_id, idem_key)
);
create index sandbox_deliveries_tenant_id_first_at_idx on sandbox_deliveries (tenant_id, first_at, id);
call protect_tenant_table('sandbox_deliveries');

-- A word to a colleague inside the product.
create table notifications (
    tenant_id uuid not null,
    id uuid not null,
    user_id uuid not null,
    kind text not null,
    title text,
    body text,
    data jsonb not null default '{}',
    lead_id uuid,
    dedupe_key text,
    read_at timestamptz,
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    constraint notifications_pkey primary key (tenant_id, id),
    constraint notifications_user_id_fkey foreign key (tenant_id, user_id) references users (tenant_id, id) on delete cascade,
    constraint notifications_lead_id_fkey foreign key (tenant_id, lead_id) references leads (tenant_id, id) on delete cascade,
    constraint notifications_tenant_id_user_id_dedupe_key_key unique (tenant_id, user_id, dedupe_key)
);
create index notifications_tenant_id_user_id_created_at_idx on notifications (tenant_id, user_id, created_at, id);
create index notifications_tenant_id_lead_id_idx on notifications (tenant_id, lead_id) where lead_id is not null;
call protect_tenant_table('notifications');
