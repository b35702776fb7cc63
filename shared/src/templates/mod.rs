//! Message templates and their rendering.
