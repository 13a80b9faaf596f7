//! What a token shall allow.

/// Rights on one repository, and on a second one when blobs are mounted from there.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Scope {
    pub repository: String,
    pub push: bool,
    pub mount_from: Option<String>,
}

impl Scope {
    #[must_use]
    pub fn pull(repository: &str) -> Self {
        Self { repository: repository.to_owned(), push: false, mount_from: None }
    }

    #[must_use]
    pub fn push(repository: &str) -> Self {
        Self { push: true, ..Self::pull(repository) }
    }

    /// The same, with the right to read the repository that blobs are mounted from.
    #[must_use]
    pub fn mounting(self, from: &str) -> Self {
        let mount_from = (from != self.repository).then(|| from.to_owned());
        Self { mount_from, ..self }
    }

    /// As the token server wants it, one word per repository; the destination first, since some servers read only the first.
    ///
    /// Source: Docker Registry, "Token Scope Documentation".
    #[must_use]
    pub fn words(&self) -> Vec<String> {
        let own = format!("repository:{}:{}", self.repository, if self.push { "pull,push" } else { "pull" });
        std::iter::once(own).chain(self.mount_from.iter().map(|from| format!("repository:{from}:pull"))).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mount_asks_for_its_source_too() {
        assert_eq!(Scope::push("a/b").mounting("c/d").words(), ["repository:a/b:pull,push", "repository:c/d:pull"]);
        assert_eq!(Scope::push("a/b").mounting("a/b").words(), ["repository:a/b:pull,push"]);
    }
}
