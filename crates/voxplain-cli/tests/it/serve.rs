//! `voxplain serve`, asked over TCP as any client could ask.

use crate::support;
use std::{
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::TcpStream,
    path::Path,
    process::{Child, Command, Stdio},
    time::Duration,
};

fn voxplain(folder: &Path, line: &str) -> Command {
    let words: Vec<&str> = line.split(' ').collect();
    let mut command = support::voxplain(folder, &words);
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

fn made_run(folder: &Path) {
    for words in [
        "simulate --out cohort --subjects 8 --grid 30x36x30 --spacing 6",
        "train cohort --label label --folds 2 --epochs 1 --batch 4 --width 2 --out run",
        "explain run --method hires-cam",
        "group run",
    ] {
        let output = voxplain(folder, words).output().unwrap();
        assert!(output.status.success(), "{words}: {}", String::from_utf8_lossy(&output.stderr));
    }
}

/// A server that is ended with the test.
struct Served {
    child: Child,
    port: u16,
    token: String,
}

impl Served {
    fn new(folder: &Path) -> Self {
        Self::of(voxplain(folder, "serve run"))
    }

    fn of(mut command: Command) -> Self {
        let mut child = command.spawn().unwrap();
        let mut url = String::new();
        BufReader::new(child.stdout.as_mut().unwrap()).read_line(&mut url).unwrap();
        let (port, token) = parts(url.trim());
        Self { child, port, token }
    }

    fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(("127.0.0.1", self.port)).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
        stream
    }

    /// The status, the head and the body of what is answered to these bytes; nothing where there is no answer.
    fn raw(&self, request: &[u8]) -> Option<(u16, String, Vec<u8>)> {
        let mut stream = self.connect();
        // The server may hang up before it has all of a request that is none.
        let _ = stream.write_all(request);
        let _ = stream.shutdown(std::net::Shutdown::Write);
        let mut bytes = Vec::new();
        let _ = stream.read_to_end(&mut bytes);
        let end = bytes.windows(4).position(|w| w == b"\r\n\r\n")? + 4;
        let head = String::from_utf8(bytes[..end].to_vec()).unwrap();
        let status = head.split(' ').nth(1)?.parse().ok()?;
        Some((status, head, bytes[end..].to_vec()))
    }

    fn ask(&self, method: &str, path: &str, host: &str) -> (u16, String, Vec<u8>) {
        let request = format!("{method} {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n");
        self.raw(request.as_bytes()).unwrap()
    }

    fn get(&self, path: &str) -> (u16, String, Vec<u8>) {
        self.ask("GET", path, &format!("127.0.0.1:{}", self.port))
    }

    /// Of a name after the token.
    fn part(&self, name: &str) -> (u16, String, Vec<u8>) {
        self.get(&format!("/{}/{name}", self.token))
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn parts(url: &str) -> (u16, String) {
    let rest = url.strip_prefix("http://127.0.0.1:").unwrap_or_else(|| panic!("{url}"));
    let (port, token) = rest.strip_suffix('/').unwrap().split_once('/').unwrap();
    assert!(token.len() == 32 && token.bytes().all(|b| b.is_ascii_hexdigit()), "{url}");
    (port.parse().unwrap(), token.to_owned())
}

#[test]
fn it_gives_the_report_to_who_knows_the_address_and_nothing_else() {
    let folder = tempfile::tempdir().unwrap();
    made_run(folder.path());
    let before = files(folder.path());
    let served = Served::new(folder.path());
    let token = served.token.clone();

    // The page, the volumes of a scene, a map as it is in the run.
    let (status, head, body) = served.part("");
    assert_eq!(status, 200);
    assert!(head.contains("text/html") && body.starts_with(b"<!DOCTYPE html>"));
    assert!(head.contains("connect-src 'self'") && head.contains("default-src 'none'") && head.contains("nosniff"));
    assert!(!head.to_ascii_lowercase().contains("access-control"), "{head}");
    let (status, head, body) = served.part("scenes/0.js");
    assert!(status == 200 && head.contains("text/javascript") && body.starts_with(b"Object.assign("));
    let (status, _, body) = served.part("maps/0-0.nii.gz");
    let map = folder.path().join("run/group/group-all_stat-mean_desc-hirescam_attribution.nii.gz");
    assert!(status == 200 && body == std::fs::read(map).unwrap(), "a map's bytes are its file's");
    let (status, head, body) = served.ask("HEAD", &format!("/{token}/"), &format!("localhost:{}", served.port));
    assert!(status == 200 && body.is_empty() && head.contains("text/html"));

    // Without the token, or with another, there is nothing.
    let other: String = token.bytes().map(|b| if b == b'0' { '1' } else { '0' }).collect();
    for path in [
        "/",
        "/scenes/0.js",
        &format!("/{other}/"),
        &format!("/{}/", &token[..31]),
        &format!("/{token}0/"),
        &format!("/{token}"),
    ] {
        assert_eq!(served.get(path).0, 404, "{path}");
    }
    // It only gives.
    for method in ["POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "CONNECT", "BREW"] {
        assert_eq!(served.ask(method, &format!("/{token}/"), &format!("127.0.0.1:{}", served.port)).0, 405, "{method}");
    }
    // No path leads to a file.
    for name in [
        "manifest.json",
        "../run/manifest.json",
        "%2e%2e/run/manifest.json",
        "..%2fmanifest.json",
        "/etc/passwd",
        "%2fetc%2fpasswd",
        "scenes/../../manifest.json",
        "scenes/%2e%2e/%2e%2e/manifest.json",
        "maps/0-0.nii.gz/..",
        "scenes/999.js",
        "scenes/0.js?x",
        "file:///etc/passwd",
        "..\\manifest.json",
        "C:\\manifest.json",
        "scenes/0.js%00",
    ] {
        let (status, _, body) = served.part(name);
        assert_eq!((status, body), (404, b"The report has no such part.\n".to_vec()), "{name}");
    }
    for path in [
        "/../manifest.json",
        "//etc/passwd",
        "/%2e%2e/manifest.json",
        &format!("//{token}/"),
        &format!("http://127.0.0.1/{token}/"),
    ] {
        assert_eq!(served.get(path).0, 404, "{path}");
    }
    // A name that has been pointed here is not this server's.
    for host in ["evil.example", &format!("evil.example:{}", served.port), "127.0.0.1", "127.0.0.1:1", "[::1]:80", ""] {
        assert_eq!(served.ask("GET", &format!("/{token}/"), host).0, 403, "{host:?}");
    }
    let own = format!("Host: 127.0.0.1:{}", served.port);
    let without = served.raw(format!("GET /{token}/ HTTP/1.1\r\nConnection: close\r\n\r\n").as_bytes()).unwrap();
    let twice = format!("GET /{token}/ HTTP/1.1\r\n{own}\r\nHost: evil.example\r\nConnection: close\r\n\r\n");
    assert_eq!((without.0, served.raw(twice.as_bytes()).unwrap().0), (403, 403));

    // What is no request gets no answer of use and does no harm.
    let long = format!("GET /{} HTTP/1.1\r\n{own}\r\nConnection: close\r\n\r\n", "a".repeat(1 << 20));
    let many = format!("GET /{token}/ HTTP/1.1\r\n{}\r\n", "X: y\r\n".repeat(20_000));
    for wrong in [
        &b""[..],
        b"\r\n\r\n",
        b"GET\r\n\r\n",
        b"GET / HTTP/9.9\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01",
        &[0xff; 4096],
        b"GET / HTTP/1.1\r\nno colon\r\n\r\n",
        b"GET / HTTP/1.1\r\nContent-Length: -5\r\n\r\n",
        b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        "GET /\u{e9} HTTP/1.1\r\n\r\n".as_bytes(),
        long.as_bytes(),
        many.as_bytes(),
    ] {
        if let Some((status, _, body)) = served.raw(wrong) {
            assert!(status >= 400, "{:?}: {status} {}", &wrong[..wrong.len().min(40)], String::from_utf8_lossy(&body));
        }
    }
    assert_eq!(served.part("").0, 200, "still there");

    #[cfg(target_os = "linux")]
    {
        // Addresses that listen on the port, as the kernel has them: 127.0.0.1 alone.
        let port = format!(":{:04X} ", served.port);
        let listening = |table: &str| -> Vec<String> {
            let text = std::fs::read_to_string(table).unwrap_or_default();
            let local = |line: &str| {
                Some((line.split_whitespace().nth(1)?.to_owned(), line.split_whitespace().nth(3)? == "0A"))
            };
            let all =
                text.lines().filter_map(local).filter(|(a, listens)| *listens && format!("{a} ").ends_with(&port));
            all.map(|(a, _)| a).collect()
        };
        assert_eq!(listening("/proc/net/tcp"), [format!("0100007F{}", port.trim_end())]);
        assert_eq!(listening("/proc/net/tcp6"), [] as [String; 0]);
    }
    assert_eq!(files(folder.path()), before, "nothing was written");
}

/// Every file with its length.
fn files(folder: &Path) -> Vec<(std::path::PathBuf, u64)> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap().map(Result::unwrap) {
        if entry.path().is_dir() {
            found.extend(files(&entry.path()));
        } else {
            found.push((entry.path(), entry.metadata().unwrap().len()));
        }
    }
    found.sort();
    found
}

#[test]
#[cfg(unix)]
fn ctrl_c_ends_it_and_every_server_has_an_address_of_its_own() {
    let folder = tempfile::tempdir().unwrap();
    for words in [
        "simulate --out cohort --subjects 8 --grid 30x36x30 --spacing 6",
        "train cohort --label label --folds 2 --epochs 1 --batch 4 --width 2 --out run",
    ] {
        assert!(voxplain(folder.path(), words).output().unwrap().status.success());
    }
    // A run without maps has a page too.
    let mut served = Served::new(folder.path());
    assert_eq!(served.part("").0, 200);
    assert_eq!(served.part("scenes/0.js").0, 404);

    let taken = voxplain(folder.path(), &format!("serve run --port {}", served.port)).output().unwrap();
    let said = String::from_utf8_lossy(&taken.stderr).into_owned();
    assert!(taken.status.code() == Some(1) && said.contains(&format!("port {} of 127.0.0.1", served.port)), "{said}");

    let mut second = voxplain(folder.path(), "serve run --json").spawn().unwrap();
    let mut json = String::new();
    let mut out = BufReader::new(second.stdout.take().unwrap());
    while !json.trim_end().ends_with('}') {
        assert!(out.read_line(&mut json).unwrap() > 0, "{json}");
    }
    let document: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_ne!(parts(document["url"].as_str().unwrap()).1, served.token);
    for child in [&mut second, &mut served.child] {
        assert!(Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap().success());
        assert_eq!(child.wait().unwrap().code(), Some(0));
    }
    let mut said = String::new();
    served.child.stderr.take().unwrap().read_to_string(&mut said).unwrap();
    assert!(said.contains("stopped; nothing was written"), "{said}");
    assert!(TcpStream::connect(("127.0.0.1", served.port)).is_err());

    let none = voxplain(folder.path(), "serve cohort").output().unwrap();
    assert!(none.status.code() == Some(1) && String::from_utf8_lossy(&none.stderr).contains("is no run"));
}

#[test]
fn a_part_can_be_asked_for_in_pieces() {
    let folder = tempfile::tempdir().unwrap();
    made_run(folder.path());
    let served = Served::new(folder.path());
    let whole = served.part("maps/0-0.nii.gz").2;
    let asked = |range: &str| {
        let head = format!("GET /{}/maps/0-0.nii.gz HTTP/1.1\r\nHost: 127.0.0.1:{}\r\n", served.token, served.port);
        served.raw(format!("{head}Connection: close\r\n{range}\r\n").as_bytes()).unwrap()
    };
    let (status, head, body) = asked("Range: bytes=10-29\r\n");
    let said = format!("content-range: bytes 10-29/{}", whole.len());
    assert!(status == 206 && head.to_ascii_lowercase().contains(&said) && body == whole[10..30], "{head}");
    let (status, head, _) = asked("Range: bytes=99999999-\r\n");
    assert!(status == 416 && head.contains(&format!("bytes */{}", whole.len())), "{head}");
    // No version is named by this server, so that a range of a certain version is a range of none.
    assert_eq!(asked("Range: bytes=10-29\r\nIf-Range: \"a\"\r\n").2, whole);
    assert!(asked("").1.to_ascii_lowercase().contains("accept-ranges: bytes"));
}

#[test]
fn no_client_without_the_token_ends_it_fills_it_or_keeps_others_out() {
    let folder = tempfile::tempdir().unwrap();
    made_run(folder.path());
    let served = Served::new(folder.path());
    assert_eq!(served.part("").0, 200);
    let before = peak(&served);
    let host = format!("Host: 127.0.0.1:{}", served.port);

    // Bodies that are announced, with the token and without.
    for length in [
        "1",
        "100000000000",
        "9223372036854775807",
        "18446744073709551614",
        "18446744073709551615",
        "99999999999999999999",
    ] {
        for path in ["/wrong", &format!("/{}/", served.token)] {
            for method in ["GET", "POST"] {
                let head = format!("{method} {path} HTTP/1.1\r\n{host}\r\nContent-Length: {length}\r\n\r\n");
                if let Some((status, ..)) = served.raw(head.as_bytes()) {
                    assert!(status >= 400, "{head}: {status}");
                }
            }
        }
    }
    assert_eq!(served.part("").0, 200, "still there");

    // Lines without end: it hangs up long before this many bytes.
    let mut endless = served.connect();
    let line = format!("X-Long: {}\r\n", "y".repeat(8000)).repeat(8);
    let _ = endless.write_all(b"GET / HTTP/1.1\r\n");
    let sent = (0..2000).take_while(|_| endless.write_all(line.as_bytes()).is_ok()).count();
    assert!(sent < 2000, "128 MB of header lines were taken");
    #[cfg(target_os = "linux")]
    assert!(peak(&served) < before + 64_000, "{} KB, {before} before", peak(&served));

    // Many who connect and say nothing, begin and do not end, or announce and do not send.
    let beginnings =
        ["", "G", "GET / HTTP/1.1\r\nHost: x\r\n", "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 99\r\n\r\n"];
    let mut held = Vec::new();
    for n in 0..160 {
        let mut stream = served.connect();
        let _ = stream.write_all(beginnings[n % beginnings.len()].as_bytes());
        held.push(stream);
    }
    assert_eq!(served.part("scenes/0.js").0, 200, "beside {} strangers", held.len());
    // Some who know the token, ask for everything, and read nothing.
    let ask = format!("GET /{}/ HTTP/1.1\r\n{host}\r\n\r\n", served.token).repeat(8);
    for _ in 0..80 {
        let mut stream = served.connect();
        let _ = stream.write_all(ask.as_bytes());
        held.push(stream);
    }
    assert_eq!(served.part("scenes/0.js").0, 200, "beside {} who do not read", held.len());

    #[cfg(unix)]
    {
        let mut served = served;
        assert!(Command::new("kill").args(["-INT", &served.child.id().to_string()]).status().unwrap().success());
        assert_eq!(served.child.wait().unwrap().code(), Some(0), "Ctrl-C ends it with all of them connected");
    }
}

/// The most memory that a server has had, in KB.
fn peak(served: &Served) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", served.child.id())).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap_or("0 kB");
    line.trim().trim_end_matches("kB").trim().parse().unwrap()
}

#[test]
#[cfg(target_os = "linux")]
fn it_goes_on_when_no_descriptor_was_free() {
    let folder = tempfile::tempdir().unwrap();
    made_run(folder.path());
    // Fewer than the strangers that it would hold.
    let mut command = Command::new("sh");
    let line = format!("ulimit -n 32; exec {} serve run", env!("CARGO_BIN_EXE_voxplain"));
    command.args(["-c", &line]).current_dir(folder.path()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let served = Served::of(command);
    let held: Vec<TcpStream> = (0..100).map(|_| served.connect()).collect();
    assert_eq!(served.part("scenes/0.js").0, 200);
    drop(held);
    assert_eq!(served.part("").0, 200);
}
