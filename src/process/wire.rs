//! How what a spawned child must know is written and read: numbers of eight bytes, and bytes behind their length.

use crate::error::{Error, Result};

/// Writes.
#[derive(Debug, Default)]
pub struct Writer(Vec<u8>);

impl Writer {
    /// A number.
    pub fn number(&mut self, number: u64) {
        self.0.extend(number.to_le_bytes());
    }

    /// Bytes of any length.
    pub fn bytes(&mut self, bytes: &[u8]) {
        self.number(bytes.len() as u64);
        self.0.extend(bytes);
    }

    /// All that was written.
    pub fn into_bytes(self) -> Vec<u8> {
        self.0
    }
}

/// Reads what a [`Writer`] wrote.
#[derive(Debug)]
pub struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    /// From the start.
    pub fn new(bytes: &'a [u8]) -> Reader<'a> {
        Reader(bytes)
    }

    /// Whether all has been read.
    pub fn is_at_end(&self) -> bool {
        self.0.is_empty()
    }

    /// A number.
    pub fn number(&mut self) -> Result<u64> {
        let (number, rest) = self.0.split_first_chunk().ok_or_else(damaged)?;
        self.0 = rest;
        Ok(u64::from_le_bytes(*number))
    }

    /// Bytes.
    pub fn bytes(&mut self) -> Result<&'a [u8]> {
        let length = self.number()?;
        let (bytes, rest) =
            usize::try_from(length).ok().and_then(|n| self.0.split_at_checked(n)).ok_or_else(damaged)?;
        self.0 = rest;
        Ok(bytes)
    }

    /// Bytes that are a text.
    pub fn text(&mut self) -> Result<&'a str> {
        std::str::from_utf8(self.bytes()?).map_err(|_| damaged())
    }
}

fn damaged() -> Error {
    Error::internal("what the parent wrote for its child is damaged")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_written_is_read() {
        let mut writer = Writer::default();
        writer.number(u64::MAX);
        writer.bytes(b"abc");
        writer.bytes(b"");
        let bytes = writer.into_bytes();
        let mut reader = Reader::new(&bytes);
        assert_eq!(reader.number().unwrap(), u64::MAX);
        assert_eq!(reader.text().unwrap(), "abc");
        assert_eq!(reader.bytes().unwrap(), b"");
        assert!(reader.number().is_err());
        for cut in 0..bytes.len() {
            let mut reader = Reader::new(&bytes[..cut]);
            let all = reader.number().is_ok() && reader.bytes().is_ok() && reader.bytes().is_ok();
            assert!(!all, "{cut}");
        }
    }

    #[test]
    fn a_mad_length_is_refused() {
        let mut writer = Writer::default();
        writer.number(u64::MAX);
        assert!(Reader::new(&writer.into_bytes()).bytes().is_err());
    }
}
