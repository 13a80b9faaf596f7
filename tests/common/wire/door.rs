//! The doors of a fake registry: where connections come in, and the faults that meet them there.

use std::sync::Arc;

use tokio::io::{AsyncReadExt as _, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{JoinHandle, JoinSet};

use crate::common::wire::fault::{Fault, Strike};
use crate::common::wire::message::{Head, Sending};
use crate::common::wire::personality::Personality;
use crate::common::wire::registry::State;

/// Which of a registry's addresses a request came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Door {
    Registry,
    Tokens,
    /// Somebody else's server: it answers anything, and must never be shown a credential.
    Away,
}

/// Three listeners on loopback, bound before anybody asks, so that one client can be told of many.
pub(crate) struct Doors(Vec<(Door, TcpListener)>);

/// A registry that listens. Dropped, it is gone with all its connections.
pub(crate) struct Fake {
    pub(crate) state: Arc<State>,
    listeners: Vec<JoinHandle<()>>,
}

impl Doors {
    pub(crate) async fn bind() -> Self {
        let mut doors = Vec::new();
        for door in [Door::Registry, Door::Tokens, Door::Away] {
            doors.push((door, TcpListener::bind("127.0.0.1:0").await.expect("a loopback port")));
        }
        Self(doors)
    }

    /// A door's `host:port`: each has a host of its own.
    pub(crate) fn host(&self, wanted: Door) -> String {
        let (door, listener) = self.0.iter().find(|(door, _)| *door == wanted).expect("all are bound");
        let name = match door {
            Door::Registry => "localhost",
            Door::Tokens => "tokens.localhost",
            Door::Away => "127.0.0.1",
        };
        format!("{name}:{}", listener.local_addr().expect("bound").port())
    }

    /// Opens them before a registry with this personality, that is struck by a fault.
    pub(crate) fn open(self, personality: Personality, struck: Option<(Fault, Strike)>) -> Fake {
        let hosts = [Door::Registry, Door::Tokens, Door::Away].map(|door| self.host(door));
        let state = Arc::new(State::new(personality, struck, hosts));
        let listeners = self.0.into_iter().map(|(door, listener)| tokio::spawn(listen(door, listener, Arc::clone(&state)))).collect();
        Fake { state, listeners }
    }
}

impl Drop for Fake {
    fn drop(&mut self) {
        self.listeners.iter().for_each(JoinHandle::abort);
    }
}

async fn listen(door: Door, listener: TcpListener, state: Arc<State>) {
    let mut connections = JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        let _ = stream.set_nodelay(true);
        connections.spawn(serve(door, stream, Arc::clone(&state)));
        while connections.try_join_next().is_some() {}
    }
}

async fn serve(door: Door, stream: TcpStream, state: Arc<State>) {
    let mut stream = BufReader::new(stream);
    while let Some(head) = Head::read(&mut stream).await {
        if state.is_dark() {
            let _ = stream.get_ref().set_zero_linger();
            return;
        }
        let (number, fault) = state.hear(door, &head);
        let half = if fault == Some(Fault::ResetInBody) { head.length() / 2 } else { head.length() };
        let mut body = vec![0; half];
        if stream.read_exact(&mut body).await.is_err() {
            return;
        }
        let reply = state.answer(number, door, &head, &body, fault);
        let sending = fault.map_or(Sending::Whole, Fault::sending);
        if !sending.send(&mut stream, &reply).await {
            return;
        }
    }
}
