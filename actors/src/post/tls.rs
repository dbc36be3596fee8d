//! TLS towards receivers: which roots are trusted.
//!
//! The system's store decides where there is one (`/etc/ssl`, or `SSL_CERT_FILE` and `SSL_CERT_DIR`): an operator who
//! adds a company's root there, or removes one, is obeyed. A bare container has none; then Mozilla's roots, compiled
//! in, are used, and the log says so. reqwest's own choice, rustls-platform-verifier, would refuse every receiver
//! there. The crypto provider is named, not taken from the process, so that this works before `main` installed one.

use std::sync::{Arc, LazyLock};

use rustls::{
    ClientConfig, RootCertStore,
    crypto::ring,
    pki_types::{CertificateDer, pem::PemObject as _},
};

use super::PosterError;

/// HTTP/2 where the receiver speaks it: one connection for all attempts in flight.
const ALPN: [&[u8]; 2] = [b"h2", b"http/1.1"];

/// Read once, and shared by all clients: there are some hundred of them.
static USUAL_ROOTS: LazyLock<Arc<RootCertStore>> = LazyLock::new(|| Arc::new(usual_roots()));

/// Whether these are certificates (PEM) that can be trusted as roots (`delivery.extra_roots`).
///
/// # Errors
/// `Roots` says what is wrong with which.
pub fn check_roots(pem: &str) -> Result<(), PosterError> {
    add_roots(&mut RootCertStore::empty(), pem)
}

fn add_roots(roots: &mut RootCertStore, pem: &str) -> Result<(), PosterError> {
    let bad = |error: &dyn std::fmt::Display| PosterError::Roots(error.to_string());
    for certificate in CertificateDer::pem_slice_iter(pem.as_bytes()) {
        let certificate = certificate.map_err(|error| bad(&error))?;
        roots.add(certificate).map_err(|error| bad(&error))?;
    }
    Ok(())
}

/// The client's TLS configuration: TLS 1.2 and 1.3, certificates always verified.
pub(crate) fn client_config(extra_roots_pem: &str) -> Result<ClientConfig, PosterError> {
    let mut roots = Arc::clone(&USUAL_ROOTS);
    if !extra_roots_pem.is_empty() {
        add_roots(Arc::make_mut(&mut roots), extra_roots_pem)?;
    }
    let mut config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = ALPN.map(<[u8]>::to_vec).to_vec();
    Ok(config)
}

fn usual_roots() -> RootCertStore {
    let mut roots = RootCertStore::empty();
    let system = rustls_native_certs::load_native_certs();
    // Stores commonly hold a few certificates that are of no use here; they are left out, not complained about.
    let (added, _) = roots.add_parsable_certificates(system.certs);
    if added == 0 {
        let problem = system.errors.first().map(ToString::to_string);
        tracing::warn!(
            problem,
            "this system has no CA certificates; webhooks are verified by the roots compiled in"
        );
        roots.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned());
    }
    roots
}
