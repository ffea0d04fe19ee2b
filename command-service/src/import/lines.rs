//! Bytes as they come in, cut into lines of bounded length.

/// A line that is longer than what is taken; its text was not kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct TooLong {
    /// Number of the line.
    pub(super) line: u64,
}

/// Cuts bytes into lines and counts them. Never holds more than one line, nor more of it than the limit.
#[derive(Debug)]
pub(super) struct Lines {
    /// The beginning of a line whose end has not come yet.
    partial: Vec<u8>,
    /// Number of the line that comes next.
    next: u64,
    limit: usize,
}

impl Lines {
    /// Lines counted from `first`, of at most `limit` bytes each, without their ends.
    pub(super) fn new(first: u64, limit: usize) -> Lines {
        Lines { partial: Vec::new(), next: first, limit }
    }

    /// Number of the line that comes next.
    pub(super) fn next_number(&self) -> u64 {
        self.next
    }

    /// Passes on every line that `bytes` complete.
    pub(super) fn feed<E: From<TooLong>>(
        &mut self,
        mut bytes: &[u8],
        mut each: impl FnMut(u64, &[u8]) -> Result<(), E>,
    ) -> Result<(), E> {
        while let Some(end) = bytes.iter().position(|byte| *byte == b'\n') {
            let line = &bytes[..end];
            bytes = &bytes[end + 1..];
            self.check(line)?;
            if self.partial.is_empty() {
                each(self.next, line)?;
            } else {
                self.partial.extend_from_slice(line);
                each(self.next, &self.partial)?;
                self.partial.clear();
            }
            self.next += 1;
        }
        self.check(bytes)?;
        self.partial.extend_from_slice(bytes);
        Ok(())
    }

    /// Passes on the last line, where it had no end.
    pub(super) fn finish<E>(&mut self, mut each: impl FnMut(u64, &[u8]) -> Result<(), E>) -> Result<(), E> {
        if !self.partial.is_empty() {
            each(self.next, &self.partial)?;
            self.partial.clear();
            self.next += 1;
        }
        Ok(())
    }

    fn check(&self, more: &[u8]) -> Result<(), TooLong> {
        let fits = self.partial.len() + more.len() <= self.limit;
        if fits { Ok(()) } else { Err(TooLong { line: self.next }) }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    type Numbered = (u64, Vec<u8>);

    fn cut(pieces: &[&[u8]], limit: usize) -> (Vec<Numbered>, Result<(), TooLong>) {
        let mut seen = Vec::new();
        let mut lines = Lines::new(5, limit);
        let mut each = |number: u64, line: &[u8]| {
            seen.push((number, line.to_vec()));
            Ok::<(), TooLong>(())
        };
        let fed = pieces.iter().try_for_each(|piece| lines.feed(piece, &mut each));
        let fed = fed.and_then(|()| lines.finish(&mut each));
        (seen, fed)
    }

    proptest! {
        #[test]
        fn lines_do_not_depend_on_how_the_bytes_come(text in "[ab\n]{0,60}", size in 1..10usize) {
            let pieces: Vec<&[u8]> = text.as_bytes().chunks(size).collect();
            let mut expected: Vec<_> = (5..).zip(text.split('\n').map(|line| line.as_bytes().to_vec())).collect();
            // What stands behind the last end of a line is a line only if it is something.
            expected.pop_if(|(_, last)| last.is_empty());
            prop_assert_eq!(cut(&pieces, 100), (expected, Ok(())));
        }
    }

    #[test]
    fn a_line_that_is_too_long_is_not_kept() {
        assert_eq!(cut(&[b"abc\nabcd"], 3), (vec![(5, b"abc".to_vec())], Err(TooLong { line: 6 })));
        assert_eq!(cut(&[b"ab", b"cd\n"], 3), (vec![], Err(TooLong { line: 5 })));
        assert_eq!(cut(&[b"ab", b"c", b"d"], 3).1, Err(TooLong { line: 5 }));
        assert_eq!(cut(&[b"ab", b"c\n"], 3).0, [(5, b"abc".to_vec())]);
    }
}
