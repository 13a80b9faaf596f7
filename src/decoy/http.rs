//! One HTTP connection: every request goes to its face, what it presents to the observer.

use std::convert::Infallible;
use std::net::IpAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::header::{CONNECTION, HeaderValue, SERVER};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::timeout;

use crate::decoy::credentials::presented;
use crate::decoy::faces::contract::{Answer, Realm};
use crate::decoy::faces::face_for;
use crate::decoy::observer::{Observation, Observer};
use crate::decoy::request::{BODY_START, RequestHead, host};
use crate::decoy::stop::Stop;

/// Longest head, bytes.
const HEAD: usize = 16 * 1024;
/// Most headers.
const HEADERS: usize = 64;
/// How long a head may take.
const HEAD_TIME: Duration = Duration::from_secs(10);
/// How long a body may take.
const BODY_TIME: Duration = Duration::from_secs(10);
/// How much of a body is taken from the visitor, bytes. All but the start is dropped.
const BODY: usize = 64 * 1024;

/// What all connections share.
pub(crate) struct Site {
    pub(crate) observer: Observer,
    /// Name under which visitors reach the decoy when they do not say it themselves.
    pub(crate) host: String,
    pub(crate) seed: [u8; 32],
    /// Peers whose `X-Forwarded-For` and `X-Forwarded-Proto` are believed.
    pub(crate) proxies: Vec<IpAddr>,
}

/// Serves a connection until it ends or the decoy stops.
pub(crate) async fn serve<S>(stream: S, peer: IpAddr, encrypted: bool, site: &Arc<Site>, mut stop: Stop)
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let service = service_fn(|request| {
        let site = Arc::clone(site);
        async move { Ok::<_, Infallible>(respond(request, peer, encrypted, &site).await) }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIME)
        // As the server that it names in its answers does.
        .title_case_headers(true)
        .max_headers(HEADERS)
        .max_buf_size(HEAD)
        .serve_connection(TokioIo::new(stream), service);
    let mut connection = pin!(connection);
    // How a visitor's connection ends is of no interest.
    tokio::select! {
        _ = connection.as_mut() => return,
        () = stop.wait() => connection.as_mut().graceful_shutdown(),
    }
    let _ = connection.await;
}

async fn respond(request: Request<Incoming>, peer: IpAddr, encrypted: bool, site: &Site) -> Response<Full<Bytes>> {
    let (parts, body) = request.into_parts();
    let text = |value: &HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
    let headers: Vec<(String, String)> = parts.headers.iter().map(|(name, value)| (name.as_str().to_owned(), text(value))).collect();
    let authority = parts.uri.authority().map(|authority| authority.as_str().rsplit('@').next().unwrap_or_default().to_owned());
    let mut request = RequestHead {
        method: parts.method.as_str().to_owned(),
        path: parts.uri.path().to_owned(),
        query: parts.uri.query().unwrap_or_default().to_owned(),
        headers,
        ..RequestHead::default()
    };
    request.host = authority.as_deref().or_else(|| request.header("host")).and_then(host);
    let (address, encrypted) = if site.proxies.contains(&peer.to_canonical()) { forwarded(&request, peer, encrypted) } else { (peer, encrypted) };
    let face = face_for(&request);
    let observation = |request: &RequestHead| Observation {
        face: face.id(),
        address,
        user_agent: request.header("user-agent").map(str::to_owned),
        request: face.asked(request),
        presented: presented(request).into_iter().filter(|presented| !face.issued(&site.seed, presented.value.expose())).collect(),
    };
    // What the head presents is told before the body is waited for: a visitor may well leave in between.
    let head = observation(&request);
    let early = if site.observer.knows(&head) { site.observer.observe(&head) } else { None };
    let complete = timeout(BODY_TIME, read_body(body, &mut request.body)).await.unwrap_or(false);
    let known = early.or_else(|| site.observer.observe(&observation(&request)));
    let scheme = if encrypted { "https" } else { "http" };
    let origin = format!("{scheme}://{}", request.host.as_deref().unwrap_or(&site.host));
    let answer = if complete {
        face.answer(&request, &Realm { origin: &origin, seed: &site.seed, known: known.as_ref() })
    } else {
        Answer::new(413, "text/plain; charset=utf-8", "too large\n")
    };
    let mut response = Response::new(Full::new(Bytes::from(answer.body)));
    *response.status_mut() = StatusCode::from_u16(answer.status).unwrap_or(StatusCode::FORBIDDEN);
    for (name, value) in answer.headers {
        if let Ok(value) = HeaderValue::from_str(&value) {
            response.headers_mut().insert(name, value);
        }
    }
    response.headers_mut().insert(SERVER, HeaderValue::from_static("nginx"));
    if !complete {
        response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
    }
    response
}

/// Keeps the start of a body and drops the rest. Tells whether all of it came and was within the limit.
async fn read_body(mut body: Incoming, start: &mut Vec<u8>) -> bool {
    let mut length = 0;
    while let Some(frame) = body.frame().await {
        let Ok(frame) = frame else { return false };
        let Some(data) = frame.data_ref() else { continue };
        length += data.len();
        if length > BODY {
            return false;
        }
        start.extend_from_slice(&data[..data.len().min(BODY_START - start.len())]);
    }
    true
}

/// What the proxy says of the visitor: the last address is the one that it saw itself.
fn forwarded(request: &RequestHead, peer: IpAddr, encrypted: bool) -> (IpAddr, bool) {
    let last = request.headers.iter().rfind(|(name, _)| name == "x-forwarded-for").and_then(|(_, value)| value.rsplit(',').next());
    let address = last.and_then(|address| address.trim().parse().ok()).unwrap_or(peer);
    (address, request.header("x-forwarded-proto").map_or(encrypted, |scheme| scheme.trim() == "https"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_proxy_is_believed_for_the_address_that_it_saw() {
        let peer: IpAddr = "10.0.0.1".parse().expect("an address");
        let request = |headers: &[(&str, &str)]| RequestHead {
            headers: headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect(),
            ..RequestHead::default()
        };
        let told = request(&[("x-forwarded-for", "198.51.100.9, 192.0.2.1"), ("x-forwarded-proto", "https")]);
        assert_eq!(forwarded(&told, peer, false), ("192.0.2.1".parse().expect("an address"), true));
        assert_eq!(forwarded(&request(&[("x-forwarded-for", "nonsense")]), peer, false), (peer, false));
        assert_eq!(forwarded(&request(&[]), peer, true), (peer, true));
    }
}
