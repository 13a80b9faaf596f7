//! Calls to AWS: the query interface of IAM and STS, and the use of a key pair as a thief uses it first.

use std::fmt::Write as _;

use http::Method;
use url::Url;

use crate::bait::honeytoken::Honeytoken;
use crate::provider::error::ProviderError;
use crate::provider::sigv4::{Scope, Signer, encoded};
use crate::provider::wire::{Answer, Request, Wire, plain};

/// Where a service answers.
#[derive(Debug, Clone)]
pub(super) struct Endpoint {
    /// `https://{service}.{region}.…`, with or without the two.
    pattern: Option<String>,
}

/// A refusal in AWS's words.
#[derive(Debug)]
pub(super) struct Fault {
    pub(super) code: String,
    pub(super) message: String,
}

impl Endpoint {
    pub(super) fn new(pattern: Option<&str>) -> Self {
        Self { pattern: pattern.map(str::to_owned) }
    }

    /// The address of a service for a region, with the region that requests to it are signed for: IAM has one in each partition.
    ///
    /// Source: IAM and AWS STS endpoints, AWS General Reference.
    pub(super) fn of(&self, service: &str, region: &str) -> Option<(Url, String)> {
        let (suffix, home) = match () {
            () if region.starts_with("cn-") => ("amazonaws.com.cn", "cn-north-1"),
            () if region.starts_with("us-gov-") => ("amazonaws.com", "us-gov-west-1"),
            () => ("amazonaws.com", "us-east-1"),
        };
        let signed_for = if service == "iam" { home } else { region };
        let text = match &self.pattern {
            Some(pattern) => pattern.replace("{service}", service).replace("{region}", signed_for),
            None if service == "iam" && home == "us-east-1" => format!("https://iam.{suffix}"),
            None if service == "iam" && home == "us-gov-west-1" => format!("https://iam.us-gov.{suffix}"),
            None => format!("https://{service}.{signed_for}.{suffix}"),
        };
        Some((Url::parse(&text).ok()?, signed_for.to_owned()))
    }
}

/// One call of a query interface; the answer is XML.
///
/// # Errors
/// Outside, when nobody answers; inside, when AWS refuses.
pub(super) async fn query(
    wire: &Wire,
    signer: &Signer,
    (endpoint, service, region): (&Endpoint, &'static str, &str),
    parameters: &[(&str, &str)],
    user_agent: Option<&str>,
) -> Result<Result<String, Fault>, ProviderError> {
    let (url, region) = endpoint.of(service, region).ok_or_else(|| wire.refused(&format!("there is no address for {service} in {region}"), ""))?;
    let version = if service == "iam" { "2010-05-08" } else { "2011-06-15" };
    let mut body = format!("Version={version}");
    for (name, value) in parameters {
        let _ = write!(body, "&{name}={}", encoded(value));
    }
    let make = |now| {
        let mut headers = vec![("content-type", "application/x-www-form-urlencoded; charset=utf-8")];
        headers.extend(user_agent.map(|agent| ("user-agent", agent)));
        let scope = Scope { region: &region, service };
        Request {
            method: Method::POST,
            url: url.clone(),
            headers: signer.headers(("POST", &url, &body), &headers, scope, now),
            body: Some(body.clone()),
        }
    };
    let answer = wire.send(&make, passes).await?;
    Ok(match answer.status {
        200 => Ok(answer.text()),
        _ => Err(fault(&answer)),
    })
}

/// Asks who a key pair belongs to: what thieves and scanners do first, and what every key may do, whatever its rights. The user agent bears the mark.
///
/// # Errors
/// When the call did not go through: then nobody saw it.
pub(super) async fn exercise(wire: &Wire, (endpoint, region): (&Endpoint, &str), token: &Honeytoken, mark: &str) -> Result<(), ProviderError> {
    let field = |name: &str| token.fields.iter().find(|(field, _)| field == name).map(|(_, value)| value.clone());
    let (Some(access_key_id), Some(secret_access_key)) = (field("access_key_id"), field("secret_access_key")) else {
        return Err(wire.refused("the token is no AWS key pair", ""));
    };
    let signer = Signer { access_key_id, secret_access_key, session_token: None };
    // As the SDKs write it, with something of our own at its end, as they allow it.
    let agent = format!("aws-cli/2.15.30 Python/3.11.8 Linux/6.1 exec-env/{mark}");
    match query(wire, &signer, (endpoint, "sts", region), &[("Action", "GetCallerIdentity")], Some(&agent)).await? {
        Ok(_) => Ok(()),
        Err(fault) => Err(wire.refused(&format!("AWS does not take the token: {fault}"), "a token that was revoked or disabled triggers nothing")),
    }
}

/// AWS throttles with statuses of its own.
pub(super) fn passes(answer: &Answer) -> bool {
    answer.passes() || (answer.status == 400 && fault(answer).is_throttling())
}

/// What an answer that is no success says: XML of a query interface, or JSON.
pub(super) fn fault(answer: &Answer) -> Fault {
    let text = answer.text();
    if let Ok(document) = serde_json::from_str::<serde_json::Value>(&text) {
        let of = |names: [&str; 2]| names.iter().find_map(|name| document[*name].as_str()).unwrap_or_default().to_owned();
        let code = of(["__type", "code"]);
        let code = code.rsplit('#').next().unwrap_or_default().to_owned();
        return Fault { code, message: plain(&of(["message", "Message"])) };
    }
    let of = |name| element(&text, name).unwrap_or_default();
    let code = Some(of("Code")).filter(|code| !code.is_empty()).unwrap_or_else(|| format!("HTTP {}", answer.status));
    Fault { code, message: plain(&of("Message")) }
}

/// The text of the first element of this name.
pub(super) fn element(xml: &str, name: &str) -> Option<String> {
    elements(xml, name).next().map(unescaped)
}

/// What stands between the tags of every element of this name; in the answers of IAM and STS they have no attributes.
pub(super) fn elements<'a>(xml: &'a str, name: &str) -> impl Iterator<Item = &'a str> {
    let (open, close) = (format!("<{name}>"), format!("</{name}>"));
    let mut rest = xml;
    std::iter::from_fn(move || {
        let (inside, after) = rest.split_once(&open)?.1.split_once(&close)?;
        rest = after;
        Some(inside)
    })
}

fn unescaped(text: &str) -> String {
    let known = [("&lt;", "<"), ("&gt;", ">"), ("&quot;", "\""), ("&apos;", "'"), ("&amp;", "&")];
    known.iter().fold(text.trim().to_owned(), |text, (escaped, plain)| text.replace(escaped, plain))
}

impl Fault {
    fn is_throttling(&self) -> bool {
        ["Throttling", "ThrottlingException", "ThrottledException", "RequestLimitExceeded", "TooManyRequestsException"].contains(&self.code.as_str())
    }

    /// Whether the key may not do it.
    pub(super) fn is_denied(&self) -> bool {
        matches!(self.code.as_str(), "AccessDenied" | "AccessDeniedException" | "UnauthorizedOperation")
    }

    pub(super) fn is(&self, code: &str) -> bool {
        self.code == code || self.code.strip_suffix("Exception") == Some(code)
    }
}

impl std::fmt::Display for Fault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if self.message.is_empty() { f.write_str(&self.code) } else { write!(f, "{} ({})", self.code, self.message) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn services_answer_where_their_partition_has_them() {
        let at = |service, region| Endpoint::new(None).of(service, region).map(|(url, region)| format!("{url} {region}"));
        assert_eq!(at("iam", "eu-west-1").as_deref(), Some("https://iam.amazonaws.com/ us-east-1"));
        assert_eq!(at("sts", "eu-west-1").as_deref(), Some("https://sts.eu-west-1.amazonaws.com/ eu-west-1"));
        assert_eq!(at("iam", "us-gov-east-1").as_deref(), Some("https://iam.us-gov.amazonaws.com/ us-gov-west-1"));
        assert_eq!(at("cloudtrail", "cn-northwest-1").as_deref(), Some("https://cloudtrail.cn-northwest-1.amazonaws.com.cn/ cn-northwest-1"));
        assert_eq!(at("iam", "cn-northwest-1").as_deref(), Some("https://iam.cn-north-1.amazonaws.com.cn/ cn-north-1"));
        let own = Endpoint::new(Some("http://127.0.0.1:5000/{service}"));
        assert_eq!(own.of("sts", "eu-west-1").map(|(url, _)| url.to_string()).as_deref(), Some("http://127.0.0.1:5000/sts"));
    }

    #[test]
    fn refusals_are_read_in_both_forms() {
        let answer = |body: &str| Answer { status: 400, headers: Default::default(), body: body.as_bytes().to_vec() };
        let xml = "<ErrorResponse><Error><Code>LimitExceeded</Code><Message>Cannot exceed &quot;2&quot;</Message></Error></ErrorResponse>";
        assert_eq!(fault(&answer(xml)).to_string(), "LimitExceeded (Cannot exceed \"2\")");
        let json = r#"{"__type":"com.amazonaws#ThrottlingException","message":"Rate exceeded"}"#;
        assert!(fault(&answer(json)).is_throttling() && passes(&answer(json)));
        assert_eq!(fault(&answer("<html>")).to_string(), "HTTP 400");
        assert_eq!(elements("<m><k>1</k><k>2</k></m>", "k").collect::<Vec<_>>(), ["1", "2"]);
    }
}
