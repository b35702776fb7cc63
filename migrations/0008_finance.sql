-- Finance: what is sold, what is owed, what was paid, and the till.
--
-- Amounts are integers in the currency's minor unit. Documents are drafts until they are finalised; then they carry a gap-free number and change
-- only through credit notes and payments. Every movement of money also stands in the ledger, which only grows and balances in each
-- transaction. Money rows outlive the person: a lead with any cannot be deleted, it is anonymised instead (`on delete restrict`). The
-- whole tenant can be deleted all the same, because its rows go first.

-- A tax and its rate.
create table tax_rates (
    tenant_id uuid not null,
    id uuid not null,
    name text not null,
    rate numeric(9, 6) not null,                 -- per cent
    inclusive boolean not null default false,    -- prices already contain it
    archived_at timestamptz,
    version bigint not null default 1,
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    constraint tax_rates_pkey primary key (tenant_id, id),
    constraint tax_rates_tenant_id_fkey foreign key (tenant_id) references tenants (id) on delete cascade,
    constraint tax_rates_rate_check check (rate between 0 and 1000)
);
call protect_tenant_table('tax_rates', p_versioned => true);

-- Something that can be sold.
create table catalog_items (
    tenant_id uuid not null,
    id uuid not null,
    kind text not null default 'product',
    name text not null,
    description text,
    sku text,
    unit_price bigint not null,
    currency char(3) not null,
    tax_rate_ids uuid[] not null default '{}',
    stock numeric(18, 6),                        -- null: not counted
    pack_size integer,                           -- pack: how many visits it holds
    pack_valid_days integer,
    interval_unit text,                          -- membership: how often it is charged
    interval_count integer,
    archived_at timestamptz,
    version bigint not null default 1,
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    constraint catalog_items_pkey primary key (tenant_id, id),
    constraint catalog_items_tenant_id_fkey foreign key (tenant_id) references tenants (id) on delete cascade,
    constraint catalog_items_tenant_id_sku_key unique (tenant_id, sku),
    constraint catalog_items_kind_check check (kind in ('product', 'service', 'membership', 'pack', 'voucher')),
    constraint catalog_items_unit_price_check check (unit_price >= 0),
    constraint catalog_items_currency_check check (currency ~ '^[A-Z]{3}$'),
    constraint catalog_items_interval_unit_check check (interval_unit in ('day', 'week', 'month', 'year'))
);
create index catalog_items_tenant_id_created_at_idx on catalog_items (tenant_id, created_at, id);
call protect_tenant_table('catalog_items', p_versioned => true);

-- The next number of a series. Taken with an update inside the transaction that finalises, so a rollback leaves no gap.
create table number_sequences (
    tenant_id uuid not null,
    series text not null,                        -- invoice, creditNote, receipt
    period text not null default '',             -- '2026' where the series begins anew each year
    pattern text not null default '{series}-{number}',
    next_value bigint not null default 1,
    updated_at timestamptz not null default now(),
    constraint number_sequences_pkey primary key (tenant_id, series, period),
    constraint number_sequences_tenant_id_fkey foreign key (tenant_id) references tenants (id) on delete cascade,
    constraint number_sequences_next_value_check check (next_value > 0)
);
call protect_tenant_table('number_sequences');

-- Something charged again and again.
create table subscriptions (
    tenant_id uuid not null,
    id uuid not null,
    lead_id uuid not null,
    item_id uuid,
    name text not null,
    status text not null default 'active',
    interval_unit text not null,
    interval_count integer not null default 1,
    anchor_date date not null,                   -- the day of the month or week it is charged on
    period_start date not null,
    period_end date not null,                    -- exclusive
    next_invoice_on date,                        -- in the tenant's zone; null: no more
    quantity numeric(18, 6) not null default 1,
    unit_price bigint not null,
    currency char(3) not null,
    tax_rate_ids uuid[] not null default '{}',
    frozen_from date,                            -- a freeze moves later dates by its length
    frozen_until date,
    cancel_on date,
    canceled_at timestamptz,
    version bigint not null default 1,
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    constraint subscriptions_pkey primary key (tenant_id, id),
    constraint subscriptions_tenant_id_fkey foreign key (tenant_id) references tenants (id) on delete cascade,
    constraint subscriptions_lead_id_fkey foreign key (tenant_id, lead_id) references leads (tenant_id, id) on delete restrict,
    constraint subscriptions_item_id_fkey foreign key (tenant_id, item_id) references catalog_items (tenant_id, id) on delete set null (item_id),
    constraint subscriptions_status_check check (status in ('active', 'frozen', 'pastDue', 'canceled', 'expired')),
    constraint subscriptions_interval_unit_check check (interval_unit in ('day', 'week', 'month', 'year')),
    constraint subscriptions_interval_count_check check (interval_count between 1 and 366),
    constraint subscriptions_unit_price_check check (unit_price >= 0),
    constraint subscriptions_currency_check check (currency ~ '^[A-Z]{3}$')
);
create index subscriptions_tenant_id_lead_id_idx on subscriptions (tenant_id, lead_id);
create index subscriptions_tenant_id_item_id_idx on subscriptions (tenant_id, item_id) where item_id is not null;
create index subscriptions_tenant_id_next_invoice_on_idx on subscriptions (tenant_id, next_invoice_on) where status = 'active';
create index subscriptions_tenant_id_period_end_idx on subscriptions (tenant_id, period_end) where status = 'active';
call protect_tenant_table('subscriptions', p_versioned => true);

-- A document about money owed: an invoice, a credit note (amounts positive, meaning reversed) or a receipt of the till.
create table invoices (
    tenant_id uuid not null,
    id uuid not null,
    kind text not null default 'invoice',
    number text,                                 -- given by finalising, gap-free in its series
    status text not null default 'draft',
    lead_id uuid,                                -- null: an anonymous sale
    subscription_id uuid,
    credit_of_id uuid,                           -- a credit note's invoice
    dedupe_key text,                             -- the cause, when an automation or a subscription made it
    currency char(3) not null,
    rounding text not null default 'line',       -- where tax is rounded; the tenant's setting when the draft was made
    discount_amount bigint,                      -- document discount: an amount or a percentage, never both
    discount_percent numeric(9, 6),
    subtotal bigint not null default 0,          -- Σ net before the document discount
    discount_total bigint not null default 0,
    tax_total bigint not null default 0,
    tip bigint not null default 0,               -- till: given on top, part of the total
    total bigint not null default 0,
    paid_total bigint not null default 0,        -- what payments and credit notes settled
    balance bigint not null generated always as (total - paid_total) stored,
    tax_summary jsonb not null default '[]',     -- [{rateId, name, rate, net, tax}] as shown on the document
    billing jsonb not null default '{}',         -- seller and buyer as they were when finalised; what the law wants kept
    memo text,
    issue_date date,
    due_date date,
    finalized_at timestamptz,
    sent_at timestamptz,
    paid_at timestamptz,
    overdue_at timestamptz,                      -- when it was noticed, so that the event is told once
    voided_at timestamptz,
    dunning_step smallint not null default 0,    -- reminders sent
    dunning_paused boolean not null default false,
    next_dunning_at timestamptz,
    created_by uuid,
    version bigint not null default 1,
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    constraint invoices_pkey primary key (tenant_id, id),
    constraint invoices_tenant_id_fkey foreign key (tenant_id) references tenants (id) on delete cascade,
    constraint invoices_lead_id_fkey foreign key (tenant_id, lead_id) references leads (tenant_id, id) on delete restrict,
    constraint invoices_subscription_id_fkey foreign key (tenant_id, subscription_id) references subscriptions (tenant_id, id) on delete restrict,
    constraint invoices_credit_of_id_fkey foreign key (tenant_id, credit_of_id) references invoices (tenant_id, id) on delete restrict,
    constraint invoices_tenant_id_kind_number_key unique (tenant_id, kind, number),
    constraint invoices_tenant_id_dedupe_key_key unique (tenant_id, dedupe_key),
    constraint invoices_kind_check check (kind in ('invoice', 'creditNote', 'receipt')),
    constraint invoices_status_check check (status in ('draft', 'finalized', 'partiallyPaid', 'paid', 'overdue', 'void')),
    constraint invoices_number_check check ((status = 'draft') = (number is null)),
    constraint invoices_currency_check check (currency ~ '^[A-Z]{3}$'),
    constraint invoices_rounding_check check (rounding in ('line', 'document')),
    constraint invoices_discount_check check (discount_amount is null or discount_percent is null),
    constraint invoices_discount_amount_check check (discount_amount >= 0),
    constraint invoices_discount_percent_check check (discount_percent between 0 and 100),
    constraint invoices_total_check check (total >= 0 and tip >= 0 and total = subtotal - discount_total + tax_total + tip),
    constraint invoices_paid_total_check check (paid_total between 0 and total)
);
create index invoices_tenant_id_created_at_idx on invoices (tenant_id, created_at, id);
create index invoices_tenant_id_status_created_at_idx on invoices (tenant_id, status, created_at, id);
create index invoices_tenant_id_lead_id_idx on invoices (tenant_id, lead_id, created_at, id);
create index invoices_tenant_id_issue_date_idx on invoices (tenant_id, issue_date, id) where issue_date is not null;
create index invoices_tenant_id_due_date_open_idx on invoices (tenant_id, due_date) where status in ('finalized', 'partiallyPaid', 'overdue');
create index invoices_tenant_id_next_dunning_at_idx on invoices (tenant_id, next_dunning_at) where next_dunning_at is not null;
create index invoices_tenant_id_subscription_id_idx on invoices (tenant_id, subscription_id) where subscription_id is not null;
create index invoices_tenant_id_credit_of_id_idx on invoices (tenant_id, credit_of_id) where credit_of_id is not null;
call protect_tenant_table('invoices', p_versioned => true);

-- A line of a document, in the document's currency.
create table invoice_lines (
    tenant_id uuid not null,
    id uuid not null,
    invoice_id uuid not null,
    position integer not null,
    description text not null,
    item_id uuid,
    quantity numeric(18, 6) not null,
    unit_price bigint not null,
    discount_amount bigint,
    discount_percent numeric(9, 6),
    tax_rate_ids uuid[] not null default '{}',
    taxes jsonb not null default '[]',           -- [{rateId, name, rate, inclusive, amount}] as computed
    net bigint not null,
    tax bigint not null,
    gross bigint not null,
    discount_share bigint not null default 0,    -- this line's part of the document's discount, which `net` still contains
    returned_quantity numeric(18, 6) not null default 0, -- till: brought back so far
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    constraint invoice_lines_pkey primary key (tenant_id, id),
    constraint invoice_lines_invoice_id_fkey foreign key (tenant_id, invoice_id) references invoices (tenant_id, id) on delete cascade,
    constraint invoice_lines_item_id_fkey foreign key (tenant_id, item_id) references catalog_items (tenant_id, id) on delete set null (item_id),
    constraint invoice_lines_tenant_id_invoice_id_position_key unique (tenant_id, invoice_id, position) deferrable initially deferred,
    constraint invoice_lines_quantity_check check (quantity > 0),
    constraint invoice_lines_discount_check check (discount_amount is null or discount_percent is null),
    constraint invoice_lines_gross_check check (gross = net + tax),
    constraint invoice_lines_discount_share_check check (discount_share between 0 and net),
    constraint invoice_lines_returned_quantity_check check (returned_quantity between 0 and quantity)
);
create index invoice_lines_tenant_id_item_id_idx on invoice_lines (tenant_id, item_id) where item_id is not null;
call protect_tenant_table('invoice_lines');

-- A document's lines as the API shows them, so that the list, the detail and the events cannot tell them differently.
create function invoice_lines_shape(p_tenant uuid, p_invoice uuid) returns jsonb
    language sql stable
    set search_path = pg_catalog, public, pg_temp
as $$
    select coalesce(jsonb_agg(jsonb_build_object(
        'id', l.id, 'description', l.description, 'itemId', l.item_id, 'quantity', trim_scale(l.quantity)::text,
        'unitPrice', l.unit_price,
        'discount', case when l.discount_amount is not null then jsonb_build_object('amount', l.discount_amount)
                         when l.discount_percent is not null
                         then jsonb_build_object('percent', trim_scale(l.discount_percent)::text) end,
        'taxRateIds', to_jsonb(l.tax_rate_ids), 'taxes', l.taxes, 'net', l.net, 'tax', l.tax, 'gross', l.gross,
        'returnedQuantity', trim_scale(l.returned_quantity)::text
    ) order by l.position), '[]')
    from invoice_lines l where l.tenant_id = p_tenant and l.invoice_id = p_invoice
$$;
grant execute on function invoice_lines_shape(uuid, uuid) to wellspring_app, wellspring_readonly;

-- A till from opening to closing. What should be in the drawer is computed from its movements and cash sales.
create table pos_shifts (
    tenant_id uuid not null,
    id uuid not null,
    register_key text not null,
    status text not null default 'open',         -- ended: no more sales, not yet counted; closed: for good
    currency char(3) not null,
    open_float bigint not null,
    expected_cash bigint,                        -- at closing
    counted_cash bigint,
    over_short bigint generated always as (counted_cash - expected_cash) stored,
    z_report jsonb,
    opened_by uuid,
    closed_by uuid,
    opened_at timestamptz not null default now(),
    ended_at timestamptz,
    closed_at timestamptz,
    version bigint not null default 1,
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    constraint pos_shifts_pkey primary key (tenant_id, id),
    constraint pos_shifts_tenant_id_fkey foreign key (tenant_id) references tenants (id) on delete cascade,
    constraint pos_shifts_status_check check (status in ('open', 'ended', 'closed')),
    constraint pos_shifts_currency_check check (currency ~ '^[A-Z]{3}$'),
    constraint pos_shifts_open_float_check check (open_float >= 0),
    constraint pos_shifts_closed_check check (status <> 'closed' or (counted_cash is not null and expected_cash is not null))
);
create unique index pos_shifts_tenant_id_register_key_open_key on pos_shifts (tenant_id, register_key) where status = 'open';
create index pos_shifts_tenant_id_opened_at_idx on pos_shifts (tenant_id, opened_at, id);
call protect_tenant_table('pos_shifts', p_versioned => true);

-- A sale or a return at the till. Its lines and totals are those of the receipt document.
create table pos_sales (
    tenant_id uuid not null,
    id uuid not null,
    kind text not null default 'sale',
    shift_id uuid not null,
    client_sale_id text,                         -- chosen by the till, also offline: the same sale sent twice is one sale
    return_of_id uuid,
    invoice_id uuid not null,                    -- the receipt document
    lead_id uuid,
    currency char(3) not null,
    total bigint not null,                       -- with tip
    tip bigint not null default 0,
    change_given bigint not null default 0,
    tenders jsonb not null,                      -- [{tender, amount}] as handed over
    status text not null default 'completed',
    sold_by uuid,
    sold_at timestamptz not null default now(),
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    constraint pos_sales_pkey primary key (tenant_id, id),
    constraint pos_sales_tenant_id_fkey foreign key (tenant_id) references tenants (id) on delete cascade,
    constraint pos_sales_shift_id_fkey foreign key (tenant_id, shift_id) references pos_shifts (tenant_id, id) on delete restrict,
    constraint pos_sales_return_of_id_fkey foreign key (tenant_id, return_of_id) references pos_sales (tenant_id, id) on delete restrict,
    constraint pos_sales_invoice_id_fkey foreign key (tenant_id, invoice_id) references invoices (tenant_id, id) on delete restrict,
    constraint pos_sales_lead_id_fkey foreign key (tenant_id, lead_id) references leads (tenant_id, id) on delete restrict,
    constraint pos_sales_tenant_id_client_sale_id_key unique (tenant_id, client_sale_id),
    constraint pos_sales_kind_check check (kind in ('sale', 'return')),
    constraint pos_sales_status_check check (status in ('completed', 'partiallyReturned', 'returned')),
    constraint pos_sales_currency_check check (currency ~ '^[A-Z]{3}$'),
    constraint pos_sales_amounts_check check (total >= 0 and tip >= 0 and change_given >= 0),
    constraint pos_sales_return_of_id_check check ((kind = 'return') = (return_of_id is not null))
);
create index pos_sales_tenant_id_shift_id_idx on pos_sales (tenant_id, shift_id, sold_at, id);
create index pos_sales_tenant_id_sold_at_idx on pos_sales (tenant_id, sold_at, id);
create index pos_sales_tenant_id_invoice_id_idx on pos_sales (tenant_id, invoice_id);
create index pos_sales_tenant_id_lead_id_idx on pos_sales (tenant_id, lead_id) where lead_id is not null;
create index pos_sales_tenant_id_return_of_id_idx on pos_sales (tenant_id, return_of_id) where return_of_id is not null;
call protect_tenant_table('pos_sales');

-- What is printed for a sale or a return.
create function receipt_shape(p_sale pos_sales) returns jsonb
    language sql stable
    set search_path = pg_catalog, public, pg_temp
as $$
    select jsonb_build_object(
        'number', i.number, 'kind', p_sale.kind, 'issuedAt', p_sale.sold_at, 'seller', i.billing -> 'seller',
        'buyer', i.billing -> 'buyer', 'currency', i.currency, 'lines', invoice_lines_shape(i.tenant_id, i.id),
        'subtotal', i.subtotal, 'discount', i.discount_total, 'tax', i.tax_total, 'taxSummary', i.tax_summary,
        'tip', i.tip, 'total', i.total, 'tenders', p_sale.tenders, 'change', p_sale.change_given)
    from invoices i where i.tenant_id = p_sale.tenant_id and i.id = p_sale.invoice_id
$$;
grant execute on function receipt_shape(pos_sales) to wellspring_app, wellspring_readonly;

-- Cash put in or taken out, and the drawer opened without a sale.
create table pos_movements (
    tenant_id uuid not null,
    id uuid not null,
    shift_id uuid not null,
    kind text not null,
    amount bigint not null default 0,
    currency char(3) not null,
    reason text,
    actor_id uuid,
    at timestamptz not null default now(),
    created_at timestamptz not null default now(),
    constraint pos_movements_pkey primary key (tenant_id, id),
    constraint pos_movements_tenant_id_fkey foreign key (tenant_id) references tenants (id) on delete cascade,
    constraint pos_movements_shift_id_fkey foreign key (tenant_id, shift_id) references pos_shifts (tenant_id, id) on delete restrict,
    constraint pos_movements_kind_check check (kind in ('paidIn', 'paidOut', 'noSale')),
    constraint pos_movements_amount_check check (case kind when 'noSale' then amount = 0 else amount > 0 end),
    constraint pos_movements_currency_check check (currency ~ '^[A-Z]{3}$')
);
create index pos_movements_tenant_id_shift_id_idx on pos_movements (tenant_id, shift_id, at, id);
call protect_tenant_table('pos_movements');

-- Money that came in, or (kind refund) went back. Amounts are positive either way.
create table payments (
    tenant_id uuid not null,
    id uuid not null,
    kind text not null default 'payment',
    status text not null default 'succeeded',
    lead_id uuid,
    invoice_id uuid,                             -- the one it was made for; where it went is in payment_allocations
    refund_of_id uuid,
    sale_id uuid,
    shift_id uuid,
    tender text not null,
    amount bigint not null,
    currency char(3) not null,
    applied_amount bigint not null default 0,    -- Σ allocations
    refunded_amount bigint not null default 0,   -- Σ refunds; the checks below are what stops two refunds at once from giving back too much
    unapplied_amount bigint not null generated always as (amount - applied_amount - refunded_amount) stored, -- customer credit
    reference text,
    reason text,                                 -- refund: why
    provider text,
    provider_ref text,                           -- the provider's id: its webhooks, in any order and number, are one payment
    failure jsonb,
    received_at timestamptz not null default now(),
    created_by uuid,
    version bigint not null default 1,
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    constraint payments_pkey primary key (tenant_id, id),
    constraint payments_tenant_id_fkey foreign key (tenant_id) references tenants (id) on delete cascade,
    constraint payments_lead_id_fkey foreign key (tenant_id, lead_id) references leads (tenant_id, id) on delete restrict,
    constraint payments_invoice_id_fkey foreign key (tenant_id, invoice_id) references invoices (tenant_id, id) on delete restrict,
    constraint payments_refund_of_id_fkey foreign key (tenant_id, refund_of_id) references payments (tenant_id, id) on delete restrict,
    constraint payments_sale_id_fkey foreign key (tenant_id, sale_id) references pos_sales (tenant_id, id) on delete restrict,
    constraint payments_shift_id_fkey foreign key (tenant_id, shift_id) references pos_shifts (tenant_id, id) on delete restrict,
    constraint payments_tenant_id_provider_provider_ref_key unique (tenant_id, provider, provider_ref),
    constraint payments_kind_check check (kind in ('payment', 'refund')),
    constraint payments_status_check check (status in ('pending', 'succeeded', 'failed', 'canceled')),
    constraint payments_tender_check check (tender in ('cash', 'card', 'bank', 'voucher', 'credit', 'other')),
    constraint payments_amount_check check (amount > 0),
    constraint payments_currency_check check (currency ~ '^[A-Z]{3}$'),
    constraint payments_applied_amount_check
        check (applied_amount >= 0 and refunded_amount >= 0 and applied_amount + refunded_amount <= amount)
);
create index payments_tenant_id_received_at_idx on payments (tenant_id, received_at, id);
create index payments_tenant_id_created_at_idx on payments (tenant_id, created_at, id);
create index payments_tenant_id_lead_id_idx on payments (tenant_id, lead_id, received_at) where lead_id is not null;
create index payments_tenant_id_invoice_id_idx on payments (tenant_id, invoice_id) where invoice_id is not null;
create index payments_tenant_id_refund_of_id_idx on payments (tenant_id, refund_of_id) where refund_of_id is not null;
create index payments_tenant_id_sale_id_idx on payments (tenant_id, sale_id) where sale_id is not null;
create index payments_tenant_id_shift_id_idx on payments (tenant_id, shift_id) where shift_id is not null;
call protect_tenant_table('payments', p_versioned => true);

-- Which money settled which document: from a payment or from a credit note.
create table payment_allocations (
    tenant_id uuid not null,
    id uuid not null,
    payment_id uuid,
    credit_note_id uuid,
    invoice_id uuid not null,
    amount bigint not null,                      -- in the document's currency; negative takes an earlier allocation back
    created_at timestamptz not null default now(),
    constraint payment_allocations_pkey primary key (tenant_id, id),
    constraint payment_allocations_tenant_id_fkey foreign key (tenant_id) references tenants (id) on delete cascade,
    constraint payment_allocations_payment_id_fkey foreign key (tenant_id, payment_id) references payments (tenant_id, id) on delete restrict,
    constraint payment_allocations_credit_note_id_fkey foreign key (tenant_id, credit_note_id) references invoices (tenant_id, id)
        on delete restrict,
    constraint payment_allocations_invoice_id_fkey foreign key (tenant_id, invoice_id) references invoices (tenant_id, id) on delete restrict,
    constraint payment_allocations_source_check check ((payment_id is null) <> (credit_note_id is null)),
    constraint payment_allocations_amount_check check (amount <> 0)
);
create index payment_allocations_tenant_id_payment_id_idx on payment_allocations (tenant_id, payment_id) where payment_id is not null;
create index payment_allocations_tenant_id_credit_note_id_idx on payment_allocations (tenant_id, credit_note_id) where credit_note_id is not null;
create index payment_allocations_tenant_id_invoice_id_idx on payment_allocations (tenant_id, invoice_id);
call protect_tenant_table('payment_allocations');

-- Double entry. Rows of one `txn_id` balance, which is checked when the transaction commits; the runtime may add and read, not change.
create table ledger_entries (
    tenant_id uuid not null,
    id uuid not null,
    txn_id uuid not null,
    account text not null,                       -- receivable, revenue, tax, cash, card, bank, customerCredit, overShort …
    debit bigint not null default 0,
    credit bigint not null default 0,
    currency char(3) not null,
    lead_id uuid,
    invoice_id uuid,
    payment_id uuid,
    sale_id uuid,
    shift_id uuid,
    memo text,
    at timestamptz not null default now(),
    constraint ledger_entries_pkey primary key (tenant_id, id),
    constraint ledger_entries_tenant_id_fkey foreign key (tenant_id) references tenants (id) on delete cascade,
    constraint ledger_entries_lead_id_fkey foreign key (tenant_id, lead_id) references leads (tenant_id, id) on delete restrict,
    constraint ledger_entries_invoice_id_fkey foreign key (tenant_id, invoice_id) references invoices (tenant_id, id) on delete restrict,
    constraint ledger_entries_payment_id_fkey foreign key (tenant_id, payment_id) references payments (tenant_id, id) on delete restrict,
    constraint ledger_entries_sale_id_fkey foreign key (tenant_id, sale_id) references pos_sales (tenant_id, id) on delete restrict,
    constraint ledger_entries_shift_id_fkey foreign key (tenant_id, shift_id) references pos_shifts (tenant_id, id) on delete restrict,
    constraint ledger_entries_side_check check (debit >= 0 and credit >= 0 and (debit = 0) <> (credit = 0)),
    constraint ledger_entries_currency_check check (currency ~ '^[A-Z]{3}$')
);
create index ledger_entries_tenant_id_txn_id_idx on ledger_entries (tenant_id, txn_id);
create index ledger_entries_tenant_id_at_idx on ledger_entries (tenant_id, at, id);
create index ledger_entries_tenant_id_account_at_idx on ledger_entries (tenant_id, account, at);
create index ledger_entries_tenant_id_lead_id_idx on ledger_entries (tenant_id, lead_id) where lead_id is not null;
create index ledger_entries_tenant_id_invoice_id_idx on ledger_entries (tenant_id, invoice_id) where invoice_id is not null;
create index ledger_entries_tenant_id_payment_id_idx on ledger_entries (tenant_id, payment_id) where payment_id is not null;
create index ledger_entries_tenant_id_sale_id_idx on ledger_entries (tenant_id, sale_id) where sale_id is not null;
create index ledger_entries_tenant_id_shift_id_idx on ledger_entries (tenant_id, shift_id) where shift_id is not null;
call protect_tenant_table('ledger_entries', p_grants => 'select, insert');

-- Runs at commit, once per new row. It also fails when the rows cannot be seen (the tenant was unset before the commit): what
-- cannot be checked does not pass.
create function check_ledger_balance() returns trigger
    language plpgsql
    set search_path = pg_catalog, public, pg_temp
as $$
declare
    currencies bigint;
    off_balance numeric;
begin
    select count(distinct e.currency), sum(e.debit) - sum(e.credit) into currencies, off_balance
    from ledger_entries e where e.tenant_id = new.tenant_id and e.txn_id = new.txn_id;
    if off_balance is distinct from 0 or currencies <> 1 then
        raise exception 'ledger transaction % is off balance by %, in % currencies', new.txn_id, off_balance, currencies
            using errcode = 'check_violation', constraint = 'ledger_entries_balance', table = 'ledger_entries';
    end if;
    return null;
end
$$;
create constraint trigger ledger_entries_balance after insert on ledger_entries
    deferrable initially deferred for each row execute function check_ledger_balance();

-- A number of visits paid in advance.
create table packs (
    tenant_id uuid not null,
    id uuid not null,
    lead_id uuid not null,
    item_id uuid,
    invoice_id uuid,
    name text not null,
    total integer not null,
    remaining integer not null,                  -- never below zero, however many visits are booked at once
    expires_at timestamptz,
    expired_at timestamptz,
    version bigint not null default 1,
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    constraint packs_pkey primary key (tenant_id, id),
    constraint packs_tenant_id_fkey foreign key (tenant_id) references tenants (id) on delete cascade,
    constraint packs_lead_id_fkey foreign key (tenant_id, lead_id) references leads (tenant_id, id) on delete restrict,
    constraint packs_item_id_fkey foreign key (tenant_id, item_id) references catalog_items (tenant_id, id) on delete set null (item_id),
    constraint packs_invoice_id_fkey foreign key (tenant_id, invoice_id) references invoices (tenant_id, id) on delete restrict,
    constraint packs_remaining_check check (remaining between 0 and total)
);
create index packs_tenant_id_lead_id_idx on packs (tenant_id, lead_id);
create index packs_tenant_id_item_id_idx on packs (tenant_id, item_id) where item_id is not null;
create index packs_tenant_id_invoice_id_idx on packs (tenant_id, invoice_id) where invoice_id is not null;
create index packs_tenant_id_expires_at_idx on packs (tenant_id, expires_at) where expired_at is null and expires_at is not null;
call protect_tenant_table('packs', p_versioned => true);
