//! The command service over HTTP, on the real SQLite store.

mod connection;
mod import;
mod log;
mod posts;
mod rules;
mod service;
mod several;
mod streams;
