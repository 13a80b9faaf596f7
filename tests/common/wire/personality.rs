//! Registries as they are met: each with the ways of its own that clients have to live with.

/// How somebody proves who they are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Proof {
    Nothing,
    Basic,
    /// A token, bought with user and password at the registry's own host.
    Token,
    /// The same at another host.
    ForeignToken,
    /// A token, bought with an identity token by POST.
    Identity,
}

/// Where a session's next request goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Locations {
    /// `/v2/…`, with a state in its query that each answer changes.
    Relative,
    Absolute,
    /// Relative, and below `upload/` instead of `uploads/`: no client may care.
    Upload,
}

#[derive(Debug, Clone, Copy)]
pub(crate) struct Personality {
    pub(crate) name: &'static str,
    pub(crate) proof: Proof,
    /// A token is refused after so many uses: its five seconds, told by a count.
    pub(crate) uses: Option<u32>,
    pub(crate) locations: Locations,
    /// What a mount is answered; `None` where none is asked for. 201 holds for the base layer, which lies in the other repository.
    pub(crate) mount: Option<u16>,
    /// A manifest is taken with this status, with or without a location.
    pub(crate) taken: u16,
    pub(crate) tells_location: bool,
    /// Blobs that travel at once.
    pub(crate) parallel: usize,
    /// A whole blob is refused with 413: pieces it must be, of at most so many bytes, taken with a status and a lying range.
    pub(crate) pieces: Option<(usize, u16)>,
    /// The image is an index.
    pub(crate) index: bool,
}

const PLAIN: Personality = Personality {
    name: "distribution",
    proof: Proof::Nothing,
    uses: None,
    locations: Locations::Relative,
    mount: Some(201),
    taken: 201,
    tells_location: true,
    parallel: 1,
    pieces: None,
    index: false,
};

/// All that are tried. Sources: the files of `src/registry/quirks`.
pub(crate) const PERSONALITIES: [Personality; 8] = [
    Personality { parallel: 4, index: true, ..PLAIN },
    Personality { name: "GHCR", proof: Proof::Token, locations: Locations::Upload, mount: Some(403), ..PLAIN },
    Personality { name: "GitLab", proof: Proof::Token, uses: Some(7), mount: Some(202), ..PLAIN },
    Personality { name: "Docker Hub", proof: Proof::ForeignToken, locations: Locations::Absolute, mount: Some(401), ..PLAIN },
    Personality { name: "ECR", proof: Proof::Basic, mount: None, tells_location: false, pieces: Some((4 << 20, 201)), ..PLAIN },
    Personality { name: "ACR", proof: Proof::Identity, mount: Some(404), locations: Locations::Absolute, ..PLAIN },
    Personality { name: "Harbor", proof: Proof::Token, mount: Some(401), ..PLAIN },
    Personality { name: "Quay", proof: Proof::Token, mount: Some(405), taken: 202, parallel: 4, locations: Locations::Absolute, ..PLAIN },
];
