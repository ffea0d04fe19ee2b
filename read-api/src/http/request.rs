//! What a request asks for: its headers and the parameters that are not the query grammar's.

use axum::http::{HeaderMap, HeaderName, header};

use crate::{
    error::ReadError,
    grammar::decode_query,
    query_error::{QueryError, shown},
    wait::Wait,
};

/// A read as it was asked for.
pub(super) struct Asked {
    /// Which target; nothing = the default one.
    pub(super) target: Option<String>,
    /// What to wait for first.
    pub(super) wait: Option<Wait>,
    /// The remaining parameters: the query itself.
    pub(super) pairs: Vec<(String, String)>,
    /// Rows by `Range`.
    pub(super) range: RowRange,
    /// Whether the number of all rows is wanted.
    pub(super) counted: Counted,
    /// The form of the answer.
    pub(super) format: Format,
}

/// Whether the number of all rows is wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Counted {
    No,
    Exactly,
}

/// The form of an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Format {
    /// An array of objects.
    Json,
    /// One object: there must be exactly one row.
    Object,
    /// A line for each row, under one with the names.
    Csv,
}

impl Format {
    pub(super) fn media_type(self) -> &'static str {
        match self {
            Format::Json => "application/json; charset=utf-8",
            Format::Object => "application/vnd.pgrst.object+json; charset=utf-8",
            Format::Csv => "text/csv; charset=utf-8",
        }
    }
}

/// Rows by number, from 0; all by default.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct RowRange {
    pub(super) first: u64,
    pub(super) last: Option<u64>,
}

impl Asked {
    pub(super) fn parse(headers: &HeaderMap, query: Option<&str>) -> Result<Asked, ReadError> {
        let mut pairs = decode_query(query.unwrap_or_default())?;
        let target = parameter(&mut pairs, "target", headers, "reel-target")?;
        let token = parameter(&mut pairs, "wait-for", headers, "reel-wait-for")?;
        let timeout = parameter(&mut pairs, "wait-timeout", headers, "reel-wait-timeout")?;
        Ok(Asked {
            target,
            wait: token.map(|token| Wait::parse(&token, timeout.as_deref())).transpose()?,
            pairs,
            range: range(headers)?,
            counted: counted(headers),
            format: format(headers)?,
        })
    }
}

/// Takes parameter `key` out of `pairs`; where it is not there, the header says it.
fn parameter(
    pairs: &mut Vec<(String, String)>,
    key: &str,
    headers: &HeaderMap,
    header: &'static str,
) -> Result<Option<String>, ReadError> {
    let given: Vec<String> = pairs.extract_if(.., |(name, _)| name == key).map(|(_, value)| value).collect();
    if given.len() > 1 {
        return Err(QueryError::new(key, "is given twice: give it once").into());
    }
    if let Some(value) = given.into_iter().next() {
        return Ok(Some(value));
    }
    text_of(headers, HeaderName::from_static(header)).map(|text| text.map(str::to_owned))
}

fn text_of(headers: &HeaderMap, name: HeaderName) -> Result<Option<&str>, ReadError> {
    let Some(value) = headers.get(&name) else {
        return Ok(None);
    };
    value
        .to_str()
        .map(Some)
        .map_err(|_| ReadError::Request(format!("{name}: holds other characters than visible ASCII")))
}

/// `Range: 0-24` or `items=0-24`. Ranges of other units, such as bytes, ask for something that is not offered, and do not count.
fn range(headers: &HeaderMap) -> Result<RowRange, ReadError> {
    let unit = text_of(headers, HeaderName::from_static("range-unit"))?.unwrap_or("items");
    let Some(text) = text_of(headers, header::RANGE)?.filter(|_| unit == "items") else {
        return Ok(RowRange::default());
    };
    let text = match text.split_once('=') {
        Some(("items", range)) => range,
        Some(_) => return Ok(RowRange::default()),
        None => text,
    };
    let refused = || {
        ReadError::Request(format!("Range: {:?} is no FIRST-LAST, such as 0-24, or 25- without an end", shown(text)))
    };
    let (first, last) = text.trim().split_once('-').ok_or_else(refused)?;
    let number = |text: &str| text.parse::<u64>().ok().filter(|number| i64::try_from(*number).is_ok());
    let first = number(first).ok_or_else(refused)?;
    let last =
        if last.is_empty() { None } else { Some(number(last).filter(|last| *last >= first).ok_or_else(refused)?) };
    Ok(RowRange { first, last })
}

/// `Prefer: count=exact`; a planned or estimated count is answered with the exact one. Other preferences do not count.
fn counted(headers: &HeaderMap) -> Counted {
    let preferences =
        headers.get_all("prefer").iter().filter_map(|value| value.to_str().ok()).flat_map(|text| text.split(','));
    let wanted =
        preferences.into_iter().any(|word| matches!(word.trim(), "count=exact" | "count=planned" | "count=estimated"));
    if wanted { Counted::Exactly } else { Counted::No }
}

/// The first media type in `Accept` that is offered.
fn format(headers: &HeaderMap) -> Result<Format, ReadError> {
    let mut asked =
        headers.get_all(header::ACCEPT).iter().filter_map(|value| value.to_str().ok()).flat_map(|text| text.split(','));
    let mut refused = None;
    for range in asked.by_ref() {
        let mut parts = range.split(';').map(str::trim);
        let media_type = parts.next().unwrap_or_default().to_ascii_lowercase();
        if parts.any(|parameter| matches!(parameter, "q=0" | "q=0.0" | "nulls=stripped")) {
            refused = Some(range.trim());
            continue;
        }
        match media_type.as_str() {
            "*/*" | "application/*" | "application/json" | "" => return Ok(Format::Json),
            "application/vnd.pgrst.object+json" | "application/vnd.pgrst.object" => return Ok(Format::Object),
            "text/csv" | "text/*" => return Ok(Format::Csv),
            _ => refused = Some(range.trim()),
        }
    }
    let Some(refused) = refused else {
        return Ok(Format::Json);
    };
    Err(ReadError::NotAcceptable(format!(
        "{:?} is not offered: accept application/json, application/vnd.pgrst.object+json or text/csv",
        shown(refused)
    )))
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        pairs.iter().map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value))).collect()
    }

    #[test]
    fn ranges() {
        let all = RowRange::default();
        let cases: [(&[(&'static str, &'static str)], RowRange); 6] = [
            (&[], all),
            (&[("range", "0-24")], RowRange { first: 0, last: Some(24) }),
            (&[("range", "items=5-5")], RowRange { first: 5, last: Some(5) }),
            (&[("range", "10-"), ("range-unit", "items")], RowRange { first: 10, last: None }),
            (&[("range", "bytes=0-99")], all),
            (&[("range", "0-99"), ("range-unit", "bytes")], all),
        ];
        for (pairs, expected) in cases {
            assert_eq!(range(&headers(pairs)).unwrap(), expected, "{pairs:?}");
        }
        for bad in ["x", "5-4", "-5", "1-2-3", "0-99999999999999999999"] {
            let error = range(&headers(&[("range", bad)])).unwrap_err().to_string();
            assert!(error.contains("such as 0-24"), "{error}");
        }
    }

    #[test]
    fn formats() {
        let browser = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8";
        let cases = [
            ("application/json", Format::Json),
            (browser, Format::Json),
            ("application/vnd.pgrst.object+json; charset=utf-8", Format::Object),
            ("text/csv", Format::Csv),
            ("text/csv;q=0, application/json", Format::Json),
        ];
        for (accept, expected) in cases {
            assert_eq!(format(&headers(&[("accept", accept)])).unwrap(), expected, "{accept}");
        }
        assert_eq!(format(&HeaderMap::new()).unwrap(), Format::Json);
        assert!(matches!(format(&headers(&[("accept", "image/png")])), Err(ReadError::NotAcceptable(_))));
    }

    #[test]
    fn parameters_win_over_headers() {
        let headers = headers(&[("reel-target", "b"), ("prefer", "return=minimal, count=exact")]);
        let asked = Asked::parse(&headers, Some("target=a&likes=gt.5")).unwrap();
        assert_eq!((asked.target.as_deref(), asked.counted), (Some("a"), Counted::Exactly));
        assert_eq!(asked.pairs, [("likes".to_owned(), "gt.5".to_owned())]);
        assert_eq!(Asked::parse(&headers, None).unwrap().target.as_deref(), Some("b"));
        assert!(Asked::parse(&headers, Some("target=a&target=b")).is_err());
    }
}
