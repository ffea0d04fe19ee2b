//! Named queries. Here: their names, tables and parameters. The text of a query is the read API's own grammar, which the read
//! API checks in full.

use super::names::Named;
use super::reader::{Node, nearest, shown};
use super::{ManifestError, NamedQuery, Parameter, Table, tables};

const MAX_PARAMETERS: usize = 64;
const MAX_QUERY_BYTES: usize = 8_192;

/// Reads the queries at `nodes`.
pub(super) fn read(nodes: &[Node<'_>], tables: &[Table]) -> Result<Vec<NamedQuery>, ManifestError> {
    let mut queries: Vec<NamedQuery> = Vec::with_capacity(nodes.len());
    for node in nodes {
        let query = query(node, tables)?;
        if let Some(other) = queries.iter().position(|other| other.name == query.name) {
            return Err(
                node.error(format!("query {} is there already, at queries[{other}]: rename one of them", query.name))
            );
        }
        if tables.iter().any(|table| table.name == query.name) {
            let problem =
                format!("query {} has the name of a table, and both are read at one place: rename it", query.name);
            return Err(node.error(problem));
        }
        queries.push(query);
    }
    Ok(queries)
}

fn query(node: &Node<'_>, tables: &[Table]) -> Result<NamedQuery, ManifestError> {
    let object = node.object(&["name", "table", "query", "parameters"])?;
    let name = Named::Query.read(&object.required("name", "name the query")?)?;
    let table = table(&object.required("table", "name the table that it reads")?, tables)?;
    let text = object.required("query", "write the query, such as \"likes=gte.{least}&order=likes.desc\"")?;
    let query = text.text()?.to_owned();
    if query.len() > MAX_QUERY_BYTES {
        return Err(text.error(format!("the query has {} bytes: at most {MAX_QUERY_BYTES} are possible", query.len())));
    }
    let nodes = object.list("parameters", MAX_PARAMETERS)?;
    let parameters = parameters(&nodes)?;
    let used = used(&query).map_err(|problem| text.error(problem))?;
    let names: Vec<&str> = parameters.iter().map(|parameter| parameter.name.as_str()).collect();
    if let Some(unknown) = used.iter().find(|name| !names.contains(name)) {
        let advice = nearest(unknown, &names).map(|near| format!(" (did you mean {{{near}}}?)")).unwrap_or_default();
        return Err(text.error(format!(
            "the query uses {{{unknown}}}, which is not declared in \"parameters\"{advice}: declare it"
        )));
    }
    if let Some(unused) = names.iter().position(|name| !used.contains(name)) {
        let name = names[unused];
        return Err(
            nodes[unused].error(format!("the query does not use parameter {name}: remove it, or write {{{name}}}"))
        );
    }
    Ok(NamedQuery { name, table, query, parameters })
}

/// The index of the table that is named at `node`.
pub(super) fn table(node: &Node<'_>, tables: &[Table]) -> Result<u16, ManifestError> {
    let name = node.text()?;
    let index = tables.iter().position(|table| table.name == name);
    index.map(|index| index as u16).ok_or_else(|| {
        let names: Vec<&str> = tables.iter().map(|table| table.name.as_str()).collect();
        tables::unknown(node, "table", &names)
    })
}

fn parameters(nodes: &[Node<'_>]) -> Result<Vec<Parameter>, ManifestError> {
    let mut parameters: Vec<Parameter> = Vec::with_capacity(nodes.len());
    for node in nodes {
        let object = node.object(&["name", "type", "length", "precision", "scale", "default"])?;
        let name = Named::Parameter.read(&object.required("name", "name the parameter")?)?;
        if parameters.iter().any(|other| other.name == name) {
            return Err(node.error(format!("parameter {name} is declared twice: remove one of them")));
        }
        let kind = tables::column_type(&object)?;
        let default = object.optional("default").map(|node| node.text().map(str::to_owned)).transpose()?;
        parameters.push(Parameter { name, kind, default });
    }
    Ok(parameters)
}

/// The names that stand as `{name}` in a query's text. A brace itself is written twice there.
fn used(query: &str) -> Result<Vec<&str>, String> {
    let mut names = Vec::new();
    let mut rest = query;
    while let Some(at) = rest.find(['{', '}']) {
        let (brace, behind) = rest[at..].split_at(1);
        if let Some(behind) = behind.strip_prefix(brace) {
            rest = behind;
            continue;
        }
        let name = behind.split_once('}').filter(|_| brace == "{");
        let Some((name, behind)) = name.filter(|(name, _)| !name.is_empty() && !name.contains('{')) else {
            return Err(format!(
                "a single {brace} at byte {}: a parameter is written {{name}}, a brace itself twice",
                query.len() - rest.len() + at
            ));
        };
        if shown(name) != name {
            return Err(format!("{{{}}} is no parameter: its name is too long", shown(name)));
        }
        names.push(name);
        rest = behind;
    }
    Ok(names)
}
