//! A [`Request`] meets a table: names become columns, texts become values of the columns' types, the result is a
//! [`Query`] for a read database. No SQL, no HTTP.

use std::collections::BTreeMap;

use reel_projector::{Column, ColumnType, Table, Value};
use reel_read_model::{
    Comparison, Filter, OrderBy, Query,
    query::{Case, Count},
};

use crate::{
    grammar::{Condition, Join, Operand, OrderTerm, Piece, Request, Selection, Sense, Test, Truth},
    query_error::{QueryError, shown},
    values::parse_value,
};

/// The parameters of a named query with their values, as text that was checked against their types.
pub type Bindings = BTreeMap<String, String>;

/// A request and the values of its parameters.
#[derive(Debug, Clone, Copy)]
pub struct Layer<'a> {
    /// The request.
    pub request: &'a Request,
    /// Values for the parameters that it names.
    pub bindings: &'a Bindings,
}

/// A query ready for a read database, and what its columns are called in the answer.
#[derive(Debug, Clone, PartialEq)]
pub struct Resolved {
    /// The query; the number of all rows is not asked for.
    pub query: Query,
    /// A name for each selected column, none twice.
    pub labels: Vec<String>,
}

/// Resolves requests that stand on one another (a named query, then what its caller adds) against table `index` of a manifest:
/// all filters must hold, the lowest limit counts, and of `select`, `order` and `offset` each the last that is given.
///
/// # Errors
/// The first name that the table does not have, or text that does not fit its column.
pub fn resolve(layers: &[Layer<'_>], index: u16, table: &Table) -> Result<Resolved, QueryError> {
    let (mut select, mut order, mut limit, mut offset) = (None, None, None, None);
    let mut filters = Vec::new();
    for layer in layers {
        select = layer.request.select.as_ref().or(select);
        order = layer.request.order.as_ref().or(order);
        let own = layer.request.limit.as_ref().map(|operand| number("limit", operand, layer.bindings)).transpose()?;
        limit = [limit, own].into_iter().flatten().min();
        let own = layer.request.offset.as_ref().map(|operand| number("offset", operand, layer.bindings)).transpose()?;
        offset = own.or(offset);
        let resolver = Resolver { table, bindings: layer.bindings };
        for condition in &layer.request.filter {
            filters.push(resolver.condition(condition)?);
        }
    }
    let (columns, labels) = selected(select.map_or(&[Selection::All], Vec::as_slice), table)?;
    let query = Query {
        table: index,
        select: columns,
        filter: joined(Join::And, filters),
        order: order.map_or(Ok(Vec::new()), |terms| ordered(terms, table))?,
        limit,
        offset: offset.unwrap_or(0),
        count: Count::None,
    };
    Ok(Resolved { query, labels })
}

/// Several filters as one; one alone stays as it is.
fn joined(join: Join, mut filters: Vec<Filter>) -> Option<Filter> {
    match (filters.len(), join) {
        (0, _) => None,
        (1, _) => filters.pop(),
        (_, Join::And) => Some(Filter::And(filters)),
        (_, Join::Or) => Some(Filter::Or(filters)),
    }
}

fn number(place: &str, operand: &Operand, bindings: &Bindings) -> Result<u64, QueryError> {
    let text = text_of(place, operand, bindings)?;
    let number = text.parse::<u64>().ok().filter(|number| i64::try_from(*number).is_ok());
    number.ok_or_else(|| QueryError::new(place, format!("{:?} is no number of rows, such as 25", shown(&text))))
}

fn text_of(place: &str, operand: &Operand, bindings: &Bindings) -> Result<String, QueryError> {
    let mut text = String::new();
    for piece in operand.pieces() {
        match piece {
            Piece::Text(piece) => text.push_str(piece),
            Piece::Parameter(name) => text.push_str(bound(place, name, bindings)?),
        }
    }
    Ok(text)
}

fn bound<'a>(place: &str, name: &str, bindings: &'a Bindings) -> Result<&'a str, QueryError> {
    let missing = || QueryError::unknown(place, "parameter", name, bindings.keys().map(String::as_str));
    bindings.get(name).map(String::as_str).ok_or_else(missing)
}

fn selected(selections: &[Selection], table: &Table) -> Result<(Vec<u16>, Vec<String>), QueryError> {
    let (mut columns, mut labels): (Vec<u16>, Vec<String>) = (Vec::new(), Vec::new());
    for selection in selections {
        match selection {
            Selection::All => {
                columns.extend(0..table.columns.len() as u16);
                labels.extend(table.columns.iter().map(|column| column.name.clone()));
            }
            Selection::Column { column, label } => {
                columns.push(column_index("select", column, table)?);
                labels.push(label.as_ref().unwrap_or(column).clone());
            }
        }
    }
    let mut seen = std::collections::HashSet::new();
    match labels.iter().find(|label| !seen.insert(label.as_str())) {
        Some(twice) => {
            let problem =
                format!("two columns would be called {twice:?}: give one another label, such as other:{twice}");
            Err(QueryError::new("select", problem))
        }
        None => Ok((columns, labels)),
    }
}

fn ordered(terms: &[OrderTerm], table: &Table) -> Result<Vec<OrderBy>, QueryError> {
    let order_by = |term: &OrderTerm| {
        let column = column_index("order", &term.column, table)?;
        Ok(OrderBy { column, direction: term.direction, nulls: term.nulls })
    };
    terms.iter().map(order_by).collect()
}

fn column_index(place: &str, name: &str, table: &Table) -> Result<u16, QueryError> {
    table.column_index(name).ok_or_else(|| {
        let mut error =
            QueryError::unknown(place, "column", name, table.columns.iter().map(|column| column.name.as_str()));
        if name.contains("->") {
            error.problem.push_str(". JSON paths are not offered");
        } else if name.contains('.') {
            error.problem.push_str(". Filters on other tables are not offered");
        }
        error
    })
}

struct Resolver<'a> {
    table: &'a Table,
    bindings: &'a Bindings,
}

impl Resolver<'_> {
    fn condition(&self, condition: &Condition) -> Result<Filter, QueryError> {
        let (sense, filter) = match condition {
            Condition::Group { sense, join, members } => {
                let members = members.iter().map(|member| self.condition(member)).collect::<Result<Vec<_>, _>>()?;
                (*sense, joined(*join, members).unwrap_or(Filter::And(Vec::new())))
            }
            Condition::Column { column, sense, test } => {
                let index = column_index(column, column, self.table)?;
                (*sense, self.test(index, test)?)
            }
        };
        Ok(match sense {
            Sense::Plain => filter,
            Sense::Not => Filter::Not(Box::new(filter)),
        })
    }

    fn test(&self, index: u16, test: &Test) -> Result<Filter, QueryError> {
        let column = &self.table.columns[usize::from(index)];
        match test {
            Test::Compare(comparison, operand) => {
                ordering_makes_sense(*comparison, column)?;
                Ok(Filter::Compare { column: index, comparison: *comparison, value: self.value(column, operand)? })
            }
            Test::In(operands) => {
                let values =
                    operands.iter().map(|operand| self.value(column, operand)).collect::<Result<Vec<_>, _>>()?;
                Ok(Filter::In { column: index, values })
            }
            Test::Like(case, operand) => self.like(index, column, *case, operand),
            Test::Is(truth) => truth_filter(index, column, *truth),
        }
    }

    fn value(&self, column: &Column, operand: &Operand) -> Result<Value, QueryError> {
        let text = text_of(&column.name, operand, self.bindings)?;
        parse_value(column.kind, &text).map_err(|problem| {
            QueryError::new(&column.name, format!("column {} is {}: {problem}", column.name, column.kind))
        })
    }

    fn like(&self, index: u16, column: &Column, case: Case, operand: &Operand) -> Result<Filter, QueryError> {
        if !matches!(column.kind, ColumnType::Text { .. }) {
            return Err(wrong_operator(column, "like and ilike take text columns only"));
        }
        let pattern = self.pattern(column, operand)?;
        if pattern.contains('\0') {
            return Err(QueryError::new(&column.name, "the pattern holds NUL, which no text does"));
        }
        Ok(Filter::Like { column: index, pattern, case })
    }

    /// The pattern with `*` as `%`; a backslash keeps the next character as it is. What a parameter brings is text, not pattern.
    fn pattern(&self, column: &Column, operand: &Operand) -> Result<String, QueryError> {
        let mut pattern = String::new();
        for piece in operand.pieces() {
            match piece {
                Piece::Text(text) => {
                    let mut characters = text.chars();
                    while let Some(c) = characters.next() {
                        pattern.push(if c == '*' { '%' } else { c });
                        if c == '\\' {
                            let missing =
                                || QueryError::new(&column.name, "the pattern ends in a backslash: write \\\\");
                            pattern.push(characters.next().ok_or_else(missing)?);
                        }
                    }
                }
                Piece::Parameter(name) => {
                    for c in bound(&column.name, name, self.bindings)?.chars() {
                        if matches!(c, '%' | '_' | '\\') {
                            pattern.push('\\');
                        }
                        pattern.push(c);
                    }
                }
            }
        }
        Ok(pattern)
    }
}

fn ordering_makes_sense(comparison: Comparison, column: &Column) -> Result<(), QueryError> {
    let equality = matches!(comparison, Comparison::Equal | Comparison::NotEqual);
    if column.kind == ColumnType::Json && !equality {
        return Err(wrong_operator(column, "json values have no order: use eq, neq, in or is"));
    }
    Ok(())
}

fn wrong_operator(column: &Column, problem: &str) -> QueryError {
    QueryError::new(&column.name, format!("column {} is {}: {problem}", column.name, column.kind))
}

/// `is` is never NULL itself, so that its negation is its opposite.
fn truth_filter(index: u16, column: &Column, truth: Truth) -> Result<Filter, QueryError> {
    let null = Filter::IsNull { column: index };
    let not_null = Filter::Not(Box::new(null.clone()));
    let boolean = |value| {
        let equal = Filter::Compare { column: index, comparison: Comparison::Equal, value: Value::Boolean(value) };
        Filter::And(vec![not_null.clone(), equal])
    };
    let filter = match truth {
        Truth::Null => return Ok(null),
        Truth::NotNull => return Ok(not_null),
        Truth::Unknown => null,
        Truth::True => boolean(true),
        Truth::False => boolean(false),
    };
    if column.kind == ColumnType::Boolean {
        return Ok(filter);
    }
    Err(wrong_operator(column, "is.true, is.false and is.unknown take boolean columns only"))
}

#[cfg(test)]
mod tests;
