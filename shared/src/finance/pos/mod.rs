//! The till: shifts, sales, returns.
//!
//! A sale is a receipt document that its payments settle at once, so prices, taxes, numbers and the ledger are the same
//! as an invoice's. What should be in the drawer is computed from rows, never counted along: the float, what cash came in
//! and was given back in this shift, and what was put in or taken out.

mod model;
mod returns;
mod sale;
mod sale_find;
mod shift;
mod shift_find;

pub use model::{
    CloseShift, Movement, NewMovement, NewReturn, NewSale, NewShift, Sale, Shift, ShiftDetail, TenderedAmount,
};
pub use returns::return_sale;
pub use sale::{Sold, sell};
pub use sale_find::{SaleFilter, find_sale, list_sales};
pub use shift::{close_shift, end_shift, insert_movement, open_shift};
pub use shift_find::{ShiftFilter, find_shift, list_shifts};
