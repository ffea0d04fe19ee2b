//! What `#[derive(Table)]` reads: the struct's `#[table(…)]` and its fields' `#[key]`, `#[length]`, `#[default]`, checked.
//! The code that is made of it is in `table_code`.

use proc_macro2::{Ident, TokenStream};
use syn::{
    Data, DeriveInput, Error, Field, Fields, Lit, LitInt, LitStr, Result, Token, Type, Visibility, ext::IdentExt,
    meta::ParseNestedMeta, parse::ParseStream, punctuated::Punctuated, spanned::Spanned,
};

use crate::names;

pub(crate) struct TableInput {
    pub(crate) visibility: Visibility,
    pub(crate) ident: Ident,
    pub(crate) name: LitStr,
    pub(crate) columns: Vec<ColumnInput>,
    /// Indices of the key's columns, in the order of the fields.
    pub(crate) key: Vec<usize>,
    pub(crate) ownership: OwnershipInput,
    pub(crate) indexes: Vec<IndexInput>,
    pub(crate) references: Vec<ReferenceInput>,
}

pub(crate) struct ColumnInput {
    pub(crate) ident: Ident,
    /// Without `r#`.
    pub(crate) name: String,
    pub(crate) ty: Type,
    pub(crate) length: Option<LitInt>,
    pub(crate) default: Option<Literal>,
    pub(crate) is_key: bool,
}

pub(crate) enum Literal {
    Boolean(bool),
    Int(TokenStream),
    Double(TokenStream),
    Text(LitStr),
}

pub(crate) enum OwnershipInput {
    Undeclared,
    StreamKey(usize),
    StreamId(usize),
    Shared,
}

pub(crate) struct IndexInput {
    pub(crate) columns: Vec<usize>,
    pub(crate) unique: bool,
}

pub(crate) struct ReferenceInput {
    pub(crate) columns: Vec<usize>,
    pub(crate) table: String,
}

impl TableInput {
    pub(crate) fn parse(input: &DeriveInput) -> Result<TableInput> {
        if !input.generics.params.is_empty() {
            return Err(Error::new(
                input.generics.span(),
                "a table has no generic parameters: its rows own their values",
            ));
        }
        let columns = columns(input)?;
        let key: Vec<usize> = (0..columns.len()).filter(|index| columns[*index].is_key).collect();
        if key.is_empty() {
            return Err(Error::new(
                input.ident.span(),
                "which columns are the primary key? Mark them with #[key], or #[key(length = 36)] where they hold text or bytes",
            ));
        }
        let attribute = TableAttribute::parse(input, &columns)?;
        let name = attribute
            .name
            .ok_or_else(|| Error::new(input.ident.span(), "the table needs a name: #[table(name = \"posts\", …)]"))?;
        let TableAttribute { ownership, indexes, references, .. } = attribute;
        let (visibility, ident) = (input.vis.clone(), input.ident.clone());
        Ok(TableInput { visibility, ident, name, columns, key, ownership, indexes, references })
    }
}

fn columns(input: &DeriveInput) -> Result<Vec<ColumnInput>> {
    let Data::Struct(data) = &input.data else {
        return Err(Error::new(input.ident.span(), "a table is a struct: one field a column"));
    };
    let Fields::Named(fields) = &data.fields else {
        return Err(Error::new(input.ident.span(), "a table needs named fields: their names are the columns' names"));
    };
    fields.named.iter().map(ColumnInput::parse).collect()
}

impl ColumnInput {
    fn parse(field: &Field) -> Result<ColumnInput> {
        let ident = field.ident.clone().expect("the fields are named");
        let name = ident.unraw().to_string();
        names::check_column(&ident, &name)?;
        let mut column = ColumnInput { ident, name, ty: field.ty.clone(), length: None, default: None, is_key: false };
        for attribute in &field.attrs {
            if attribute.path().is_ident("key") {
                column.is_key = true;
                if !matches!(attribute.meta, syn::Meta::Path(_)) {
                    attribute.parse_nested_meta(|meta| column.parse_key_argument(&meta))?;
                }
            } else if attribute.path().is_ident("length") {
                column.length = Some(attribute.parse_args()?);
            } else if attribute.path().is_ident("default") {
                column.default = Some(attribute.parse_args_with(Literal::parse)?);
            }
        }
        Ok(column)
    }

    fn parse_key_argument(&mut self, meta: &ParseNestedMeta<'_>) -> Result<()> {
        if !meta.path.is_ident("length") {
            return Err(meta.error("#[key] takes nothing but a length: #[key(length = 36)]"));
        }
        self.length = Some(meta.value()?.parse()?);
        Ok(())
    }
}

impl Literal {
    pub(crate) fn parse(input: ParseStream<'_>) -> Result<Literal> {
        let minus: Option<Token![-]> = input.parse()?;
        let literal: Lit = input.parse()?;
        match (literal, minus) {
            (Lit::Int(number), minus) => Ok(Literal::Int(quote::quote!(#minus #number))),
            (Lit::Float(number), minus) => Ok(Literal::Double(quote::quote!(#minus #number))),
            (Lit::Bool(value), None) => Ok(Literal::Boolean(value.value)),
            (Lit::Str(text), None) => Ok(Literal::Text(text)),
            (other, _) => Err(Error::new(other.span(), "a default is a number, true, false or a \"text\"")),
        }
    }
}

struct TableAttribute<'a> {
    columns: &'a [ColumnInput],
    name: Option<LitStr>,
    ownership: OwnershipInput,
    indexes: Vec<IndexInput>,
    references: Vec<ReferenceInput>,
}

impl TableAttribute<'_> {
    fn parse<'a>(input: &DeriveInput, columns: &'a [ColumnInput]) -> Result<TableAttribute<'a>> {
        let mut found = TableAttribute {
            columns,
            name: None,
            ownership: OwnershipInput::Undeclared,
            indexes: Vec::new(),
            references: Vec::new(),
        };
        for attribute in input.attrs.iter().filter(|attribute| attribute.path().is_ident("table")) {
            attribute.parse_nested_meta(|meta| found.parse_argument(&meta))?;
        }
        Ok(found)
    }

    fn parse_argument(&mut self, meta: &ParseNestedMeta<'_>) -> Result<()> {
        let argument = meta.path.get_ident().map(Ident::to_string).unwrap_or_default();
        match argument.as_str() {
            "name" => {
                let name: LitStr = meta.value()?.parse()?;
                names::check_table(&name)?;
                self.name = Some(name);
            }
            "owner" => {
                let column = self.column(&meta.value()?.call(Ident::parse_any)?)?;
                self.own(meta, OwnershipInput::StreamKey(column))?;
            }
            "owner_stream_id" => {
                let column = self.column(&meta.value()?.call(Ident::parse_any)?)?;
                self.own(meta, OwnershipInput::StreamId(column))?;
            }
            "shared" => self.own(meta, OwnershipInput::Shared)?,
            "index" => self.index(meta, IndexInput { columns: Vec::new(), unique: false })?,
            "unique" => self.index(meta, IndexInput { columns: Vec::new(), unique: true })?,
            "references" => {
                let reference = self.reference(meta)?;
                self.references.push(reference);
            }
            _ => {
                return Err(meta.error(
                    "#[table(…)] takes name = \"…\", owner = column, owner_stream_id = column, shared, index(columns), \
                     unique(columns) and references(columns => table)",
                ));
            }
        }
        Ok(())
    }

    fn own(&mut self, meta: &ParseNestedMeta<'_>, ownership: OwnershipInput) -> Result<()> {
        if !matches!(self.ownership, OwnershipInput::Undeclared) {
            return Err(meta.error("a table has one of `owner`, `owner_stream_id` and `shared`"));
        }
        self.ownership = ownership;
        Ok(())
    }

    fn index(&mut self, meta: &ParseNestedMeta<'_>, mut index: IndexInput) -> Result<()> {
        let content;
        syn::parenthesized!(content in meta.input);
        index.columns = self.column_list(&content)?;
        if index.columns.is_empty() {
            return Err(meta.error("an index needs at least one column: index(author)"));
        }
        self.indexes.push(index);
        Ok(())
    }

    fn reference(&self, meta: &ParseNestedMeta<'_>) -> Result<ReferenceInput> {
        let content;
        syn::parenthesized!(content in meta.input);
        let columns = self.column_list(&content)?;
        content.parse::<Token![=>]>().map_err(|error| {
            Error::new(error.span(), "write the columns, then the table whose key they hold: references(post => posts)")
        })?;
        let table = content.call(Ident::parse_any)?;
        Ok(ReferenceInput { columns, table: table.unraw().to_string() })
    }

    fn column_list(&self, input: ParseStream<'_>) -> Result<Vec<usize>> {
        let mut columns = Punctuated::<Ident, Token![,]>::new();
        while input.peek(syn::Ident::peek_any) {
            columns.push_value(input.call(Ident::parse_any)?);
            if !input.peek(Token![,]) {
                break;
            }
            columns.push_punct(input.parse()?);
        }
        columns.iter().map(|column| self.column(column)).collect()
    }

    fn column(&self, ident: &Ident) -> Result<usize> {
        let name = ident.unraw().to_string();
        self.columns.iter().position(|column| column.name == name).ok_or_else(|| {
            let known: Vec<&str> = self.columns.iter().map(|column| column.name.as_str()).collect();
            Error::new(ident.span(), format!("there is no column `{name}`; the columns are {}", known.join(", ")))
        })
    }
}

#[cfg(test)]
mod tests {
    use syn::parse_quote;

    use super::*;

    fn refusal(input: DeriveInput) -> String {
        TableInput::parse(&input).err().expect("refused").to_string()
    }

    #[test]
    fn reads_every_attribute() {
        let table = TableInput::parse(&parse_quote! {
            #[table(name = "comments", owner = post, index(author, posted_at), unique(id,), references(post => posts))]
            struct Comment {
                #[key(length = 36)] post: String,
                #[key] id: Uuid,
                #[length(64)] #[default("anonymous")] author: String,
                #[default(-1)] score: i64,
                posted_at: Timestamp,
                r#type: bool,
            }
        })
        .unwrap();
        assert_eq!(table.name.value(), "comments");
        assert_eq!(table.key, [0, 1]);
        assert!(matches!(table.ownership, OwnershipInput::StreamKey(0)));
        assert_eq!(table.indexes[0].columns, [2, 4]);
        assert_eq!((table.indexes[1].columns.as_slice(), table.indexes[1].unique), (&[1][..], true));
        assert_eq!((table.references[0].columns.as_slice(), table.references[0].table.as_str()), (&[0][..], "posts"));
        assert_eq!(table.columns[5].name, "type");
        assert!(matches!(&table.columns[3].default, Some(Literal::Int(number)) if number.to_string() == "- 1"));
    }

    #[test]
    fn a_missing_key_is_asked_for() {
        let said = refusal(parse_quote! { #[table(name = "posts")] struct Post { id: i64 } });
        assert!(said.contains("#[key]"), "{said}");
    }

    #[test]
    fn a_missing_name_is_asked_for() {
        let said = refusal(parse_quote! { struct Post { #[key] id: i64 } });
        assert!(said.contains("#[table(name = "), "{said}");
    }

    #[test]
    fn an_unknown_column_lists_the_known_ones() {
        for attribute in ["owner = nobody", "index(nobody)", "references(nobody => posts)"] {
            let attribute: TokenStream = attribute.parse().unwrap();
            let said = refusal(parse_quote! {
                #[table(name = "posts", #attribute)] struct Post { #[key] id: i64, author: String }
            });
            assert_eq!(said, "there is no column `nobody`; the columns are id, author");
        }
    }

    #[test]
    fn two_owners_are_refused() {
        let said = refusal(parse_quote! { #[table(name = "a", owner = id, shared)] struct A { #[key] id: i64 } });
        assert!(said.contains("one of"), "{said}");
    }

    #[test]
    fn an_unknown_argument_lists_the_known_ones() {
        let said = refusal(parse_quote! { #[table(nmae = "a")] struct A { #[key] id: i64 } });
        assert!(said.contains("owner_stream_id = column"), "{said}");
    }

    #[test]
    fn tuples_enums_and_generics_are_refused() {
        assert!(refusal(parse_quote! { struct A(i64); }).contains("named fields"));
        assert!(refusal(parse_quote! { enum A { B } }).contains("struct"));
        assert!(refusal(parse_quote! { struct A<'a> { #[key] id: &'a str } }).contains("generic"));
    }
}
