//! What a store before us left on the volume: records that go on, and seals that were half done.

use std::collections::HashMap;
use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;

use chrono::{DateTime, Utc};
use tracing::error;

use super::disk::Disk;
use super::document::{Document, Seal};
use super::gate::RecordKey;
use super::layout::{Layout, OUTPUT};
use super::lines::End;
use super::news::News;
use super::outbox::Outbox;
use super::published::Published;
use super::record::Record;

/// Finds all records that are not sealed, and tells again how far they are and of their verdicts: nobody
/// knows whether somebody heard of them. One that can't be read stops nobody else's; nothing is added to it.
pub fn recover(
    layout: &Layout,
    published: &Published,
    outbox: &Outbox,
    disk: &mut dyn Disk,
    clock: fn() -> DateTime<Utc>,
) -> io::Result<HashMap<RecordKey, Record>> {
    let mut records = HashMap::new();
    let mut finished = Vec::new();
    for folder in layout.every()? {
        let record = match open(&folder, &mut finished) {
            Ok(Some(record)) => record,
            Ok(None) => continue,
            Err(error) => {
                error!(folder = %folder.display(), %error, "this record can't be read");
                continue;
            }
        };
        published.tell(&record.key, &record.folder, record.tail());
        for news in last_words(&record, clock()) {
            outbox.tell(news);
        }
        records.insert(record.key.clone(), record);
    }
    for file in finished {
        disk.sync_file(&file)?;
    }
    Ok(records)
}

/// None when nothing can be added to it. A file whose seal had to be finished is still to be synced.
fn open(folder: &Path, finished: &mut Vec<File>) -> io::Result<Option<Record>> {
    let Some(document) = Document::read(folder)? else {
        return Ok(None);
    };
    match &document.sealed {
        Some(seal) => {
            finished.extend(finish_seal(&folder.join(OUTPUT), seal)?);
            Ok(None)
        }
        None => Record::recover(folder.to_owned(), document).map(Some),
    }
}

/// Writes closing lines that stand in the document alone. Gives the file when it is still to be synced.
pub fn finish_seal(output: &Path, seal: &Seal) -> io::Result<Option<File>> {
    let length = output.metadata()?.len();
    let closing = seal.closing.as_bytes();
    let before = seal.bytes.saturating_sub(closing.len() as u64);
    if length == seal.bytes && ends_with(output, closing, before)? {
        return Ok(None);
    }
    if length < before {
        let message = format!("{length} bytes are left of {}", seal.bytes);
        return Err(io::Error::new(io::ErrorKind::UnexpectedEof, message));
    }
    let file = OpenOptions::new().write(true).open(output)?;
    file.set_len(before)?;
    file.write_all_at(closing, before)?;
    Ok(Some(file))
}

/// After a power cut a file may be as long as it should be, and not hold what it should.
fn ends_with(output: &Path, closing: &[u8], at: u64) -> io::Result<bool> {
    let mut there = vec![0; closing.len()];
    File::open(output)?.read_exact_at(&mut there, at)?;
    Ok(there == closing)
}

fn last_words(record: &Record, now: DateTime<Utc>) -> Vec<News> {
    let mut news = vec![record.growth()];
    let mut altered = record.document.altered.clone();
    match (record.lines.end(), record.document.segments.last()) {
        (Some(End::Verdict(verdict)), Some(segment)) => news.push(News::Verdict {
            record: record.key.clone(),
            attempt: segment.attempt,
            pod_uid: segment.pod_uid.clone(),
            at: now,
            verdict: verdict.clone(),
        }),
        (Some(End::Altered(message)), _) => altered = altered.or(Some(message.clone())),
        _ => {}
    }
    news.extend(altered.map(|message| News::Altered {
        record: record.key.clone(),
        message,
    }));
    news
}
