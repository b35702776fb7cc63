-- What one person's data is: found, handed over, forgotten.
--
-- Which rows and columns belong to a person is said in one place (shared/src/privacy/map.rs), and a test holds it against this schema. Here is
-- only what that needs: the persons behind a receipt, the sealed buyer of a document that the law wants kept, and indexes.

-- The persons that a receipt told about. A receipt is stored before anybody knows whom it names, hence apart from it.
create table webhook_receipt_leads (
    tenant_id uuid not null,
    id uuid not null,
    receipt_id uuid not null,
    lead_id uuid not null,
    created_at timestamptz not null default now(),
    constraint webhook_receipt_leads_pkey primary key (tenant_id, id),
    constraint webhook_receipt_leads_receipt_id_fkey foreign key (tenant_id, receipt_id)
        references webhook_receipts (tenant_id, id) on delete cascade,
    constraint webhook_receipt_leads_lead_id_fkey foreign key (tenant_id, lead_id) references leads (tenant_id, id) on delete cascade
);
create index webhook_receipt_leads_tenant_id_receipt_id_idx on webhook_receipt_leads (tenant_id, receipt_id);
create index webhook_receipt_leads_tenant_id_lead_id_idx on webhook_receipt_leads (tenant_id, lead_id);
call protect_tenant_table('webhook_receipt_leads');

-- Name and address of the buyer of a finalized document whose person was erased, sealed by the application: the law wants the document
-- kept (§ 14b UStG, § 147 AO; Article 17(3)(b) GDPR), and nobody wants the name found by a search.
alter table invoices add column buyer_sealed bytea;
create index invoices_tenant_id_buyer_sealed_idx on invoices (tenant_id, issue_date) where buyer_sealed is not null;

-- What a visitor did before it was known who it was.
create index cta_events_tenant_id_visitor_id_idx on cta_events (tenant_id, visitor_id) where visitor_id is not null;
-- Events about nobody we knew; one of them may still name an address.
create index events_tenant_id_nobody_idx on events (tenant_id) where lead_id is null;
-- Whoever was erased lately is looked at again the next night: a request that was under way may have written behind the erasure.
create index leads_tenant_id_erased_at_idx on leads (tenant_id, erased_at) where erased_at is not null;
