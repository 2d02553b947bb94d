//! SageMaker and SQS as far as one invocation needs them, over TLS on loopback.
//!
//! `bench-endpoint FOLDER` writes the certificate to trust to `FOLDER/ca.pem`, prints the port it
//! listens on and answers until its stdin closes. Its answers cost next to nothing, so that what is
//! measured is the caller.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::sync::Arc;
use std::thread;

use anyhow::{Context, Result, bail};
use md5::{Digest, Md5};
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::{ServerConfig, ServerConnection, StreamOwned};
use serde_json::{Value, json};

fn main() -> Result<()> {
    let folder = std::env::args().nth(1).context("usage: bench-endpoint FOLDER")?;
    let tls = Arc::new(identity(Path::new(&folder))?);
    let listener = TcpListener::bind("127.0.0.1:0")?;
    writeln!(std::io::stdout(), "{}", listener.local_addr()?.port())?;

    thread::spawn(move || {
        for socket in listener.incoming().flatten() {
            let tls = Arc::clone(&tls);
            // A caller that goes away ends its connection with an error; that is no concern of ours.
            thread::spawn(move || serve(socket, tls));
        }
    });
    // Whoever started us holds our stdin; when it goes, so do we.
    std::io::copy(&mut std::io::stdin(), &mut std::io::sink())?;
    Ok(())
}

/// A certificate authority of this run's own, and a certificate by it for `localhost`.
fn identity(folder: &Path) -> Result<ServerConfig> {
    let mut authority = rcgen::CertificateParams::new(Vec::new())?;
    authority.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    authority.distinguished_name.push(rcgen::DnType::CommonName, "bench-endpoint");
    // Python's OpenSSL refuses an authority without them.
    authority.key_usages = vec![rcgen::KeyUsagePurpose::KeyCertSign, rcgen::KeyUsagePurpose::CrlSign];
    let authority_key = rcgen::KeyPair::generate()?;
    std::fs::write(folder.join("ca.pem"), authority.self_signed(&authority_key)?.pem())?;

    let mut server = rcgen::CertificateParams::new(vec!["localhost".to_owned()])?;
    server.use_authority_key_identifier_extension = true;
    let key = rcgen::KeyPair::generate()?;
    let certificate = server.signed_by(&key, &rcgen::Issuer::new(authority, authority_key))?;
    let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(key.serialize_der()));
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    Ok(ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_single_cert(vec![certificate.der().clone()], key)?)
}

fn serve(socket: TcpStream, tls: Arc<ServerConfig>) -> Result<()> {
    socket.set_nodelay(true)?;
    let mut stream = BufReader::new(StreamOwned::new(ServerConnection::new(tls)?, socket));
    while let Some(request) = Request::read(&mut stream)? {
        if request.expects_continue {
            stream.get_mut().write_all(b"HTTP/1.1 100 Continue\r\n\r\n")?;
        }
        let body = request.body(&mut stream)?;
        let answer = answer(&request.path, &body)?;
        write!(
            stream.get_mut(),
            "HTTP/1.1 200 OK\r\nContent-Type: {}\r\nContent-Length: {}\r\n\r\n{answer}",
            if request.path == "/" { "application/x-amz-json-1.0" } else { "application/json" },
            answer.len(),
        )?;
        stream.get_mut().flush()?;
    }
    Ok(())
}

/// A score for every row, or the receipt of a message.
fn answer(path: &str, body: &[u8]) -> Result<String> {
    if path.starts_with("/endpoints/") {
        let rows = body.split(|&b| b == b'\n').filter(|row| !row.is_empty()).count();
        return Ok(format!("{{\"scores\":[{}]}}", vec![r#"{"score":0.9187342}"#; rows].join(",")));
    }
    let message: Value = serde_json::from_slice(body).context("neither an invocation nor a message")?;
    let Some(text) = message["MessageBody"].as_str() else { bail!("a message without a body") };
    // botocore checks it.
    let md5: String = Md5::digest(text).iter().map(|byte| format!("{byte:02x}")).collect();
    Ok(json!({"MessageId": "00000000-0000-0000-0000-000000000000", "MD5OfMessageBody": md5, "SequenceNumber": "1"})
        .to_string())
}

/// The head of an HTTP/1.1 request.
struct Request {
    path: String,
    length: Option<usize>,
    expects_continue: bool,
}

impl Request {
    /// `None` when the caller is done.
    fn read(stream: &mut impl BufRead) -> Result<Option<Self>> {
        let mut line = String::new();
        if stream.read_line(&mut line)? == 0 {
            return Ok(None);
        }
        let path = line.split(' ').nth(1).unwrap_or_default().to_owned();
        let mut request = Self { path, length: None, expects_continue: false };
        loop {
            line.clear();
            stream.read_line(&mut line)?;
            let Some((name, value)) = line.trim_end().split_once(':') else { return Ok(Some(request)) };
            match (name.to_ascii_lowercase().as_str(), value.trim()) {
                ("content-length", length) => request.length = Some(length.parse()?),
                ("expect", _) => request.expects_continue = true,
                _ => {}
            }
        }
    }

    fn body(&self, stream: &mut impl Read) -> Result<Vec<u8>> {
        let Some(length) = self.length else { bail!("{}: a body without a length", self.path) };
        let mut body = vec![0; length];
        stream.read_exact(&mut body)?;
        Ok(body)
    }
}
