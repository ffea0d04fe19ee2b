//! The tokens of the grammar: names, words and values, quoted or not, read from one parameter's text.

use super::{Braces, Operand};
use crate::query_error::{QueryError, shown};

/// The text of one parameter, and how far it has been read.
pub(super) struct Scanner<'a> {
    /// The parameter, for errors.
    place: &'a str,
    text: &'a str,
    at: usize,
    braces: Braces,
}

/// Where a value without quotes ends.
#[derive(Clone, Copy)]
pub(super) enum Ends {
    /// With the text.
    WithText,
    /// In front of `,` or `)`, or with the text; it may be quoted.
    InList,
}

impl<'a> Scanner<'a> {
    pub(super) fn new(place: &'a str, text: &'a str, braces: Braces) -> Scanner<'a> {
        Scanner { place, text, at: 0, braces }
    }

    pub(super) fn place(&self) -> &'a str {
        self.place
    }

    pub(super) fn peek(&self) -> Option<char> {
        self.rest().chars().next()
    }

    pub(super) fn rest(&self) -> &'a str {
        &self.text[self.at..]
    }

    pub(super) fn take(&mut self) -> Option<char> {
        let c = self.peek()?;
        self.at += c.len_utf8();
        Some(c)
    }

    /// Reads `token` if it comes next.
    pub(super) fn eat(&mut self, token: &str) -> bool {
        let there = self.rest().starts_with(token);
        if there {
            self.at += token.len();
        }
        there
    }

    pub(super) fn spaces(&mut self) {
        while self.eat(" ") {}
    }

    /// Everything up to one of `stops`, or to the end.
    pub(super) fn until(&mut self, stops: &[char]) -> &'a str {
        let rest = self.rest();
        let token = &rest[..rest.find(stops).unwrap_or(rest.len())];
        self.at += token.len();
        token
    }

    pub(super) fn error(&self, problem: impl Into<String>) -> QueryError {
        QueryError::new(self.place, problem)
    }

    /// An error that says what was expected where the reading stands.
    pub(super) fn expected(&self, what: &str) -> QueryError {
        let character = self.text[..self.at].chars().count() + 1;
        match self.rest() {
            "" => self.error(format!("expected {what} at the end of {:?}", shown(self.text))),
            rest => self.error(format!("expected {what} at character {character}, found {:?}", shown(rest))),
        }
    }

    /// A name: in quotes, or everything up to one of `stops`, without the spaces around it.
    pub(super) fn name(&mut self, stops: &[char]) -> Result<String, QueryError> {
        self.spaces();
        let name = if self.peek() == Some('"') {
            let name = self.quoted_text()?;
            self.spaces();
            name
        } else {
            self.until(stops).trim_end_matches(' ').to_owned()
        };
        if name.is_empty() { Err(self.expected("a column's name")) } else { Ok(name) }
    }

    fn quoted_text(&mut self) -> Result<String, QueryError> {
        let mut text = String::new();
        self.take();
        loop {
            match self.take().ok_or_else(|| self.expected("a closing quote"))? {
                '"' => return Ok(text),
                '\\' => text.push(self.take().ok_or_else(|| self.expected("a character behind the backslash"))?),
                c => text.push(c),
            }
        }
    }

    /// A value.
    pub(super) fn operand(&mut self, ends: Ends) -> Result<Operand, QueryError> {
        let mut operand = Operand::default();
        match ends {
            Ends::InList if self.peek() == Some('"') => self.quoted_operand(&mut operand)?,
            Ends::InList => {
                while self.peek().is_some_and(|c| c != ',' && c != ')') {
                    self.piece(&mut operand)?;
                }
            }
            Ends::WithText => {
                while self.peek().is_some() {
                    self.piece(&mut operand)?;
                }
            }
        }
        Ok(operand)
    }

    fn quoted_operand(&mut self, operand: &mut Operand) -> Result<(), QueryError> {
        self.take();
        loop {
            match self.peek().ok_or_else(|| self.expected("a closing quote"))? {
                '"' => {
                    self.take();
                    return Ok(());
                }
                '\\' => {
                    self.take();
                    operand.push(self.take().ok_or_else(|| self.expected("a character behind the backslash"))?);
                }
                _ => self.piece(operand)?,
            }
        }
    }

    /// One character, or in a template one parameter.
    fn piece(&mut self, operand: &mut Operand) -> Result<(), QueryError> {
        let braces = self.braces == Braces::Parameters;
        if braces && (self.eat("{{") || self.eat("}}")) {
            operand.push(if self.text[..self.at].ends_with('{') { '{' } else { '}' });
        } else if braces && self.eat("{") {
            let name = self.until(&['}']);
            if !is_parameter_name(name) || !self.eat("}") {
                return Err(
                    self.error(format!("{{{} is no {{parameter}}: a brace itself is written twice", shown(name)))
                );
            }
            operand.push_parameter(name);
        } else if braces && self.peek() == Some('}') {
            return Err(self.error("a } without its {: a brace itself is written twice"));
        } else if let Some(c) = self.take() {
            operand.push(c);
        }
        Ok(())
    }
}

fn is_parameter_name(name: &str) -> bool {
    name.starts_with(|c: char| c.is_ascii_lowercase())
        && name.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_')
}
