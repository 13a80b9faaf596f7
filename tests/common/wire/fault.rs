//! What can go wrong with one request.

use std::time::Duration;

use time::OffsetDateTime;
use time::macros::format_description;

use crate::common::wire::message::{Head, Reply, Sending};
use crate::common::wire::registry::Kind;

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Fault {
    ResetBeforeReply,
    ResetInBody,
    ResetAfterWork,
    HalfReply,
    Trickle,
    Silence,
    Expired,
    Forbidden,
    NotFound,
    UploadUnknown,
    Busy,
    BusySeconds,
    BusyDate,
    BusyWords,
    BusyAges,
    Broken,
    BadGateway,
    Unavailable,
    RedirectedAway,
    WrongDigest,
    NotJson,
    CutShort,
    LocationLies,
    LocationAway,
    LocationInside,
    Echo,
}

pub(crate) const FAULTS: [Fault; 26] = [
    Fault::ResetBeforeReply,
    Fault::ResetInBody,
    Fault::ResetAfterWork,
    Fault::HalfReply,
    Fault::Trickle,
    Fault::Silence,
    Fault::Expired,
    Fault::Forbidden,
    Fault::NotFound,
    Fault::UploadUnknown,
    Fault::Busy,
    Fault::BusySeconds,
    Fault::BusyDate,
    Fault::BusyWords,
    Fault::BusyAges,
    Fault::Broken,
    Fault::BadGateway,
    Fault::Unavailable,
    Fault::RedirectedAway,
    Fault::WrongDigest,
    Fault::NotJson,
    Fault::CutShort,
    Fault::LocationLies,
    Fault::LocationAway,
    Fault::LocationInside,
    Fault::Echo,
];

/// When a fault strikes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Strike {
    /// At one request, by its number.
    Once(usize),
    /// At that request, and whenever it is asked again.
    Ever(usize),
}

impl Fault {
    /// Those after which another try may help: they can go on for ever.
    pub(crate) fn is_passing(self) -> bool {
        self < Self::Expired || self.asks().is_some() || matches!(self, Self::Busy | Self::Broken | Self::BadGateway | Self::UploadUnknown)
    }

    /// Whether the request takes effect all the same.
    pub(crate) fn works(self) -> bool {
        matches!(
            self,
            Self::ResetAfterWork
                | Self::HalfReply
                | Self::Trickle
                | Self::WrongDigest
                | Self::NotJson
                | Self::CutShort
                | Self::LocationLies
                | Self::LocationAway
                | Self::LocationInside
        )
    }

    /// How long it asks to wait; an answer to HEAD has no body to say it in.
    pub(crate) fn asks_of(self, kind: Kind) -> Option<Duration> {
        self.asks().filter(|_| (self, kind) != (Self::BusyWords, Kind::Blob))
    }

    fn asks(self) -> Option<Duration> {
        match self {
            Self::BusySeconds | Self::BusyDate | Self::Unavailable => Some(Duration::from_secs(1)),
            Self::BusyWords => Some(Duration::from_millis(30)),
            Self::BusyAges => Some(Duration::from_secs(1_000_000_000)),
            _ => None,
        }
    }

    pub(crate) fn sending(self) -> Sending {
        match self {
            Self::ResetBeforeReply | Self::ResetInBody | Self::ResetAfterWork => Sending::Reset,
            Self::HalfReply => Sending::Half,
            Self::Trickle => Sending::Trickle,
            Self::Silence => Sending::Silence,
            _ => Sending::Whole,
        }
    }

    /// The answer that is sent instead of `reply`. `away` is a host that nobody may be shown a credential by.
    pub(crate) fn spoil(self, request: &Head, reply: Reply, away: &str, challenge: Option<&str>) -> Reply {
        let busy = || Reply::error(429, "TOOMANYREQUESTS");
        let spoiled = match self {
            Self::Expired => {
                challenge.map_or_else(|| Reply::error(401, "UNAUTHORIZED"), |it| Reply::error(401, "UNAUTHORIZED").with("WWW-Authenticate", it))
            }
            Self::Forbidden => Reply::error(403, "DENIED"),
            Self::NotFound => Reply::error(404, "NAME_UNKNOWN"),
            Self::UploadUnknown => Reply::error(404, "BLOB_UPLOAD_UNKNOWN"),
            Self::Busy => busy(),
            Self::BusySeconds => busy().with("Retry-After", "1"),
            Self::BusyDate => busy().with("Retry-After", &in_two_seconds()),
            Self::BusyWords => Reply::new(429).saying("retry-after: 30ms, allowed: 2000/minute"),
            Self::BusyAges => busy().with("Retry-After", "1000000000"),
            Self::Broken => Reply::error(500, "UNKNOWN"),
            Self::BadGateway => Reply::new(502).with("Content-Type", "text/html").saying("<html><h1>502</h1></html>"),
            Self::Unavailable => Reply::new(503).with("Retry-After", "1"),
            Self::RedirectedAway => Reply::new(307).with("Location", &format!("http://{away}{}", request.path)),
            Self::WrongDigest => reply.with("Docker-Content-Digest", &format!("sha256:{}", "0".repeat(64))),
            Self::NotJson => reply.saying("{\"token\": [[[ \u{1}"),
            Self::CutShort => {
                let half = reply.body.len() / 2;
                let body = reply.body[..half].to_vec();
                reply.saying(body)
            }
            Self::LocationLies => reply.with("Location", "/v2/acme/other/blobs/uploads/nobody-s?_state=x"),
            Self::LocationAway => reply.with("Location", &format!("http://{away}/bucket/1?signature=x")),
            Self::LocationInside => reply.with("Location", "https://10.0.0.1/bucket/1?signature=x"),
            Self::Echo => {
                let shown = request.header("authorization").unwrap_or("nothing");
                Reply::new(400).saying(format!("what do you mean by {shown}"))
            }
            _ => reply,
        };
        Reply { headless: request.method == "HEAD", ..spoiled }
    }
}

/// Dates have no fractions: this one is one to two seconds away.
fn in_two_seconds() -> String {
    let format = format_description!("[weekday repr:short], [day] [month repr:short] [year] [hour]:[minute]:[second] GMT");
    (OffsetDateTime::now_utc() + Duration::from_secs(2)).format(format).expect("a date can be written")
}
