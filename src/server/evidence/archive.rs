//! The ZIP file: every file hashed as it is written, and nothing in it of the
//! time or the machine that wrote it.

use crate::core::evidence::FileFacts;
use crate::core::hex::hex;
use sha2::{Digest as _, Sha256};
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufWriter, Write as _};
use zip::result::ZipResult;
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, DateTime, ZipWriter};

pub(super) struct Archive<'f> {
    zip: ZipWriter<BufWriter<&'f File>>,
    open: Option<(String, Sha256, u64)>,
    files: BTreeMap<String, FileFacts>,
}

impl<'f> Archive<'f> {
    pub fn new(file: &'f File) -> Self {
        let zip = ZipWriter::new(BufWriter::with_capacity(1 << 17, file));
        Self { zip, open: None, files: BTreeMap::new() }
    }

    /// Begins the next file.
    pub fn start(&mut self, name: &str) -> ZipResult<()> {
        self.close();
        let options = SimpleFileOptions::default()
            .compression_method(CompressionMethod::Deflated)
            .last_modified_time(DateTime::DEFAULT)
            .unix_permissions(0o644)
            .large_file(true);
        self.zip.start_file(name, options)?;
        self.open = Some((name.to_owned(), Sha256::new(), 0));
        Ok(())
    }

    pub fn write(&mut self, bytes: &[u8]) -> ZipResult<()> {
        if let Some((_, hash, length)) = &mut self.open {
            hash.update(bytes);
            *length += bytes.len() as u64;
        }
        Ok(self.zip.write_all(bytes)?)
    }

    pub fn file(&mut self, name: &str, bytes: &[u8]) -> ZipResult<()> {
        self.start(name)?;
        self.write(bytes)
    }

    /// All that are whole.
    pub fn files(&mut self) -> &BTreeMap<String, FileFacts> {
        self.close();
        &self.files
    }

    pub fn finish(mut self) -> ZipResult<()> {
        self.close();
        Ok(self.zip.finish()?.flush()?)
    }

    fn close(&mut self) {
        if let Some((name, hash, bytes)) = self.open.take() {
            let sha256 = hex(&hash.finalize());
            self.files.insert(name, FileFacts { bytes, sha256 });
        }
    }
}
