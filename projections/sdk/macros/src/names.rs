//! What the host accepts as the name of a projection, a table, a column, a kind; said to the author at compile time.

use syn::{LitStr, Result, spanned::Spanned};

/// `[a-z][a-z0-9-]{0,23}`
pub(crate) fn check_projection(name: &LitStr) -> Result<()> {
    check(name, &name.value(), Rule { what: "a projection's name", separator: b'-', most: 24 })
}

/// `[a-z][a-z0-9_]{0,31}`; for tables and queries.
pub(crate) fn check_table(name: &LitStr) -> Result<()> {
    check(name, &name.value(), Rule { what: "a table's or query's name", separator: b'_', most: 32 })
}

/// `[a-z][a-z0-9_]{0,47}`
pub(crate) fn check_column(place: &impl Spanned, name: &str) -> Result<()> {
    check(place, name, Rule { what: "a column's name", separator: b'_', most: 48 })
}

/// A kind, `prefix*` or `*`.
pub(crate) fn check_kind(kind: &LitStr) -> Result<()> {
    let text = kind.value();
    let plain = text.strip_suffix('*').unwrap_or(&text);
    let allowed = |b: u8| b.is_ascii_alphanumeric() || b"._-/:".contains(&b);
    let first_fits = plain.bytes().next().map_or(text == "*", |b| b.is_ascii_alphanumeric());
    if first_fits && text.len() <= 128 && plain.bytes().all(allowed) {
        return Ok(());
    }
    Err(syn::Error::new(
        kind.span(),
        format!(
            "{text:?} is no event kind: write one such as \"post-created\" (at most 128 letters, digits and . _ - / :, \
             beginning with a letter or digit), the beginning of some such as \"post-*\", or \"*\" for all"
        ),
    ))
}

struct Rule {
    what: &'static str,
    separator: u8,
    most: usize,
}

fn check(place: &impl Spanned, name: &str, rule: Rule) -> Result<()> {
    let allowed = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == rule.separator;
    let begins = name.bytes().next().is_some_and(|b| b.is_ascii_lowercase());
    if begins && name.len() <= rule.most && name.bytes().all(allowed) {
        return Ok(());
    }
    let Rule { what, separator, most } = rule;
    let separator = char::from(separator);
    Err(syn::Error::new(
        place.span(),
        format!("{name:?} cannot be {what}: use 1 to {most} of a-z, 0-9 and `{separator}`, beginning with a letter"),
    ))
}

#[cfg(test)]
mod tests {
    use proc_macro2::Span;

    use super::*;

    fn text(value: &str) -> LitStr {
        LitStr::new(value, Span::call_site())
    }

    #[test]
    fn names_follow_the_design() {
        assert!(check_projection(&text("git-tree")).is_ok());
        assert!(check_projection(&text("git_tree")).is_err());
        assert!(check_projection(&text(&"a".repeat(25))).is_err());
        assert!(check_table(&text("posts_2")).is_ok());
        assert!(check_table(&text("2posts")).is_err());
        assert!(check_table(&text("")).is_err());
        assert!(check_column(&text(""), "order").is_ok());
        assert!(check_column(&text(""), "Order").is_err());
    }

    #[test]
    fn kinds_may_end_in_a_star_only() {
        for good in ["post-created", "post-*", "*", "a", "com.example/x:y_z.v2"] {
            assert!(check_kind(&text(good)).is_ok(), "{good}");
        }
        for bad in ["", "-post", "po*st", "**", "post created", &"a".repeat(129)] {
            assert!(check_kind(&text(bad)).is_err(), "{bad}");
        }
    }
}
