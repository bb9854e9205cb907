//! [`Source`]: the bytes of a file with gzip undone; and writing with gzip done.

use crate::{Error, Result};
use flate2::bufread::GzDecoder;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use voxplain_core::atomic_file;

/// What every gzip member begins with.
pub(super) const GZIP: [u8; 2] = [0x1f, 0x8b];

/// Deflate cannot expand a byte to more than 1032 (RFC 1951: 258 bytes from two bits).
pub(super) const MAX_DEFLATE_RATIO: u64 = 1032;

/// A file being read from front to back; gzip (by content, several members too) is undone on the way.
#[derive(Debug)]
pub(super) struct Source {
    path: PathBuf,
    reader: Reader,
    file_len: u64,
    position: u64,
}

#[derive(Debug)]
enum Reader {
    Plain(BufReader<File>),
    Gzip(Box<GzDecoder<BufReader<File>>>),
    /// After the last member, or after what follows it.
    Ended,
}

/// What was found behind the bytes that were asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Trailing {
    /// The file ends there.
    Nothing,
    /// This many bytes more (counted up to a limit).
    Bytes(u64),
    /// The gzip stream is followed by bytes that are no gzip.
    Garbage,
    /// The values are complete, but the end of the gzip stream with its checksum is missing.
    NoChecksum,
}

/// All bytes of a file that is gzip of one member of `len` bytes, with its checksum right; nothing for any other.
pub(super) fn one_member(path: &Path, len: usize) -> Result<Option<Vec<u8>>> {
    const HEAD_AND_TAIL: usize = 18;
    let mut file = voxplain_core::input::open(path).map_err(Error::io(path))?;
    let size = file.metadata().map_err(Error::io(path))?.len();
    let mut start = [0; 2];
    if size < HEAD_AND_TAIL as u64
        || file.read_exact(&mut start).is_err()
        || start != GZIP
        || (len as u64) > size.saturating_mul(MAX_DEFLATE_RATIO)
        || size > len as u64 + (1 << 20)
    {
        return Ok(None);
    }
    file.rewind().map_err(Error::io(path))?;
    let mut packed = Vec::with_capacity(usize::try_from(size).unwrap_or(0));
    file.read_to_end(&mut packed).map_err(Error::io(path))?;
    // The last four bytes of a member say how many it holds.
    let says = packed.last_chunk::<4>().map(|bytes| u32::from_le_bytes(*bytes));
    if says.and_then(|n| usize::try_from(n).ok()) != Some(len) {
        return Ok(None);
    }
    let mut bytes = vec![0; len];
    let done = libdeflater::Decompressor::new().gzip_decompress(&packed, &mut bytes);
    Ok((done == Ok(len)).then_some(bytes))
}

impl Source {
    /// Opens a file and looks whether it is gzipped.
    pub(super) fn open(path: &Path) -> Result<Self> {
        let file = voxplain_core::input::open(path).map_err(Error::io(path))?;
        let meta = file.metadata().map_err(Error::io(path))?;
        if meta.is_dir() {
            return Err(Error::file(path, "is a folder", "name the image file inside it"));
        }
        let mut reader = BufReader::with_capacity(1 << 18, file);
        let gzip = reader.fill_buf().map_err(Error::io(path))?.starts_with(&GZIP);
        let reader = if gzip { Reader::Gzip(Box::new(GzDecoder::new(reader))) } else { Reader::Plain(reader) };
        Ok(Self { path: path.to_owned(), reader, file_len: meta.len(), position: 0 })
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    pub(super) const fn is_compressed(&self) -> bool {
        !matches!(self.reader, Reader::Plain(_))
    }

    /// Number of (uncompressed) bytes taken so far.
    pub(super) const fn position(&self) -> u64 {
        self.position
    }

    /// Size of the file on disk.
    pub(super) const fn file_len(&self) -> u64 {
        self.file_len
    }

    /// Whether the file can hold this many (uncompressed) bytes at all: exact for a plain file, an upper bound for a
    /// compressed one.
    pub(super) const fn may_hold(&self, bytes: u64) -> bool {
        if self.is_compressed() {
            bytes <= self.file_len.saturating_mul(MAX_DEFLATE_RATIO)
        } else {
            bytes <= self.file_len
        }
    }

    /// Appends the next `n` bytes to `out`, fewer where the file ends. Memory grows with what is really there.
    pub(super) fn read_up_to(&mut self, n: u64, out: &mut Vec<u8>) -> Result<()> {
        let likely = if self.is_compressed() { self.file_len.saturating_mul(8) } else { self.file_len };
        out.reserve(usize::try_from(n.min(likely)).unwrap_or(0));
        let mut left = n;
        while left > 0 {
            let got = match &mut self.reader {
                Reader::Plain(r) => r.by_ref().take(left).read_to_end(out),
                Reader::Gzip(r) => r.by_ref().take(left).read_to_end(out),
                Reader::Ended => break,
            };
            let got = got.map_err(|e| self.damaged(e))? as u64;
            self.position += got;
            left -= got;
            if left > 0 && self.next_member() != Next::Member {
                break;
            }
        }
        Ok(())
    }

    /// Passes over the next `n` bytes; false where the file ends before.
    pub(super) fn skip(&mut self, n: u64) -> Result<bool> {
        if let Reader::Plain(r) = &mut self.reader {
            let end = self.position.saturating_add(n);
            if end > self.file_len {
                return Ok(false);
            }
            r.seek(SeekFrom::Start(end)).map_err(Error::io(&self.path))?;
            self.position = end;
            return Ok(true);
        }
        let mut left = n;
        let mut buffer = Vec::new();
        while left > 0 {
            buffer.clear();
            self.read_up_to(left.min(1 << 20), &mut buffer)?;
            if buffer.is_empty() {
                return Ok(false);
            }
            left -= buffer.len() as u64;
        }
        Ok(true)
    }

    /// What lies behind the position; reads on to the end, so that a gzip checksum is verified. A wrong
    /// checksum is an error: some byte of the values is not what was written.
    pub(super) fn trailing(&mut self) -> Result<Trailing> {
        const LIMIT: u64 = 1 << 28;
        if let Reader::Plain(_) = self.reader {
            let more = self.file_len.saturating_sub(self.position);
            return Ok(if more == 0 { Trailing::Nothing } else { Trailing::Bytes(more) });
        }
        let mut more = 0;
        let mut buffer = vec![0; 1 << 16];
        while let Reader::Gzip(r) = &mut self.reader {
            match r.read(&mut buffer) {
                Ok(0) => match self.next_member() {
                    Next::Member => {}
                    Next::End => break,
                    Next::Garbage => return Ok(Trailing::Garbage),
                },
                Ok(n) => more += n as u64,
                Err(e) if e.kind() == io::ErrorKind::UnexpectedEof && more == 0 => return Ok(Trailing::NoChecksum),
                Err(e) => return Err(self.damaged(e)),
            }
            if more > LIMIT {
                break;
            }
        }
        Ok(if more == 0 { Trailing::Nothing } else { Trailing::Bytes(more) })
    }

    /// Moves from a finished gzip member to what follows: another member, zero padding, the end, or something else.
    fn next_member(&mut self) -> Next {
        let Reader::Gzip(decoder) = std::mem::replace(&mut self.reader, Reader::Ended) else { return Next::End };
        let mut rest = decoder.into_inner();
        loop {
            let Ok(bytes) = rest.fill_buf() else { return Next::Garbage };
            if bytes.is_empty() {
                return Next::End;
            }
            if bytes.starts_with(&GZIP) || bytes == &GZIP[..1] {
                self.reader = Reader::Gzip(Box::new(GzDecoder::new(rest)));
                return Next::Member;
            }
            let zeros = bytes.iter().take_while(|&&b| b == 0).count();
            if zeros == 0 {
                return Next::Garbage;
            }
            rest.consume(zeros);
        }
    }

    fn damaged(&self, error: io::Error) -> Error {
        use io::ErrorKind::{InvalidData, InvalidInput, UnexpectedEof};
        let at = self.position;
        match error.kind() {
            UnexpectedEof => Error::file(
                &self.path,
                format!("the gzip stream is cut off after about {at} bytes of content"),
                "copy or download the file again",
            ),
            InvalidData | InvalidInput => Error::file(
                &self.path,
                format!("the gzip stream is damaged ({error}) after about {at} bytes of content"),
                "copy or download the file again; `gzip -t` shows whether the copy is whole",
            ),
            _ => Error::io(&self.path)(error),
        }
    }
}

#[derive(PartialEq)]
enum Next {
    Member,
    End,
    Garbage,
}

/// Writes an [atomic file](voxplain_core::atomic_file), gzipped if the name ends in `.gz`. The gzip header carries
/// neither time nor name, so that equal content gives equal files.
pub(super) fn write(path: &Path, bytes: &[u8]) -> Result<()> {
    let compress = path.extension().is_some_and(|e| e.eq_ignore_ascii_case("gz"));
    let content = |file: &mut dyn Write| {
        if !compress {
            return file.write_all(bytes);
        }
        // Level 4: within a few percent of level 6 on float maps at a third of its time.
        let level = flate2::Compression::new(4);
        let mut gz = flate2::GzBuilder::new().mtime(0).operating_system(255).write(file, level);
        gz.write_all(bytes)?;
        gz.finish().map(|_| ())
    };
    atomic_file::write_with(path, content).map_err(Error::io(path))
}
