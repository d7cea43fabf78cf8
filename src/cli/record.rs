//! Reading a Job's record through the API server. A follow crosses restarts of the store, of the gateway
//! and of the API server: every byte that came is counted, and what is asked for next begins there.

use std::time::Duration;

use bytes::Bytes;
use chrono::{DateTime, SecondsFormat, Utc};
use http::Request;
use http_body_util::BodyExt;
use kube::{client::Body, core::Status};
use tokio::time::{Instant, sleep_until, timeout};

use self::{answer::OutputError, pause::Pause};
use super::{
    cluster::{CALL_TIMEOUT, Cluster, explain},
    error::CliError,
    view::short,
};
use crate::api::{
    GROUP,
    protocol::{BEGINS, FOLLOW, OFFSET, RECORD_UID, RecordInfo, SINCE, TAIL},
};

pub mod answer;
mod pause;

/// The version under which the aggregated API is served.
const VERSION: &str = "output-v1";
/// A connection that is silent for so long is checked: the other side may be gone without a word.
const SILENCE: Duration = Duration::from_secs(60);
/// What an API server says that has just started (no such kind, no right) is believed after this.
pub const GRACE: Duration = Duration::from_secs(10);
/// A store that has not answered a short question by then is said not to.
pub const STORE_PATIENCE: Duration = Duration::from_secs(3);
/// What is over so soon is not worth a word; and what stands for so long is back.
const BLIP: Duration = Duration::from_secs(1);

/// Which lines.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Wanted {
    /// Until the record is sealed.
    pub follow: bool,
    /// The last so many.
    pub tail: Option<u64>,
    /// From the first on that is not older.
    pub since: Option<DateTime<Utc>>,
}

impl Wanted {
    /// From the first line on.
    pub fn is_all(self) -> bool {
        self.tail.is_none() && self.since.is_none()
    }
}

/// What a reader meets.
#[derive(Debug)]
pub enum News {
    Bytes(Bytes),
    /// Somebody on the way does not answer, in these words; told once, then the reader tries on.
    Away(String),
    /// What was away is back.
    Back,
    /// All that the record had when it was asked for has come, see [`Reader::tell_now`].
    Now,
    End,
}

/// A Job's record.
#[derive(Clone, Copy)]
pub struct Record<'a> {
    pub cluster: &'a Cluster,
    pub job: &'a str,
}

impl<'a> Record<'a> {
    /// What the store knows of it.
    pub async fn info(self, patience: Duration) -> Result<RecordInfo, OutputError> {
        let asked = timeout(patience, self.get("")).await;
        let body = asked.map_err(|_| OutputError::silent(patience))??;
        let whole = timeout(patience, body.body.collect()).await;
        let bytes = whole
            .map_err(|_| OutputError::silent(patience))?
            .map_err(|error| OutputError::of(self, &error))?
            .to_bytes();
        serde_json::from_slice(&bytes).map_err(OutputError::strange)
    }

    /// The right that is needed.
    fn request(self) -> explain::Request<'a> {
        self.cluster
            .request("get", "joboutputs/log")
            .named(self.job)
    }

    /// Its lines. Nothing is asked before the first [`Reader::next`].
    pub fn read(self, wanted: Wanted) -> Reader<'a> {
        Reader {
            record: self,
            wanted,
            place: wanted.is_all().then_some(0),
            begins: None,
            now: Now::Untold,
            uid: None,
            body: None,
            begun: false,
            pause: Pause::default(),
            away: None,
            waiting: None,
        }
    }

    async fn get(self, query: &str) -> Result<Answer, OutputError> {
        let (namespace, job) = (&self.cluster.namespace, self.job);
        let path =
            format!("/apis/{GROUP}/{VERSION}/namespaces/{namespace}/joboutputs/{job}{query}");
        let request = Request::get(path)
            .body(Body::empty())
            .map_err(OutputError::strange)?;
        let answer = self.cluster.client.send(request).await;
        let answer = answer.map_err(|error| OutputError::of(self, &error))?;
        let (parts, body) = answer.into_parts();
        if !parts.status.is_success() {
            let text = timeout(CALL_TIMEOUT, body.collect()).await;
            let text = text.ok().and_then(Result::ok).map(|text| text.to_bytes());
            let text = text.unwrap_or_default();
            let status: Option<Status> = serde_json::from_slice(&text).ok();
            let words = String::from_utf8_lossy(&text);
            return Err(OutputError::refused(
                self,
                parts.status.as_u16(),
                status,
                &words,
            ));
        }
        let header = |name| parts.headers.get(name)?.to_str().ok();
        Ok(Answer {
            begins: header(BEGINS).and_then(|text| text.parse().ok()),
            uid: header(RECORD_UID).map(str::to_owned),
            body,
        })
    }
}

/// An answer whose body is still to come.
struct Answer {
    begins: Option<u64>,
    uid: Option<String>,
    body: Body,
}

/// The lines of a record as they come.
pub struct Reader<'a> {
    record: Record<'a>,
    wanted: Wanted,
    /// The byte of the record that comes next, once it is known.
    place: Option<u64>,
    /// The first byte that came.
    begins: Option<u64>,
    now: Now,
    /// Of the Job whose record it is.
    uid: Option<String>,
    body: Option<Body>,
    /// The record has answered once.
    begun: bool,
    pause: Pause,
    /// Since no more bytes come, because somebody on the way is away or breaks off again and again.
    away: Option<Away>,
    /// What came while the person had still to be told that it comes again.
    waiting: Option<Bytes>,
}

/// Whether it is told that all has come that was there at first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Now {
    /// It is not, or it has been.
    Untold,
    /// It will be, and the record's size is still to be asked for.
    Wanted,
    /// The record had so many bytes.
    At(u64),
}

#[derive(Clone, Copy, Debug)]
struct Away {
    since: Instant,
    /// The person knows.
    told: bool,
}

impl Default for Away {
    fn default() -> Self {
        Away {
            since: Instant::now(),
            told: false,
        }
    }
}

impl Reader<'_> {
    /// From this byte of the record on.
    #[must_use]
    pub fn at(self, place: u64) -> Self {
        Reader {
            place: Some(place),
            ..self
        }
    }

    /// Says [`News::Now`] once all has come that the record has by now.
    #[must_use]
    pub fn tell_now(self) -> Self {
        Reader {
            now: Now::Wanted,
            ..self
        }
    }

    /// True when there may be lines before the first that came.
    pub fn is_late(&self) -> bool {
        self.begins.is_some_and(|begins| begins > 0)
    }

    /// What comes next. It may be dropped at any await: whatever is taken is given at once.
    pub async fn next(&mut self) -> Result<News, CliError> {
        if let Some(bytes) = self.waiting.take() {
            return Ok(News::Bytes(bytes));
        }
        loop {
            let unsteady = self.wanted.follow && self.away.is_some();
            let Some(body) = &mut self.body else {
                if let Some(news) = self.connect().await? {
                    return Ok(news);
                }
                continue;
            };
            match self.now {
                Now::Untold => {}
                Now::At(size) if self.place.is_none_or(|place| place >= size) => {
                    self.now = Now::Untold;
                    return Ok(News::Now);
                }
                Now::At(_) => {}
                Now::Wanted => {
                    match self.record.info(CALL_TIMEOUT).await {
                        Ok(info) => self.now = Now::At(info.bytes),
                        Err(error) => {
                            self.body = None;
                            if let Some(news) = self.lost(error).await? {
                                return Ok(news);
                            }
                        }
                    }
                    continue;
                }
            }
            let lost = match timeout(if unsteady { BLIP } else { SILENCE }, body.frame()).await {
                Ok(Some(Ok(frame))) => match frame.into_data() {
                    Ok(bytes) if !bytes.is_empty() => return Ok(self.received(bytes)),
                    _ => continue,
                },
                Ok(Some(Err(error))) => OutputError::of(self.record, &error),
                Ok(None) if self.is_the_end().await => return Ok(News::End),
                Ok(None) => OutputError::cut(),
                Err(_) if unsteady => match self.away.take() {
                    Some(away) if away.told => return Ok(News::Back),
                    _ => continue,
                },
                Err(_) if self.is_behind().await => OutputError::silent(SILENCE),
                Err(_) => continue,
            };
            self.body = None;
            if let Some(news) = self.lost(lost).await? {
                return Ok(news);
            }
        }
    }

    fn received(&mut self, bytes: Bytes) -> News {
        self.place = self.place.map(|place| place + bytes.len() as u64);
        self.pause = Pause::default();
        if self.away.take().is_some_and(|away| away.told) {
            self.waiting = Some(bytes);
            return News::Back;
        }
        News::Bytes(bytes)
    }

    /// Asks for what comes next, after a pause where it failed before.
    async fn connect(&mut self) -> Result<Option<News>, CliError> {
        sleep_until(self.pause.until()).await;
        let query = self.query();
        let asked = timeout(CALL_TIMEOUT, self.record.get(&query)).await;
        let answer = match asked.unwrap_or_else(|_| Err(OutputError::silent(CALL_TIMEOUT))) {
            Ok(answer) => answer,
            Err(error) => return self.lost(error).await,
        };
        if self.uid.is_some() && answer.uid.is_some() && self.uid != answer.uid {
            return Err(self.another_job());
        }
        self.uid = self.uid.take().or(answer.uid);
        if let (Some(place), Some(begins)) = (self.place, answer.begins)
            && place != begins
        {
            return Err(CliError::new(format!(
                "the record of {} went on at byte {begins}, not at byte {place}",
                self.record.job
            ))
            .next(format!(
                "read it again from the start: {{program}} jobs logs {}",
                short(self.record.job)
            )));
        }
        self.place = self.place.or(answer.begins);
        self.begins = self.begins.or(answer.begins);
        self.body = Some(answer.body);
        self.begun = true;
        Ok(None)
    }

    fn query(&self) -> String {
        let Wanted {
            follow,
            tail,
            since,
        } = self.wanted;
        let since = since.map(|since| since.to_rfc3339_opts(SecondsFormat::Millis, true));
        let begin = match self.place {
            Some(place) => vec![(OFFSET, place.to_string())],
            None => [(TAIL, tail.map(|lines| lines.to_string())), (SINCE, since)]
                .into_iter()
                .filter_map(|(name, value)| Some((name, value?)))
                .collect(),
        };
        let pairs = begin
            .into_iter()
            .chain(follow.then(|| (FOLLOW, "true".to_owned())));
        let pairs: Vec<String> = pairs
            .map(|(name, value)| format!("{name}={value}"))
            .collect();
        format!("/log?{}", pairs.join("&"))
    }

    /// The connection is gone, or was refused. An error where trying again can't help.
    async fn lost(&mut self, error: OutputError) -> Result<Option<News>, CliError> {
        let away = *self.away.get_or_insert_with(Away::default);
        let fresh = away.since.elapsed() < GRACE;
        let known = self.place.is_some() || !self.begun;
        let goes_on = known
            && match &error {
                OutputError::Away { .. } => self.wanted.follow || (self.begun && fresh),
                OutputError::NoRecord => {
                    self.wanted.follow && (self.will_have_one().await? || fresh)
                }
                OutputError::Refused(_) => self.begun && fresh,
            };
        if !goes_on {
            return Err(error.tell(self.record));
        }
        self.pause.grow();
        let silent = matches!(error, OutputError::NoRecord) || away.since.elapsed() < BLIP;
        if silent || away.told {
            return Ok(None);
        }
        self.away = Some(Away { told: true, ..away });
        Ok(Some(News::Away(error.who())))
    }

    /// True while the Job continues; its record begins with its first line.
    async fn will_have_one(&self) -> Result<bool, CliError> {
        match self.record.cluster.job(self.record.job).await {
            Ok(Some(job)) => Ok(!job.is_final()),
            Ok(None) => Err(CliError::new(format!(
                "Job {} has been deleted before it had any output",
                self.record.job
            ))),
            // Whoever does not answer now will be asked again.
            Err(_) => Ok(true),
        }
    }

    /// An answer to a follow ends well when the record is sealed; a server that stops may look the same.
    async fn is_the_end(&self) -> bool {
        if !self.wanted.follow {
            return true;
        }
        let info = self.record.info(CALL_TIMEOUT).await;
        info.is_ok_and(|info| info.sealed && self.place.is_none_or(|place| info.bytes <= place))
    }

    /// True when the store has more than came, or can't be asked.
    async fn is_behind(&self) -> bool {
        let info = self.record.info(CALL_TIMEOUT).await;
        !info.is_ok_and(|info| !info.sealed && self.place.is_none_or(|place| info.bytes <= place))
    }

    fn another_job(&self) -> CliError {
        CliError::new(format!(
            "Job {} was deleted, and another of this name has been made since",
            self.record.job
        ))
    }
}
