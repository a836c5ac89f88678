//! The bytes of a DICOM file in order, with the position reached.
//!
//! In: a file on disk, in memory, or inflated while it is read. Out: reads and skips that never go
//! beyond the bytes that remain.

use std::io::{BufReader, Cursor, ErrorKind, Read, Seek, SeekFrom};

use flate2::read::DeflateDecoder;

/// Bytes that can be read, and skipped cheaply if the source allows it.
pub(super) trait Source: Read {
    fn skip(&mut self, count: u64) -> std::io::Result<()>;
}

impl<R: Read + Seek> Source for BufReader<R> {
    fn skip(&mut self, count: u64) -> std::io::Result<()> {
        match i64::try_from(count) {
            Ok(count) => self.seek_relative(count),
            Err(_) => Err(ErrorKind::InvalidInput.into()),
        }
    }
}

impl Source for Cursor<&[u8]> {
    fn skip(&mut self, count: u64) -> std::io::Result<()> {
        self.seek(SeekFrom::Current(i64::try_from(count).map_err(|_| ErrorKind::InvalidInput)?))
            .map(|_| ())
    }
}

impl<R: Read> Source for DeflateDecoder<R> {
    fn skip(&mut self, count: u64) -> std::io::Result<()> {
        match std::io::copy(&mut self.take(count), &mut std::io::sink())? {
            n if n == count => Ok(()),
            _ => Err(ErrorKind::UnexpectedEof.into()),
        }
    }
}

/// A source with the number of bytes taken from it.
pub(super) struct ByteStream<'a> {
    source: &'a mut dyn Source,
    /// Bytes that were peeked at and are still to be read.
    peeked: Vec<u8>,
    at: u64,
    /// End of the source, or the byte at which reading gives up.
    end: u64,
}

impl Read for ByteStream<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let read = if self.peeked.is_empty() {
            self.source.read(buffer)?
        } else {
            let read = self.peeked.as_slice().read(buffer)?;
            self.peeked.drain(..read);
            read
        };
        self.at += read as u64;
        Ok(read)
    }
}

impl<'a> ByteStream<'a> {
    pub(super) fn new(source: &'a mut dyn Source, end: u64) -> Self {
        ByteStream { source, peeked: Vec::new(), at: 0, end }
    }

    /// Number of bytes read or skipped so far.
    pub(super) fn position(&self) -> u64 {
        self.at
    }

    /// Up to `count` bytes, which remain to be read.
    pub(super) fn peek(&mut self, count: usize) -> std::io::Result<&[u8]> {
        if self.peeked.len() < count {
            let missing = (count - self.peeked.len()) as u64;
            (&mut self.source).take(missing).read_to_end(&mut self.peeked)?;
        }
        Ok(&self.peeked[..count.min(self.peeked.len())])
    }

    /// Number of bytes that remain.
    pub(super) fn remaining(&self) -> u64 {
        self.end.saturating_sub(self.at)
    }

    /// Skips `count` bytes.
    pub(super) fn skip(&mut self, count: u64) -> Result<(), String> {
        self.check(count)?;
        let peeked = (self.peeked.len() as u64).min(count);
        self.peeked.drain(..peeked as usize);
        self.source.skip(count - peeked).map_err(|e| ended(self.at, &e))?;
        self.at += count;
        Ok(())
    }

    /// Reads `count` bytes.
    pub(super) fn read_bytes(&mut self, count: u64) -> Result<Vec<u8>, String> {
        self.check(count)?;
        let mut bytes = Vec::with_capacity(count as usize);
        let at = self.at;
        self.take(count).read_to_end(&mut bytes).map_err(|e| ended(at, &e))?;
        if (bytes.len() as u64) < count {
            Err(truncated(at, count, bytes.len() as u64))
        } else {
            Ok(bytes)
        }
    }

    /// Refuses an element of `count` bytes that does not fit into the remaining bytes.
    pub(super) fn check(&self, count: u64) -> Result<(), String> {
        if count > self.remaining() {
            Err(truncated(self.at, count, self.remaining()))
        } else {
            Ok(())
        }
    }
}

fn truncated(at: u64, length: u64, left: u64) -> String {
    format!("the element at byte {at} has a length of {length} bytes, but only {left} are left")
}

fn ended(at: u64, error: &std::io::Error) -> String {
    format!("it ends inside the element at byte {at} ({error})")
}
