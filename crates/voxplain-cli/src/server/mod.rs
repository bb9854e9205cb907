//! [`Server`]: a report by HTTP, for browsers on this machine alone.
//!
//! It listens on 127.0.0.1. Every address begins with a random token; whoever does not know it learns nothing, not even
//! what there is, and cannot keep out whoever does ([`Connections`]). No time, length or number that a client chooses is
//! without a bound; [`answer`] says what is answered.

mod answer;
mod connections;

use answer::{Answer, Asked, answer};
use anyhow::Context as _;
use connections::Connections;
use http_body_util::Full;
use hyper::{Request, Response, body::Bytes, body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use std::{
    convert::Infallible,
    net::{Ipv4Addr, SocketAddr, TcpListener},
    sync::Arc,
    time::Duration,
};
use tokio::{net::TcpStream, sync::mpsc};
use tokio_io_timeout::TimeoutStream;
use voxplain::{Progress, report::Site};

/// Answers made at once: a scene takes a tenth of a second, and its volumes in memory.
const MAKERS: usize = 4;
/// How often it is asked whether the server is to end, and how long it waits where no connection can be taken.
const LOOK_EVERY: Duration = Duration::from_millis(100);
/// A client has this long to send the head of a request, or its next one.
const HEAD_WITHIN: Duration = Duration::from_secs(20);
/// A client that reads nothing for this long is left.
const READS_WITHIN: Duration = Duration::from_secs(20);
/// Largest head of a request, in bytes: what the page asks for takes 1 KB.
const HEAD_BYTES: usize = 32 << 10;
/// Most lines in it.
const HEAD_LINES: usize = 64;

/// A report that is served.
pub(crate) struct Server {
    listener: TcpListener,
    report: Report,
}

/// What is served, and to whom.
pub(crate) struct Report {
    site: Site,
    address: SocketAddr,
    token: String,
}

/// What every connection shares.
struct Shared {
    report: Report,
    connections: Connections,
    /// What is wrong with the run's files, for the user.
    warnings: mpsc::Sender<String>,
}

impl Server {
    /// Begins to listen, on any free port where that is 0.
    pub(crate) fn new(site: Site, port: u16) -> anyhow::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port))
            .with_context(|| format!("port {port} of 127.0.0.1 cannot be listened on (--port 0 takes a free one)"))?;
        listener.set_nonblocking(true).context("the server cannot be started")?;
        let address = listener.local_addr()?;
        let mut bytes = [0; 16];
        getrandom::fill(&mut bytes).map_err(|e| anyhow::anyhow!("the system gives no random numbers: {e}"))?;
        let token = bytes.iter().map(|b| format!("{b:02x}")).collect();
        Ok(Self { listener, report: Report { site, address, token } })
    }

    /// Where the page is.
    pub(crate) fn url(&self) -> String {
        format!("http://{}/{}/", self.report.address, self.report.token)
    }

    /// Answers until it is told to stop.
    pub(crate) fn run(self, progress: &dyn Progress) -> anyhow::Result<()> {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .max_blocking_threads(MAKERS)
            .enable_all()
            .build()
            .context("the server cannot be started")?;
        let served = runtime.block_on(serve(self, progress));
        // An answer that is being made (a file on a drive that hangs) does not keep the program.
        runtime.shutdown_background();
        served
    }
}

/// Takes connections until it is told to stop.
async fn serve(server: Server, progress: &dyn Progress) -> anyhow::Result<()> {
    let listener = tokio::net::TcpListener::from_std(server.listener).context("the server cannot be started")?;
    let (warnings, mut warned) = mpsc::channel(16);
    let shared = Arc::new(Shared { report: server.report, connections: Connections::default(), warnings });
    let mut look = tokio::time::interval(LOOK_EVERY);
    let mut refused = false;
    loop {
        tokio::select! {
            biased;
            _ = look.tick() => {
                if progress.interrupted() {
                    return Ok(());
                }
            }
            Some(warning) = warned.recv() => progress.warn(&warning),
            taken = listener.accept() => match taken {
                Ok((stream, _)) => {
                    refused = false;
                    Connections::hold(&shared, |id| talk(Arc::clone(&shared), stream, id));
                }
                // Most often no file descriptor is free: a stranger may have them all.
                Err(error) => {
                    if !std::mem::replace(&mut refused, true) {
                        progress.warn(&format!("a connection could not be taken, it is tried again: {error}"));
                    }
                    shared.connections.leave_a_stranger();
                    tokio::time::sleep(LOOK_EVERY).await;
                }
            },
        }
    }
}

/// Answers one client until it or we have had enough.
async fn talk(shared: Arc<Shared>, stream: TcpStream, id: u64) {
    let mut stream = TimeoutStream::new(stream);
    stream.set_write_timeout(Some(READS_WITHIN));
    let service = service_fn(move |request| respond(Arc::clone(&shared), request, id));
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_WITHIN)
        .max_buf_size(HEAD_BYTES)
        .max_headers(HEAD_LINES)
        // Whoever has said all that they will say still gets an answer.
        .half_close(true)
        .serve_connection(TokioIo::new(Box::pin(stream)), service);
    // A client that has gone away, or has sent what is no request, is no error of ours.
    let _ = connection.await;
}

async fn respond(
    shared: Arc<Shared>,
    request: Request<Incoming>,
    id: u64,
) -> Result<Response<Full<Bytes>>, Infallible> {
    let answer = match shared.report.asked(&request) {
        Err(refused) => refused,
        Ok(Asked { name, range }) => {
            shared.connections.knows(id);
            let maker = Arc::clone(&shared);
            let made = tokio::task::spawn_blocking(move || answer(&maker.report.site, &name, range.as_deref())).await;
            made.unwrap_or_else(|e| Err(format!("a part of the report could not be made: {e}"))).unwrap_or_else(
                |wrong| {
                    // Where nobody reads them, the first ones are enough.
                    let _ = shared.warnings.try_send(wrong);
                    Answer::text(500, "This part cannot be made; what is wrong stands where voxplain serve runs.")
                },
            )
        }
    };
    Ok(answer.response(shared.report.site.nonce()))
}
