//! The forms of names and of patterns of event kinds.

use reel_events::EventKind;

use super::reader::{Node, shown};
use super::{KindPattern, ManifestError};

/// What a name is of, which decides its form.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Named {
    Projection,
    Table,
    Column,
    Query,
    Parameter,
}

impl Named {
    /// The longest name, in characters.
    fn longest(self) -> usize {
        match self {
            Named::Projection => 24,
            Named::Table | Named::Query => 32,
            Named::Column | Named::Parameter => 48,
        }
    }

    /// What stands between words.
    fn joint(self) -> u8 {
        if self == Named::Projection { b'-' } else { b'_' }
    }

    fn word(self) -> &'static str {
        match self {
            Named::Projection => "a projection",
            Named::Table => "a table",
            Named::Column => "a column",
            Named::Query => "a query",
            Named::Parameter => "a parameter",
        }
    }

    fn takes(self, name: &str) -> bool {
        let follows = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == self.joint();
        name.len() <= self.longest() && name.starts_with(|c: char| c.is_ascii_lowercase()) && name.bytes().all(follows)
    }

    /// Reads the name at `node`.
    pub(super) fn read(self, node: &Node<'_>) -> Result<String, ManifestError> {
        let name = node.text()?;
        if self.takes(name) {
            return Ok(name.to_owned());
        }
        let (word, joint, most) = (self.word(), char::from(self.joint()), self.longest());
        Err(node.error(format!(
            "{:?} is no name of {word}: begin with a letter a-z, go on with a-z, 0-9 and {joint}, at most {most} characters",
            shown(name)
        )))
    }
}

/// Reads the patterns of event kinds at `nodes`.
pub(super) fn kinds(nodes: &[Node<'_>]) -> Result<Vec<KindPattern>, ManifestError> {
    let mut kinds: Vec<KindPattern> = Vec::with_capacity(nodes.len());
    for node in nodes {
        let kind = kind(node)?;
        if let Some(earlier) = kinds.iter().position(|earlier| covers(earlier, &kind)) {
            let problem = if kinds[earlier] == kind {
                format!("{kind} is there already, at kinds[{earlier}]: remove one of them")
            } else {
                format!(
                    "{kind} gets no event, as kinds[{earlier}] ({}) takes all of them first: move it in front",
                    kinds[earlier]
                )
            };
            return Err(node.error(problem));
        }
        kinds.push(kind);
    }
    Ok(kinds)
}

fn kind(node: &Node<'_>) -> Result<KindPattern, ManifestError> {
    let text = node.text()?;
    let refused = |kind: &str| {
        let form = "write a kind such as post-created, a beginning such as post-*, or *";
        let rule = "1 to 128 ASCII letters, digits or . _ - / :, the first a letter or digit";
        node.error(format!("{:?} is no event kind ({rule}): {form}", shown(kind)))
    };
    match text.strip_suffix('*') {
        Some("") => Ok(KindPattern::All),
        Some(prefix) => {
            EventKind::new(prefix).map(|_| KindPattern::Prefix(prefix.to_owned())).map_err(|_| refused(text))
        }
        None => EventKind::new(text).map(|_| KindPattern::Exactly(text.to_owned())).map_err(|_| refused(text)),
    }
}

/// Whether `earlier` stands for every kind that `later` stands for.
fn covers(earlier: &KindPattern, later: &KindPattern) -> bool {
    match (earlier, later) {
        (KindPattern::All, _) => true,
        (KindPattern::Prefix(prefix), KindPattern::Prefix(later) | KindPattern::Exactly(later)) => {
            later.starts_with(prefix)
        }
        (KindPattern::Exactly(kind), KindPattern::Exactly(later)) => kind == later,
        _ => false,
    }
}
