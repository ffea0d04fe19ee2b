//! The code that `#[projection]` writes: a type of the function's name that is the projection, a function of that name that
//! makes a value of it (a function, unlike a constant, leaves the name free for variables), and on wasm32 the component's exports.

use proc_macro2::{Group, Ident, TokenStream, TokenTree};
use quote::{ToTokens, quote, quote_spanned};
use syn::{Attribute, LitStr, spanned::Spanned};

use crate::{
    projection::{ParameterInput, ProjectionInput, QueryInput},
    table::Literal,
};

pub(crate) fn expand(input: &ProjectionInput) -> TokenStream {
    let places = places(input);
    let checks = checks(input);
    let projection = projection(input);
    let ident = &input.function.sig.ident;
    quote! {
        #projection
        #places
        #checks
        #[cfg(target_arch = "wasm32")]
        const _: () = {
            type Component = ::reel_sdk::guest::Component<#ident>;
            ::reel_sdk::guest::bindings::export!(Component with_types_in ::reel_sdk::guest::bindings);
        };
    }
}

/// The type and the function in the function's place.
fn projection(input: &ProjectionInput) -> TokenStream {
    let ProjectionInput { arguments, function, .. } = input;
    let (ident, visibility) = (&function.sig.ident, &function.vis);
    let is_document = |attribute: &&Attribute| attribute.path().is_ident("doc");
    let documents: Vec<_> = function.attrs.iter().filter(is_document).collect();
    let settings = match &arguments.settings {
        Some(ty) => quote!(#ty),
        None => quote!(::reel_sdk::NoSettings),
    };
    let settings_argument = arguments.settings.iter().map(|_| quote!(settings));
    let mut handler = function.clone();
    handler.attrs.retain(|attribute| !attribute.path().is_ident("doc"));
    handler.vis = syn::Visibility::Inherited;
    let manifest = manifest(input);
    let events = anonymous_lifetimes(input.events.to_token_stream());
    quote! {
        #(#documents)*
        #[allow(non_camel_case_types, reason = "it stands where the function stood")]
        #[derive(Debug)]
        #visibility struct #ident {}

        #(#documents)*
        #[allow(dead_code, reason = "it names the projection for tests, which a guest has none of")]
        #visibility fn #ident() -> #ident {
            #ident {}
        }

        impl ::reel_sdk::Projection for #ident {
            type Settings = #settings;

            fn manifest() -> ::std::string::String {
                #manifest
            }

            #[inline]
            fn apply(
                event: &::reel_sdk::RawEvent<'_>,
                settings: &Self::Settings,
                rows: &mut ::reel_sdk::Rows<'_>,
            ) -> ::core::result::Result<(), ::reel_sdk::Reject> {
                #[inline]
                #handler
                let _ = settings;
                #ident(event.decode()?, rows #(, #settings_argument)*)
            }

            fn kinds() -> &'static [&'static str] {
                <#events as ::reel_sdk::Events<'_>>::KINDS
            }
        }
    }
}

/// The same type with `'_` for every lifetime: the function's own names mean nothing elsewhere.
fn anonymous_lifetimes(tokens: TokenStream) -> TokenStream {
    let mut after_quote = false;
    let renamed = tokens.into_iter().map(|token| match token {
        TokenTree::Group(group) => Group::new(group.delimiter(), anonymous_lifetimes(group.stream())).into(),
        TokenTree::Ident(ident) if std::mem::take(&mut after_quote) => Ident::new("_", ident.span()).into(),
        token => {
            after_quote = matches!(&token, TokenTree::Punct(punct) if punct.as_char() == '\'');
            token
        }
    });
    renamed.collect()
}

fn manifest(input: &ProjectionInput) -> TokenStream {
    let ProjectionInput { arguments, document, .. } = input;
    let (name, version) = (&arguments.name, &arguments.version);
    let description = arguments.description.as_ref().map_or_else(|| document.clone(), LitStr::value);
    let order = if arguments.global { quote!(Global) } else { quote!(ByStream) };
    let metadata = arguments.metadata;
    let tables = &arguments.tables;
    let queries = arguments.queries.iter().map(query);
    quote! {
        ::reel_sdk::manifest::ManifestDescription {
            name: #name,
            version: #version,
            description: #description,
            kinds: <Self as ::reel_sdk::Projection>::kinds(),
            order: ::reel_sdk::manifest::Order::#order,
            metadata: #metadata,
            settings: <Self::Settings as ::reel_sdk::Settings>::SCHEMA,
            tables: &[#(<#tables as ::reel_sdk::Table>::DESCRIPTION),*],
            queries: &[#(#queries),*],
        }
        .to_json()
    }
}

fn query(query: &QueryInput) -> TokenStream {
    let QueryInput { name, table, query, parameters } = query;
    let parameters = parameters.iter().map(|ParameterInput { name, ty, default }| {
        let default = match default {
            None => quote!(::core::option::Option::None),
            Some(literal) => {
                let text = literal_text(literal);
                quote!(::core::option::Option::Some(#text))
            }
        };
        quote! {
            ::reel_sdk::manifest::ParameterDescription {
                name: #name,
                kind: <#ty as ::reel_sdk::ColumnValue>::TYPE,
                default: #default,
            }
        }
    });
    quote! {
        ::reel_sdk::manifest::QueryDescription {
            name: #name,
            table: <#table as ::reel_sdk::Table>::DESCRIPTION.name,
            query: #query,
            parameters: &[#(#parameters),*],
        }
    }
}

/// A parameter's default as a caller would write it.
fn literal_text(literal: &Literal) -> String {
    match literal {
        Literal::Boolean(value) => value.to_string(),
        Literal::Int(number) | Literal::Double(number) => number.to_string().replace(' ', ""),
        Literal::Text(text) => text.value(),
    }
}

/// Which place in the manifest each table has.
fn places(input: &ProjectionInput) -> TokenStream {
    let places = input.arguments.tables.iter().enumerate().map(|(index, table)| {
        let index = index as u16;
        quote_spanned! { table.span() =>
            impl ::reel_sdk::Declared for #table {
                const INDEX: u16 = #index;
            }
        }
    });
    quote!(#(#places)*)
}

/// Ownership fits the order: an error points at the table in the list.
fn checks(input: &ProjectionInput) -> TokenStream {
    let order = if input.arguments.global { quote!(Global) } else { quote!(ByStream) };
    let checks = input.arguments.tables.iter().map(|table| {
        quote_spanned! { table.span() =>
            const _: () = <#table as ::reel_sdk::Table>::DESCRIPTION.check_order(::reel_sdk::manifest::Order::#order);
        }
    });
    quote!(#(#checks)*)
}
