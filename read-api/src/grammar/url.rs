//! The query string itself: `a=1&b=x%20y` → pairs of decoded texts.

use crate::query_error::{QueryError, shown};

/// Splits a query string into its parameters, in order: `+` is a space, `%XX` a byte. Empty pieces (`&&`) do not count, a piece
/// without `=` has an empty value.
///
/// # Errors
/// Where a `%` is not followed by two hex digits, or the bytes are not UTF-8.
pub fn decode_query(query: &str) -> Result<Vec<(String, String)>, QueryError> {
    let pieces = query.split('&').filter(|piece| !piece.is_empty());
    pieces
        .map(|piece| {
            let (key, value) = piece.split_once('=').unwrap_or((piece, ""));
            let decode = |text| decode(text).map_err(|problem| QueryError::new(key, problem));
            Ok((decode(key)?, decode(value)?))
        })
        .collect()
}

fn decode(text: &str) -> Result<String, String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&first, tail)) = rest.split_first() {
        rest = tail;
        match first {
            b'+' => bytes.push(b' '),
            b'%' => {
                let byte = tail.get(..2).and_then(hex_byte);
                bytes.push(
                    byte.ok_or_else(|| broken(text, "a % without two hex digits behind it (a % itself is %25)"))?,
                );
                rest = &tail[2..];
            }
            other => bytes.push(other),
        }
    }
    String::from_utf8(bytes).map_err(|_| broken(text, "bytes that are not UTF-8"))
}

fn broken(text: &str, what: &str) -> String {
    format!("{:?} holds {what}", shown(text))
}

fn hex_byte(digits: &[u8]) -> Option<u8> {
    let digit = |byte: u8| char::from(byte).to_digit(16);
    u8::try_from(digit(digits[0])? * 16 + digit(digits[1])?).ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn pairs() {
        let pairs = decode_query("a=eq.1&b=x%20y+z&&c&d=%C3%A4=%26&=e").unwrap();
        let expected = [("a", "eq.1"), ("b", "x y z"), ("c", ""), ("d", "ä=&"), ("", "e")];
        assert_eq!(pairs, expected.map(|(key, value)| (key.to_owned(), value.to_owned())));
        assert!(decode_query("").unwrap().is_empty());
    }

    #[test]
    fn broken_escapes_name_the_place() {
        for (query, wanted) in [("a=5%", "%25"), ("a=%g0", "%25"), ("a=%+1", "%25"), ("a=%ff", "UTF-8")] {
            let error = decode_query(query).unwrap_err();
            assert_eq!(error.place, "a");
            assert!(error.problem.contains(wanted), "{error}");
        }
    }

    proptest! {
        #[test]
        fn any_text_survives_escaping(key in any::<String>(), value in any::<String>()) {
            let escape = |text: &str| text.bytes().map(|byte| format!("%{byte:02x}")).collect::<String>();
            let pairs = decode_query(&format!("{}={}", escape(&key), escape(&value))).unwrap();
            prop_assert_eq!(pairs, vec![(key, value)]);
        }

        #[test]
        fn any_query_string_is_read_or_refused(query in any::<String>()) {
            let _ = decode_query(&query);
        }
    }
}
