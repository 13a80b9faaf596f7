//! An address to which every alert is posted as JSON.

use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use tokio::time::timeout;

use crate::alert::error::AlertError;
use crate::alert::message::Alert;
use crate::alert::sinks::contract::Sink;
use crate::secret::value::Secret;

pub const ID: &str = "webhook";
pub const DESCRIPTION: &str = "posts each alert as JSON to an address";

/// How long one attempt may take.
const PATIENCE: Duration = Duration::from_secs(15);

/// One POST of JSON. The address is secret, since many services put a token there.
pub struct Delivery {
    pub url: Secret,
    /// Beside the content type: `Idempotency-Key` with the alert's id.
    pub headers: Vec<(&'static str, String)>,
    pub body: String,
}

/// Sends a delivery and tells the status of the answer, or why there is none. It repeats no address in its words.
pub type Post = Arc<dyn Fn(Delivery) -> BoxFuture<'static, Result<u16, String>> + Send + Sync>;

/// The receiver.
pub struct Webhook {
    name: String,
    url: Secret,
    post: Post,
    patience: Duration,
}

impl Webhook {
    #[must_use]
    pub fn new(name: &str, url: Secret, post: Post) -> Self {
        Self { name: name.to_owned(), url, post, patience: PATIENCE }
    }

    async fn send(&self, alert: &Alert) -> Result<(), String> {
        let headers = vec![("content-type", "application/json".to_owned()), ("idempotency-key", alert.id.clone())];
        let delivery = Delivery { url: self.url.clone(), headers, body: alert.to_json() };
        match timeout(self.patience, (self.post)(delivery)).await {
            Ok(Ok(200..=299)) => Ok(()),
            Ok(Ok(status)) => Err(format!("it answered {status}")),
            Ok(Err(why)) => Err(why),
            Err(_) => Err(format!("it did not answer within {:?}", self.patience)),
        }
    }
}

impl Sink for Webhook {
    fn name(&self) -> &str {
        &self.name
    }

    fn deliver<'a>(&'a self, alert: &'a Alert) -> BoxFuture<'a, Result<(), AlertError>> {
        async { self.send(alert).await.map_err(|why| AlertError::Sink { sink: self.name.clone(), why }) }.boxed()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::alert::message::samples::alert;
    use std::sync::Mutex;

    #[tokio::test]
    async fn an_alert_is_posted_once_as_json_with_its_id() {
        let seen = Arc::new(Mutex::new(Vec::new()));
        let record = Arc::clone(&seen);
        let post: Post = Arc::new(move |delivery| {
            record.lock().expect("not poisoned").push((delivery.url.expose().to_owned(), delivery.headers, delivery.body));
            async { Ok(202) }.boxed()
        });
        let url = "https://hooks.example.net/x";
        Webhook::new("chat", Secret::new(url.to_owned()), post).deliver(&alert("production")).await.expect("accepted");
        let seen = seen.lock().expect("not poisoned");
        let [(to, headers, body)] = &seen[..] else { panic!("{}", seen.len()) };
        assert_eq!((to.as_str(), body), (url, &alert("production").to_json()));
        assert!(headers.contains(&("idempotency-key", alert("production").id)));
    }

    #[tokio::test]
    async fn anything_but_success_is_not_accepted_and_the_address_stays_secret() {
        for (answer, words) in
            [(Ok(302), "answered 302"), (Ok(404), "answered 404"), (Ok(500), "answered 500"), (Err("connection refused"), "refused")]
        {
            let answer = answer.map_err(str::to_owned);
            let post: Post = Arc::new(move |_| futures_util::future::ready(answer.clone()).boxed());
            let hook = Webhook::new("chat", Secret::new(["https://hooks.example.net/T0", "/secret"].concat()), post);
            let error = hook.deliver(&alert("production")).await.expect_err("not accepted").to_string();
            assert!(error.contains(words) && error.contains("`chat`") && !error.contains("hooks.example.net"), "{error}");
        }
    }

    #[tokio::test]
    async fn a_receiver_that_never_answers_is_given_up_for_now() {
        let post: Post = Arc::new(|_| futures_util::future::pending().boxed());
        let hook = Webhook { patience: Duration::from_millis(5), ..Webhook::new("chat", Secret::new(String::new()), post) };
        let error = hook.deliver(&alert("production")).await.expect_err("silence");
        assert!(error.to_string().contains("within 5ms"), "{error}");
    }
}
