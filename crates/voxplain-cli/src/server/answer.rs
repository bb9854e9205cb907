//! What is answered to a request.
//!
//! A request is looked up by name among what the page can ask for ([`Site::part`]): no path of it reaches the file system.
//! `Host` is to be this server's own address, so that a page from elsewhere cannot reach it under a name that it has had
//! pointed here. No answer allows another origin anything. What a request carries behind its head is never read.

use super::Report;
use http_body_util::Full;
use http_range_header::{RangeUnsatisfiableError, parse_range_header};
use hyper::{
    Method, Request, Response, StatusCode,
    body::{Body as _, Bytes, Incoming},
    header::{self, HeaderName, HeaderValue},
};
use std::ops::RangeInclusive;
use voxplain::report::{Part, Site};

/// What is asked for by a client that knows the token.
pub(super) struct Asked {
    /// What stands after the token.
    pub(super) name: String,
    /// The header `Range`, where it is to be followed.
    pub(super) range: Option<String>,
}

/// An answer before it is sent.
pub(super) struct Answer {
    status: u16,
    kind: &'static str,
    body: Bytes,
    more: Vec<(HeaderName, String)>,
}

impl Answer {
    /// A line of text.
    pub(super) fn text(status: u16, text: &str) -> Self {
        Self { status, kind: "text/plain; charset=utf-8", body: format!("{text}\n").into(), more: Vec::new() }
    }

    fn with(mut self, name: HeaderName, value: String) -> Self {
        self.more.push((name, value));
        self
    }

    /// To a client that is not talked to any longer.
    fn last(self) -> Self {
        self.with(header::CONNECTION, "close".to_owned())
    }

    /// With the headers of every answer; scripts with this nonce run.
    pub(super) fn response(self, nonce: &str) -> Response<Full<Bytes>> {
        let policy = format!(
            "default-src 'none'; script-src 'nonce-{nonce}'; style-src 'unsafe-inline'; font-src data:; img-src data: blob:; connect-src 'self'; \
             base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
        );
        let always = [
            (header::CONTENT_TYPE, self.kind.to_owned()),
            (header::CONTENT_SECURITY_POLICY, policy),
            (header::X_CONTENT_TYPE_OPTIONS, "nosniff".to_owned()),
            (header::REFERRER_POLICY, "no-referrer".to_owned()),
            (HeaderName::from_static("cross-origin-resource-policy"), "same-origin".to_owned()),
            (HeaderName::from_static("cross-origin-opener-policy"), "same-origin".to_owned()),
            (header::CACHE_CONTROL, "no-store".to_owned()),
        ];
        let mut response = Response::new(Full::new(self.body));
        *response.status_mut() = StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        for (name, value) in always.into_iter().chain(self.more) {
            // All values are of this file, or are made of plain letters.
            if let Ok(value) = HeaderValue::try_from(value) {
                response.headers_mut().append(name, value);
            }
        }
        response
    }
}

impl Report {
    /// What a request asks for, or the answer to one that asks for nothing that there is.
    pub(super) fn asked(&self, request: &Request<Incoming>) -> Result<Asked, Answer> {
        let hosts: Vec<&[u8]> = request.headers().get_all(header::HOST).iter().map(HeaderValue::as_bytes).collect();
        let own = [self.address.to_string(), format!("localhost:{}", self.address.port())];
        if hosts.len() != 1 || !own.iter().any(|o| hosts[0].eq_ignore_ascii_case(o.as_bytes())) {
            return Err(Answer::text(403, "This server answers under its own address only.").last());
        }
        if !matches!(*request.method(), Method::GET | Method::HEAD) {
            let answer = Answer::text(405, "This server only gives: GET and HEAD.").last();
            return Err(answer.with(header::ALLOW, "GET, HEAD".to_owned()));
        }
        if !request.body().is_end_stream() {
            return Err(Answer::text(413, "This server takes no body.").last());
        }
        let uri = request.uri();
        let path = uri.path_and_query().map_or("", |path| path.as_str());
        let name = uri.authority().is_none().then(|| self.name(path)).flatten();
        let Some(name) = name else {
            let answer = Answer::text(404, "Not here. The address is the one that voxplain serve printed, whole.");
            return Err(answer.last());
        };
        // `If-Range` names a version, and there are none: the whole is right.
        let follow = *request.method() == Method::GET && !request.headers().contains_key(header::IF_RANGE);
        let range = request.headers().get(header::RANGE).filter(|_| follow).and_then(|range| range.to_str().ok());
        Ok(Asked { name: name.to_owned(), range: range.map(str::to_owned) })
    }

    /// What stands after the token.
    fn name<'a>(&self, path: &'a str) -> Option<&'a str> {
        let (token, name) = path.strip_prefix('/')?.split_once('/')?;
        same(token.as_bytes(), self.token.as_bytes()).then_some(name)
    }
}

/// The part of the report with a name, or what is wrong with the run's files.
pub(super) fn answer(site: &Site, name: &str, range: Option<&str>) -> Result<Answer, String> {
    let found = |kind, body: Bytes| Answer { status: 200, kind, body, more: Vec::new() };
    let whole = match site.part(name).map_err(|e| e.to_string())? {
        None => return Ok(Answer::text(404, "The report has no such part.")),
        Some(Part::Page(html)) => found("text/html; charset=utf-8", html.into()),
        Some(Part::Script(text)) => found("text/javascript; charset=utf-8", text.into()),
        Some(Part::Map(bytes, name)) => found("application/octet-stream", bytes.into())
            .with(header::CONTENT_DISPOSITION, format!("attachment; filename=\"{}\"", plain(&name))),
    };
    Ok(part_of(whole.with(header::ACCEPT_RANGES, "bytes".to_owned()), range))
}

/// The one range of bytes that is asked for. What is no range, or more than one, brings the whole, as RFC 9110 lets a
/// server do.
fn part_of(mut whole: Answer, range: Option<&str>) -> Answer {
    let length = whole.body.len();
    match range.map(|range| one_range(range, length)) {
        Some(Ok(Some(range))) => {
            let (first, last) = range.into_inner();
            whole.body = whole.body.slice(first..=last);
            whole.status = 206;
            whole.with(header::CONTENT_RANGE, format!("bytes {first}-{last}/{length}"))
        }
        Some(Err(Unsatisfiable)) => Answer::text(416, "There are no such bytes.")
            .with(header::CONTENT_RANGE, format!("bytes */{length}"))
            .with(header::ACCEPT_RANGES, "bytes".to_owned()),
        Some(Ok(None)) | None => whole,
    }
}

/// A range that lies behind the end.
struct Unsatisfiable;

/// The bytes of a range, within a length; nothing where the header is not followed.
fn one_range(range: &str, length: usize) -> Result<Option<RangeInclusive<usize>>, Unsatisfiable> {
    let Ok(ranges) = parse_range_header(range) else { return Ok(None) };
    match ranges.validate(length as u64) {
        Ok(ranges) => Ok(match ranges.as_slice() {
            [range] => match (usize::try_from(*range.start()), usize::try_from(*range.end())) {
                (Ok(first), Ok(last)) if first <= last && last < length => Some(first..=last),
                _ => None,
            },
            _ => None,
        }),
        Err(RangeUnsatisfiableError::Unsatisfiable) => Err(Unsatisfiable),
        Err(_) => Ok(None),
    }
}

/// Whether two texts are the same, in a time that does not tell where they differ.
fn same(a: &[u8], b: &[u8]) -> bool {
    a.len() == b.len() && std::hint::black_box(a.iter().zip(b).fold(0, |differ, (a, b)| differ | (a ^ b))) == 0
}

/// A file name that cannot end the header's quotes.
fn plain(name: &str) -> String {
    name.chars().map(|c| if c.is_ascii_alphanumeric() || "-_.".contains(c) { c } else { '_' }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn asked(range: &str) -> (u16, Vec<u8>, Option<String>) {
        let whole =
            Answer { status: 200, kind: "text/plain", body: Bytes::from_static(b"0123456789"), more: Vec::new() };
        let answer = part_of(whole, Some(range));
        let range = answer.more.iter().find(|(name, _)| name == header::CONTENT_RANGE).map(|(_, value)| value.clone());
        (answer.status, answer.body.to_vec(), range)
    }

    #[test]
    fn ranges_as_rfc_9110_has_them() {
        let some = |text: &str| Some(text.to_owned());
        assert_eq!(asked("bytes=0-0"), (206, b"0".to_vec(), some("bytes 0-0/10")));
        assert_eq!(asked("bytes=7-"), (206, b"789".to_vec(), some("bytes 7-9/10")));
        assert_eq!(asked("bytes=-3"), (206, b"789".to_vec(), some("bytes 7-9/10")));
        assert_eq!(asked("bytes=2-99999999999999999999"), (206, b"23456789".to_vec(), some("bytes 2-9/10")));
        assert_eq!(asked("bytes=10-"), (416, b"There are no such bytes.\n".to_vec(), some("bytes */10")));
        for none in ["", "bytes", "bytes=", "lines=1-2", "bytes=3-2", "bytes=1-2,5-6", "bytes=a-b", "bytes=--1"] {
            assert_eq!(asked(none), (200, b"0123456789".to_vec(), None), "{none}");
        }
    }

    proptest! {
        #[test]
        fn no_range_brings_other_bytes_than_it_says(range in "(bytes=)?[0-9,\\- ]{0,12}") {
            let (status, body, said) = asked(&range);
            prop_assert!(matches!(status, 200 | 206 | 416));
            if status == 206 {
                let said = said.unwrap();
                let (first, last) = said["bytes ".len()..said.len() - "/10".len()].split_once('-').unwrap();
                let (first, last): (usize, usize) = (first.parse().unwrap(), last.parse().unwrap());
                prop_assert_eq!(body, b"0123456789"[first..=last].to_vec());
            }
        }
    }
}
