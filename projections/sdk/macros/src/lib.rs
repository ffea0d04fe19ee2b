//! The macros of the SDK: `#[derive(Table)]`, `#[derive(Events)]` and `#[projection]`. What they mean is documented in `reel_sdk`.
//! Each has a file that parses and checks what the author wrote, and one that writes the code; here is only the way in.

mod events;
mod events_code;
mod names;
mod projection;
mod projection_code;
mod table;
mod table_code;

use proc_macro::TokenStream;
use syn::{DeriveInput, ItemFn, parse_macro_input};

/// Makes a table of a struct, a column of each field. See `reel_sdk` for its attributes.
#[proc_macro_derive(Table, attributes(table, key, length, default))]
pub fn table(input: TokenStream) -> TokenStream {
    let input = parse_macro_input!(input as DeriveInput);
    let code = table::TableInput::parse(&input).map(|table| table_code::expand(&table));
    code.unwrap_or_else(syn::Error::into_compile_error).into()
}

/// Makes of an enum the events that a projection handles, a kind of each variant. See `reel_sdk` for its attributes.
#[proc_macro_derive(Events, attributes(kind, serde))]
pub fn events(input: TokenStream) -> TokenStream {
    let input = parse_macro_input!(input as DeriveInput);
    let code = events::EventsInput::parse(&input).map(|events| events_code::expand(&events));
    code.unwrap_or_else(syn::Error::into_compile_error).into()
}

/// Makes a projection of a function. See `reel_sdk` for its arguments.
#[proc_macro_attribute]
pub fn projection(arguments: TokenStream, function: TokenStream) -> TokenStream {
    let arguments = parse_macro_input!(arguments as projection::Arguments);
    let function = parse_macro_input!(function as ItemFn);
    let code = projection::ProjectionInput::new(arguments, function).map(|input| projection_code::expand(&input));
    code.unwrap_or_else(syn::Error::into_compile_error).into()
}
