//! Rows, filters, pages and forms.

use super::bed::{beds, row};

const FULL: &str = concat!(
    r#"{"id":"a","author":"Ann \"A\"","likes":9223372036854775807,"small":-5,"score":0.1,"price":9999999999999999.50,"hidden":true,"#,
    r#""raw":"\\x00ff","extra":{"b":[1,2.0],"a":null},"uid":"00000000-0000-0000-0000-000001932c07","day":"0001-01-01","#,
    r#""at":"23:59:59.999999","posted_at":"2026-11-21T09:30:00.123456Z","order":7}"#
);

#[tokio::test]
async fn a_row_of_every_type_is_the_same_text_on_every_database() {
    for bed in beds().await {
        let got = bed.get("/posts?id=eq.a").await;
        assert_eq!((got.status, got.text), (200, format!("[{FULL}]")));
        assert_eq!(got.headers["content-type"], "application/json; charset=utf-8");
        assert_eq!(got.headers["reel-generation"], format!("{}@1", bed.projection));
        assert_eq!(got.headers["content-range"], "0-0/*");
        let nulls = bed.get("/posts?id=eq.b&select=id,likes,raw,n:%22order%22").await;
        assert_eq!(nulls.text, r#"[{"id":"b","likes":null,"raw":null,"n":null}]"#);
        assert_eq!(bed.get("/posts?id=eq.zzz").await.text, "[]");
        assert_eq!(bed.get("/authors").await.text, "[]");
    }
}

#[tokio::test]
async fn filters_find_their_rows() {
    let cases = [
        ("", "a b c d"),
        ("id=eq.c", "c"),
        ("id=neq.c", "a b d"),
        ("likes=gt.3", "a d"),
        ("likes=gte.3&likes=lt.12", "c"),
        ("likes=not.gt.3", "c"),
        ("likes=lte.3", "c"),
        ("id=in.(a,d,x)", "a d"),
        ("id=not.in.(a,d)", "b c"),
        ("id=in.()", ""),
        ("author=is.null", "b"),
        ("author=not.is.null", "a c d"),
        ("author=is.not_null", "a c d"),
        ("hidden=is.true", "a"),
        ("hidden=not.is.true", "b c d"),
        ("hidden=is.false", "c"),
        ("hidden=is.unknown", "b d"),
        ("author=like.*ob*", "c d"),
        ("author=like.b*", "c"),
        ("author=ilike.b*", "c d"),
        ("author=like.*\\%25", "d"),
        ("author=like._ob", "c"),
        ("author=eq.Ann \"A\"", "a"),
        ("or=(author.eq.\"Ann \\\"A\\\"\",likes.eq.3)", "a c"),
        ("or=(and(likes.gt.1,likes.lt.5),author.is.null)", "b c"),
        ("not.and=(likes.gt.1,likes.lt.5)", "a d"),
        ("price=eq.9999999999999999.5", "a"),
        ("price=gt.9999999999999999.49", "a"),
        ("score=eq.0.1", "a"),
        ("raw=eq.\\x00ff", "a"),
        ("extra=eq.{\"b\":[1, 2.0],\"a\":null}", "a"),
        ("uid=eq.00000000-0000-0000-0000-000001932c07", "a"),
        ("day=eq.0001-01-01", "a"),
        ("at=gt.23:59", "a"),
        ("posted_at=gt.2026-11-21", "a"),
        ("posted_at=eq.2026-11-21T10:30:00.123456%2B01:00", "a"),
        ("\"order\"=eq.7", "a"),
        ("order=likes.desc", "b a d c"),
        ("order=likes", "c d a b"),
        ("order=likes.nullsfirst,id", "b c d a"),
        ("order=author.desc.nullslast", "c d a b"),
        ("limit=2", "a b"),
        ("limit=0", ""),
        ("offset=3", "d"),
        ("limit=2&offset=1", "b c"),
    ];
    for bed in beds().await {
        for (query, ids) in cases {
            let query = query
                .replace(' ', "%20")
                .replace('"', "%22")
                .replace('{', "%7B")
                .replace('}', "%7D")
                .replace('\\', "%5C");
            assert_eq!(bed.get(&format!("/posts?{query}")).await.ids(), ids, "{query}");
        }
    }
}

#[tokio::test]
async fn named_queries() {
    for bed in beds().await {
        assert_eq!(bed.get("/by_author?author=bob").await.ids(), "c");
        assert_eq!(bed.get("/by_author?author=bob&least=4").await.ids(), "");
        assert_eq!(bed.get("/search?word=OB").await.ids(), "c d");
        assert_eq!(bed.get("/search?word=50%25").await.ids(), "d");
        assert_eq!(bed.get("/search?word=OB&likes=gt.5&select=id").await.text, r#"[{"id":"d"}]"#);
        let got = bed.get("/by_author").await;
        assert_eq!(got.status, 400);
        assert!(got.text.contains("needs parameter author"), "{}", got.text);
    }
}

#[tokio::test]
async fn pages() {
    let count = ("prefer", "count=exact");
    // (query, headers) → status, Content-Range, ids
    type Case<'a> = (&'a str, &'a [(&'a str, &'a str)], u16, &'a str, &'a str);
    let cases: [Case<'_>; 11] = [
        ("", &[("range", "0-1")], 200, "0-1/*", "a b"),
        ("", &[("range", "0-1"), ("range-unit", "items"), count], 206, "0-1/4", "a b"),
        ("", &[("range", "2-"), count], 206, "2-3/4", "c d"),
        ("", &[("range", "0-99"), count], 200, "0-3/4", "a b c d"),
        ("", &[("range", "4-9"), count], 206, "*/4", ""),
        ("", &[("range", "bytes=0-1"), count], 200, "0-3/4", "a b c d"),
        ("?limit=3&offset=1", &[("range", "1-9"), count], 206, "2-3/4", "c d"),
        ("?limit=1", &[count], 206, "0-0/4", "a"),
        ("?likes=gt.3", &[count], 200, "0-1/2", "a d"),
        ("?id=eq.x", &[count], 200, "*/0", ""),
        ("?id=eq.x", &[], 200, "*/*", ""),
    ];
    for bed in beds().await {
        for (query, headers, status, range, ids) in cases {
            let got = bed.ask("GET", &format!("/posts{query}"), headers).await;
            assert_eq!(
                (got.status, got.header("content-range"), got.ids().as_str()),
                (status, range, ids),
                "{query} {headers:?}"
            );
            let applied = if headers.contains(&count) { "count=exact" } else { "" };
            assert_eq!(got.header("preference-applied"), applied);
        }
        let beyond = bed.ask("GET", "/posts?offset=5", &[count]).await;
        assert_eq!((beyond.status, beyond.header("content-range")), (416, "*/4"));
        let head = bed.ask("HEAD", "/posts?limit=1", &[count]).await;
        assert_eq!((head.status, head.header("content-range"), head.text.as_str()), (206, "0-0/4", ""));
    }
}

#[tokio::test]
async fn forms() {
    let object = [("accept", "application/vnd.pgrst.object+json")];
    for bed in beds().await {
        let got = bed.ask("GET", "/posts?id=eq.c&select=id,likes", &object).await;
        assert_eq!((got.status, got.text.as_str()), (200, r#"{"id":"c","likes":3}"#));
        assert_eq!(got.header("content-type"), "application/vnd.pgrst.object+json; charset=utf-8");
        for query in ["", "?id=eq.x"] {
            assert_eq!(bed.ask("GET", &format!("/posts{query}"), &object).await.status, 406, "{query}");
        }
        let csv = bed.ask("GET", "/posts?select=id,author,likes&limit=2", &[("accept", "text/csv")]).await;
        assert_eq!(csv.text, "id,author,likes\na,\"Ann \"\"A\"\"\",9223372036854775807\nb,,\n");
        let picture = bed.ask("GET", "/posts", &[("accept", "image/png")]).await;
        assert_eq!((picture.status, picture.header("content-type")), (406, "application/problem+json"));
    }
}

#[tokio::test]
async fn many_rows_come_in_order_and_whole() {
    for bed in beds().await {
        let generation = bed.target.live(&bed.projection).await.unwrap().unwrap();
        let rows = (0..20_000).map(|n| row(&format!("n{n:05}"), Some("many"), Some(n))).collect();
        bed.commit(&generation, 1, 10, rows).await;
        let got = bed.ask("GET", "/posts?author=eq.many&select=id,likes", &[("prefer", "count=exact")]).await;
        assert_eq!((got.status, got.header("content-range")), (200, "0-19999/20000"));
        let rows = got.json();
        let likes: Vec<i64> = rows.as_array().unwrap().iter().map(|row| row["likes"].as_i64().unwrap()).collect();
        assert_eq!(likes, (0..20_000).collect::<Vec<_>>());
    }
}
