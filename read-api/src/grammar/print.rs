//! The other way: [`Request`] → decoded parameters that read back as the same request.

use reel_read_model::{
    Comparison,
    query::{Case, Direction, Nulls},
};

use super::{Braces, Condition, Join, Operand, OrderTerm, Piece, RESERVED, Request, Selection, Sense, Test, Truth};

impl Request {
    /// Writes the query as decoded parameters. With [`Braces::Literal`] a request with parameters cannot be written: they come
    /// out as text.
    #[must_use]
    pub fn to_pairs(&self, braces: Braces) -> Vec<(String, String)> {
        let mut pairs = Vec::new();
        if let Some(select) = &self.select {
            pairs.push(("select".to_owned(), joined(select.iter().map(selection))));
        }
        pairs.extend(self.filter.iter().map(|condition| parameter(condition, braces)));
        if let Some(order) = &self.order {
            pairs.push(("order".to_owned(), joined(order.iter().map(order_term))));
        }
        for (key, number) in [("limit", &self.limit), ("offset", &self.offset)] {
            pairs.extend(number.iter().map(|number| (key.to_owned(), plain(number, braces))));
        }
        pairs
    }
}

fn joined(items: impl Iterator<Item = String>) -> String {
    items.collect::<Vec<_>>().join(",")
}

fn parameter(condition: &Condition, braces: Braces) -> (String, String) {
    match condition {
        Condition::Group { sense, join, members } => (group_word(*sense, *join), group(members, braces)),
        Condition::Column { column, sense, test } => {
            (name(column), format!("{}{}", not(*sense), test_text(test, |operand| plain(operand, braces), braces)))
        }
    }
}

fn member(condition: &Condition, braces: Braces) -> String {
    match condition {
        Condition::Group { sense, join, members } => group_word(*sense, *join) + &group(members, braces),
        Condition::Column { column, sense, test } => {
            let test = test_text(test, |operand| quoted(operand, braces), braces);
            format!("{}.{}{test}", name(column), not(*sense))
        }
    }
}

fn group(members: &[Condition], braces: Braces) -> String {
    format!("({})", joined(members.iter().map(|condition| member(condition, braces))))
}

fn group_word(sense: Sense, join: Join) -> String {
    let word = match join {
        Join::And => "and",
        Join::Or => "or",
    };
    format!("{}{word}", not(sense))
}

fn not(sense: Sense) -> &'static str {
    match sense {
        Sense::Plain => "",
        Sense::Not => "not.",
    }
}

fn test_text(test: &Test, write: impl Fn(&Operand) -> String, braces: Braces) -> String {
    match test {
        Test::Compare(comparison, operand) => format!("{}.{}", comparison_word(*comparison), write(operand)),
        Test::Like(Case::Sensitive, operand) => format!("like.{}", write(operand)),
        Test::Like(Case::Insensitive, operand) => format!("ilike.{}", write(operand)),
        Test::In(values) => format!("in.({})", joined(values.iter().map(|value| quoted(value, braces)))),
        Test::Is(truth) => format!("is.{}", truth_word(*truth)),
    }
}

fn comparison_word(comparison: Comparison) -> &'static str {
    match comparison {
        Comparison::Equal => "eq",
        Comparison::NotEqual => "neq",
        Comparison::Less => "lt",
        Comparison::LessOrEqual => "lte",
        Comparison::Greater => "gt",
        Comparison::GreaterOrEqual => "gte",
    }
}

fn truth_word(truth: Truth) -> &'static str {
    match truth {
        Truth::Null => "null",
        Truth::NotNull => "not_null",
        Truth::True => "true",
        Truth::False => "false",
        Truth::Unknown => "unknown",
    }
}

fn selection(selection: &Selection) -> String {
    match selection {
        Selection::All => "*".to_owned(),
        Selection::Column { column, label: None } => name(column),
        Selection::Column { column, label: Some(label) } => format!("{}:{}", name(label), name(column)),
    }
}

fn order_term(term: &OrderTerm) -> String {
    let direction = match term.direction {
        Direction::Ascending => "asc",
        Direction::Descending => "desc",
    };
    let nulls = match term.nulls {
        Nulls::First => "nullsfirst",
        Nulls::Last => "nullslast",
    };
    format!("{}.{direction}.{nulls}", name(&term.column))
}

/// A name, in quotes unless it is an ordinary column's.
fn name(name: &str) -> String {
    let ordinary = name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_') && !RESERVED.contains(&name);
    if ordinary { name.to_owned() } else { in_quotes(name) }
}

fn in_quotes(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}

fn plain(operand: &Operand, braces: Braces) -> String {
    write(operand, braces, str::to_owned)
}

fn quoted(operand: &Operand, braces: Braces) -> String {
    let inner = write(operand, braces, |text| text.replace('\\', "\\\\").replace('"', "\\\""));
    format!("\"{inner}\"")
}

fn write(operand: &Operand, braces: Braces, escape: impl Fn(&str) -> String) -> String {
    let piece = |piece: &Piece| match piece {
        Piece::Parameter(name) => format!("{{{name}}}"),
        Piece::Text(text) if braces == Braces::Parameters => escape(text).replace('{', "{{").replace('}', "}}"),
        Piece::Text(text) => escape(text),
    };
    operand.pieces().iter().map(piece).collect()
}
