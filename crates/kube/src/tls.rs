//! TLS below ureq: our own connector, because a kubeconfig may name the server differently from its address,
//! and because ureq's panics on a client certificate that does not match its key.

use std::fmt;
use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, WebPkiSupportedAlgorithms};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::{
    ClientConfig, ClientConnection, DigitallySignedStruct, RootCertStore, SignatureScheme,
    StreamOwned,
};
use ureq::unversioned::transport::{
    Buffers, ConnectionDetails, Connector, Either, LazyBuffers, NextTimeout, Transport,
    TransportAdapter,
};

use crate::credentials::{Credentials, Identity, PemSource, Trust};
use crate::error::CredentialsError;

/// Where distributions keep the public roots; the first that exists is used, as in Go.
const SYSTEM_ROOTS: [&str; 5] = [
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",
    "/etc/ssl/cert.pem",
];

/// Wraps every `https` connection.
pub(crate) struct TlsConnector {
    config: Arc<ClientConfig>,
    /// `host:port` of the API server: a proxy keeps its own name.
    authority: String,
    server_name: Option<ServerName<'static>>,
}

impl TlsConnector {
    /// Reads certificates and keys; `identity` comes from a credential plugin and wins.
    pub(crate) fn new(
        credentials: &Credentials,
        identity: Option<&Identity>,
    ) -> Result<Self, CredentialsError> {
        let origin = &credentials.origin;
        let server_name = credentials
            .tls_server_name
            .as_ref()
            .map(|name| ServerName::try_from(name.clone()))
            .transpose()
            .map_err(|_| invalid(origin, "tls-server-name: not a host name".to_owned()))?;
        let identity = identity.or(credentials.identity.as_ref());
        let config = client_config(origin, &credentials.trust, identity)?;
        let without_scheme = credentials.server.split("://").nth(1).unwrap_or_default();
        let authority = without_scheme.split('/').next().unwrap_or_default();
        Ok(Self {
            config: Arc::new(config),
            authority: authority.to_owned(),
            server_name,
        })
    }

    fn name_for(&self, details: &ConnectionDetails<'_>) -> Option<ServerName<'static>> {
        let authority = details.uri.authority()?;
        if authority.as_str() == self.authority
            && let Some(name) = &self.server_name
        {
            return Some(name.clone());
        }
        let host = authority.host().trim_matches(['[', ']']);
        ServerName::try_from(host.to_owned()).ok()
    }
}

impl<In: Transport> Connector<In> for TlsConnector {
    type Out = Either<In, TlsTransport>;

    fn connect(
        &self,
        details: &ConnectionDetails<'_>,
        chained: Option<In>,
    ) -> Result<Option<Self::Out>, ureq::Error> {
        let Some(transport) = chained else {
            return Ok(None);
        };
        if !details.needs_tls() {
            return Ok(Some(Either::A(transport)));
        }
        let name = self
            .name_for(details)
            .ok_or(ureq::Error::Tls("the host is not a name TLS can verify"))?;
        let mut connection = ClientConnection::new(Arc::clone(&self.config), name)?;
        let boxed: Box<dyn Transport> = Box::new(transport);
        let mut socket = TransportAdapter::new(boxed, Arc::clone(&details.current_time));
        socket.set_timeout(details.timeout);
        connection.complete_io(&mut socket)?;
        let buffers = LazyBuffers::new(
            details.config.input_buffer_size(),
            details.config.output_buffer_size(),
        );
        Ok(Some(Either::B(TlsTransport {
            buffers,
            stream: StreamOwned::new(connection, socket),
        })))
    }
}

impl fmt::Debug for TlsConnector {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("TlsConnector")
            .field("authority", &self.authority)
            .field("server_name", &self.server_name)
            .finish_non_exhaustive()
    }
}

/// One encrypted connection.
pub(crate) struct TlsTransport {
    buffers: LazyBuffers,
    stream: StreamOwned<ClientConnection, TransportAdapter>,
}

impl Transport for TlsTransport {
    fn buffers(&mut self) -> &mut dyn Buffers {
        &mut self.buffers
    }

    fn transmit_output(&mut self, amount: usize, timeout: NextTimeout) -> Result<(), ureq::Error> {
        self.stream.sock.set_timeout(timeout);
        let output = &self.buffers.output()[..amount];
        std::io::Write::write_all(&mut self.stream, output)?;
        Ok(())
    }

    fn await_input(&mut self, timeout: NextTimeout) -> Result<bool, ureq::Error> {
        self.stream.sock.set_timeout(timeout);
        let input = self.buffers.input_append_buf();
        let amount = std::io::Read::read(&mut self.stream, input)?;
        self.buffers.input_appended(amount);
        Ok(amount > 0)
    }

    fn is_open(&mut self) -> bool {
        self.stream.sock.get_mut().is_open()
    }

    fn is_tls(&self) -> bool {
        true
    }
}

impl fmt::Debug for TlsTransport {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("TlsTransport")
            .finish_non_exhaustive()
    }
}

fn client_config(
    origin: &str,
    trust: &Trust,
    identity: Option<&Identity>,
) -> Result<ClientConfig, CredentialsError> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let algorithms = provider.signature_verification_algorithms;
    let builder = ClientConfig::builder_with_provider(Arc::<CryptoProvider>::clone(&provider))
        .with_safe_default_protocol_versions()
        .map_err(|error| invalid(origin, error.to_string()))?;
    let builder = match trust {
        Trust::System => builder.with_root_certificates(system_roots(origin)?),
        Trust::Only(source) => builder.with_root_certificates(roots(origin, source)?),
        Trust::Anything => builder
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(NoVerification { algorithms })),
    };
    let Some(identity) = identity else {
        return Ok(builder.with_no_client_auth());
    };
    let chain = certificates(origin, &identity.certificate)?;
    let key = PrivateKeyDer::from_pem_slice(&identity.key.read()?)
        .map_err(|_| invalid(origin, format!("{}: no PEM private key", identity.key)))?;
    builder.with_client_auth_cert(chain, key).map_err(|error| {
        let (certificate, key) = (&identity.certificate, &identity.key);
        invalid(
            origin,
            format!("{certificate} and {key} do not fit together: {error}"),
        )
    })
}

fn certificates(
    origin: &str,
    source: &PemSource,
) -> Result<Vec<CertificateDer<'static>>, CredentialsError> {
    let pem = source.read()?;
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&pem).collect();
    match found {
        Ok(found) if !found.is_empty() => Ok(found),
        _ => Err(invalid(origin, format!("{source}: no PEM certificates"))),
    }
}

fn roots(origin: &str, source: &PemSource) -> Result<RootCertStore, CredentialsError> {
    let mut store = RootCertStore::empty();
    let (added, _) = store.add_parsable_certificates(certificates(origin, source)?);
    if added == 0 {
        return Err(invalid(
            origin,
            format!("{source}: no usable certificate authority"),
        ));
    }
    Ok(store)
}

fn system_roots(origin: &str) -> Result<RootCertStore, CredentialsError> {
    let found = SYSTEM_ROOTS
        .iter()
        .map(std::path::Path::new)
        .find(|path| path.exists());
    let path = found.ok_or_else(|| {
        let places = SYSTEM_ROOTS.join(", ");
        invalid(
            origin,
            format!("no certificate-authority is set, and the system has none in {places}"),
        )
    })?;
    roots(origin, &PemSource::File(path.to_owned()))
}

fn invalid(origin: &str, problem: String) -> CredentialsError {
    CredentialsError::Invalid {
        origin: origin.to_owned(),
        problems: vec![problem],
    }
}

/// For `insecure-skip-tls-verify`: any certificate will do, but the handshake must be signed with it.
#[derive(Debug)]
struct NoVerification {
    algorithms: WebPkiSupportedAlgorithms,
}

impl ServerCertVerifier for NoVerification {
    fn verify_server_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        rustls::crypto::verify_tls12_signature(message, certificate, signature, &self.algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        rustls::crypto::verify_tls13_signature(message, certificate, signature, &self.algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}
