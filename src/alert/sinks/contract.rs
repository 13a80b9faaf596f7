//! What every sink does.

use futures_util::future::BoxFuture;

use crate::alert::error::AlertError;
use crate::alert::message::Alert;

/// Somewhere that alerts go.
pub trait Sink: Send + Sync {
    /// The owner's name for it, unique among the sinks of one configuration: it keeps their waiting alerts apart.
    fn name(&self) -> &str;

    /// Hands an alert over. It may be handed over again after a crash: the receiver tells by its id.
    ///
    /// # Errors
    /// When it was not accepted for certain. It is then tried again.
    fn deliver<'a>(&'a self, alert: &'a Alert) -> BoxFuture<'a, Result<(), AlertError>>;
}
