//! A PostgreSQL server up to the login, as a pure conversation: bytes in, steps out.
//!
//! Source: PostgreSQL documentation, "Frontend/Backend Protocol", sections 54.2.1 and 54.7.

use crate::secret::value::Secret;

/// In triggers.
pub const ID: &str = "postgres";

/// Longest message that is read, bytes.
const LONGEST: usize = 16 * 1024;

const PROTOCOL_3: u32 = 3;
const CANCEL: u32 = 80_877_102;
const TLS: u32 = 80_877_103;
const GSS: u32 = 80_877_104;

/// What the server has to do next.
#[derive(Debug, PartialEq, Eq)]
pub enum Step {
    /// Nothing before more bytes arrive.
    Read,
    /// Send this.
    Send(Vec<u8>),
    /// Send this one byte, then speak TLS.
    StartTls(u8),
    /// Somebody names a user and a database. Ask for the password with these bytes.
    Greeted(Login, Vec<u8>),
    /// Somebody gives a password. Refuse with these bytes, then close.
    Presented(Secret, Vec<u8>),
    /// Not PostgreSQL, or done.
    Close,
}

/// What the first message says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Login {
    pub user: Secret,
    pub database: Secret,
    pub application: Option<String>,
}

/// One client's way to its refusal.
#[derive(Debug, Default)]
pub struct Conversation {
    encrypted: bool,
    user: Option<Secret>,
}

impl Conversation {
    /// Takes the next message out of `input`.
    pub fn next(&mut self, input: &mut Vec<u8>) -> Step {
        match self.user.clone() {
            None => self.startup(input),
            Some(user) => password(&user, input),
        }
    }

    /// A message without a type: length, code, content.
    fn startup(&mut self, input: &mut Vec<u8>) -> Step {
        let Some(length) = number(input, 0) else { return Step::Read };
        if !(8..=LONGEST).contains(&length) {
            return Step::Close;
        }
        if input.len() < length {
            return Step::Read;
        }
        let message: Vec<u8> = input.drain(..length).collect();
        let code = number(&message, 4).and_then(|code| u32::try_from(code).ok()).unwrap_or_default();
        match code {
            // Bytes behind the request would be read as if they had come encrypted.
            TLS if self.encrypted || !input.is_empty() => Step::Close,
            TLS => {
                self.encrypted = true;
                Step::StartTls(b'S')
            }
            GSS => Step::Send(vec![b'N']),
            CANCEL => Step::Close,
            code if code >> 16 == PROTOCOL_3 => self.greeted(&message[8..]),
            _ => Step::Close,
        }
    }

    fn greeted(&mut self, parameters: &[u8]) -> Step {
        let texts: Vec<String> = parameters.split(|byte| *byte == 0).map(|text| String::from_utf8_lossy(text).into_owned()).collect();
        let parameter = |name: &str| texts.chunks_exact(2).find(|pair| pair[0] == name).map(|pair| pair[1].clone());
        let Some(user) = parameter("user") else { return Step::Close };
        let database = Secret::new(parameter("database").unwrap_or_else(|| user.clone()));
        let user = Secret::new(user);
        self.user = Some(user.clone());
        // AuthenticationCleartextPassword.
        let ask = vec![b'R', 0, 0, 0, 8, 0, 0, 0, 3];
        Step::Greeted(Login { user, database, application: parameter("application_name") }, ask)
    }
}

/// A message with a type: `p`, length, the password and a zero.
fn password(user: &Secret, input: &mut Vec<u8>) -> Step {
    match input.first() {
        None => return Step::Read,
        Some(b'p') => {}
        Some(_) => return Step::Close,
    }
    let Some(length) = number(input, 1) else { return Step::Read };
    if !(5..=LONGEST).contains(&length) {
        return Step::Close;
    }
    if input.len() < length + 1 {
        return Step::Read;
    }
    let message: Vec<u8> = input.drain(..=length).collect();
    let text = message[5..].split(|byte| *byte == 0).next().unwrap_or_default();
    Step::Presented(Secret::new(String::from_utf8_lossy(text).into_owned()), refusal(user))
}

/// ErrorResponse 28P01, as the server sends it after a wrong password.
fn refusal(user: &Secret) -> Vec<u8> {
    let message = format!("Mpassword authentication failed for user \"{}\"", user.expose());
    let mut fields = Vec::new();
    for field in ["SFATAL", "VFATAL", "C28P01", &message, "Fauth.c", "L321", "Rauth_failed"] {
        fields.extend_from_slice(field.as_bytes());
        fields.push(0);
    }
    fields.push(0);
    let length = u32::try_from(fields.len() + 4).unwrap_or_default();
    [&[b'E'][..], &length.to_be_bytes(), &fields].concat()
}

fn number(bytes: &[u8], at: usize) -> Option<usize> {
    let bytes: [u8; 4] = bytes.get(at..at + 4)?.try_into().ok()?;
    usize::try_from(u32::from_be_bytes(bytes)).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn startup(code: u32, content: &[u8]) -> Vec<u8> {
        let length = u32::try_from(content.len() + 8).expect("short");
        [&length.to_be_bytes()[..], &code.to_be_bytes(), content].concat()
    }

    fn login() -> Vec<u8> {
        startup(PROTOCOL_3 << 16, b"user\0app\0database\0orders\0application_name\0psql\0\0")
    }

    fn password_message(text: &str) -> Vec<u8> {
        let length = u32::try_from(text.len() + 5).expect("short");
        [&b"p"[..], &length.to_be_bytes(), text.as_bytes(), b"\0"].concat()
    }

    #[test]
    fn a_client_is_led_to_its_password_and_refused() {
        let mut conversation = Conversation::default();
        assert_eq!(conversation.next(&mut startup(TLS, b"")), Step::StartTls(b'S'));
        let mut input = login();
        let Step::Greeted(login, ask) = conversation.next(&mut input) else { panic!("greeted") };
        assert_eq!((login.user.expose(), login.database.expose(), login.application.as_deref()), ("app", "orders", Some("psql")));
        assert_eq!(ask, [b'R', 0, 0, 0, 8, 0, 0, 0, 3]);
        assert!(input.is_empty());
        let mut input = password_message("s3cret");
        let Step::Presented(password, refusal) = conversation.next(&mut input) else { panic!("presented") };
        assert_eq!(password.expose(), "s3cret");
        assert!(String::from_utf8_lossy(&refusal).contains("C28P01\0Mpassword authentication failed for user \"app\"\0"));
        assert_eq!(number(&refusal, 1), Some(refusal.len() - 1));
    }

    #[test]
    fn messages_may_arrive_byte_by_byte() {
        let mut conversation = Conversation::default();
        let mut input = Vec::new();
        let mut steps = Vec::new();
        for byte in [login(), password_message("s3cret")].concat() {
            input.push(byte);
            steps.push(conversation.next(&mut input));
        }
        steps.retain(|step| *step != Step::Read);
        assert!(matches!(&steps[..], [Step::Greeted(..), Step::Presented(..)]));
    }

    #[test]
    fn without_a_database_it_is_the_users() {
        let mut conversation = Conversation::default();
        let Step::Greeted(login, _) = conversation.next(&mut startup(PROTOCOL_3 << 16, b"user\0app\0\0")) else { panic!("greeted") };
        assert_eq!(login.database.expose(), "app");
    }

    #[test]
    fn encryption_by_kerberos_is_declined_and_the_client_goes_on() {
        let mut conversation = Conversation::default();
        assert_eq!(conversation.next(&mut startup(GSS, b"")), Step::Send(vec![b'N']));
        assert!(matches!(conversation.next(&mut login()), Step::Greeted(..)));
    }

    #[test]
    fn what_is_not_a_login_is_closed() {
        let twice = [startup(TLS, b""), startup(TLS, b"")].concat();
        for bytes in [&b"GET / HTTP/1.1\r\n\r\n"[..], &[0, 0, 0, 4], &[0xff; 8], &startup(CANCEL, &[0; 8]), &startup(1, b""), &twice] {
            assert_eq!(Conversation::default().next(&mut bytes.to_vec()), Step::Close, "{bytes:?}");
        }
        let mut conversation = Conversation::default();
        conversation.next(&mut login());
        assert_eq!(conversation.next(&mut b"Q\0\0\0\x05\0".to_vec()), Step::Close);
    }
}
