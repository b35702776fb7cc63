//! Health metrics, goals and their consent.
