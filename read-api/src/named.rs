//! Named queries: templates in the query grammar, offered by a manifest. A template is parsed by itself; what a caller gives for
//! its parameters is bound as values, never read as grammar.
//!
//! What a caller may add: filters (both must hold, before the template's limit), a lower `limit`, and a `select`, `order` or
//! `offset` of his own instead of the template's. A plain name that is a parameter's is the parameter; in quotes it is a column.

use reel_projector::Manifest;
use reel_projector::manifest::{NamedQuery, Parameter};

use crate::{
    grammar::{Braces, Condition, Operand, RESERVED, Request, Test, decode_query},
    query_error::{QueryError, shown},
    resolve::{Bindings, Layer, resolve},
    values::{example, parse_value},
};

/// Checks the named queries of a manifest as a deployment should: that each can be read, names only columns that its table has,
/// uses all its parameters and no other, compares each with columns that take its type, and that defaults fit.
///
/// # Errors
/// The place and what is wrong there: `queries[1] (by_author): author: unknown column…`.
pub fn check_named_queries(manifest: &Manifest) -> Result<(), String> {
    for (index, query) in manifest.queries.iter().enumerate() {
        check(manifest, query).map_err(|reason| format!("queries[{index}] ({}): {reason}", query.name))?;
    }
    Ok(())
}

fn check(manifest: &Manifest, query: &NamedQuery) -> Result<(), String> {
    let template = template(query).map_err(|error| error.to_string())?;
    let used: Vec<&str> = operands(&template).into_iter().flat_map(Operand::parameters).collect();
    for (index, parameter) in query.parameters.iter().enumerate() {
        let place = format!("parameter {}", parameter.name);
        if RESERVED.contains(&parameter.name.as_str()) {
            return Err(format!("{place}: the name is the query grammar's own: choose another"));
        }
        if query.parameters[..index].iter().any(|other| other.name == parameter.name) {
            return Err(format!("{place}: is declared twice"));
        }
        if !used.contains(&parameter.name.as_str()) {
            return Err(format!("{place}: the query does not use it: remove it, or write {{{}}}", parameter.name));
        }
        if let Some(default) = &parameter.default {
            parse_value(parameter.kind, default).map_err(|reason| format!("{place}: default: {reason}"))?;
        }
    }
    let sample = |parameter: &Parameter| {
        let text = parameter.default.clone().unwrap_or_else(|| example(parameter.kind).to_owned());
        (parameter.name.clone(), text)
    };
    let bindings: Bindings = query.parameters.iter().map(sample).collect();
    let table = manifest.tables.get(usize::from(query.table)).ok_or("its table does not exist")?;
    let layer = Layer { request: &template, bindings: &bindings };
    resolve(&[layer], query.table, table).map(|_| ()).map_err(|error| error.to_string())
}

/// A named query's template, parsed.
///
/// # Errors
/// What is wrong with it; [`check_named_queries`] finds the same at deploy.
pub fn template(query: &NamedQuery) -> Result<Request, QueryError> {
    Request::parse(&decode_query(&query.query)?, Braces::Parameters)
}

fn operands(request: &Request) -> Vec<&Operand> {
    let mut found: Vec<&Operand> = request.limit.iter().chain(&request.offset).collect();
    let mut open: Vec<&Condition> = request.filter.iter().collect();
    while let Some(condition) = open.pop() {
        match condition {
            Condition::Group { members, .. } => open.extend(members),
            Condition::Column { test: Test::Compare(_, operand) | Test::Like(_, operand), .. } => found.push(operand),
            Condition::Column { test: Test::In(values), .. } => found.extend(values),
            Condition::Column { test: Test::Is(_), .. } => {}
        }
    }
    found
}

/// Takes the values of a named query's parameters out of `pairs`; the rest is what the caller adds to the query. What he leaves
/// out takes its default.
///
/// # Errors
/// Where a value does not fit its parameter's type, is given twice, or is missing without a default.
pub fn bind(query: &NamedQuery, pairs: &mut Vec<(String, String)>) -> Result<Bindings, QueryError> {
    let mut bindings = Bindings::new();
    for parameter in &query.parameters {
        let mut given = pairs.extract_if(.., |(key, _)| *key == parameter.name).map(|(_, value)| value);
        let text = match (given.next(), given.next()) {
            (Some(_), Some(_)) => {
                return Err(QueryError::new(&parameter.name, "the parameter is given twice: give it once"));
            }
            (Some(text), None) => text,
            (None, _) => parameter.default.clone().ok_or_else(|| missing(query, parameter))?,
        };
        drop(given);
        let mismatch = |reason| {
            let kind = parameter.kind;
            QueryError::new(&parameter.name, format!("parameter {} is {kind}: {reason}", parameter.name))
        };
        parse_value(parameter.kind, &text).map_err(mismatch)?;
        bindings.insert(parameter.name.clone(), text);
    }
    Ok(bindings)
}

fn missing(query: &NamedQuery, parameter: &Parameter) -> QueryError {
    let problem = format!(
        "query {} needs parameter {} ({}), such as {}={}",
        shown(&query.name),
        parameter.name,
        parameter.kind,
        parameter.name,
        example(parameter.kind)
    );
    QueryError::new(&parameter.name, problem)
}

#[cfg(test)]
mod tests;
