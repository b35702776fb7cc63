//! The walls between tenants.
