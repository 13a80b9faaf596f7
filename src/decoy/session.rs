//! One connection from its first byte to its end: TLS or not, HTTP or PostgreSQL.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;

use crate::decoy::credentials::Presented;
use crate::decoy::http;
use crate::decoy::observer::{Observation, Observer};
use crate::decoy::postgres::{self, Conversation, Step};
use crate::decoy::stop::Stop;

/// How long the first byte and the handshake may take, each.
const GREETING: Duration = Duration::from_secs(10);
/// The first byte of a TLS handshake record (RFC 8446, section 5.1).
const TLS_HANDSHAKE: u8 = 0x16;

/// HTTP, with TLS when the first byte says so.
pub(crate) async fn web(stream: TcpStream, peer: IpAddr, tls: TlsAcceptor, site: Arc<http::Site>, stop: Stop) {
    let mut first = [0];
    let Ok(Ok(1)) = timeout(GREETING, stream.peek(&mut first)).await else { return };
    if first == [TLS_HANDSHAKE] {
        let Ok(Ok(stream)) = timeout(GREETING, tls.accept(stream)).await else { return };
        http::serve(stream, peer, true, &site, stop).await;
    } else {
        http::serve(stream, peer, false, &site, stop).await;
    }
}

/// PostgreSQL, with TLS when the client asks for it.
pub(crate) async fn database(mut stream: TcpStream, peer: IpAddr, tls: TlsAcceptor, site: Arc<http::Site>) {
    let mut conversation = Conversation::default();
    let Some(answer) = talk(&mut stream, &mut conversation, peer, &site.observer).await else { return };
    if stream.write_all(&[answer]).await.is_err() {
        return;
    }
    let Ok(Ok(mut stream)) = timeout(GREETING, tls.accept(stream)).await else { return };
    talk(&mut stream, &mut conversation, peer, &site.observer).await;
    let _ = stream.shutdown().await;
}

/// Talks until the end, or until the client asks for TLS and waits for the byte that comes back.
async fn talk<S>(stream: &mut S, conversation: &mut Conversation, peer: IpAddr, observer: &Observer) -> Option<u8>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let mut input = Vec::new();
    let mut buffer = [0; 4096];
    let mut agent = None;
    let mut asked = String::new();
    let mut login = Vec::new();
    loop {
        match conversation.next(&mut input) {
            Step::Read => match stream.read(&mut buffer).await {
                Ok(0) | Err(_) => return None,
                Ok(read) => input.extend_from_slice(&buffer[..read]),
            },
            Step::Send(answer) => stream.write_all(&answer).await.ok()?,
            Step::StartTls(answer) => return Some(answer),
            Step::Greeted(greeting, ask) => {
                asked = format!("login as {} to database {}", greeting.user.expose(), greeting.database.expose());
                agent = greeting.application;
                login = [greeting.user, greeting.database].map(|value| Presented { value, incidental: true }).to_vec();
                observer.observe(&observation(peer, agent.clone(), &asked, &login));
                stream.write_all(&ask).await.ok()?;
            }
            Step::Presented(password, refusal) => {
                login.push(Presented { value: password, incidental: false });
                observer.observe(&observation(peer, agent, &asked, &login));
                stream.write_all(&refusal).await.ok()?;
                return None;
            }
            Step::Close => return None,
        }
    }
}

fn observation(address: IpAddr, user_agent: Option<String>, asked: &str, presented: &[Presented]) -> Observation {
    Observation { face: postgres::ID, address, user_agent, request: asked.to_owned(), presented: presented.to_vec() }
}
