-- Identities carry an ETag like their neighbours: two colleagues who change the same address do not overwrite each other.

alter table lead_identities add column version bigint not null default 1;

-- Only for what is seen: a lead that goes into the bin parks the normalised values of its identities, which nobody is shown.
create trigger lead_identities_version before update of value, is_primary, verified_at, lead_id on lead_identities
    for each row execute function touch_versioned_row();
