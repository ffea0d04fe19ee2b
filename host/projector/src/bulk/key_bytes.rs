//! The encoding of a row's key, as a build keeps it.

use std::ops::Deref;

/// How long an encoding may be to stand where it is: one of a UUID that is written as text has 39 bytes.
const SHORT: usize = 46;

/// The encoding of a key. Most are short, and stand beside what is known of their row: looking one up is one way to memory less.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum KeyBytes {
    Short { length: u8, bytes: [u8; SHORT] },
    Long(Box<[u8]>),
}

impl KeyBytes {
    /// What it takes outside itself.
    pub(super) fn heap_bytes(&self) -> usize {
        match self {
            KeyBytes::Short { .. } => 0,
            KeyBytes::Long(bytes) => bytes.len(),
        }
    }
}

impl From<&[u8]> for KeyBytes {
    fn from(key: &[u8]) -> KeyBytes {
        let mut bytes = [0; SHORT];
        match bytes.get_mut(..key.len()) {
            Some(start) => {
                start.copy_from_slice(key);
                KeyBytes::Short { length: key.len() as u8, bytes }
            }
            None => KeyBytes::Long(key.into()),
        }
    }
}

/// An empty one.
impl Default for KeyBytes {
    fn default() -> KeyBytes {
        KeyBytes::Short { length: 0, bytes: [0; SHORT] }
    }
}

impl Deref for KeyBytes {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        match self {
            KeyBytes::Short { length, bytes } => &bytes[..usize::from(*length)],
            KeyBytes::Long(bytes) => bytes,
        }
    }
}

impl Ord for KeyBytes {
    fn cmp(&self, other: &KeyBytes) -> std::cmp::Ordering {
        self[..].cmp(&other[..])
    }
}

impl PartialOrd for KeyBytes {
    fn partial_cmp(&self, other: &KeyBytes) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_of_any_length_are_kept_and_ordered_as_their_bytes() {
        let keys: Vec<Vec<u8>> =
            (0..100_u8).map(|length| (0..length).map(|at| at.wrapping_mul(37)).collect()).collect();
        for key in &keys {
            let kept = KeyBytes::from(&key[..]);
            assert_eq!(kept[..], key[..]);
            assert_eq!(kept.heap_bytes(), if key.len() > SHORT { key.len() } else { 0 });
            assert!(keys.iter().all(|other| kept.cmp(&KeyBytes::from(&other[..])) == key.cmp(other)));
        }
    }
}
