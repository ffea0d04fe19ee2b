//! Texts in one piece of memory that several batches share, so that events reach a plugin without being copied on the way; and the memory
//! of such pieces, which is used again. What the texts mean is the batches' matter.

use std::{
    fmt,
    sync::{Arc, Mutex, PoisonError},
};

/// Texts that batches share. When the last of them is dropped, their memory goes back to the pool it came from.
pub struct Texts {
    text: String,
    pool: Arc<TextPool>,
}

/// Memory for texts, used again: pieces of many megabytes cost more to get from the system and to give back than to fill.
#[derive(Default)]
pub struct TextPool {
    free: Mutex<Vec<String>>,
}

impl TextPool {
    /// An empty text with room for `bytes`, in the memory of one that is in use no more.
    #[must_use]
    pub fn take(&self, bytes: usize) -> String {
        let mut text = self.free.lock().unwrap_or_else(PoisonError::into_inner).pop().unwrap_or_default();
        text.reserve_exact(bytes);
        text
    }

    /// Makes a text one that batches can share.
    #[must_use]
    pub fn share(self: &Arc<TextPool>, text: String) -> Arc<Texts> {
        Arc::new(Texts { text, pool: Arc::clone(self) })
    }
}

impl Texts {
    /// All of them.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Where `part` begins, in bytes, if it is a part of these texts: by its place in memory, not by what it says.
    pub(crate) fn offset_of(&self, part: &str) -> Option<usize> {
        let offset = part.as_ptr().addr().checked_sub(self.text.as_ptr().addr())?;
        (offset + part.len() <= self.text.len()).then_some(offset)
    }
}

impl Drop for Texts {
    fn drop(&mut self) {
        let mut text = std::mem::take(&mut self.text);
        text.clear();
        self.pool.free.lock().unwrap_or_else(PoisonError::into_inner).push(text);
    }
}

impl fmt::Debug for Texts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Texts({} bytes)", self.text.len())
    }
}

impl fmt::Debug for TextPool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TextPool(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_used_again_once_nobody_shares_it() {
        let pool = Arc::new(TextPool::default());
        let mut text = pool.take(100);
        text.push_str("some text of more than a few bytes");
        let place = text.as_ptr();
        let texts = pool.share(text);
        let other = Arc::clone(&texts);
        drop(texts);
        assert_eq!(pool.take(0).capacity(), 0, "it is still shared");
        drop(other);
        let again = pool.take(100);
        assert_eq!((again.as_ptr(), again.as_str()), (place, ""));
    }

    #[test]
    fn a_part_is_known_by_its_place() {
        let texts = Arc::new(TextPool::default()).share("one, two".to_owned());
        assert_eq!(texts.offset_of(&texts.as_str()[5..]), Some(5));
        assert_eq!(texts.offset_of("two".to_owned().as_str()), None);
    }
}
