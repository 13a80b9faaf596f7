//! The trap: a server that honeytokens lead to. It tells who came with one, and grants nothing to anybody.

pub mod certificate;
pub mod credentials;
pub mod error;
pub mod faces;
mod gate;
mod http;
pub mod observer;
pub mod postgres;
pub mod request;
pub mod server;
mod session;
mod stop;
