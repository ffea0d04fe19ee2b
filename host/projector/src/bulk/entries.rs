//! The entries of a table of a build, in the order in which they were made, in pieces: growing moves none of them, and touches no
//! memory but that of the next piece.

use std::ops::{Index, IndexMut};

/// Entries of a piece, as a power of two: a quarter of a megabyte, about.
const PIECE_BITS: u32 = 11;
const PIECE: usize = 1 << PIECE_BITS;

/// A list that is only ever added to and thinned out. Every piece but the last is full.
pub(super) struct Entries<T> {
    pieces: Vec<Vec<T>>,
}

impl<T> Entries<T> {
    pub(super) fn len(&self) -> usize {
        self.pieces.split_last().map_or(0, |(last, full)| full.len() * PIECE + last.len())
    }

    pub(super) fn push(&mut self, entry: T) {
        match self.pieces.last_mut() {
            Some(last) if last.len() < PIECE => last.push(entry),
            // The first grows as it must: most tables of most tests have few rows.
            None => self.pieces.push(vec![entry]),
            Some(_) => {
                let mut piece = Vec::with_capacity(PIECE);
                piece.push(entry);
                self.pieces.push(piece);
            }
        }
    }

    /// An entry, where there are so many.
    pub(super) fn get(&self, number: usize) -> Option<&T> {
        self.pieces.get(number >> PIECE_BITS)?.get(number % PIECE)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &T> {
        self.pieces.iter().flatten()
    }

    pub(super) fn iter_mut(&mut self) -> impl Iterator<Item = &mut T> {
        self.pieces.iter_mut().flatten()
    }

    /// Keeps those that `stays` is true for, in their order: they get the numbers from 0 on.
    pub(super) fn retain(&mut self, mut stays: impl FnMut(&T) -> bool) {
        let mut kept = Entries::default();
        // Pieces go as they are emptied, so that there is at most one too many.
        for piece in std::mem::take(&mut self.pieces) {
            piece.into_iter().filter(&mut stays).for_each(|entry| kept.push(entry));
        }
        *self = kept;
    }
}

impl<T> Default for Entries<T> {
    fn default() -> Entries<T> {
        Entries { pieces: Vec::new() }
    }
}

impl<T> Index<usize> for Entries<T> {
    type Output = T;

    fn index(&self, number: usize) -> &T {
        &self.pieces[number >> PIECE_BITS][number % PIECE]
    }
}

impl<T> IndexMut<usize> for Entries<T> {
    fn index_mut(&mut self, number: usize) -> &mut T {
        &mut self.pieces[number >> PIECE_BITS][number % PIECE]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_keep_their_order_and_their_numbers_until_they_are_thinned_out() {
        let mut entries = Entries::default();
        for number in 0..5 * PIECE + 7 {
            assert_eq!(entries.len(), number);
            assert_eq!(entries.get(number), None);
            entries.push(number);
        }
        assert!((0..entries.len()).all(|number| entries[number] == number));
        entries[PIECE] += 1;
        entries.iter_mut().for_each(|entry| *entry *= 2);
        assert_eq!(entries[PIECE], 2 * (PIECE + 1));
        entries.retain(|entry| entry % 3 == 0);
        let left: Vec<_> = entries.iter().copied().collect();
        assert!(left.is_sorted() && left.iter().all(|entry| entry % 3 == 0));
        assert_eq!(left.len(), entries.len());
        assert!(left.iter().enumerate().all(|(number, entry)| entries[number] == *entry));
    }
}
