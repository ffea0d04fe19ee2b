//! The admin API, `/admin/v1/…`: what the command line's verbs ask of a host, over HTTP.

mod answers;
mod archive;
mod inspect;
mod routes;

pub use routes::router;
