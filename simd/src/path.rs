use core::fmt;

/// The instructions that AES runs in. There is no value of a path that the machine does not have.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct AesPath(AesKind);

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum AesKind {
    Portable,
    #[cfg(target_arch = "x86_64")]
    AesNi,
    #[cfg(target_arch = "x86_64")]
    Vaes,
}

impl AesPath {
    /// RustCrypto's, which the machine always has; it looks for instructions by itself.
    pub const PORTABLE: Self = Self(AesKind::Portable);

    /// All that the machine has, the best one first.
    pub fn available() -> impl Iterator<Item = Self> {
        #[cfg(target_arch = "x86_64")]
        let found = {
            let aes_ni = is_x86_feature_detected!("aes") && is_x86_feature_detected!("sse4.1");
            let vaes = aes_ni && is_x86_feature_detected!("vaes") && is_x86_feature_detected!("avx2");
            [
                vaes.then_some(Self(AesKind::Vaes)),
                aes_ni.then_some(Self(AesKind::AesNi)),
            ]
        };
        #[cfg(not(target_arch = "x86_64"))]
        let found: [Option<Self>; 0] = [];
        found.into_iter().flatten().chain([Self::PORTABLE])
    }

    /// The best one that the machine has.
    pub fn best() -> Self {
        Self::available().next().unwrap_or(Self::PORTABLE)
    }

    pub(crate) const fn kind(self) -> AesKind {
        self.0
    }
}

impl fmt::Debug for AesPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The instructions that SHA-1 runs in. There is no value of a path that the machine does not have.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Sha1Path(Sha1Kind);

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Sha1Kind {
    Portable,
    #[cfg(target_arch = "x86_64")]
    ShaNi,
}

impl Sha1Path {
    /// RustCrypto's, which the machine always has; it looks for instructions by itself, and takes one message at a time.
    pub const PORTABLE: Self = Self(Sha1Kind::Portable);

    /// All that the machine has, the best one first.
    pub fn available() -> impl Iterator<Item = Self> {
        #[cfg(target_arch = "x86_64")]
        let found = {
            let sha_ni = is_x86_feature_detected!("sha")
                && is_x86_feature_detected!("ssse3")
                && is_x86_feature_detected!("sse4.1");
            [sha_ni.then_some(Self(Sha1Kind::ShaNi))]
        };
        #[cfg(not(target_arch = "x86_64"))]
        let found: [Option<Self>; 0] = [];
        found.into_iter().flatten().chain([Self::PORTABLE])
    }

    /// The best one that the machine has.
    pub fn best() -> Self {
        Self::available().next().unwrap_or(Self::PORTABLE)
    }

    pub(crate) const fn kind(self) -> Sha1Kind {
        self.0
    }
}

impl fmt::Debug for Sha1Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}
