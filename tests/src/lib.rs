//! What the black-box tests and the benchmarks share.

pub mod lambda;
pub mod proxy;
pub mod template;
