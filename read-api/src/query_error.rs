//! What is wrong with a query, as the person who wrote it should read it; and the search for the name that was probably meant.
//! No HTTP here.

use std::fmt;

/// What is wrong with a query: always the query's fault, the same on every database.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub struct QueryError {
    /// The query parameter in which it stands: `likes`, `order`, `or`.
    pub place: String,
    /// What is wrong there, and what to write instead.
    pub problem: String,
    /// Where a name is not known: all that are.
    pub known: Vec<String>,
}

impl fmt::Display for QueryError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.place, self.problem)
    }
}

impl QueryError {
    /// An error in parameter `place`.
    #[must_use]
    pub fn new(place: &str, problem: impl Into<String>) -> QueryError {
        QueryError { place: shown(place), problem: problem.into(), known: Vec::new() }
    }

    /// An error about a `what` named `name` that is none of `known`: names the nearest and lists them all.
    #[must_use]
    pub fn unknown<'a>(place: &str, what: &str, name: &str, known: impl IntoIterator<Item = &'a str>) -> QueryError {
        let known: Vec<String> = known.into_iter().map(str::to_owned).collect();
        QueryError { place: shown(place), problem: unknown_text(what, name, &known), known }
    }
}

/// `unknown column "autor"; did you mean author? Known: author, likes`.
#[must_use]
pub(crate) fn unknown_text(what: &str, name: &str, known: &[String]) -> String {
    let name = shown(name);
    let list = if known.is_empty() { "none".to_owned() } else { known.join(", ") };
    match nearest(&name, known) {
        Some(near) => format!("unknown {what} {name:?}; did you mean {near}? Known: {list}"),
        None => format!("unknown {what} {name:?}. Known: {list}"),
    }
}

/// A text from outside, short enough for a message.
#[must_use]
pub(crate) fn shown(text: &str) -> String {
    const MOST: usize = 60;
    if text.chars().count() <= MOST {
        return text.to_owned();
    }
    text.chars().take(MOST).chain(['…']).collect()
}

/// The known name that takes the fewest edits, if these are few for its length.
fn nearest<'a>(name: &str, known: &'a [String]) -> Option<&'a str> {
    let (edits, near) = known.iter().map(|other| (distance(name, other), other)).min_by_key(|(edits, _)| *edits)?;
    (edits <= 1.max(near.chars().count() / 3)).then_some(near.as_str())
}

/// How many letters to insert, delete, replace or swap with the next one.
fn distance(a: &str, b: &str) -> usize {
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
    let mut before: Vec<usize> = Vec::new();
    let mut last: Vec<usize> = (0..=b.len()).collect();
    for i in 1..=a.len() {
        let mut row = vec![i; b.len() + 1];
        for j in 1..=b.len() {
            let replaced = last[j - 1] + usize::from(a[i - 1] != b[j - 1]);
            row[j] = replaced.min(last[j] + 1).min(row[j - 1] + 1);
            if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                row[j] = row[j].min(before[j - 2] + 1);
            }
        }
        before = std::mem::replace(&mut last, row);
    }
    last[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distances() {
        for (a, b, edits) in [
            ("", "abc", 3),
            ("likes", "likes", 0),
            ("lieks", "likes", 1),
            ("autor", "author", 1),
            ("kitten", "sitting", 3),
        ] {
            assert_eq!(distance(a, b), edits, "{a} {b}");
            assert_eq!(distance(b, a), edits, "{b} {a}");
        }
    }

    #[test]
    fn the_nearest_name_is_named_only_if_it_is_near() {
        let error = QueryError::unknown("autor", "column", "autor", ["author", "likes"]);
        assert_eq!(error.to_string(), "autor: unknown column \"autor\"; did you mean author? Known: author, likes");
        let error = QueryError::unknown("zzz", "column", "zzz", ["author", "likes"]);
        assert_eq!(error.to_string(), "zzz: unknown column \"zzz\". Known: author, likes");
        assert_eq!(error.known, ["author", "likes"]);
    }

    #[test]
    fn long_texts_are_cut() {
        assert_eq!(shown(&"x".repeat(100)), format!("{}…", "x".repeat(60)));
    }
}
