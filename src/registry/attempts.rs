//! The tries of one request: counts them, and sleeps between them; and what all requests of one journey may lose that way.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::net::retry::{RetryPolicy, chance};

/// The time that one push or pull has lost to failed tries and to waits, by the clock: what fails at the same time is lost once.
/// Clones count together.
#[derive(Debug, Clone, Default)]
pub struct Losses(Arc<Mutex<Lost>>);

#[derive(Debug, Default)]
struct Lost {
    total: Duration,
    /// The end of what is counted in `total`.
    until: Option<Instant>,
    /// A server asked us to leave it alone until then.
    quiet: Option<Instant>,
}

impl Losses {
    /// Waits as long as a server has asked somebody of this journey to wait.
    pub async fn quiet(&self) {
        let quiet = self.locked().quiet;
        if let Some(until) = quiet.filter(|until| *until > Instant::now()) {
            tokio::time::sleep_until(until.into()).await;
        }
    }

    /// Counts a span of time, and gives all that is lost by now.
    fn count(&self, from: Instant, to: Instant) -> Duration {
        let mut lost = self.locked();
        let from = lost.until.map_or(from, |until| until.max(from));
        lost.total += to.saturating_duration_since(from);
        lost.until = Some(lost.until.map_or(to, |until| until.max(to)));
        lost.total
    }

    fn locked(&self) -> MutexGuard<'_, Lost> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

pub struct Attempts {
    policy: RetryPolicy,
    losses: Losses,
    made: u32,
    began: Instant,
}

impl Attempts {
    #[must_use]
    pub fn new(policy: RetryPolicy, losses: Losses) -> Self {
        Self { policy, losses, made: 0, began: Instant::now() }
    }

    /// The same with fewer tries, for what can be done without.
    #[must_use]
    pub fn at_most(mut self, tries: u32) -> Self {
        self.policy.tries = self.policy.tries.min(tries);
        self
    }

    /// Tries that failed so far.
    #[must_use]
    pub fn made(&self) -> u32 {
        self.made
    }

    /// Waits as long as a server has asked somebody of this journey to wait.
    pub async fn quiet(&self) {
        self.losses.quiet().await;
    }

    /// Counts a failed try and sleeps before the next, as long as the server `asked` or longer. `false` when there shall be none.
    pub async fn again(&mut self, asked: Option<Duration>) -> bool {
        self.made += 1;
        let now = Instant::now();
        // An upload of an hour that breaks has not lost that hour, but what its silence may have cost.
        let from = now.checked_sub(self.policy.longest_wait).map_or(self.began, |earliest| self.began.max(earliest));
        let lost = self.losses.count(from, now);
        if let Some(asked) = asked {
            self.losses.locked().quiet = Some(now + asked.min(self.policy.longest_wait));
        }
        let Some(wait) = self.policy.wait(self.made, asked, lost, chance()) else { return false };
        self.losses.count(now, now + wait);
        tokio::time::sleep(wait).await;
        self.began = Instant::now();
        true
    }

    /// Counts a try that was refused for what it showed, and can be made again with something better. `false` when there shall be none.
    pub fn at_once(&mut self) -> bool {
        self.made += 1;
        self.began = Instant::now();
        self.made < self.policy.tries
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_fails_at_the_same_time_is_lost_once() {
        let (losses, start) = (Losses::default(), Instant::now());
        let at = |seconds| start + Duration::from_secs(seconds);
        assert_eq!(losses.count(at(0), at(60)), Duration::from_secs(60));
        assert_eq!(losses.count(at(1), at(61)), Duration::from_secs(61), "another upload of the same minute");
        assert_eq!(losses.count(at(30), at(40)), Duration::from_secs(61));
        assert_eq!(losses.count(at(100), at(101)), Duration::from_secs(62));
    }

    #[tokio::test]
    async fn a_journey_ends_when_its_requests_have_lost_too_much_together() {
        let policy = RetryPolicy { first_wait: Duration::from_millis(4), budget: Duration::from_millis(20), ..RetryPolicy::default() };
        let losses = Losses::default();
        let mut requests = 0;
        while Attempts::new(policy, losses.clone()).again(None).await {
            requests += 1;
            assert!(requests <= 10, "each waits at least two milliseconds");
        }
    }

    #[tokio::test]
    async fn a_server_that_asks_for_more_than_all_our_patience_is_left_at_once() {
        let policy = RetryPolicy { first_wait: Duration::ZERO, longest_wait: Duration::from_millis(1), ..RetryPolicy::default() };
        assert!(Attempts::new(policy, Losses::default()).again(Some(Duration::from_secs(200))).await);
        assert!(!Attempts::new(policy, Losses::default()).again(Some(Duration::from_secs(1_000_000_000))).await);
    }

    #[tokio::test]
    async fn a_try_with_another_proof_counts_too() {
        let mut attempts = Attempts::new(RetryPolicy { first_wait: Duration::ZERO, ..RetryPolicy::default() }, Losses::default()).at_most(3);
        assert!(attempts.at_once() && attempts.again(None).await && !attempts.at_once());
        assert_eq!(attempts.made(), 3);
    }
}
