//! Sends a reply the way the API does: frame by frame to a client that streams, at the scenario's
//! pace, or as one object.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::response::Json;
use futures::stream;
use serde_json::Value;
use tokio::sync::mpsc;

use crate::App;
use crate::judge::End;
use crate::script::{Block, Ending, Reply};
use crate::visit::Visit;
use crate::wire::{Envelope, ping, tokens};

/// The time between pings while a reply is held back: the CLI gives up on a quiet stream.
const PING: Duration = Duration::from_secs(5);

/// Frames that wait for a slow reader; more would only cost memory.
const FRAMES_AHEAD: usize = 4;

/// Bytes of a streamed message; an error cuts the connection.
type Frame = io::Result<String>;

/// A reply on its way to a client.
pub struct Performance {
    pub app: Arc<App>,
    pub reply: Reply,
    pub envelope: Envelope,
    pub visit: Visit,
    /// Any of these lets a held reply go.
    pub keys: Vec<String>,
}

impl Performance {
    /// Sends frames in the background until the message is whole or the client is gone.
    pub fn stream(self) -> Body {
        let (frames, mut received) = mpsc::channel(FRAMES_AHEAD);
        tokio::spawn(async move {
            tokio::select! {
                () = frames.closed() => {}
                _ = self.send(&frames) => {}
            }
        });
        Body::from_stream(stream::poll_fn(move |context| received.poll_recv(context)))
    }

    /// None: the client is gone, or the scenario cut it off.
    async fn send(mut self, frames: &mpsc::Sender<Frame>) -> Option<()> {
        frames.send(Ok(self.envelope.start())).await.ok()?;
        if self.reply.held {
            self.hold(frames).await?;
        }
        let mut output_tokens = 0;
        for (index, block) in self.reply.blocks.by_ref().enumerate() {
            if index > 0 && !self.reply.pace.is_zero() {
                tokio::time::sleep(self.reply.pace).await;
            }
            output_tokens += tokens(&block);
            let mut events = self.envelope.block(index, &block);
            if self.reply.ending == Ending::Cut {
                events.truncate(events.floor_char_boundary(events.len() / 2));
                frames.send(Ok(events)).await.ok()?;
                // Before the cut, so that the judge knows when the client comes back.
                self.visit.end(End::Cut);
                let cut = Err(io::ErrorKind::ConnectionAborted.into());
                return frames.send(cut).await.ok();
            }
            frames.send(Ok(events)).await.ok()?;
        }
        let end = Envelope::end(self.reply.ending, output_tokens);
        frames.send(Ok(end)).await.ok()?;
        self.visit.end(End::Answered);
        Some(())
    }

    async fn hold(&mut self, frames: &mpsc::Sender<Frame>) -> Option<()> {
        let mut released = std::pin::pin!(self.app.gate.wait(&self.keys));
        while tokio::time::timeout(PING, &mut released).await.is_err() {
            frames.send(Ok(ping())).await.ok()?;
        }
        Some(())
    }

    /// The message as one object, for a client that does not stream; it has no pace.
    pub async fn whole(self) -> Json<Value> {
        if self.reply.held {
            self.app.gate.wait(&self.keys).await;
        }
        let blocks: Vec<Block> = self.reply.blocks.collect();
        self.visit.end(End::Answered);
        Json(self.envelope.whole(&blocks, self.reply.ending))
    }
}

/// A stream that says nothing and goes on until the client leaves.
pub fn silence(visit: Visit) -> Body {
    let nothing = stream::poll_fn(move |_| {
        let _until_the_client_leaves = &visit;
        std::task::Poll::<Option<Frame>>::Pending
    });
    Body::from_stream(nothing)
}
