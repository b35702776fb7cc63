//! Finance: what is sold, what is owed, what was paid, and the till.

pub mod amount;
pub mod calculate;
