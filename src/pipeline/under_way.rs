//! What is on its way to registries, for the moment in which the program is told to end.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures_util::future::{BoxFuture, Shared, join_all};

use crate::destination::shipment::Shipment;

/// A shipment that may still be greeting its registries.
pub type SettingOut = Shared<BoxFuture<'static, Arc<Shipment>>>;

/// The shipments of a session. Clones share them.
#[derive(Clone, Default)]
pub struct UnderWay(Arc<Mutex<Vec<SettingOut>>>);

impl UnderWay {
    pub fn add(&self, shipment: SettingOut) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(shipment);
    }

    /// Gives all of them up: uploads stop, and their sessions are closed as far as the registries let us within `patience`.
    pub async fn give_up(&self, patience: Duration) {
        let all = std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner));
        let _ = tokio::time::timeout(patience, join_all(all.into_iter().map(async |shipment| shipment.await.abandon().await))).await;
    }
}

#[cfg(test)]
mod tests {
    use futures_util::future::FutureExt as _;

    use super::*;
    use crate::net::client::{HttpClient, NetSettings};
    use crate::oci::location::Location;
    use crate::pipeline::progress::{Silent, WatchingPush};
    use crate::registry::access::Access;
    use crate::registry::credentials::{CredentialSettings, Credentials};
    use crate::registry::registries::Registries;
    use crate::registry::scripted::{Scripted, image, line};

    #[tokio::test]
    async fn what_is_given_up_sends_nothing_more() {
        let (mut server, image) = (Scripted::bind().await, image(b"bytes of a layer"));
        server.play(vec![line("GET /v2/", 200, &[], "")]);
        let host = format!("localhost:{}", server.address.port());
        let http = HttpClient::new(NetSettings { plain_http_hosts: vec![host.clone()], ..NetSettings::default() }).expect("settings without files");
        let registries = Registries::new(http, Credentials::new(CredentialSettings::default()), Vec::new());
        let access = Access { registries, docker_host: None, scratch: std::env::temp_dir() };
        let places = vec![Location::Registry(format!("{host}/a/b:1").parse().expect("a reference"))];
        let observer = Arc::new(WatchingPush::new(Arc::new(Silent)));
        let shipment: SettingOut = async move { Arc::new(Shipment::begin(places, None, &access, observer).await) }.boxed().shared();
        let under_way = UnderWay::default();
        under_way.add(shipment.clone());
        under_way.give_up(Duration::from_secs(60)).await;
        let layer = image.images().next().expect("an image").manifest.layers[0].clone();
        shipment.clone().await.send_ahead(&image.blobs, &layer).await;
        assert!(shipment.await.finish(&image).await.iter().all(Result::is_err));
        assert_eq!(server.lines(), ["GET /v2/"]);
    }
}
