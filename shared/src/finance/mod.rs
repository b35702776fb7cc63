//! Invoices, payments, the till and the ledger.
