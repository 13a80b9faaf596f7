//! An AWS account: moto for IAM and STS, and a strict trail of our own in front of it, which moto has not.

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::common::service::Service;

/// Requests for events in a second and region.
const RATE: usize = 2;

#[derive(Default)]
struct Trail {
    /// By region.
    events: BTreeMap<String, Vec<Value>>,
    asked: BTreeMap<String, Vec<Instant>>,
    throttled: usize,
    /// Who used which key on STS.
    calls: usize,
}

/// A running account.
pub(crate) struct Aws {
    address: String,
    trail: Arc<Mutex<Trail>>,
    _moto: Service,
    _folder: TempDir,
}

impl Aws {
    pub(crate) fn start() -> Self {
        let folder = TempDir::new().expect("scratch");
        let port = TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr()).expect("a free port").port();
        let program = concat!(env!("CARGO_MANIFEST_DIR"), "/.cache/vendors/bin/moto_server");
        let moto = Service::start(program, &["-H", "127.0.0.1", "-p", &port.to_string()], folder.path());
        moto.ready("moto", |_| TcpStream::connect(("127.0.0.1", port)).ok());
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = format!("http://{}", listener.local_addr().expect("bound"));
        let trail = Arc::new(Mutex::new(Trail::default()));
        let shared = Arc::clone(&trail);
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let trail = Arc::clone(&shared);
                // A client that hangs up is its own business.
                std::thread::spawn(move || drop(serve(&stream, &trail, port)));
            }
        });
        Self { address, trail, _moto: moto, _folder: folder }
    }

    pub(crate) fn address(&self) -> &str {
        &self.address
    }

    /// How often the trail was asked too fast.
    pub(crate) fn throttled(&self) -> usize {
        self.trail.lock().expect("no panic").throttled
    }

    /// The calls of a region, as its trail has them.
    pub(crate) fn calls(&self, region: &str) -> Vec<Value> {
        self.trail.lock().expect("no panic").events.get(region).cloned().unwrap_or_default()
    }

    /// A call that IAM knows of and the trail does not.
    pub(crate) fn lose_events(&self) {
        self.trail.lock().expect("no panic").events.clear();
    }

    /// So many uses of a key in a region, as its trail has them.
    pub(crate) fn use_key(&self, region: &str, key_id: &str, times: usize) {
        let mut trail = self.trail.lock().expect("no panic");
        for number in 0..times {
            let event = event(region, key_id, &format!("{region}-{number}"), "GetCallerIdentity", "aws-cli/2.15");
            trail.events.entry(region.to_owned()).or_default().push(event);
        }
    }
}

fn event(region: &str, key_id: &str, id: &str, name: &str, agent: &str) -> Value {
    let record = json!({
        "eventVersion": "1.11", "eventID": id, "eventTime": "2026-11-22T04:00:00Z", "eventName": name, "eventSource": "sts.amazonaws.com",
        "awsRegion": region, "sourceIPAddress": "203.0.113.9", "userAgent": agent, "userIdentity": { "accessKeyId": key_id },
    });
    json!({ "EventId": id, "EventName": name, "AccessKeyId": key_id, "EventTime": 1_795_320_000, "CloudTrailEvent": record.to_string() })
}

fn serve(stream: &TcpStream, trail: &Mutex<Trail>, moto: u16) -> std::io::Result<()> {
    let mut reader = BufReader::new(stream);
    loop {
        let (mut head, mut length) = (String::new(), 0);
        loop {
            let mut line = String::new();
            if reader.read_line(&mut line)? == 0 {
                return Ok(());
            }
            let lower = line.to_ascii_lowercase();
            if let Some(value) = lower.strip_prefix("content-length:") {
                length = value.trim().parse().unwrap_or(0);
            }
            if line == "\r\n" {
                break;
            }
            head += &line;
        }
        let mut body = vec![0; length];
        reader.read_exact(&mut body)?;
        let header = |name: &str| {
            head.lines()
                .filter_map(|line| line.split_once(':'))
                .find(|(known, _)| known.eq_ignore_ascii_case(name))
                .map(|(_, value)| value.trim().to_owned())
        };
        let authorization = header("authorization").unwrap_or_default();
        let scope: Vec<&str> =
            authorization.split_once("Credential=").map_or("", |(_, rest)| rest.split(',').next().unwrap_or_default()).split('/').collect();
        let mut out = stream;
        if header("x-amz-target").is_some() {
            let (status, answer) = look_up(trail, &header("x-amz-target").unwrap_or_default(), &scope, &body);
            let text = answer.to_string();
            let head = format!("HTTP/1.1 {status} Said\r\ncontent-type: application/x-amz-json-1.1\r\ncontent-length: {}\r\n\r\n", text.len());
            out.write_all((head + &text).as_bytes())?;
            continue;
        }
        let text = String::from_utf8_lossy(&body).into_owned();
        if text.contains("Action=GetCallerIdentity") && scope.len() == 5 {
            let mut trail = trail.lock().expect("no panic");
            trail.calls += 1;
            let (key_id, region, id) = (scope[0].to_owned(), scope[2].to_owned(), format!("call-{}", trail.calls));
            let agent = header("user-agent").unwrap_or_default();
            trail.events.entry(region.clone()).or_default().push(event(&region, &key_id, &id, "GetCallerIdentity", &agent));
        }
        let mut behind = TcpStream::connect(("127.0.0.1", moto))?;
        behind.write_all(format!("{}connection: close\r\n\r\n", without_connection(&head)).as_bytes())?;
        behind.write_all(&body)?;
        std::io::copy(&mut behind, &mut out)?;
        // The answer ends with its connection.
        return stream.shutdown(std::net::Shutdown::Both);
    }
}

fn without_connection(head: &str) -> String {
    head.lines().filter(|line| !line.to_ascii_lowercase().starts_with("connection:")).map(|line| format!("{line}\r\n")).collect()
}

/// `LookupEvents`, and nothing that it would not take.
fn look_up(trail: &Mutex<Trail>, target: &str, scope: &[&str], body: &[u8]) -> (u16, Value) {
    let refused = |code: &str, why: &str| (400, json!({ "__type": code, "message": why }));
    let [_, _, region, "cloudtrail", "aws4_request"] = scope else { return refused("IncompleteSignature", "not signed for CloudTrail") };
    if target != "com.amazonaws.cloudtrail.v20131101.CloudTrail_20131101.LookupEvents" {
        return refused("UnknownOperationException", target);
    }
    let mut trail = trail.lock().expect("no panic");
    let asked = trail.asked.entry((*region).to_owned()).or_default();
    asked.retain(|at| at.elapsed() < Duration::from_secs(1));
    asked.push(Instant::now());
    if asked.len() > RATE {
        trail.throttled += 1;
        return refused("ThrottlingException", "Rate exceeded");
    }
    let Ok(body) = serde_json::from_slice::<Value>(body) else { return refused("SerializationException", "no JSON") };
    let known = ["LookupAttributes", "MaxResults", "NextToken", "StartTime", "EndTime"];
    if body.as_object().is_none_or(|body| body.keys().any(|name| !known.contains(&name.as_str()))) {
        return refused("InvalidParameterException", "unknown member");
    }
    let size = body["MaxResults"].as_u64().unwrap_or(50);
    if !(1..=50).contains(&size) {
        return refused("InvalidMaxResultsException", "1 to 50");
    }
    let attributes = body["LookupAttributes"].as_array().cloned().unwrap_or_default();
    if attributes.len() > 1 || attributes.iter().any(|attribute| attribute["AttributeKey"] != "AccessKeyId") {
        return refused("InvalidLookupAttributesException", "one attribute");
    }
    let of_key = |event: &&Value| attributes.first().is_none_or(|attribute| event["AccessKeyId"] == attribute["AttributeValue"]);
    let all: Vec<Value> = trail.events.get(*region).into_iter().flatten().filter(of_key).cloned().collect();
    let from: usize = body["NextToken"].as_str().map_or(0, |token| token.parse().unwrap_or(usize::MAX));
    let size = usize::try_from(size).expect("small");
    let mut answer = json!({ "Events": all.iter().skip(from).take(size).collect::<Vec<_>>() });
    if all.len() > from.saturating_add(size) {
        answer["NextToken"] = (from + size).to_string().into();
    }
    (200, answer)
}
