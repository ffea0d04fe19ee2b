//! The SDK for Reel projections in Rust: a projection is a function that is given events and says what they mean for the rows of
//! its tables. Compiled to WebAssembly it runs inside the host; the same function runs natively under the test kit.
//!
//! # A whole projection
//!
//! ```
//! use reel_sdk::{Event, Events, Reject, Rows, Table, Timestamp, projection};
//!
//! /// The tables: a column of each field.
//! #[derive(Debug, Clone, PartialEq, Table)]
//! #[table(name = "posts", owner = id, index(author))]
//! struct Post {
//!     #[key(length = 36)]
//!     id: String,
//!     #[length(64)]
//!     author: String,
//!     message: String,
//!     likes: i64,
//!     posted_at: Timestamp,
//! }
//!
//! /// The events: a variant for each kind, with the members of the payload that matter.
//! #[derive(Events)]
//! enum PostEvent {
//!     #[kind("post-created")]
//!     Created { author: String, message: String },
//!     #[kind("post-edited")]
//!     Edited { message: String },
//!     #[kind("post-liked")]
//!     Liked,
//!     #[kind("post-removed")]
//!     Removed,
//! }
//!
//! /// Posts and their likes.
//! #[projection(name = "posts", version = "1.0.0", tables(Post))]
//! fn posts(event: Event<PostEvent>, rows: &mut Rows) -> Result<(), Reject> {
//!     let id = event.stream_key();
//!     match event.payload {
//!         PostEvent::Created { author, message } => {
//!             rows.upsert(Post { id: id.into(), author, message, likes: 0, posted_at: event.recorded_at });
//!         }
//!         PostEvent::Edited { message } => rows.patch(Post::key(id), Post::MESSAGE.set(message)),
//!         PostEvent::Liked => rows.add(Post::key(id), Post::LIKES, 1),
//!         PostEvent::Removed => rows.delete(Post::key(id)),
//!     }
//!     Ok(())
//! }
//!
//! // And its test, which needs neither Wasm nor a database:
//! use reel_sdk::testing::{event, given, json, second};
//!
//! given([
//!     event("post-1", "post-created", json!({"author": "ann", "message": "Hello"})),
//!     event("post-1", "post-liked", json!({"by": "bob"})),
//! ])
//! .when(posts)
//! .then([Post { id: "1".into(), author: "ann".into(), message: "Hello".into(), likes: 1, posted_at: second(1) }]);
//! ```
//!
//! The crate is a `cdylib` (for the component) and an `rlib` (for tests). `reel plugin build` makes the component: it builds for
//! `wasm32-unknown-unknown`, and the component imports nothing but the host's three functions.
//!
//! # Tables: `#[derive(Table)]`
//!
//! | attribute | means |
//! |---|---|
//! | `#[table(name = "posts")]` | the table's name |
//! | `owner = column` | this column holds the key of the stream that the row belongs to (`4711` of `post-4711`) |
//! | `owner_stream_id = column` | the same, with the stream's whole id |
//! | `shared` | any stream may touch any row, but only by [`Rows::add`], [`Rows::minimum`] and [`Rows::maximum`] |
//! | `index(a, b)`, `unique(a, b)` | an index; `unique` is documentation, and checked by `reel verify` |
//! | `references(post => posts)` | these columns hold the key of a row of that table |
//! | `#[key]`, `#[key(length = 36)]` | a column of the primary key, in the order of the fields; text and bytes need a length |
//! | `#[length(64)]` | the greatest length, in characters or bytes |
//! | `#[default(0)]` | what the column holds in a row that [`Rows::add`] and its like create |
//!
//! With `order = by_stream` (the default) every table has an owner or is shared: streams are worked on in parallel, and this is what
//! makes the rows the same whatever the order between them. Every change of an owned table names the owner's column, so where the
//! owner is not the key by itself, make it part of the key. With `order = global` tables have neither.
//!
//! Columns hold `bool`, `i16`, `i32`, `i64`, `f64`, `String`, [`Bytes`], [`Uuid`], [`Date`], [`Time`], [`Timestamp`], [`Decimal`],
//! [`Json`] of any type that serde knows, and `Option` of each for a column that may be NULL. What a column does not take (a text too long, a number too
//! large) is the event's fault: nothing is cut or rounded.
//!
//! Each column becomes a constant, `Post::LIKES`, that changes name it by, and the key a function, `Post::key(id)`.
//!
//! # Events: `#[derive(Events)]`
//!
//! A variant is delivered the events of its `#[kind("post-created")]`; several kinds may be named, `post-*` stands for all that begin
//! so, `*` for all. The first that fits counts; [`Event::kind`] says which it was. Kinds that no variant names are never delivered.
//!
//! Fields are read from the payload's members by serde, and `#[serde(…)]` on fields and variants works: `default`, `rename`. Members that no field
//! names are passed over; a missing one rejects the event with the code `payload`. A variant with one unnamed field reads the whole
//! payload into it; one without fields does not look at it.
//!
//! Fields may borrow, which saves a copy: `enum PostEvent<'a> { #[kind("post-created")] Created { author: Cow<'a, str> } }`.
//! (`&'a str` works only for texts without escapes.)
//!
//! **Payloads change.** `#[kind("post-created", schema = 2, upcast = created_from_1)]` says that the variant has the shape of schema
//! version 2; older payloads go through `fn created_from_1(schema: u16, payload: serde_json::Value) -> Result<serde_json::Value, Reject>`
//! first. A newer one is rejected with the code `schema-too-new`.
//!
//! # The projection: `#[projection(…)]`
//!
//! `name`, `version`, `tables(…)`, and if wanted: `description = "…"` (else the doc comment), `order = global`, `metadata`
//! (then [`Event::metadata`] reads it), `settings = Type` (a type that implements [`Settings`]; the function takes a third argument,
//! `settings: &Type`), and named queries: `queries(by_author(Post, "author=eq.{who}&limit={most}", who: String, most: i64 = 10))`.
//!
//! What the function sees is its event, its settings and rows it reads: there is no clock, no randomness, no file, no network.
//! Instances come and go between batches, so a `static` that remembers something gives rows that depend on chance; the test kit and
//! the host look for that. An `Err` ([`Reject`]) or a panic means that this event cannot be applied; what happens then is the
//! deployment's policy. A panic's message and place show in the host's log.

extern crate self as reel_sdk;

pub mod abi;
mod column;
mod event;
#[cfg(target_arch = "wasm32")]
pub mod guest;
pub mod manifest;
#[cfg(not(target_arch = "wasm32"))]
pub mod native;
mod projection;
mod reject;
pub mod rows;
mod table;
#[cfg(not(target_arch = "wasm32"))]
pub mod testing;
pub mod value;

pub use column::{Assignment, Assignments, Column, Key};
pub use event::{Event, Events, RawEvent};
pub use projection::{NoSettings, Projection, Settings};
pub use reel_sdk_macros::{Events, Table, projection};
pub use reject::Reject;
pub use rows::Rows;
pub use serde;
pub use serde_json;
pub use table::{Declared, Table};
pub use value::{Bytes, ColumnValue, Date, Decimal, IntoColumn, Json, Time, Timestamp, Uuid};
