//! Reading by the API server, as any client does: one GET of the subresource `log`.

use std::{io, pin::Pin, time::Duration};

use futures::{AsyncBufRead, AsyncBufReadExt, AsyncReadExt};
use http::Request;
use kube::Client;
use tokio::time::timeout;

use crate::wait::RUN;

/// A reading of whole lines, in one connection.
pub struct Reading {
    from: Pin<Box<dyn AsyncBufRead + Send>>,
}

/// Where a Job's output is asked for.
pub fn path(namespace: &str, job: &str) -> String {
    format!("/apis/herdctl.dev/output-v1/namespaces/{namespace}/joboutputs/{job}")
}

/// Begins to read; `query` is that of the URL, for example `follow=true`.
pub async fn read(
    client: &Client,
    namespace: &str,
    job: &str,
    query: &str,
) -> kube::Result<Reading> {
    let path = format!("{}/log?{query}", path(namespace, job));
    let request = Request::get(path).body(vec![]).unwrap();
    let from = timeout(RUN, client.request_stream(request))
        .await
        .unwrap_or_else(|_| panic!("no answer to {job}/log?{query} within {RUN:?}"))?;
    Ok(Reading {
        from: Box::pin(from),
    })
}

/// The output as it is now, or the status code of the refusal.
pub async fn output(client: &Client, namespace: &str, job: &str) -> Result<Vec<u8>, u16> {
    match read(client, namespace, job, "").await {
        Ok(reading) => Ok(reading.into_rest(RUN).await),
        Err(kube::Error::Api(status)) => Err(status.code),
        Err(error) => panic!("the output of {job} can't be read: {error}"),
    }
}

/// Follows a Job's output to its end.
pub async fn follow(client: &Client, namespace: &str, job: &str, within: Duration) -> Vec<u8> {
    let reading = read(client, namespace, job, "follow=true").await.unwrap();
    reading.into_rest(within).await
}

impl Reading {
    /// The next line with its newline; nothing at the end.
    pub async fn line(&mut self, within: Duration) -> Vec<u8> {
        let mut line = Vec::new();
        let read = timeout(within, self.from.read_until(b'\n', &mut line)).await;
        read.unwrap_or_else(|_| panic!("no line within {within:?}"))
            .unwrap();
        line
    }

    /// All that comes until the server ends the stream, which must be its end.
    pub async fn into_rest(self, within: Duration) -> Vec<u8> {
        let (bytes, end) = self.into_end(within).await;
        end.unwrap();
        bytes
    }

    /// All that comes until the server ends the stream, and how it did.
    pub async fn into_end(mut self, within: Duration) -> (Vec<u8>, io::Result<()>) {
        let mut bytes = Vec::new();
        let read = timeout(within, self.from.read_to_end(&mut bytes)).await;
        let Ok(read) = read else {
            let end = bytes.len().saturating_sub(500);
            panic!(
                "the stream did not end within {within:?}; {} bytes, at last: {}",
                bytes.len(),
                String::from_utf8_lossy(&bytes[end..])
            );
        };
        (bytes, read.map(|_| ()))
    }
}
