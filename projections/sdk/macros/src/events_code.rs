//! The code that `#[derive(Events)]` writes.

use proc_macro2::TokenStream;
use quote::{ToTokens, format_ident, quote};
use syn::{Lifetime, Type};

use crate::events::{EventsInput, PayloadInput, VariantInput, mentions};

pub(crate) fn expand(events: &EventsInput) -> TokenStream {
    let ident = &events.ident;
    let own: Lifetime = events.lifetime.clone().unwrap_or_else(|| syn::parse_quote!('event));
    let ident_with_lifetime = if events.lifetime.is_some() { quote!(#ident<#own>) } else { quote!(#ident) };
    let payloads = events.variants.iter().filter_map(|variant| payload_struct(variant, events.lifetime.as_ref()));
    let kinds = events.variants.iter().flat_map(|variant| &variant.kinds);
    let mut first = 0_u16;
    let arms = events.variants.iter().map(|variant| {
        let indices = first..first + variant.kinds.len() as u16;
        first = indices.end;
        let decode = decode(variant);
        quote!(#(#indices)|* => #decode,)
    });
    quote! {
        const _: () = {
            #(#payloads)*
            #[automatically_derived]
            impl<#own> ::reel_sdk::Events<#own> for #ident_with_lifetime {
                const KINDS: &'static [&'static str] = &[#(#kinds),*];
                #[inline]
                fn decode(
                    event: &::reel_sdk::RawEvent<#own>,
                ) -> ::core::result::Result<Self, ::reel_sdk::Reject> {
                    match event.kind {
                        #(#arms)*
                        _ => ::core::result::Result::Err(event.unknown_kind()),
                    }
                }
            }
        };
    }
}

fn payload_ident(variant: &VariantInput) -> proc_macro2::Ident {
    format_ident!("__Payload{}", variant.ident)
}

/// A struct with the variant's fields, for serde to read.
fn payload_struct(variant: &VariantInput, lifetime: Option<&Lifetime>) -> Option<TokenStream> {
    let PayloadInput::Members { fields, borrows } = &variant.payload else {
        return None;
    };
    let ident = payload_ident(variant);
    let generics = lifetime.filter(|_| *borrows).map(|own| quote!(<#own>));
    let serde = &variant.serde;
    let fields = fields.iter().map(|field| {
        let attributes: Vec<_> = field.attrs.iter().filter(|attribute| attribute.path().is_ident("serde")).collect();
        let borrow = (attributes.is_empty() && needs_borrow(&field.ty, lifetime)).then(|| quote!(#[serde(borrow)]));
        let (name, ty) = (&field.ident, &field.ty);
        quote!(#(#attributes)* #borrow #name: #ty)
    });
    Some(quote! {
        #[derive(::reel_sdk::serde::Deserialize)]
        #[serde(crate = "::reel_sdk::serde")]
        #(#serde)*
        struct #ident #generics { #(#fields),* }
    })
}

/// serde borrows for `&'a str` by itself; for other types that mention the lifetime it must be told.
fn needs_borrow(ty: &Type, lifetime: Option<&Lifetime>) -> bool {
    !matches!(ty, Type::Reference(_)) && lifetime.is_some_and(|own| mentions(ty.to_token_stream(), own))
}

fn decode(variant: &VariantInput) -> TokenStream {
    let ident = &variant.ident;
    let payload = match &variant.upcast {
        None => quote!(event.parse_payload),
        Some(upcast) => {
            let (schema, function) = (&upcast.schema, &upcast.function);
            quote!((|| event.parse_upcast(#schema, #function)))
        }
    };
    match &variant.payload {
        PayloadInput::Ignored => quote!(::core::result::Result::Ok(Self::#ident)),
        PayloadInput::Whole(ty) => quote!({
            let payload: #ty = #payload()?;
            ::core::result::Result::Ok(Self::#ident(payload))
        }),
        PayloadInput::Members { fields, .. } => {
            let shape = payload_ident(variant);
            let names: Vec<_> = fields.iter().map(|field| &field.ident).collect();
            quote!({
                let #shape { #(#names),* } = #payload()?;
                ::core::result::Result::Ok(Self::#ident { #(#names),* })
            })
        }
    }
}
