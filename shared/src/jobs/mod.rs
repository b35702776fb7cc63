//! Long work with progress: imports, exports, bulk changes.
