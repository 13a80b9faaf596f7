//! The end of a decoy, as its connections learn of it.

use tokio::sync::watch;

/// Tells connections that the decoy stops.
#[derive(Clone)]
pub(crate) struct Stop(pub(crate) watch::Receiver<bool>);

impl Stop {
    pub(crate) async fn wait(&mut self) {
        // A sender that is gone stops the decoy as well.
        let _ = self.0.wait_for(|stopped| *stopped).await;
    }
}
