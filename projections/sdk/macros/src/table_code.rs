//! The code that `#[derive(Table)]` writes.

use proc_macro2::TokenStream;
use quote::{format_ident, quote};

use crate::table::{ColumnInput, IndexInput, Literal, OwnershipInput, ReferenceInput, TableInput};

pub(crate) fn expand(table: &TableInput) -> TokenStream {
    let ident = &table.ident;
    let description = description(table);
    let row = row(table);
    let handles = handles(table);
    quote! {
        #[automatically_derived]
        impl ::reel_sdk::Table for #ident {
            const DESCRIPTION: ::reel_sdk::manifest::TableDescription = #description;
            #row
        }
        const _: () = <#ident as ::reel_sdk::Table>::DESCRIPTION.check();
        #handles
    }
}

fn description(table: &TableInput) -> TokenStream {
    let name = &table.name;
    let columns = table.columns.iter().map(column_description);
    let key = table.key.iter().map(|index| *index as u16);
    let indexes = table.indexes.iter().map(|IndexInput { columns, unique }| {
        let columns = columns.iter().map(|index| *index as u16);
        quote!(::reel_sdk::manifest::IndexDescription { columns: &[#(#columns),*], unique: #unique })
    });
    let references = table.references.iter().map(|ReferenceInput { columns, table }| {
        let columns = columns.iter().map(|index| *index as u16);
        quote!(::reel_sdk::manifest::ReferenceDescription { columns: &[#(#columns),*], table: #table })
    });
    let ownership = match table.ownership {
        OwnershipInput::Undeclared => quote!(Undeclared),
        OwnershipInput::Shared => quote!(Shared),
        OwnershipInput::StreamKey(column) => {
            let column = column as u16;
            quote!(StreamKey(#column))
        }
        OwnershipInput::StreamId(column) => {
            let column = column as u16;
            quote!(StreamId(#column))
        }
    };
    quote! {
        ::reel_sdk::manifest::TableDescription {
            name: #name,
            columns: &[#(#columns),*],
            key: &[#(#key),*],
            ownership: ::reel_sdk::manifest::Ownership::#ownership,
            indexes: &[#(#indexes),*],
            references: &[#(#references),*],
        }
    }
}

fn column_description(column: &ColumnInput) -> TokenStream {
    let ColumnInput { name, ty, length, default, .. } = column;
    let length = length.iter();
    let default = default.iter().map(|literal| match literal {
        Literal::Boolean(value) => quote!(Boolean(#value)),
        Literal::Int(number) => quote!(Int(#number)),
        Literal::Double(number) => quote!(Double(#number)),
        Literal::Text(text) => quote!(Text(#text)),
    });
    quote! {
        ::reel_sdk::manifest::ColumnDescription::of::<#ty>(#name)
            #(.length(#length))*
            #(.default(::reel_sdk::manifest::Literal::#default))*
    }
}

/// Writing and reading a whole row, in the order of the columns.
fn row(table: &TableInput) -> TokenStream {
    let idents: Vec<_> = table.columns.iter().map(|column| &column.ident).collect();
    let types = table.columns.iter().map(|column| &column.ty);
    let names = table.columns.iter().map(|column| &column.name);
    let indices = 0..table.columns.len() as u16;
    quote! {
        #[inline]
        fn write(self, row: &mut ::reel_sdk::rows::CellWriter<'_>) {
            #(row.put(#indices, self.#idents);)*
        }
        fn read(row: &mut ::reel_sdk::rows::RowReader<'_>) -> Self {
            Self { #(#idents: row.next::<#types>(#names)),* }
        }
    }
}

/// The columns as constants, and the function that makes a key.
fn handles(table: &TableInput) -> TokenStream {
    let TableInput { ident, visibility, .. } = table;
    let columns = table.columns.iter().enumerate().map(|(index, column)| {
        let ColumnInput { name, ty, ident, .. } = column;
        let handle = format_ident!("{}", name.to_uppercase(), span = ident.span());
        let document = format!("The column `{name}`.");
        let index = index as u16;
        quote! {
            #[doc = #document]
            #[allow(dead_code, reason = "not every projection names every column")]
            #visibility const #handle: ::reel_sdk::Column<Self, #ty> = ::reel_sdk::Column::at(#index);
        }
    });
    let key: Vec<&ColumnInput> = table.key.iter().map(|index| &table.columns[*index]).collect();
    let idents: Vec<_> = key.iter().map(|column| &column.ident).collect();
    let types = key.iter().map(|column| &column.ty);
    let key_handles = key.iter().map(|column| format_ident!("{}", column.name.to_uppercase()));
    quote! {
        impl #ident {
            #(#columns)*
            /// The key of one row.
            #[allow(dead_code, reason = "not every projection names rows by key")]
            #visibility fn key(
                #(#idents: impl ::reel_sdk::IntoColumn<#types>),*
            ) -> ::reel_sdk::Key<Self, impl ::reel_sdk::Assignments<Self>> {
                ::reel_sdk::Key::of((#(Self::#key_handles.set(#idents),)*))
            }
        }
    }
}
