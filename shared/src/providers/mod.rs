//! The companies that carry messages: one module each, one interface.
