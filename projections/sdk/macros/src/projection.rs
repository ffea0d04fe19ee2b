//! What `#[projection(…)]` reads: its arguments and the function's signature, checked.
//! The code that is made of it is in `projection_code`.

use proc_macro2::Ident;
use syn::{
    Error, Expr, ExprLit, FnArg, GenericArgument, ItemFn, Lit, LitStr, Meta, Path, PathArguments, Result, Token, Type,
    ext::IdentExt,
    parse::{Parse, ParseStream},
    punctuated::Punctuated,
    spanned::Spanned,
};

use crate::{names, table::Literal};

pub(crate) struct ProjectionInput {
    pub(crate) arguments: Arguments,
    pub(crate) function: ItemFn,
    /// `PostEvent` of `Event<PostEvent>`.
    pub(crate) events: Type,
    /// The function's doc comment, as one text.
    pub(crate) document: String,
}

#[derive(Default)]
pub(crate) struct Arguments {
    pub(crate) name: Option<LitStr>,
    pub(crate) version: Option<LitStr>,
    pub(crate) description: Option<LitStr>,
    pub(crate) tables: Vec<Path>,
    pub(crate) global: bool,
    pub(crate) metadata: bool,
    pub(crate) settings: Option<Type>,
    pub(crate) queries: Vec<QueryInput>,
}

pub(crate) struct QueryInput {
    pub(crate) name: LitStr,
    pub(crate) table: Path,
    pub(crate) query: LitStr,
    pub(crate) parameters: Vec<ParameterInput>,
}

pub(crate) struct ParameterInput {
    pub(crate) name: String,
    pub(crate) ty: Type,
    pub(crate) default: Option<Literal>,
}

const KNOWN: &str = "#[projection(…)] takes name = \"posts\", version = \"1.0.0\", tables(Post, …), and may take \
                     description = \"…\", order = by_stream or global, metadata, settings = Type, \
                     queries(name(Table, \"query\", parameter: Type = default), …)";

impl Parse for Arguments {
    fn parse(input: ParseStream<'_>) -> Result<Arguments> {
        let mut arguments = Arguments::default();
        while !input.is_empty() {
            arguments.parse_one(input)?;
            if !input.is_empty() {
                input.parse::<Token![,]>()?;
            }
        }
        Ok(arguments)
    }
}

impl Arguments {
    fn parse_one(&mut self, input: ParseStream<'_>) -> Result<()> {
        let argument = input.call(Ident::parse_any)?;
        match argument.to_string().as_str() {
            "name" => {
                let name = value(input)?;
                names::check_projection(&name)?;
                self.name = Some(name);
            }
            "version" => self.version = Some(value(input)?),
            "description" => self.description = Some(value(input)?),
            "settings" => self.settings = Some(value(input)?),
            "metadata" => self.metadata = true,
            "order" => {
                let order: Ident = value(input)?;
                self.global = match order.to_string().as_str() {
                    "global" => true,
                    "by_stream" => false,
                    _ => return Err(Error::new(order.span(), "the order is by_stream or global")),
                };
            }
            "tables" => self.tables = list(input)?,
            "queries" => self.queries = list(input)?,
            _ => return Err(Error::new(argument.span(), KNOWN)),
        }
        Ok(())
    }
}

/// `= value`
fn value<T: Parse>(input: ParseStream<'_>) -> Result<T> {
    input.parse::<Token![=]>()?;
    input.parse()
}

/// `(item, item)`
fn list<T: Parse>(input: ParseStream<'_>) -> Result<Vec<T>> {
    let content;
    syn::parenthesized!(content in input);
    Ok(Punctuated::<T, Token![,]>::parse_terminated(&content)?.into_iter().collect())
}

impl Parse for QueryInput {
    /// `by_author(Post, "author=eq.{who}&limit={most}", who: String, most: i64 = 10)`
    fn parse(input: ParseStream<'_>) -> Result<QueryInput> {
        let ident = input.call(Ident::parse_any)?;
        let name = LitStr::new(&ident.unraw().to_string(), ident.span());
        names::check_table(&name)?;
        let content;
        syn::parenthesized!(content in input);
        let table = content.parse()?;
        content.parse::<Token![,]>()?;
        let query: LitStr = content.parse()?;
        let mut parameters = Vec::new();
        while content.parse::<Option<Token![,]>>()?.is_some() && !content.is_empty() {
            parameters.push(content.parse()?);
        }
        if !content.is_empty() {
            return Err(content.error("a query is name(Table, \"query\", parameter: Type = default, …)"));
        }
        let query = QueryInput { name, table, query, parameters };
        query.check_parameters()?;
        Ok(query)
    }
}

impl QueryInput {
    /// Every `{parameter}` of the query is declared, and every declared one is used.
    fn check_parameters(&self) -> Result<()> {
        let text = self.query.value();
        let used: Vec<&str> = text.split('{').skip(1).filter_map(|rest| rest.split('}').next()).collect();
        let is_declared = |name: &str| self.parameters.iter().any(|parameter| parameter.name == name);
        if let Some(name) = used.iter().find(|name| !is_declared(name)) {
            let said = format!("declare the parameter behind the query: {name}: String");
            return Err(Error::new(self.query.span(), said));
        }
        if let Some(idle) = self.parameters.iter().find(|parameter| !used.contains(&parameter.name.as_str())) {
            let said = format!("the query does not use {{{}}}", idle.name);
            return Err(Error::new(idle.ty.span(), said));
        }
        Ok(())
    }
}

impl Parse for ParameterInput {
    fn parse(input: ParseStream<'_>) -> Result<ParameterInput> {
        let ident = input.call(Ident::parse_any)?;
        let name = ident.unraw().to_string();
        names::check_column(&ident, &name)?;
        input.parse::<Token![:]>()?;
        let ty = input.parse()?;
        let default = match input.parse::<Option<Token![=]>>()? {
            Some(_) => Some(Literal::parse(input)?),
            None => None,
        };
        Ok(ParameterInput { name, ty, default })
    }
}

impl ProjectionInput {
    pub(crate) fn new(arguments: Arguments, function: ItemFn) -> Result<ProjectionInput> {
        let place = function.sig.ident.span();
        if arguments.name.is_none() || arguments.version.is_none() || arguments.tables.is_empty() {
            let said = "a projection needs a name, a version and its tables: \
                        #[projection(name = \"posts\", version = \"1.0.0\", tables(Post))]";
            return Err(Error::new(place, said));
        }
        let wanted = if arguments.settings.is_some() { 3 } else { 2 };
        if function.sig.inputs.len() != wanted {
            return Err(Error::new(function.sig.span(), signature(wanted)));
        }
        let events = events_type(&function).ok_or_else(|| Error::new(function.sig.span(), signature(wanted)))?;
        let document = document(&function);
        Ok(ProjectionInput { arguments, function, events, document })
    }
}

fn signature(arguments: usize) -> &'static str {
    if arguments == 3 {
        "with settings, a projection is fn(event: Event<PostEvent>, rows: &mut Rows, settings: &Settings) -> Result<(), Reject>"
    } else {
        "a projection is fn(event: Event<PostEvent>, rows: &mut Rows) -> Result<(), Reject>; with settings = Type, a third \
         argument takes them"
    }
}

/// The last type argument of the first parameter's type: `PostEvent` of `Event<'_, PostEvent>`.
fn events_type(function: &ItemFn) -> Option<Type> {
    let FnArg::Typed(argument) = function.sig.inputs.first()? else {
        return None;
    };
    let Type::Path(path) = argument.ty.as_ref() else {
        return None;
    };
    let PathArguments::AngleBracketed(arguments) = &path.path.segments.last()?.arguments else {
        return None;
    };
    let types = arguments.args.iter().filter_map(|argument| match argument {
        GenericArgument::Type(ty) => Some(ty.clone()),
        _ => None,
    });
    types.last()
}

fn document(function: &ItemFn) -> String {
    let lines = function.attrs.iter().filter_map(|attribute| match &attribute.meta {
        Meta::NameValue(pair) if pair.path.is_ident("doc") => match &pair.value {
            Expr::Lit(ExprLit { lit: Lit::Str(text), .. }) => Some(text.value().trim().to_owned()),
            _ => None,
        },
        _ => None,
    });
    lines.collect::<Vec<_>>().join(" ").trim().to_owned()
}

#[cfg(test)]
mod tests {
    use syn::parse_quote;

    use super::*;

    fn refusal(arguments: Result<Arguments>, function: ItemFn) -> String {
        arguments.and_then(|arguments| ProjectionInput::new(arguments, function)).err().expect("refused").to_string()
    }

    fn handler() -> ItemFn {
        parse_quote! { fn posts(event: Event<PostEvent>, rows: &mut Rows) -> Result<(), Reject> { Ok(()) } }
    }

    #[test]
    fn reads_every_argument() {
        let arguments: Arguments = parse_quote! {
            name = "posts", version = "1.0.0", description = "Posts.", tables(Post, more::Comment), order = global, metadata,
            settings = Limits,
            queries(popular(Post, "order=likes.desc&limit={most}", most: i64 = 10), all(Post, ""))
        };
        let function: ItemFn = parse_quote! {
            /// Posts and
            /// comments.
            fn posts(event: Event<'_, PostEvent<'_>>, rows: &mut Rows, settings: &Limits) -> Result<(), Reject> { Ok(()) }
        };
        let input = ProjectionInput::new(arguments, function).unwrap();
        assert_eq!(input.document, "Posts and comments.");
        assert_eq!(quote::ToTokens::to_token_stream(&input.events).to_string(), "PostEvent < '_ >");
        assert!(input.arguments.global && input.arguments.metadata);
        assert_eq!(input.arguments.queries[0].parameters[0].name, "most");
        assert_eq!(input.arguments.queries.len(), 2);
    }

    #[test]
    fn what_is_missing_is_asked_for() {
        let said = refusal(syn::parse_str("name = \"posts\", version = \"1.0.0\""), handler());
        assert!(said.contains("tables(Post)"), "{said}");
    }

    #[test]
    fn an_unknown_argument_lists_the_known_ones() {
        assert_eq!(refusal(syn::parse_str("nmae = \"posts\""), handler()), KNOWN);
        assert!(refusal(syn::parse_str("order = random"), handler()).contains("by_stream or global"));
    }

    #[test]
    fn a_function_of_another_form_is_shown_the_right_one() {
        let arguments = || syn::parse_str("name = \"posts\", version = \"1.0.0\", tables(Post)");
        assert!(
            refusal(arguments(), parse_quote! { fn posts(event: Event<PostEvent>) {} }).contains("rows: &mut Rows")
        );
        assert!(
            refusal(arguments(), parse_quote! { fn posts(event: u8, rows: &mut Rows) {} }).contains("Event<PostEvent>")
        );
    }

    #[test]
    fn a_query_and_its_parameters_belong_together() {
        let query = |text| syn::parse_str::<QueryInput>(text).err().expect("refused").to_string();
        assert!(query(r#"mine(Post, "author=eq.{who}")"#).contains("who: String"));
        assert!(query(r#"mine(Post, "limit=1", who: String)"#).contains("does not use {who}"));
    }
}
