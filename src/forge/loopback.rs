//! A small HTTP server on loopback, for the tests of forges.

use std::convert::Infallible;
use std::sync::Arc;

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

/// A running server; it ends when it is dropped.
pub(crate) struct Loopback {
    /// `http://127.0.0.1:port`.
    pub(crate) address: String,
    task: JoinHandle<()>,
}

/// A request as it came in.
pub(crate) struct Asked {
    pub(crate) method: String,
    /// Path and query.
    pub(crate) path: String,
    headers: http::HeaderMap,
    pub(crate) body: Bytes,
}

impl Asked {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }
}

impl Loopback {
    /// Answers every request with what `answer` makes of it: a status and a JSON document.
    pub(crate) async fn start(answer: impl Fn(Asked) -> (u16, Value) + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = format!("http://{}", listener.local_addr().expect("an address"));
        let answer = Arc::new(answer);
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let answer = Arc::clone(&answer);
                let service = service_fn(move |request: http::Request<Incoming>| {
                    let answer = Arc::clone(&answer);
                    async move {
                        let (parts, body) = request.into_parts();
                        let body = body.collect().await.expect("a whole request").to_bytes();
                        let path = parts.uri.path_and_query().map(ToString::to_string).unwrap_or_default();
                        let (status, document) = answer(Asked { method: parts.method.to_string(), path, headers: parts.headers, body });
                        let response = http::Response::builder().status(status).header("content-type", "application/json");
                        Ok::<_, Infallible>(response.body(Full::new(Bytes::from(document.to_string()))).expect("a valid response"))
                    }
                });
                tokio::spawn(async move { _ = http1::Builder::new().serve_connection(TokioIo::new(stream), service).await });
            }
        });
        Self { address, task }
    }

    /// A client that follows no redirects and uses no proxy.
    #[expect(clippy::disallowed_methods, reason = "a test's client reaches loopback only")]
    pub(crate) fn client(&self) -> reqwest::Client {
        reqwest::Client::builder().no_proxy().redirect(reqwest::redirect::Policy::none()).build().expect("a client")
    }
}

impl Drop for Loopback {
    fn drop(&mut self) {
        self.task.abort();
    }
}
