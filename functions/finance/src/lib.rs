//! Finance: documents, payments, the till, the books.

mod books;
mod calculate;
mod catalog;
mod invoices;
mod payments;
mod sales;
mod shifts;
mod tax_rates;

use shared::http::Api;
use utoipa_axum::{router::OpenApiRouter, routes};

/// The routes of this function.
#[must_use]
pub fn api() -> Api {
    OpenApiRouter::new()
        .routes(routes!(calculate::calculate))
        .routes(routes!(tax_rates::list_tax_rates, tax_rates::create_tax_rate))
        .routes(routes!(tax_rates::get_tax_rate, tax_rates::update_tax_rate, tax_rates::delete_tax_rate))
        .routes(routes!(catalog::list_items, catalog::create_item))
        .routes(routes!(catalog::get_item, catalog::update_item, catalog::delete_item))
        .routes(routes!(invoices::list_invoices, invoices::create_invoice))
        .routes(routes!(invoices::get_invoice, invoices::update_invoice, invoices::delete_invoice))
        .routes(routes!(invoices::finalize_invoice))
        .routes(routes!(invoices::void_invoice))
        .routes(routes!(invoices::get_invoice_buyer))
        .routes(routes!(invoices::create_credit_note))
        .routes(routes!(payments::pay_invoice))
        .routes(routes!(payments::list_payments, payments::create_payment))
        .routes(routes!(payments::get_payment))
        .routes(routes!(payments::refund_payment))
        .routes(routes!(payments::allocate_payment))
        .routes(routes!(shifts::list_shifts, shifts::open_shift))
        .routes(routes!(shifts::get_shift))
        .routes(routes!(shifts::create_movement))
        .routes(routes!(shifts::end_shift))
        .routes(routes!(shifts::close_shift))
        .routes(routes!(sales::list_sales, sales::create_sale))
        .routes(routes!(sales::get_sale))
        .routes(routes!(sales::get_receipt))
        .routes(routes!(sales::return_sale))
        .routes(routes!(books::get_takings))
        .routes(routes!(books::get_revenue))
        .routes(routes!(books::get_taxes))
        .routes(routes!(books::get_aging))
        .routes(routes!(books::list_ledger))
        .routes(routes!(books::check_integrity))
}
