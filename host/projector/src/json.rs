//! Canonical JSON as a tree. Exactly: `serde_json` alone reads some doubles as their neighbours, and with them the digest of a
//! deployment's settings would depend on how often they were read and written.

use std::collections::BTreeMap;

use reel_events::CanonicalJson;
use serde_json::value::RawValue;
use serde_json::{Number, Value};

/// The tree of a text that is not empty; members in alphabetical order.
pub(crate) fn tree(json: &CanonicalJson) -> Value {
    value(json.as_str())
}

/// At most as deep as canonical JSON is.
fn value(text: &str) -> Value {
    match text.as_bytes() {
        [b'{', ..] => members(text)
            .into_iter()
            .map(|(name, raw)| (name, value(raw.get())))
            .collect(),
        [b'[', ..] => items(text).into_iter().map(|raw| value(raw.get())).collect(),
        [b'-' | b'0'..=b'9', ..] => number(text),
        _ => serde_json::from_str(text).expect(CANONICAL),
    }
}

const CANONICAL: &str = "canonical JSON is JSON";

fn members(text: &str) -> BTreeMap<String, &RawValue> {
    serde_json::from_str(text).expect(CANONICAL)
}

fn items(text: &str) -> Vec<&RawValue> {
    serde_json::from_str(text).expect(CANONICAL)
}

fn number(text: &str) -> Value {
    match text.parse::<i64>() {
        Ok(integer) => integer.into(),
        Err(_) => {
            let double = text.parse().expect("a number that is no integer is a double");
            Value::Number(Number::from_f64(double).expect("canonical doubles are finite"))
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_tree_says_the_same() {
        let text = r#"{"b":[1,-2.5,"x\"y",null,[],{}],"a":{"d":true,"c":9223372036854775807}}"#;
        let tree = tree(&CanonicalJson::parse(text).unwrap());
        assert_eq!(tree, serde_json::from_str::<Value>(text).unwrap());
        assert_eq!(
            tree.to_string(),
            r#"{"a":{"c":9223372036854775807,"d":true},"b":[1,-2.5,"x\"y",null,[],{}]}"#
        );
    }

    proptest! {
        #[test]
        fn doubles_are_read_exactly(double in any::<f64>().prop_filter("finite", |double| double.is_finite())) {
            let json = CanonicalJson::parse(format!("[{double:e}]")).unwrap();
            let read = tree(&json);
            prop_assert_eq!(read[0].as_f64().map(|read| read + 0.0), Some(double + 0.0));
            prop_assert_eq!(CanonicalJson::from_value(&read).unwrap(), json);
        }
    }
}
