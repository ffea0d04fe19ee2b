//! `reel query`: the read API from the terminal. Every row, unless the query has a limit.

use futures::StreamExt;
use reqwest::Method;
use serde_json::Value;
use serde_json::value::RawValue;

use crate::args::Query;
use crate::client::{Client, Output, escape};
use crate::error::CliError;
use crate::print;

pub(crate) async fn run(client: &Client, query: &Query) -> Result<(), CliError> {
    let grammar = query.query.as_deref().unwrap_or_default().trim_start_matches('?');
    let mut path = format!("/read/v1/{}/{}", escape(&query.projection), escape(&query.table));
    if !grammar.is_empty() {
        path.push('?');
        path.push_str(&escape_query(grammar));
    }
    let response =
        client.send(client.request(Method::GET, &path, &[("target", query.target.target.as_deref())])).await?;
    match client.output {
        Output::Json => {
            let mut body = response.bytes_stream();
            while let Some(bytes) = body.next().await {
                print::raw(&bytes.map_err(|error| CliError::caused("the answer broke off", error))?)?;
            }
            print::raw(b"\n")
        }
        Output::Text => {
            let body = response.bytes().await.map_err(|error| CliError::caused("the answer broke off", error))?;
            show(&body)
        }
    }
}

/// What a shell's user writes plainly — spaces, quotes, other scripts — as a URL wants it; what is escaped already stays.
fn escape_query(text: &str) -> String {
    text.chars()
        .map(
            |c| {
                if c.is_ascii_graphic() && !"\"<>\\^`{|}#".contains(c) { c.to_string() } else { escape(&c.to_string()) }
            },
        )
        .collect()
}

fn show(body: &[u8]) -> Result<(), CliError> {
    // Maps that keep the order of the columns.
    let rows: Vec<Ordered> = serde_json::from_slice(body)
        .map_err(|error| CliError::caused("the answer is not what this version of reel expects", error))?;
    if rows.is_empty() {
        print::note("no rows");
        return Ok(());
    }
    Ordered::show(&rows)?;
    print::note(&format!("{} rows", rows.len()));
    Ok(())
}

/// A row: its members in their order, each as the server wrote it, so that no digit of a number is lost.
pub(crate) struct Ordered(Vec<(String, Box<RawValue>)>);

impl Ordered {
    /// Shows rows, at least one, as a table.
    pub(crate) fn show(rows: &[Ordered]) -> Result<(), CliError> {
        let heading: Vec<&str> = rows[0].0.iter().map(|(name, _)| name.as_str()).collect();
        let cells: Vec<Vec<String>> =
            rows.iter().map(|row| row.0.iter().map(|(_, value)| as_cell(value)).collect()).collect();
        print::table(&heading, &cells)
    }
}

fn as_cell(value: &RawValue) -> String {
    match serde_json::from_str(value.get()) {
        Ok(Value::Number(_)) | Err(_) => value.get().to_owned(),
        Ok(value) => print::cell(&value),
    }
}

impl<'de> serde::Deserialize<'de> for Ordered {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Ordered, D::Error> {
        struct Members;
        impl<'de> serde::de::Visitor<'de> for Members {
            type Value = Ordered;
            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("an object")
            }
            fn visit_map<A: serde::de::MapAccess<'de>>(self, mut map: A) -> Result<Ordered, A::Error> {
                let mut members = Vec::new();
                while let Some(member) = map.next_entry()? {
                    members.push(member);
                }
                Ok(Ordered(members))
            }
        }
        deserializer.deserialize_map(Members)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_keep_their_order_and_queries_are_escaped() {
        let row: Ordered = serde_json::from_str(r#"{"z":1234567890123456.70,"a":"x"}"#).unwrap();
        let shown: Vec<_> = row.0.iter().map(|(name, value)| (name.as_str(), as_cell(value))).collect();
        assert_eq!(shown, [("z", "1234567890123456.70".to_owned()), ("a", "x".to_owned())]);
        assert_eq!(escape_query("name=eq.Ann Löw&x=like.*%2A"), "name=eq.Ann%20L%C3%B6w&x=like.*%2A");
    }
}
