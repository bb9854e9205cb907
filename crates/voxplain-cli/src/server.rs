//! [`Server`]: a report by HTTP, for browsers on this machine alone.
//!
//! It listens on 127.0.0.1. Every address begins with a random token; whoever does not know it learns nothing, not even
//! what there is. A request is looked up by name among what the page can ask for ([`Site::part`]): no path of it reaches
//! the file system. `Host` is to be this server's own address, so that a page from elsewhere cannot reach it under a name
//! that it has had pointed here. No answer allows another origin anything.

use anyhow::Context as _;
use std::{
    net::{Ipv4Addr, SocketAddr, TcpListener},
    sync::Arc,
    time::Duration,
};
use tiny_http::{Header, Method, Request, Response, StatusCode};
use voxplain::{
    Progress,
    report::{Part, Site},
};

/// Requests answered at once: making a scene takes a tenth of a second.
const WORKERS: usize = 4;
/// How often a worker looks whether it is to end.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// A report that is served.
pub(crate) struct Server {
    http: tiny_http::Server,
    address: SocketAddr,
    token: String,
    site: Site,
}

/// An answer before it is sent.
struct Answer {
    status: u16,
    kind: &'static str,
    body: Vec<u8>,
    more: Vec<(&'static str, String)>,
}

impl Answer {
    fn text(status: u16, text: &str) -> Self {
        Self { status, kind: "text/plain; charset=utf-8", body: format!("{text}\n").into_bytes(), more: Vec::new() }
    }
}

impl Server {
    /// Begins to listen, on any free port where that is 0.
    pub(crate) fn new(site: Site, port: u16) -> anyhow::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port))
            .with_context(|| format!("port {port} of 127.0.0.1 cannot be listened on (--port 0 takes a free one)"))?;
        let address = listener.local_addr()?;
        let http = tiny_http::Server::from_listener(listener, None)
            .map_err(|e| anyhow::anyhow!("the server cannot be started: {e}"))?;
        let mut bytes = [0; 16];
        getrandom::fill(&mut bytes).map_err(|e| anyhow::anyhow!("the system gives no random numbers: {e}"))?;
        let token = bytes.iter().map(|b| format!("{b:02x}")).collect();
        Ok(Self { http, address, token, site })
    }

    /// Where the page is.
    pub(crate) fn url(&self) -> String {
        format!("http://{}/{}/", self.address, self.token)
    }

    /// Answers until it is told to stop.
    pub(crate) fn run(self, progress: &dyn Progress) {
        let shared = Arc::new(self);
        std::thread::scope(|scope| {
            for _ in 0..WORKERS {
                let server = Arc::clone(&shared);
                scope.spawn(move || {
                    while !progress.interrupted() {
                        match server.http.recv_timeout(LOOK_EVERY) {
                            Ok(Some(request)) => server.answer(request, progress),
                            Ok(None) => {}
                            // The listener itself has failed: nothing more will come.
                            Err(error) => {
                                progress.warn(&format!("the server has stopped listening: {error}"));
                                break;
                            }
                        }
                    }
                });
            }
        });
    }

    fn answer(&self, request: Request, progress: &dyn Progress) {
        let host = |header: &&Header| header.field.equiv("Host");
        let hosts: Vec<&str> = request.headers().iter().filter(host).map(|h| h.value.as_str()).collect();
        let answer = self.consider(request.method(), request.url(), &hosts, progress);
        let mut response = Response::from_data(answer.body)
            .with_status_code(StatusCode(answer.status))
            // The length is known: no need for chunks.
            .with_chunked_threshold(usize::MAX);
        let policy = format!(
            "default-src 'none'; script-src 'nonce-{}'; style-src 'unsafe-inline'; font-src data:; img-src data: blob:; connect-src 'self'; \
             base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
            self.site.nonce()
        );
        let always = [
            ("Content-Type", answer.kind.to_owned()),
            ("Content-Security-Policy", policy),
            ("X-Content-Type-Options", "nosniff".to_owned()),
            ("Referrer-Policy", "no-referrer".to_owned()),
            ("Cross-Origin-Resource-Policy", "same-origin".to_owned()),
            ("Cross-Origin-Opener-Policy", "same-origin".to_owned()),
            ("Cache-Control", "no-store".to_owned()),
        ];
        for (name, value) in always.into_iter().chain(answer.more) {
            if let Ok(header) = Header::from_bytes(name, value) {
                response.add_header(header);
            }
        }
        // A browser that has gone away meanwhile is no error.
        let _ = request.respond(response);
    }

    fn consider(&self, method: &Method, url: &str, hosts: &[&str], progress: &dyn Progress) -> Answer {
        let own = [self.address.to_string(), format!("localhost:{}", self.address.port())];
        if hosts.len() != 1 || !own.iter().any(|o| hosts[0].eq_ignore_ascii_case(o)) {
            return Answer::text(403, "This server answers under its own address only.");
        }
        if !matches!(method, Method::Get | Method::Head) {
            let more = vec![("Allow", "GET, HEAD".to_owned())];
            return Answer { more, ..Answer::text(405, "This server only gives: GET and HEAD.") };
        }
        let Some(name) = self.name(url) else {
            return Answer::text(404, "Not here. The address is the one that voxplain serve printed, whole.");
        };
        match self.site.part(name) {
            Ok(None) => Answer::text(404, "The report has no such part."),
            Ok(Some(Part::Page(html))) => {
                Answer { status: 200, kind: "text/html; charset=utf-8", body: html.into_bytes(), more: Vec::new() }
            }
            Ok(Some(Part::Script(text))) => Answer {
                status: 200,
                kind: "text/javascript; charset=utf-8",
                body: text.into_bytes(),
                more: Vec::new(),
            },
            Ok(Some(Part::Map(bytes, name))) => Answer {
                status: 200,
                kind: "application/octet-stream",
                body: bytes,
                more: vec![("Content-Disposition", format!("attachment; filename=\"{}\"", plain(&name)))],
            },
            Err(error) => {
                progress.warn(&error.to_string());
                Answer::text(500, "This part cannot be made; what is wrong stands where voxplain serve runs.")
            }
        }
    }

    /// What is asked for after the token.
    fn name<'a>(&self, url: &'a str) -> Option<&'a str> {
        let (token, name) = url.strip_prefix('/')?.split_once('/')?;
        same(token.as_bytes(), self.token.as_bytes()).then_some(name)
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
