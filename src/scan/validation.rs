//! How a vendor is asked whether a credential still works, as rules say it: plain data, read strictly. Nothing is sent from this room. The build
//! script reads rules with this very file; it imports nothing of the program.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

/// Where a template takes the secret.
pub const SECRET: &str = "{{secret}}";
/// Where a template takes the holder's name, the group `id` of the rule's pattern.
pub const ID: &str = "{{id}}";

/// Headers that say how a request travels, which is not a rule's matter.
const OF_THE_WIRE: [&str; 9] =
    ["host", "content-length", "transfer-encoding", "connection", "upgrade", "te", "trailer", "proxy-authorization", "user-agent"];

/// What may be done to find out whether a credential of a rule still works.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Validation {
    /// Nothing: credentials of this kind are handed out as honeytokens, and whoever presents one is told of.
    Honeytoken,
    Ask(Box<Question>),
}

/// A request to the vendor that changes nothing there, and what its answers mean.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Question {
    pub method: Method,
    /// `https://`, a host that is written out, and a path. No part of the host comes from what was found.
    pub url: String,
    /// By their names in lower case.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub headers: BTreeMap<String, String>,
    /// `user:password` of Basic authorisation.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub basic: Option<String>,
    /// JSON that holds no credential.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub body: Option<String>,
    /// Beginnings of the secrets that can be asked about; empty for all.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub starts_with: Vec<String>,
    /// The same of the holder's name.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub id_starts_with: Vec<String>,
    pub live: Vec<Answer>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub dead: Vec<Answer>,
    /// Refusals that mean little: the credential may be one for another server, which the rule cannot know.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub elsewhere: Vec<Answer>,
}

/// How it is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum Method {
    Get,
    /// With a body that only asks: a query of GraphQL.
    Post,
}

/// An answer that is foreseen.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Answer {
    pub status: u16,
    /// Members of the JSON in the body, by their ways with points between, and their values as text.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub json: BTreeMap<String, String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    get: Option<String>,
    post: Option<String>,
    #[serde(default)]
    headers: BTreeMap<String, String>,
    basic: Option<String>,
    body: Option<String>,
    #[serde(default)]
    starts_with: Vec<String>,
    #[serde(default)]
    id_starts_with: Vec<String>,
    live: Vec<WrittenAnswer>,
    #[serde(default)]
    dead: Vec<WrittenAnswer>,
    #[serde(default)]
    elsewhere: Vec<WrittenAnswer>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum WrittenAnswer {
    Status(u16),
    Full(WrittenJson),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenJson {
    status: u16,
    json: BTreeMap<String, serde_yaml::Value>,
}

impl Validation {
    /// Reads the member of a rule; `has_id` says whether its pattern has a group `id`.
    ///
    /// # Errors
    /// Everything that is wrong with it.
    pub fn read(value: serde_yaml::Value, has_id: bool) -> Result<Self, Vec<String>> {
        match value.as_str() {
            Some("honeytoken") => return Ok(Self::Honeytoken),
            Some(word) => return Err(vec![format!("`{word}` is neither `honeytoken` nor a request")]),
            None => {}
        }
        let written: Written = serde_yaml::from_value(value).map_err(|error| vec![error.to_string()])?;
        let mut problems = Vec::new();
        let (method, url) = match (written.get, written.post) {
            (Some(url), None) => (Method::Get, url),
            (None, Some(url)) => (Method::Post, url),
            _ => return Err(vec!["it has not one address: `get` or `post`".to_owned()]),
        };
        let mut answers = |written: Vec<WrittenAnswer>| written.into_iter().filter_map(|one| answer(one, &mut problems)).collect();
        let (live, dead, elsewhere) = (answers(written.live), answers(written.dead), answers(written.elsewhere));
        let Written { headers, basic, body, starts_with, id_starts_with, .. } =
            Written { get: None, post: None, live: Vec::new(), dead: Vec::new(), elsewhere: Vec::new(), ..written };
        let question = Question { method, url, headers, basic, body, starts_with, id_starts_with, live, dead, elsewhere };
        question.check(has_id, &mut problems);
        if problems.is_empty() { Ok(Self::Ask(Box::new(question))) } else { Err(problems) }
    }
}

impl Question {
    /// The host that is asked, as it is written.
    #[must_use]
    pub fn host(&self) -> &str {
        split(&self.url).map_or("", |(host, _)| host)
    }

    /// Every part of the request that is a template.
    fn templates(&self) -> impl Iterator<Item = &str> {
        [self.url.as_str()].into_iter().chain(self.headers.values().map(String::as_str)).chain(self.basic.as_deref())
    }

    fn check(&self, has_id: bool, problems: &mut Vec<String>) {
        let mut problem = |what: &str| problems.push(what.to_owned());
        match split(&self.url) {
            None => problem("the address is not `https://`, a host and a path"),
            Some((host, path)) => {
                if !is_host(host) {
                    problem("the host is not written out as a name of two parts or more");
                }
                if !path.bytes().all(|byte| byte.is_ascii_graphic() && !b"\"<>\\^`|#".contains(&byte)) {
                    problem("the path has characters that an address does not have");
                }
            }
        }
        if !self.templates().any(|template| template.contains(SECRET)) {
            problem("the request does not hold `{{secret}}`, so its answer says nothing of it");
        }
        if self.templates().any(|template| template.contains(ID)) && !has_id {
            problem("it names `{{id}}`, and the pattern has no group `id`");
        }
        if self.templates().any(|template| template.replace(SECRET, "").replace(ID, "").contains(['{', '}'])) {
            problem("templates know `{{secret}}` and `{{id}}`, and no other braces");
        }
        for (name, value) in &self.headers {
            let is_name = !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-');
            if !is_name || OF_THE_WIRE.contains(&name.as_str()) || !value.bytes().all(|byte| byte == b' ' || byte.is_ascii_graphic()) {
                problem("a header has a name that is not in lower case or not a rule's matter, or a value that no request can carry");
            }
        }
        if self.basic.as_ref().is_some_and(|basic| !basic.contains(':') || self.headers.contains_key("authorization")) {
            problem("`basic` is `user:password`, and stands alone");
        }
        match (self.method, &self.body) {
            (Method::Post, Some(body)) if body.contains(SECRET) || body.contains(ID) => problem("the body holds no credential"),
            (Method::Post, Some(_)) | (Method::Get, None) => {}
            (Method::Post, None) | (Method::Get, Some(_)) => problem("`post` has a `body`, and `get` has none"),
        }
        if self.live.is_empty() {
            problem("it does not say which answer means that the credential works (`live`)");
        }
        let all: Vec<&Answer> = self.live.iter().chain(&self.dead).chain(&self.elsewhere).collect();
        if all.iter().enumerate().any(|(at, answer)| all[..at].contains(answer)) {
            problem("one answer has two meanings");
        }
        if all.iter().any(|answer| !(200..300).contains(&answer.status) && !(400..500).contains(&answer.status)) {
            problem("answers have a status from 200 to 299 or from 400 to 499: others say nothing of a credential");
        }
        if all.iter().any(|answer| answer.status == 429) {
            problem("429 says nothing of a credential");
        }
    }
}

/// Host and path of an address; `None` where it is not of our form.
fn split(url: &str) -> Option<(&str, &str)> {
    let rest = url.strip_prefix("https://")?;
    Some(rest.split_at(rest.find('/')?))
}

/// A domain that is written out.
fn is_host(host: &str) -> bool {
    let is_label = |label: &str| {
        !label.is_empty()
            && label.len() <= 63
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
    };
    let labels: Vec<&str> = host.split('.').collect();
    let is_name = labels.last().is_some_and(|last| last.bytes().all(|byte| byte.is_ascii_lowercase()));
    labels.len() >= 2 && is_name && labels.into_iter().all(is_label)
}

fn answer(written: WrittenAnswer, problems: &mut Vec<String>) -> Option<Answer> {
    let (status, json) = match written {
        WrittenAnswer::Status(status) => return Some(Answer { status, json: BTreeMap::new() }),
        WrittenAnswer::Full(WrittenJson { status, json }) => (status, json),
    };
    let text = |value: &serde_yaml::Value| match value {
        serde_yaml::Value::Bool(value) => Some(value.to_string()),
        serde_yaml::Value::Number(value) => Some(value.to_string()),
        serde_yaml::Value::String(value) => Some(value.clone()),
        _ => None,
    };
    let members: Option<BTreeMap<String, String>> = json.iter().map(|(way, value)| Some((way.clone(), text(value)?))).collect();
    if members.as_ref().is_none_or(BTreeMap::is_empty) {
        problems.push("`json` names members and their values: texts, numbers, true or false".to_owned());
    }
    Some(Answer { status, json: members? })
}

impl fmt::Display for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.status)?;
        self.json.iter().try_for_each(|(way, value)| write!(f, " with {way} {value}"))
    }
}

impl fmt::Display for Method {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Get => "GET",
            Self::Post => "POST",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(yaml: &str) -> Result<Validation, Vec<String>> {
        Validation::read(serde_yaml::from_str(yaml).expect("YAML"), yaml.contains("{{id}}"))
    }

    #[test]
    fn a_request_is_read_with_its_answers() {
        let yaml = "{post: 'https://api.acme.com/graphql', headers: {authorization: 'Bearer {{secret}}'}, body: '{\"query\":\"{me}\"}', \
                    live: [{status: 200, json: {ok: true, data.kind: user}}], dead: [401, {status: 200, json: {ok: false}}]}";
        let Ok(Validation::Ask(question)) = read(yaml) else { panic!("{:?}", read(yaml)) };
        assert_eq!((question.method, question.host()), (Method::Post, "api.acme.com"));
        let members = [("data.kind", "user"), ("ok", "true")].map(|(way, value)| (way.to_owned(), value.to_owned()));
        assert_eq!(question.live, [Answer { status: 200, json: BTreeMap::from(members) }]);
        assert_eq!(question.dead[0], Answer { status: 401, json: BTreeMap::new() });
        let again: Validation = serde_json::from_str(&serde_json::to_string(&Validation::Ask(question.clone())).expect("JSON")).expect("the same");
        assert_eq!(again, Validation::Ask(question));
        assert_eq!(read("honeytoken"), Ok(Validation::Honeytoken));
        assert!(read("{get: 'https://api.acme.com/{{id}}/me', basic: '{{id}}:{{secret}}', live: [200]}").is_ok());
    }

    #[test]
    fn what_could_send_a_secret_elsewhere_or_means_nothing_is_refused() {
        let with = |url: &str, rest: &str| format!("{{get: '{url}', {rest}}}");
        let asked = "headers: {authorization: 'Bearer {{secret}}'}, live: [200]";
        let cases = [
            (with("http://api.acme.com/me", asked), "https://"),
            (with("https://api.acme.com", asked), "https://"),
            (with("https://{{secret}}.acme.com/me", asked), "written out"),
            (with("https://{{id}}/me", asked), "written out"),
            (with("https://{{id}}.acme.com/me", asked), "written out"),
            (with("https://{{id}}acme.evil.com/me", asked), "written out"),
            (with("https://user@api.acme.com/me", asked), "written out"),
            (with("https://api.acme.com:8443/me", asked), "written out"),
            (with("https://10.0.0.1/me", asked), "written out"),
            (with("https://localhost/me", asked), "written out"),
            (with("https://api.acme.com/me#x", asked), "characters"),
            (with("https://api.acme.com/me?a=b c", asked), "characters"),
            (with("https://api.acme.com/me", "live: [200]"), "does not hold"),
            (with("https://api.acme.com/{{secret}}/{{host}}", "live: [200]"), "no other braces"),
            (with("https://api.acme.com/{{secret}}", "live: []"), "`live`"),
            (with("https://api.acme.com/{{secret}}", "live: [200], dead: [200]"), "two meanings"),
            (with("https://api.acme.com/{{secret}}", "live: [302]"), "say nothing"),
            (with("https://api.acme.com/{{secret}}", "live: [200], dead: [429]"), "429"),
            (with("https://api.acme.com/{{secret}}", "live: [200], dead: [500]"), "say nothing"),
            (with("https://api.acme.com/{{secret}}", "live: [{status: 200, json: {}}]"), "names members"),
            (with("https://api.acme.com/{{secret}}", "live: [200], body: '{}'"), "`get` has none"),
            (with("https://api.acme.com/{{secret}}", "live: [200], follow: true"), "unknown field"),
            (with("https://api.acme.com/{{secret}}", "live: [200], headers: {host: evil.com}"), "rule's matter"),
            (with("https://api.acme.com/{{secret}}", "live: [200], headers: {Accept: x}"), "rule's matter"),
            (with("https://api.acme.com/{{secret}}", "live: [200], headers: {accept: \"x\\r\\ny: z\"}"), "no request can carry"),
            (with("https://api.acme.com/{{secret}}", "live: [200], basic: 'x'"), "`user:password`"),
            ("{post: 'https://api.acme.com/{{secret}}', live: [200]}".to_owned(), "`post` has a `body`"),
            ("{post: 'https://api.acme.com/{{secret}}', body: '{{secret}}', live: [200]}".to_owned(), "holds no credential"),
            ("{headers: {authorization: '{{secret}}'}, live: [200]}".to_owned(), "not one address"),
            ("never".to_owned(), "neither"),
        ];
        for (yaml, complaint) in cases {
            let problems = read(&yaml).expect_err(&yaml);
            assert!(problems.iter().any(|problem| problem.contains(complaint)), "{yaml}: {problems:?}");
        }
        let no_group = Validation::read(serde_yaml::from_str("{get: 'https://api.acme.com/{{id}}/{{secret}}', live: [200]}").expect("YAML"), false);
        assert!(no_group.is_err_and(|problems| problems[0].contains("no group `id`")));
    }
}
