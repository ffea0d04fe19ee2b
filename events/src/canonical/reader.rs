//! One pass over a JSON text that checks it and writes its canonical form. The errors carry where they arose; the path to it
//! is put together only while an error travels up.

use super::{CanonicalError, MAX_DEPTH};

/// Up to so many keys are compared as they come; more are sorted at the object's end.
const COMPARED_AS_THEY_COME: usize = 16;

/// The canonical form of `text`.
pub(super) fn canonical(text: &str) -> Result<String, CanonicalError> {
    let mut reader = Reader { text, at: 0, out: String::with_capacity(text.len()), keys: Vec::new() };
    match reader.document() {
        Ok(()) => Ok(reader.out),
        Err(fault) => Err(fault.into_error(text)),
    }
}

/// Line and column, both from 1, of byte `offset`.
pub(super) fn place(text: &str, offset: usize) -> (usize, usize) {
    let before = &text.as_bytes()[..offset.min(text.len())];
    let line = before.iter().filter(|byte| **byte == b'\n').count() + 1;
    let start = before.iter().rposition(|byte| *byte == b'\n').map_or(0, |newline| newline + 1);
    // Counts the bytes that begin a character.
    let column = before[start..].iter().filter(|byte| (**byte & 0xc0) != 0x80).count() + 1;
    (line, column)
}

/// Writes `text` as a canonical JSON string, quotes included.
pub(crate) fn push_string(out: &mut String, text: &str) {
    out.push('"');
    let mut run = 0;
    for (at, byte) in text.bytes().enumerate() {
        if !PLAIN[usize::from(byte)] {
            out.push_str(&text[run..at]);
            push_character(out, char::from(byte));
            run = at + 1;
        }
    }
    out.push_str(&text[run..]);
    out.push('"');
}

fn push_character(out: &mut String, character: char) {
    match character {
        '"' => out.push_str("\\\""),
        '\\' => out.push_str("\\\\"),
        '\u{8}' => out.push_str("\\b"),
        '\t' => out.push_str("\\t"),
        '\n' => out.push_str("\\n"),
        '\u{c}' => out.push_str("\\f"),
        '\r' => out.push_str("\\r"),
        '\0'..='\u{1f}' => {
            out.push_str("\\u00");
            let digits = [u32::from(character) >> 4, u32::from(character) & 15];
            out.extend(digits.map(|digit| char::from_digit(digit, 16).expect("below 16")));
        }
        _ => out.push(character),
    }
}

/// Bytes that stand in a string as they are: all but `"`, `\` and the control characters.
const PLAIN: [bool; 256] = {
    let mut plain = [true; 256];
    let mut byte = 0;
    while byte < 0x20 {
        plain[byte] = false;
        byte += 1;
    }
    plain[b'"' as usize] = false;
    plain[b'\\' as usize] = false;
    plain
};

/// An error on its way up: the path is collected innermost first.
struct Fault {
    offset: usize,
    problem: String,
    path: Vec<Step>,
}

enum Step {
    Member(String),
    Element(usize),
}

impl Fault {
    fn into_error(self, text: &str) -> CanonicalError {
        let mut path = String::new();
        for step in self.path.iter().rev() {
            match step {
                Step::Element(index) => path.push_str(&format!("[{index}]")),
                Step::Member(key) if is_plain_name(key) => {
                    if !path.is_empty() {
                        path.push('.');
                    }
                    path.push_str(key);
                }
                Step::Member(key) => path.push_str(&format!("[\"{key}\"]")),
            }
        }
        let (line, column) = place(text, self.offset);
        CanonicalError { path, line, column, problem: self.problem }
    }
}

fn is_plain_name(key: &str) -> bool {
    !key.is_empty() && key.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-')
}

type Checked = Result<(), Box<Fault>>;

/// One key of an object that is being read: where it stands in the output (without quotes) and in the input.
#[derive(Clone, Copy)]
struct Key {
    start: usize,
    end: usize,
    offset: usize,
}

struct Reader<'a> {
    text: &'a str,
    at: usize,
    out: String,
    /// The keys of all objects that are open, outermost first.
    keys: Vec<Key>,
}

impl Reader<'_> {
    fn document(&mut self) -> Checked {
        self.value(0)?;
        self.skip_space();
        if self.at == self.text.len() { Ok(()) } else { Err(self.unexpected("the end of the text")) }
    }

    fn value(&mut self, depth: usize) -> Checked {
        self.skip_space();
        match self.peek() {
            Some(b'"') => self.string(),
            Some(b'{') => self.object(depth + 1),
            Some(b'[') => self.array(depth + 1),
            Some(b'-' | b'0'..=b'9') => self.number(),
            Some(b't') => self.word("true"),
            Some(b'f') => self.word("false"),
            Some(b'n') => self.word("null"),
            _ => Err(self.unexpected("a value")),
        }
    }

    fn object(&mut self, depth: usize) -> Checked {
        self.open(depth, '{')?;
        if self.take(b'}') {
            self.out.push('}');
            return Ok(());
        }
        let first_key = self.keys.len();
        loop {
            let key = self.key(first_key)?;
            self.skip_space();
            if !self.take(b':') {
                return Err(self.unexpected("':'"));
            }
            self.out.push(':');
            if let Err(mut fault) = self.value(depth) {
                fault.path.push(Step::Member(self.out[key.start..key.end].to_owned()));
                return Err(fault);
            }
            self.skip_space();
            if self.take(b'}') {
                break;
            }
            if !self.take(b',') {
                return Err(self.unexpected("',' or '}'"));
            }
            self.out.push(',');
        }
        self.refuse_repeated_keys(first_key)?;
        self.keys.truncate(first_key);
        self.out.push('}');
        Ok(())
    }

    fn array(&mut self, depth: usize) -> Checked {
        self.open(depth, '[')?;
        if self.take(b']') {
            self.out.push(']');
            return Ok(());
        }
        for index in 0.. {
            if let Err(mut fault) = self.value(depth) {
                fault.path.push(Step::Element(index));
                return Err(fault);
            }
            self.skip_space();
            if self.take(b']') {
                break;
            }
            if !self.take(b',') {
                return Err(self.unexpected("',' or ']'"));
            }
            self.out.push(',');
        }
        self.out.push(']');
        Ok(())
    }

    fn open(&mut self, depth: usize, bracket: char) -> Checked {
        if depth > MAX_DEPTH {
            return Err(self.fault(self.at, format!("nested deeper than {MAX_DEPTH} arrays and objects")));
        }
        self.at += 1;
        self.out.push(bracket);
        self.skip_space();
        Ok(())
    }

    fn key(&mut self, first_key: usize) -> Result<Key, Box<Fault>> {
        self.skip_space();
        if self.peek() != Some(b'"') {
            return Err(self.unexpected("a key in quotes"));
        }
        let (offset, start) = (self.at, self.out.len() + 1);
        self.string()?;
        let key = Key { start, end: self.out.len() - 1, offset };
        let before = &self.keys[first_key..];
        if before.len() < COMPARED_AS_THEY_COME && before.iter().any(|other| self.name(*other) == self.name(key)) {
            return Err(self.repeated(key));
        }
        self.keys.push(key);
        Ok(key)
    }

    /// The check for objects whose keys were not all compared as they came; sorting keeps a hostile object from costing
    /// the square of its keys.
    fn refuse_repeated_keys(&mut self, first_key: usize) -> Checked {
        if self.keys.len() - first_key <= COMPARED_AS_THEY_COME {
            return Ok(());
        }
        let mut sorted = self.keys[first_key..].to_vec();
        sorted.sort_unstable_by(|a, b| self.name(*a).cmp(self.name(*b)).then(a.offset.cmp(&b.offset)));
        let repeated = sorted.windows(2).find(|pair| self.name(pair[0]) == self.name(pair[1]));
        repeated.map_or(Ok(()), |pair| Err(self.repeated(pair[1])))
    }

    fn name(&self, key: Key) -> &[u8] {
        &self.out.as_bytes()[key.start..key.end]
    }

    fn repeated(&self, key: Key) -> Box<Fault> {
        self.fault(key.offset, format!("the key \"{}\" stands here a second time", &self.out[key.start..key.end]))
    }

    fn string(&mut self) -> Checked {
        let bytes = self.text.as_bytes();
        let opening = self.at;
        let mut run = opening;
        self.at += 1;
        loop {
            while bytes.get(self.at).is_some_and(|byte| PLAIN[usize::from(*byte)]) {
                self.at += 1;
            }
            match bytes.get(self.at) {
                Some(b'"') => {
                    self.at += 1;
                    self.out.push_str(&self.text[run..self.at]);
                    return Ok(());
                }
                Some(b'\\') => {
                    self.out.push_str(&self.text[run..self.at]);
                    self.escape()?;
                    run = self.at;
                }
                Some(0) => return Err(self.nul(self.at)),
                Some(byte) => {
                    return Err(
                        self.fault(self.at, format!("control character U+{byte:04X} must be escaped in a string"))
                    );
                }
                None => return Err(self.fault(opening, "the text ends within this string".to_owned())),
            }
        }
    }

    fn escape(&mut self) -> Checked {
        let start = self.at;
        let letter = self.text.as_bytes().get(start + 1).copied();
        self.at += 2;
        let character = match letter {
            Some(b'"') => '"',
            Some(b'\\') => '\\',
            Some(b'/') => '/',
            Some(b'b') => '\u{8}',
            Some(b'f') => '\u{c}',
            Some(b'n') => '\n',
            Some(b'r') => '\r',
            Some(b't') => '\t',
            Some(b'u') => self.escaped_code(start)?,
            _ => return Err(self.fault(start, "not an escape that JSON knows".to_owned())),
        };
        if character == '\0' {
            return Err(self.nul(start));
        }
        push_character(&mut self.out, character);
        Ok(())
    }

    /// The character of `\uXXXX`, or of two of them that make a surrogate pair.
    fn escaped_code(&mut self, start: usize) -> Result<char, Box<Fault>> {
        let lone = "a lone surrogate is not a character; write both halves of the pair";
        let high = self.four_digits(start)?;
        if !(0xd800..0xdc00).contains(&high) {
            return char::from_u32(high).ok_or_else(|| self.fault(start, lone.to_owned()));
        }
        if !self.text[self.at..].starts_with("\\u") {
            return Err(self.fault(start, lone.to_owned()));
        }
        self.at += 2;
        let low = self.four_digits(start)?;
        if !(0xdc00..0xe000).contains(&low) {
            return Err(self.fault(start, lone.to_owned()));
        }
        let code = 0x1_0000 + ((high - 0xd800) << 10) + (low - 0xdc00);
        Ok(char::from_u32(code).expect("a pair makes a character"))
    }

    fn four_digits(&mut self, start: usize) -> Result<u32, Box<Fault>> {
        let digits = self.text.as_bytes().get(self.at..self.at + 4);
        let code = digits.and_then(|digits| {
            digits.iter().try_fold(0, |code, digit| char::from(*digit).to_digit(16).map(|digit| code << 4 | digit))
        });
        self.at += 4;
        code.ok_or_else(|| self.fault(start, "expected four hexadecimal digits after \\u".to_owned()))
    }

    fn number(&mut self) -> Checked {
        let start = self.at;
        self.take(b'-');
        let whole = self.digits();
        let leading_zero = whole > 1 && self.text.as_bytes()[self.at - whole] == b'0';
        let mut well_formed = whole > 0 && !leading_zero;
        let integer_end = self.at;
        if self.take(b'.') {
            well_formed &= self.digits() > 0;
        }
        if self.take(b'e') || self.take(b'E') {
            let _sign = self.take(b'+') || self.take(b'-');
            well_formed &= self.digits() > 0;
        }
        let literal = &self.text[start..self.at];
        if !well_formed {
            return Err(self.fault(start, format!("{} is not a number as JSON writes it", shortened(literal))));
        }
        if self.at == integer_end { self.integer(start) } else { self.double(start) }
    }

    fn integer(&mut self, start: usize) -> Checked {
        let literal = &self.text[start..self.at];
        // 18 digits always fit.
        if literal.len() > 18 && literal.parse::<i64>().is_err() {
            let shown = shortened(literal);
            let problem = format!("the integer {shown} does not fit 64 signed bits; write it as a string");
            return Err(self.fault(start, problem));
        }
        self.out.push_str(if literal == "-0" { "0" } else { literal });
        Ok(())
    }

    fn double(&mut self, start: usize) -> Checked {
        let literal = &self.text[start..self.at];
        let value: f64 = literal.parse().expect("the form was checked");
        if !value.is_finite() {
            let problem =
                format!("the number {} is beyond the range of a double; write it as a string", shortened(literal));
            return Err(self.fault(start, problem));
        }
        // Adding 0 makes -0 a 0.
        self.out.push_str(ryu::Buffer::new().format_finite(value + 0.0));
        Ok(())
    }

    fn digits(&mut self) -> usize {
        let start = self.at;
        while matches!(self.peek(), Some(b'0'..=b'9')) {
            self.at += 1;
        }
        self.at - start
    }

    fn word(&mut self, word: &str) -> Checked {
        if !self.text[self.at..].starts_with(word) {
            return Err(self.unexpected("a value"));
        }
        self.at += word.len();
        self.out.push_str(word);
        Ok(())
    }

    fn skip_space(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\t' | b'\n' | b'\r')) {
            self.at += 1;
        }
    }

    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn take(&mut self, byte: u8) -> bool {
        let there = self.peek() == Some(byte);
        self.at += usize::from(there);
        there
    }

    fn unexpected(&self, expected: &str) -> Box<Fault> {
        let problem = match self.text.get(self.at..).and_then(|rest| rest.chars().next()) {
            Some(found) => format!("expected {expected}, found {found:?}"),
            None => format!("expected {expected}, but the text ends"),
        };
        self.fault(self.at, problem)
    }

    fn nul(&self, offset: usize) -> Box<Fault> {
        self.fault(offset, "text holds NUL (\\u0000), which not every database can store; remove it".to_owned())
    }

    fn fault(&self, offset: usize, problem: String) -> Box<Fault> {
        Box::new(Fault { offset, problem, path: Vec::new() })
    }
}

/// A literal as an error shows it.
fn shortened(literal: &str) -> String {
    if literal.len() <= 40 {
        literal.to_owned()
    } else {
        format!("{}… ({} characters)", &literal[..37], literal.len())
    }
}
