//! A store in SQLite.
