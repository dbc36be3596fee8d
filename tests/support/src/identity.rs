//! Certificates for TLS receivers, made anew in every run.

use std::{sync::Arc, time::Duration};

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use rustls::{
    ServerConfig,
    crypto::ring,
    pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer},
};

/// A TLS receiver's key and certificate, and the root that a client must trust to accept it.
pub struct Identity {
    root_pem: String,
    config: Arc<ServerConfig>,
}

impl Identity {
    /// Valid for `names` (host names or addresses) for a day.
    pub fn for_names(names: &[&str]) -> Self {
        Self::make(names, -2, 1, true)
    }

    /// As [`Identity::for_names`], but it ran out yesterday.
    pub fn expired(names: &[&str]) -> Self {
        Self::make(names, -2, -1, true)
    }

    /// As [`Identity::for_names`], but only from tomorrow on.
    pub fn not_yet_valid(names: &[&str]) -> Self {
        Self::make(names, 1, 2, true)
    }

    /// As [`Identity::for_names`], but vouched for by its own key only; its root has signed nothing.
    pub fn self_signed(names: &[&str]) -> Self {
        Self::make(names, -2, 1, false)
    }

    /// The root as PEM: trust it to accept this receiver, leave it out for one that nobody vouches for.
    pub fn root_pem(&self) -> &str {
        &self.root_pem
    }

    pub(crate) fn config(&self) -> Arc<ServerConfig> {
        Arc::clone(&self.config)
    }

    /// Valid from and until these days from now.
    fn make(names: &[&str], from: i32, until: i32, vouched_for: bool) -> Self {
        let root_key = KeyPair::generate().expect("a root key");
        let mut root = CertificateParams::new(Vec::new()).expect("root parameters");
        root.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let root_pem = root.self_signed(&root_key).expect("a root certificate").pem();

        let key = KeyPair::generate().expect("a key");
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        let mut leaf = CertificateParams::new(names).expect("names of hosts");
        // rcgen's own default is valid from 1975 on; its clock type stays unnamed by moving from there.
        let now = leaf.not_before + Duration::from_secs(seconds_since(leaf.not_before.unix_timestamp()));
        let day = Duration::from_secs(86_400);
        let shifted = |days: i32| match u32::try_from(days) {
            Ok(days) => now + days * day,
            Err(_) => now - days.unsigned_abs() * day,
        };
        (leaf.not_before, leaf.not_after) = (shifted(from), shifted(until));
        let leaf = if vouched_for {
            leaf.signed_by(&key, &Issuer::new(root, root_key))
        } else {
            leaf.self_signed(&key)
        }
        .expect("a certificate");

        let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
        let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .and_then(|builder| {
                builder
                    .with_no_client_auth()
                    .with_single_cert(vec![leaf.der().clone()], key)
            })
            .expect("a TLS server configuration");
        Self {
            root_pem,
            config: Arc::new(config),
        }
    }
}

fn seconds_since(unix: i64) -> u64 {
    let now = std::time::UNIX_EPOCH.elapsed().expect("a clock after 1970").as_secs();
    now.checked_add_signed(-unix).expect("a clock after 1975")
}
