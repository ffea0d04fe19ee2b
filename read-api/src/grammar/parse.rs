//! The parser: decoded parameters → [`Request`]. Written by hand, recursive only in logic trees, whose depth is limited.

use reel_read_model::{
    Comparison,
    query::{Case, Direction, Nulls},
};

use super::{
    Braces, Condition, Join, MAX_CONDITIONS, MAX_DEPTH, MAX_LIST_VALUES, Operand, OrderTerm, Request, Selection, Sense,
    Test, Truth,
    scan::{Ends, Scanner},
};
use crate::query_error::{QueryError, shown};

/// All operators, as they are listed in errors.
const OPERATORS: [&str; 10] = ["eq", "neq", "gt", "gte", "lt", "lte", "like", "ilike", "in", "is"];
const TRUTHS: [&str; 5] = ["null", "not_null", "true", "false", "unknown"];
const ORDER_WORDS: [&str; 4] = ["asc", "desc", "nullsfirst", "nullslast"];

impl Request {
    /// Reads a query from its decoded parameters (see [`super::decode_query`]).
    ///
    /// # Errors
    /// The first thing that is wrong with it.
    pub fn parse<K: AsRef<str>, V: AsRef<str>>(pairs: &[(K, V)], braces: Braces) -> Result<Request, QueryError> {
        let mut parser = Parser { braces, conditions: 0, list_values: 0 };
        let mut request = Request::default();
        for (key, value) in pairs {
            parser.parameter(&mut request, key.as_ref(), value.as_ref())?;
        }
        Ok(request)
    }
}

/// What has been used up of the limits.
struct Parser {
    braces: Braces,
    conditions: usize,
    list_values: usize,
}

impl Parser {
    fn parameter(&mut self, request: &mut Request, key: &str, text: &str) -> Result<(), QueryError> {
        let mut scanner = Scanner::new(key, text, self.braces);
        match key {
            "select" => once(&mut request.select, key, select(&mut scanner)?),
            "order" => once(&mut request.order, key, order(&mut scanner)?),
            "limit" => once(&mut request.limit, key, scanner.operand(Ends::WithText)?),
            "offset" => once(&mut request.offset, key, scanner.operand(Ends::WithText)?),
            _ => {
                request.filter.push(self.filter(key, &mut scanner)?);
                Ok(())
            }
        }
    }

    fn filter(&mut self, key: &str, scanner: &mut Scanner<'_>) -> Result<Condition, QueryError> {
        let condition = match key {
            "and" => self.group(scanner, Sense::Plain, Join::And, 1)?,
            "or" => self.group(scanner, Sense::Plain, Join::Or, 1)?,
            "not.and" => self.group(scanner, Sense::Not, Join::And, 1)?,
            "not.or" => self.group(scanner, Sense::Not, Join::Or, 1)?,
            _ => self.test(scanner, column_of(key)?, Ends::WithText)?,
        };
        if scanner.peek().is_some() { Err(scanner.expected("the end")) } else { Ok(condition) }
    }

    /// `(a.eq.1,or(…))`
    fn group(
        &mut self,
        scanner: &mut Scanner<'_>,
        sense: Sense,
        join: Join,
        depth: usize,
    ) -> Result<Condition, QueryError> {
        if depth > MAX_DEPTH {
            return Err(scanner.error(format!("the logic tree is deeper than {MAX_DEPTH}: flatten it")));
        }
        scanner.spaces();
        if !scanner.eat("(") {
            return Err(scanner.expected("conditions in parentheses, such as (likes.gt.5,author.eq.bob)"));
        }
        let mut members = Vec::new();
        loop {
            scanner.spaces();
            members.push(self.member(scanner, depth)?);
            scanner.spaces();
            if scanner.eat(")") {
                return Ok(Condition::Group { sense, join, members });
            }
            if !scanner.eat(",") {
                return Err(scanner.expected("a comma or a closing parenthesis"));
            }
        }
    }

    fn member(&mut self, scanner: &mut Scanner<'_>, depth: usize) -> Result<Condition, QueryError> {
        const GROUPS: [(&str, Sense, Join); 4] = [
            ("and", Sense::Plain, Join::And),
            ("or", Sense::Plain, Join::Or),
            ("not.and", Sense::Not, Join::And),
            ("not.or", Sense::Not, Join::Or),
        ];
        for (word, sense, join) in GROUPS {
            let behind = scanner.rest().strip_prefix(word);
            if behind.is_some_and(|rest| rest.trim_start_matches(' ').starts_with('(')) {
                scanner.eat(word);
                return self.group(scanner, sense, join, depth + 1);
            }
        }
        let column = scanner.name(&['.', ',', '(', ')'])?;
        if !scanner.eat(".") {
            return Err(scanner.expected(&format!("an operator behind {:?}, such as {column}.eq.5", shown(&column))));
        }
        self.test(scanner, column, Ends::InList)
    }

    /// `not.eq.5`, for a column.
    fn test(&mut self, scanner: &mut Scanner<'_>, column: String, ends: Ends) -> Result<Condition, QueryError> {
        self.conditions += 1;
        if self.conditions > MAX_CONDITIONS {
            return Err(scanner.error(format!("more than {MAX_CONDITIONS} conditions: use in.(…), or several queries")));
        }
        let sense = if scanner.eat("not.") { Sense::Not } else { Sense::Plain };
        let operator = scanner.until(&['.', ',', ')']);
        if !OPERATORS.contains(&operator) {
            return Err(unknown_operator(scanner, &column, operator));
        }
        if !scanner.eat(".") {
            return Err(scanner.expected(&format!("a point and a value behind {operator}")));
        }
        let test = match operator {
            "in" => Test::In(self.list(scanner)?),
            "is" => Test::Is(truth(scanner)?),
            "like" => Test::Like(Case::Sensitive, scanner.operand(ends)?),
            "ilike" => Test::Like(Case::Insensitive, scanner.operand(ends)?),
            other => Test::Compare(comparison(other), scanner.operand(ends)?),
        };
        Ok(Condition::Column { column, sense, test })
    }

    /// `(1,2,"a,b")`; `()` has no values.
    fn list(&mut self, scanner: &mut Scanner<'_>) -> Result<Vec<Operand>, QueryError> {
        if !scanner.eat("(") {
            return Err(scanner.expected("a list in parentheses, such as in.(1,2,3)"));
        }
        scanner.spaces();
        let mut values = Vec::new();
        if scanner.eat(")") {
            return Ok(values);
        }
        loop {
            self.list_values += 1;
            if self.list_values > MAX_LIST_VALUES {
                return Err(
                    scanner.error(format!("more than {MAX_LIST_VALUES} values in lists: ask in several queries"))
                );
            }
            values.push(scanner.operand(Ends::InList)?);
            if scanner.eat(")") {
                return Ok(values);
            }
            if !scanner.eat(",") {
                return Err(scanner.expected("a comma or a closing parenthesis"));
            }
        }
    }
}

fn once<T>(slot: &mut Option<T>, key: &str, value: T) -> Result<(), QueryError> {
    match slot.replace(value) {
        None => Ok(()),
        Some(_) => {
            Err(QueryError::new(key, "is given twice: give it once (a column of that name is written in quotes)"))
        }
    }
}

/// The column that a parameter's name stands for.
fn column_of(key: &str) -> Result<String, QueryError> {
    if !key.starts_with('"') {
        return if key.is_empty() {
            Err(QueryError::new("?", "a parameter without a name"))
        } else {
            Ok(key.to_owned())
        };
    }
    let mut scanner = Scanner::new(key, key, Braces::Literal);
    let column = scanner.name(&[])?;
    if scanner.peek().is_some() { Err(scanner.expected("the end of the column's name")) } else { Ok(column) }
}

fn unknown_operator(scanner: &Scanner<'_>, column: &str, operator: &str) -> QueryError {
    if operator.contains('(') {
        return scanner
            .error(format!("{:?}: operators take no (any) or (all) here: use in.(…) or or=(…)", shown(operator)));
    }
    let mut error = QueryError::unknown(scanner.place(), "operator", operator, OPERATORS);
    error.problem.push_str(&format!(". A filter is COLUMN=OPERATOR.VALUE, such as {}=eq.5", shown(column)));
    error
}

fn comparison(operator: &str) -> Comparison {
    match operator {
        "eq" => Comparison::Equal,
        "neq" => Comparison::NotEqual,
        "gt" => Comparison::Greater,
        "gte" => Comparison::GreaterOrEqual,
        "lt" => Comparison::Less,
        _ => Comparison::LessOrEqual,
    }
}

fn truth(scanner: &mut Scanner<'_>) -> Result<Truth, QueryError> {
    let word = scanner.until(&[',', ')']);
    match word.trim_end_matches(' ').to_ascii_lowercase().as_str() {
        "null" => Ok(Truth::Null),
        "not_null" => Ok(Truth::NotNull),
        "true" => Ok(Truth::True),
        "false" => Ok(Truth::False),
        "unknown" => Ok(Truth::Unknown),
        _ => Err(QueryError::unknown(scanner.place(), "word behind is.", word, TRUTHS)),
    }
}

/// `a,label:b,*`
fn select(scanner: &mut Scanner<'_>) -> Result<Vec<Selection>, QueryError> {
    let mut selections = Vec::new();
    loop {
        selections.push(selection(scanner)?);
        if scanner.peek().is_none() {
            return Ok(selections);
        }
        if !scanner.eat(",") {
            return Err(scanner.expected("a comma"));
        }
    }
}

fn selection(scanner: &mut Scanner<'_>) -> Result<Selection, QueryError> {
    const STOPS: [char; 4] = [',', ':', '(', ')'];
    scanner.spaces();
    if scanner.eat("*") {
        scanner.spaces();
        return Ok(Selection::All);
    }
    let mut column = scanner.name(&STOPS)?;
    let mut label = None;
    if scanner.eat("::") {
        return Err(scanner.error("casts (column::type) are not offered: a value comes as its column's type"));
    }
    if scanner.eat(":") {
        label = Some(std::mem::replace(&mut column, scanner.name(&STOPS)?));
    }
    match scanner.peek() {
        Some('(') => Err(scanner.error(format!(
            "{:?}: neither embedding of other tables nor functions are offered here: name columns",
            shown(&column)
        ))),
        Some(':') => Err(scanner.error("a column has one label: label:column; casts are not offered")),
        _ => Ok(Selection::Column { column, label }),
    }
}

/// `a.desc.nullslast,b`
fn order(scanner: &mut Scanner<'_>) -> Result<Vec<OrderTerm>, QueryError> {
    let mut terms = Vec::new();
    loop {
        terms.push(order_term(scanner)?);
        if scanner.peek().is_none() {
            return Ok(terms);
        }
        if !scanner.eat(",") {
            return Err(scanner.expected("a comma"));
        }
    }
}

fn order_term(scanner: &mut Scanner<'_>) -> Result<OrderTerm, QueryError> {
    let column = scanner.name(&['.', ','])?;
    let (mut direction, mut nulls) = (None, None);
    while scanner.eat(".") {
        let word = scanner.until(&['.', ',']);
        match word.trim_end_matches(' ') {
            "asc" if direction.is_none() && nulls.is_none() => direction = Some(Direction::Ascending),
            "desc" if direction.is_none() && nulls.is_none() => direction = Some(Direction::Descending),
            "nullsfirst" if nulls.is_none() => nulls = Some(Nulls::First),
            "nullslast" if nulls.is_none() => nulls = Some(Nulls::Last),
            "asc" | "desc" | "nullsfirst" | "nullslast" => {
                return Err(scanner.error("a column's order is COLUMN, then asc or desc, then nullsfirst or nullslast"));
            }
            _ => return Err(QueryError::unknown(scanner.place(), "word", word, ORDER_WORDS)),
        }
    }
    let direction = direction.unwrap_or(Direction::Ascending);
    let usual = if direction == Direction::Ascending { Nulls::Last } else { Nulls::First };
    Ok(OrderTerm { column, direction, nulls: nulls.unwrap_or(usual) })
}
