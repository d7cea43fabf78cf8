//! The record as text for people, beside the record: `logs/<agent>/<id>.log`. It is made of the sealed
//! lines, as often as it lacks.

use std::fs::{self, File};
use std::io::{self, BufRead, BufReader, BufWriter, Write};
use std::path::Path;

use super::document::Document;
use super::layout::{Layout, OUTPUT};
use crate::api::event::MAX_BYTES;
use crate::plan::readable;

/// Writes the log of the sealed record in this folder, if there is none.
pub fn write(folder: &Path, document: &Document) -> io::Result<()> {
    let Some(path) = Layout::log(folder, document) else {
        return Ok(());
    };
    if path.exists() {
        return Ok(());
    }
    if let Some(parent) = path.parent() {
        fs::create_dir_all(parent)?;
    }
    let draft = path.with_added_extension("new");
    let mut lines = BufReader::new(File::open(folder.join(OUTPUT))?);
    let mut log = BufWriter::new(File::create(&draft)?);
    let mut line = Vec::new();
    while next_line(&mut lines, 2 * MAX_BYTES, &mut line)?.is_some() {
        let event = serde_json::from_slice(&line).ok();
        if let Some(text) = event.as_ref().and_then(readable::line) {
            log.write_all(text.as_bytes())?;
        }
    }
    log.into_inner()
        .map_err(io::IntoInnerError::into_error)?
        .sync_all()?;
    fs::rename(&draft, &path)
}

/// Reads the next line, of which it keeps at most `most` bytes. Gives its length, its end included; none
/// at the end of what there is.
pub fn next_line(
    reader: &mut impl BufRead,
    most: usize,
    line: &mut Vec<u8>,
) -> io::Result<Option<u64>> {
    line.clear();
    let mut length = 0;
    loop {
        let piece = reader.fill_buf()?;
        if piece.is_empty() {
            return Ok((length > 0).then_some(length));
        }
        let newline = memchr::memchr(b'\n', piece);
        let taken = newline.map_or(piece.len(), |newline| newline + 1);
        let room = most.saturating_sub(line.len()).min(taken);
        line.extend_from_slice(&piece[..room]);
        reader.consume(taken);
        length += taken as u64;
        if newline.is_some() {
            return Ok(Some(length));
        }
    }
}
