//! The doors that images come in and go out by.

use std::path::PathBuf;

use crate::net::docker_engine::{DockerEngine, EngineError};
use crate::registry::registries::Registries;

/// What sources and destinations need from the world.
#[derive(Clone)]
pub struct Access {
    pub registries: Registries,
    /// `DOCKER_HOST`; `None` for the usual socket.
    pub docker_host: Option<String>,
    /// A folder of this run's own, for what can only be read once.
    pub scratch: PathBuf,
}

impl Access {
    /// The Docker Engine, for those who name it.
    ///
    /// # Errors
    /// When `DOCKER_HOST` is no address of one.
    pub fn docker(&self) -> Result<DockerEngine, EngineError> {
        DockerEngine::new(self.docker_host.as_deref())
    }
}
