//! What `#[derive(Events)]` reads: an enum whose variants say with `#[kind(…)]` which events they stand for, checked.
//! The code that is made of it is in `events_code`.

use proc_macro2::{Ident, TokenStream, TokenTree};
use quote::ToTokens;
use syn::{
    Attribute, Data, DeriveInput, Error, Field, Fields, GenericParam, Lifetime, LitInt, LitStr, Path, Result, Token,
    Type, Variant,
    parse::{Parse, ParseStream},
    spanned::Spanned,
};

use crate::names;

pub(crate) struct EventsInput {
    pub(crate) ident: Ident,
    /// What borrowed payload fields borrow for.
    pub(crate) lifetime: Option<Lifetime>,
    pub(crate) variants: Vec<VariantInput>,
}

pub(crate) struct VariantInput {
    pub(crate) ident: Ident,
    pub(crate) kinds: Vec<LitStr>,
    pub(crate) upcast: Option<Upcast>,
    pub(crate) payload: PayloadInput,
    /// `#[serde(…)]` on the variant: of its payload as a whole.
    pub(crate) serde: Vec<Attribute>,
}

/// From which schema version a payload has the shape of the variant, and the function that lifts older ones.
pub(crate) struct Upcast {
    pub(crate) schema: LitInt,
    pub(crate) function: Path,
}

pub(crate) enum PayloadInput {
    /// The payload is not looked at.
    Ignored,
    /// The payload is one value of a type that serde reads.
    Whole(Type),
    /// A member of the payload for each field.
    Members { fields: Vec<Field>, borrows: bool },
}

impl EventsInput {
    pub(crate) fn parse(input: &DeriveInput) -> Result<EventsInput> {
        let Data::Enum(data) = &input.data else {
            return Err(Error::new(
                input.ident.span(),
                "the events of a projection are an enum: a variant for each kind",
            ));
        };
        let lifetime = lifetime(input)?;
        let variants: Vec<VariantInput> = data
            .variants
            .iter()
            .map(|variant| VariantInput::parse(variant, lifetime.as_ref()))
            .collect::<Result<_>>()?;
        if variants.is_empty() {
            return Err(Error::new(
                input.ident.span(),
                "a projection handles at least one kind of event: add a variant",
            ));
        }
        check_reachable(variants.iter().flat_map(|variant| &variant.kinds))?;
        Ok(EventsInput { ident: input.ident.clone(), lifetime, variants })
    }
}

fn lifetime(input: &DeriveInput) -> Result<Option<Lifetime>> {
    let mut parameters = input.generics.params.iter();
    match (parameters.next(), parameters.next()) {
        (None, _) => Ok(None),
        (Some(GenericParam::Lifetime(lifetime)), None) => Ok(Some(lifetime.lifetime.clone())),
        _ => Err(Error::new(
            input.generics.span(),
            "events take at most one parameter, a lifetime for fields that borrow from the payload: enum PostEvent<'a>",
        )),
    }
}

/// An event goes to the first kind that stands for it, so a kind behind one that covers it would never be used.
fn check_reachable<'a>(kinds: impl Iterator<Item = &'a LitStr>) -> Result<()> {
    let mut before: Vec<String> = Vec::new();
    for kind in kinds {
        let text = kind.value();
        let plain = text.strip_suffix('*').unwrap_or(&text);
        let covers =
            |earlier: &&String| **earlier == text || earlier.strip_suffix('*').is_some_and(|p| plain.starts_with(p));
        if let Some(earlier) = before.iter().find(covers) {
            let said =
                format!("{text:?} never gets an event: {earlier:?} before it takes them; put it first or remove it");
            return Err(Error::new(kind.span(), said));
        }
        before.push(text);
    }
    Ok(())
}

impl VariantInput {
    fn parse(variant: &Variant, lifetime: Option<&Lifetime>) -> Result<VariantInput> {
        let mut kinds = Vec::new();
        let mut upcast = None;
        for attribute in variant.attrs.iter().filter(|attribute| attribute.path().is_ident("kind")) {
            let arguments: KindArguments = attribute.parse_args()?;
            kinds.extend(arguments.kinds);
            upcast = upcast.or(arguments.upcast);
        }
        if kinds.is_empty() {
            let said =
                "which events is this? Say it with #[kind(\"post-created\")], #[kind(\"post-*\")] or #[kind(\"*\")]";
            return Err(Error::new(variant.span(), said));
        }
        let serde = variant.attrs.iter().filter(|attribute| attribute.path().is_ident("serde")).cloned().collect();
        let payload = PayloadInput::parse(variant, lifetime)?;
        if let (Some(_), PayloadInput::Members { borrows: true, .. }) = (&upcast, &payload) {
            let said =
                "a payload that may be upcast cannot be borrowed from: use owned types such as String in this variant";
            return Err(Error::new(variant.span(), said));
        }
        Ok(VariantInput { ident: variant.ident.clone(), kinds, upcast, payload, serde })
    }
}

impl PayloadInput {
    fn parse(variant: &Variant, lifetime: Option<&Lifetime>) -> Result<PayloadInput> {
        match &variant.fields {
            Fields::Unit => Ok(PayloadInput::Ignored),
            Fields::Unnamed(fields) if fields.unnamed.len() == 1 => {
                Ok(PayloadInput::Whole(fields.unnamed[0].ty.clone()))
            }
            Fields::Unnamed(fields) => Err(Error::new(
                fields.span(),
                "a variant has named fields (members of the payload), one unnamed field (the whole payload) or none",
            )),
            Fields::Named(fields) => {
                let fields: Vec<Field> = fields.named.iter().cloned().collect();
                let mentions = |field: &Field| lifetime.is_some_and(|own| mentions(field.ty.to_token_stream(), own));
                Ok(PayloadInput::Members { borrows: fields.iter().any(mentions), fields })
            }
        }
    }
}

/// Whether the lifetime occurs in a type.
pub(crate) fn mentions(tokens: TokenStream, lifetime: &Lifetime) -> bool {
    let mut after_quote = false;
    tokens.into_iter().any(|token| match token {
        TokenTree::Group(group) => mentions(group.stream(), lifetime),
        TokenTree::Punct(punct) => {
            after_quote = punct.as_char() == '\'';
            false
        }
        TokenTree::Ident(ident) => std::mem::take(&mut after_quote) && ident == lifetime.ident,
        TokenTree::Literal(_) => false,
    })
}

struct KindArguments {
    kinds: Vec<LitStr>,
    upcast: Option<Upcast>,
}

impl Parse for KindArguments {
    fn parse(input: ParseStream<'_>) -> Result<KindArguments> {
        let (mut kinds, mut schema, mut function) = (Vec::new(), None, None);
        while !input.is_empty() {
            if input.peek(LitStr) {
                let kind: LitStr = input.parse()?;
                names::check_kind(&kind)?;
                kinds.push(kind);
            } else {
                let argument: Ident = input.parse()?;
                input.parse::<Token![=]>()?;
                match argument.to_string().as_str() {
                    "schema" => schema = Some(input.parse()?),
                    "upcast" => function = Some(input.parse()?),
                    _ => {
                        return Err(Error::new(
                            argument.span(),
                            "#[kind(…)] takes kinds, and schema = N with upcast = function",
                        ));
                    }
                }
            }
            if !input.is_empty() {
                input.parse::<Token![,]>()?;
            }
        }
        let upcast = match (schema, function) {
            (Some(schema), Some(function)) => Some(Upcast { schema, function }),
            (None, None) => None,
            _ => {
                let said =
                    "schema and upcast go together: #[kind(\"post-created\", schema = 2, upcast = from_version_1)]";
                return Err(input.error(said));
            }
        };
        Ok(KindArguments { kinds, upcast })
    }
}

#[cfg(test)]
mod tests {
    use syn::parse_quote;

    use super::*;

    fn refusal(input: DeriveInput) -> String {
        EventsInput::parse(&input).err().expect("refused").to_string()
    }

    #[test]
    fn reads_variants_of_every_form() {
        let events = EventsInput::parse(&parse_quote! {
            enum PostEvent<'a> {
                #[kind("post-created", schema = 2, upcast = older::created)] Created { author: String },
                #[kind("post-edited")] Edited { message: Cow<'a, str> },
                #[kind("post-liked", "post-loved")] Liked,
                #[kind("*")] Other(serde_json::Value),
            }
        })
        .unwrap();
        assert!(events.variants[0].upcast.is_some());
        assert!(matches!(events.variants[0].payload, PayloadInput::Members { borrows: false, .. }));
        assert!(matches!(events.variants[1].payload, PayloadInput::Members { borrows: true, .. }));
        assert_eq!(events.variants[2].kinds.len(), 2);
        assert!(matches!(events.variants[3].payload, PayloadInput::Whole(_)));
    }

    #[test]
    fn a_variant_without_a_kind_is_told_how() {
        assert!(refusal(parse_quote! { enum E { Created } }).contains("#[kind(\"post-created\")]"));
    }

    #[test]
    fn a_kind_that_an_earlier_one_covers_is_refused() {
        for (first, second) in [("*", "a"), ("post-*", "post-created"), ("post-*", "post-a*"), ("a", "a")] {
            let said = refusal(parse_quote! { enum E { #[kind(#first)] A, #[kind(#second)] B } });
            assert!(said.contains("never gets an event"), "{first} {second}: {said}");
        }
        let narrow_first: DeriveInput = parse_quote! { enum E { #[kind("post-created")] A, #[kind("post-*")] B } };
        assert!(EventsInput::parse(&narrow_first).is_ok());
    }

    #[test]
    fn half_an_upcast_is_refused() {
        assert!(refusal(parse_quote! { enum E { #[kind("a", schema = 2)] A } }).contains("go together"));
    }

    #[test]
    fn upcast_and_borrowing_exclude_each_other() {
        let said = refusal(parse_quote! { enum E<'a> { #[kind("a", schema = 2, upcast = f)] A { x: &'a str } } });
        assert!(said.contains("String"), "{said}");
    }

    #[test]
    fn structs_empty_enums_and_pairs_are_refused() {
        assert!(refusal(parse_quote! { struct E; }).contains("enum"));
        assert!(refusal(parse_quote! { enum E {} }).contains("at least one"));
        assert!(refusal(parse_quote! { enum E { #[kind("a")] A(i64, i64) } }).contains("one unnamed field"));
        assert!(refusal(parse_quote! { enum E<T> { #[kind("a")] A(T) } }).contains("lifetime"));
    }
}
