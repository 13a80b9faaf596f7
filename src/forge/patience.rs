//! How long a forge is waited for, all requests of a job together.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures_util::future::BoxFuture;
use time::OffsetDateTime;

use crate::net::retry::{RetryPolicy, chance};

/// Three tries of a request; a minute for all failed tries and waits of a job.
pub const POLICY: RetryPolicy =
    RetryPolicy { tries: 3, first_wait: Duration::from_secs(1), longest_wait: Duration::from_secs(60), budget: Duration::from_secs(60) };

/// The time, and a way to let it pass.
pub trait Clock: Send + Sync {
    fn now(&self) -> OffsetDateTime;
    fn sleep(&self, duration: Duration) -> BoxFuture<'_, ()>;
}

/// The machine's own.
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> OffsetDateTime {
        OffsetDateTime::now_utc()
    }

    fn sleep(&self, duration: Duration) -> BoxFuture<'_, ()> {
        Box::pin(tokio::time::sleep(duration))
    }
}

/// Waits between tries, and counts what is lost to them.
#[derive(Clone)]
pub struct Patience {
    policy: RetryPolicy,
    clock: Arc<dyn Clock>,
    lost: Arc<Mutex<Duration>>,
}

impl Default for Patience {
    fn default() -> Self {
        Self::new(POLICY, Arc::new(SystemClock))
    }
}

impl Patience {
    #[must_use]
    pub fn new(policy: RetryPolicy, clock: Arc<dyn Clock>) -> Self {
        Self { policy, clock, lost: Arc::default() }
    }

    pub(crate) fn now(&self) -> OffsetDateTime {
        self.clock.now()
    }

    pub(crate) async fn pause(&self, duration: Duration) {
        self.clock.sleep(duration).await;
    }

    /// Counts a failed try, the `made`th, which took `took`, and waits before the next, as long as the forge `asked` or longer. `false` when there
    /// shall be none.
    pub(crate) async fn again(&self, made: u32, asked: Option<Duration>, took: Duration) -> bool {
        let wait = {
            let mut lost = self.lost.lock().unwrap_or_else(PoisonError::into_inner);
            *lost += took;
            let Some(wait) = self.policy.wait(made, asked, *lost, chance()) else { return false };
            *lost += wait;
            wait
        };
        self.pause(wait).await;
        true
    }
}

/// A clock that stands until somebody sleeps, and remembers for how long each did.
#[cfg(test)]
#[derive(Default)]
pub(crate) struct TestClock(Mutex<Vec<Duration>>);

#[cfg(test)]
impl TestClock {
    pub(crate) fn slept(&self) -> Vec<Duration> {
        self.0.lock().expect("no panic").clone()
    }
}

#[cfg(test)]
impl Clock for TestClock {
    fn now(&self) -> OffsetDateTime {
        OffsetDateTime::UNIX_EPOCH + self.slept().iter().sum::<Duration>()
    }

    fn sleep(&self, duration: Duration) -> BoxFuture<'_, ()> {
        self.0.lock().expect("no panic").push(duration);
        Box::pin(std::future::ready(()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_job_waits_for_a_minute_in_all() {
        let clock = Arc::new(TestClock::default());
        let patience = Patience::new(POLICY, clock.clone());
        assert!(patience.again(1, Some(Duration::from_secs(45)), Duration::ZERO).await);
        assert!(!patience.again(1, Some(Duration::from_secs(45)), Duration::ZERO).await, "the minute is over");
        assert!(!patience.again(1, Some(Duration::from_secs(3600)), Duration::ZERO).await);
        assert_eq!(clock.slept(), [Duration::from_secs(45)]);
        let slow = Patience::new(POLICY, clock);
        assert!(!slow.again(1, None, Duration::from_secs(60)).await, "what a silent server took counts");
        assert!(!slow.again(3, None, Duration::ZERO).await, "three tries");
    }
}
