//! The tries of one request: counts them, and sleeps between them.

use std::time::{Duration, Instant};

use crate::net::retry::RetryPolicy;

pub struct Attempts {
    policy: RetryPolicy,
    made: u32,
    started: Instant,
}

impl Attempts {
    #[must_use]
    pub fn new(policy: RetryPolicy) -> Self {
        Self { policy, made: 0, started: Instant::now() }
    }

    /// Tries that failed so far.
    #[must_use]
    pub fn made(&self) -> u32 {
        self.made
    }

    /// Counts a failed try and sleeps before the next. `false` when there shall be none.
    pub async fn again(&mut self, asked: Option<Duration>) -> bool {
        self.made += 1;
        let mut random = [0_u8; 2];
        // Without randomness the waits are merely less spread.
        let _ = getrandom::fill(&mut random);
        let chance = f64::from(u16::from_le_bytes(random)) / f64::from(u16::MAX);
        let Some(wait) = self.policy.wait(self.made, asked, self.started.elapsed(), chance) else { return false };
        tokio::time::sleep(wait).await;
        true
    }
}
