//! What people write: words of a fixed list, as long as is wanted.

use std::ops::Range;

use super::random::Random;

/// Some words, a few of them beyond ASCII; none needs an escape in JSON.
const WORDS: [&str; 32] = [
    "again", "bread", "café", "coffee", "every", "evening", "friend", "garden", "good", "harbour", "house", "just",
    "kitchen", "later", "light", "maybe", "morning", "naïve", "never", "people", "photo", "quite", "rain", "river",
    "slowly", "straße", "street", "today", "train", "walk", "winter", "yes",
];

/// The name of person number `number`.
pub(crate) fn author(number: usize) -> String {
    format!("person-{number:05}")
}

/// A text of so many bytes, about.
pub(crate) fn words(random: &mut Random, bytes: Range<usize>) -> String {
    let length = bytes.start + random.below(bytes.len());
    let mut text = String::with_capacity(length + 10);
    while text.len() < length {
        if !text.is_empty() {
            text.push(' ');
        }
        text.push_str(WORDS[random.below(WORDS.len())]);
    }
    text
}
