//! The laws of the catalogue.
