//! The value side of a condition: text, in templates with parameters in it. Parameters stay apart from the text until values are
//! made, so nothing that a caller gives is ever parsed as grammar.

/// A value as it was written: pieces of text and parameters, in order. Never two texts side by side, never an empty one.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Operand {
    pieces: Vec<Piece>,
}

/// A piece of a value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Piece {
    /// Text.
    Text(String),
    /// A parameter of a named query, by name.
    Parameter(String),
}

impl Operand {
    /// A value that is just `text`.
    #[must_use]
    pub fn text(text: &str) -> Operand {
        let mut operand = Operand::default();
        text.chars().for_each(|c| operand.push(c));
        operand
    }

    /// Adds a character behind.
    pub fn push(&mut self, c: char) {
        match self.pieces.last_mut() {
            Some(Piece::Text(text)) => text.push(c),
            _ => self.pieces.push(Piece::Text(c.into())),
        }
    }

    /// Adds a parameter behind.
    pub fn push_parameter(&mut self, name: &str) {
        self.pieces.push(Piece::Parameter(name.to_owned()));
    }

    /// Its pieces.
    #[must_use]
    pub fn pieces(&self) -> &[Piece] {
        &self.pieces
    }

    /// The names of its parameters, in order; one may come twice.
    pub fn parameters(&self) -> impl Iterator<Item = &str> {
        self.pieces.iter().filter_map(|piece| match piece {
            Piece::Parameter(name) => Some(name.as_str()),
            Piece::Text(_) => None,
        })
    }
}
