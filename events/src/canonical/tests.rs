//! What the canonical form is, by example and by property.

use proptest::prelude::*;

use super::*;

fn canonical(text: &str) -> String {
    CanonicalJson::parse(text).unwrap().as_str().to_owned()
}

fn refusal(text: &str) -> String {
    CanonicalJson::parse(text).unwrap_err().to_string()
}

#[test]
fn white_space_goes_and_order_stays() {
    assert_eq!(
        canonical(" { \"b\" : [ 1 , true , null ] ,\n\t\"a\" : { } , \"c\":[]}\r\n"),
        r#"{"b":[1,true,null],"a":{},"c":[]}"#
    );
}

#[test]
fn numbers() {
    let pairs = [
        ("0", "0"),
        ("-0", "0"),
        ("-0.0", "0.0"),
        ("-0e5", "0.0"),
        ("1.0", "1.0"),
        ("1e2", "100.0"),
        ("1E+2", "100.0"),
        ("1.50", "1.5"),
        ("0.1", "0.1"),
        ("0.30000000000000004", "0.30000000000000004"),
        ("1e300", "1e300"),
        ("5e-324", "5e-324"),
        ("1e-400", "0.0"),
        ("9223372036854775807", "9223372036854775807"),
        ("-9223372036854775808", "-9223372036854775808"),
        ("123456789012345678", "123456789012345678"),
        ("123456789012345678901234567890.0", "1.2345678901234568e29"),
    ];
    for (given, expected) in pairs {
        assert_eq!(canonical(given), expected, "{given}");
    }
}

#[test]
fn numbers_that_are_refused() {
    assert_eq!(
        refusal(r#"{"a":{"n":123456789012345678901234567890}}"#),
        "a.n (line 1, column 11): the integer 123456789012345678901234567890 does not fit 64 signed bits; write it as a string"
    );
    assert!(refusal("9223372036854775808").contains("does not fit 64 signed bits"));
    assert!(refusal("-9223372036854775809").contains("does not fit 64 signed bits"));
    assert!(refusal("1e999").contains("beyond the range of a double"));
    assert!(refusal(&"9".repeat(5000)).len() < 200, "a long literal is shown shortened");
    for malformed in ["01", "-", "1.", ".5", "1e", "1e+", "+1", "--1", "0x10", "NaN", "-Infinity", "1.e3", "00"] {
        assert!(CanonicalJson::parse(malformed).is_err(), "{malformed}");
    }
}

#[test]
fn strings() {
    let pairs = [
        (r#""A\/\"\\""#, r#""A/\"\\""#),
        (r#""é😀""#, "\"é😀\""),
        (r#""\b\f\n\r\t\u001f\u007f""#, "\"\\b\\f\\n\\r\\t\\u001f\u{7f}\""),
        ("\"\\u000A\"", r#""\n""#),
        ("\"\\u00e9\\uD83D\\uDE00\"", "\"é😀\""),
    ];
    for (given, expected) in pairs {
        assert_eq!(canonical(given), expected, "{given}");
    }
}

#[test]
fn strings_that_are_refused() {
    assert!(
        refusal(r#"{"data":{"author":["a","b","c","x\u0000"]}}"#)
            .starts_with("data.author[3] (line 1, column 34): text holds NUL")
    );
    assert!(refusal("\"a\0b\"").contains("NUL"));
    for lone in
        [r#""\ud800""#, r#""\ud800x""#, r#""\ud800\n""#, r#""\ud800\ud800""#, r#""\udc00""#, r#""\ud800\u0041""#]
    {
        assert!(refusal(lone).contains("lone surrogate"), "{lone}");
    }
    assert!(refusal("\"a\nb\"").contains("U+000A"));
    assert!(refusal(r#""abc"#).contains("ends within this string"));
    assert!(refusal(r#""\x""#).contains("not an escape"));
    assert!(refusal(r#""\u12""#).contains("four hexadecimal digits"));
    assert!(refusal("\"\\u12é4\"").contains("four hexadecimal digits"));
    assert!(refusal("\"\\é\"").contains("not an escape"));
}

#[test]
fn a_key_that_comes_twice_is_named() {
    assert_eq!(
        refusal(r#"{"x":{"a":1,"b":2,"\u0061":3}}"#),
        "x (line 1, column 19): the key \"a\" stands here a second time"
    );
    let many: Vec<String> = (0..100).map(|i| format!("\"k{i}\":{i}")).collect();
    assert!(CanonicalJson::parse(format!("{{{}}}", many.join(","))).is_ok());
    assert!(refusal(&format!("{{{},\"k3\":0}}", many.join(","))).contains("the key \"k3\""));
    assert_eq!(canonical(r#"{"a":{"a":1},"b":{"a":1}}"#), r#"{"a":{"a":1},"b":{"a":1}}"#);
}

#[test]
fn depth_ends_at_sixty_four() {
    let nested = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
    assert!(CanonicalJson::parse(nested(64)).is_ok());
    assert!(refusal(&nested(65)).contains("deeper than 64"));
    assert!(CanonicalJson::parse("{\"a\":".repeat(100_000)).is_err());
}

#[test]
fn errors_say_where() {
    assert_eq!(refusal("{\"a\":\n  {\"é\": tru}}"), "a[\"é\"] (line 2, column 9): expected a value, found 't'");
    assert_eq!(refusal("[1 2]"), "line 1, column 4: expected ',' or ']', found '2'");
    assert_eq!(refusal("{} x"), "line 1, column 4: expected the end of the text, found 'x'");
    assert_eq!(refusal(""), "line 1, column 1: expected a value, but the text ends");
    assert_eq!(CanonicalJson::parse(b"[\"\xff\"]").unwrap_err().to_string(), "line 1, column 3: byte 2 is not UTF-8");
    assert_eq!(
        CanonicalJson::parse_object("[1]").unwrap_err().to_string(),
        "line 1, column 1: expected an object, found [1]"
    );
    assert!(CanonicalJson::parse_object(" {}").unwrap().is_object());
}

#[test]
fn our_own_values() {
    let value = serde_json::json!({"a": [1, 2.5, "x\u{1}"]});
    assert_eq!(CanonicalJson::from_value(&value).unwrap().as_str(), r#"{"a":[1,2.5,"x\u0001"]}"#);
    assert!(CanonicalJson::from_serialize(&u64::MAX).unwrap_err().problem.contains("64 signed bits"));
}

fn any_json() -> impl Strategy<Value = serde_json::Value> {
    let leaf = prop_oneof![
        Just(serde_json::Value::Null),
        any::<bool>().prop_map(Into::into),
        any::<i64>().prop_map(Into::into),
        // Eighths: serde_json, which checks here, reads other doubles only nearly.
        any::<i32>().prop_map(|eighths| (f64::from(eighths) / 8.0).into()),
        "[^\0]*".prop_map(Into::into),
    ];
    leaf.prop_recursive(5, 64, 8, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..8).prop_map(Into::into),
            prop::collection::btree_map("[^\0]{0,6}", inner, 0..20)
                .prop_map(|members| serde_json::Value::Object(members.into_iter().collect())),
        ]
    })
}

proptest! {
    #[test]
    fn twice_is_once_and_the_value_stays(value in any_json()) {
        for text in [serde_json::to_string(&value).unwrap(), serde_json::to_string_pretty(&value).unwrap()] {
            let once = canonical(&text);
            prop_assert_eq!(&canonical(&once), &once);
            let read: serde_json::Value = serde_json::from_str(&once).unwrap();
            prop_assert_eq!(&read, &value);
        }
    }

    #[test]
    fn a_double_stays_the_same_double(value in proptest::num::f64::NORMAL | proptest::num::f64::SUBNORMAL) {
        for text in [format!("{value:e}"), format!("{value:?}")] {
            let once = canonical(&text);
            prop_assert_eq!(once.parse::<f64>().unwrap(), value);
            prop_assert_eq!(&canonical(&once), &once);
        }
    }

    #[test]
    fn what_is_taken_serde_json_takes_too(text in "[\\[\\]{}:,\"\\\\u0-9eE.+ a-f-]{0,24}") {
        if let Ok(canonical) = CanonicalJson::parse(&text) {
            prop_assert!(serde_json::from_str::<serde_json::Value>(canonical.as_str()).is_ok());
            prop_assert!(serde_json::from_str::<serde::de::IgnoredAny>(&text).is_ok());
        }
    }

    #[test]
    fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..64)) {
        let _ = CanonicalJson::parse(&bytes);
    }

    #[test]
    fn a_pushed_string_is_canonical(text in "[^\0]*") {
        let mut out = String::new();
        push_string(&mut out, &text);
        prop_assert_eq!(&canonical(&out), &out);
        prop_assert_eq!(serde_json::from_str::<String>(&out).unwrap(), text);
    }
}
