//! Tenants, users, sessions, one-time tokens and API keys.
