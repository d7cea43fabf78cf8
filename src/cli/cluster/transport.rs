//! Carries requests to the API server, with what the login has to show.

use std::sync::{Arc, Mutex, PoisonError};

use base64::{Engine, engine::general_purpose::STANDARD};
use http::{
    HeaderName, HeaderValue, Request, Response, StatusCode,
    header::{AUTHORIZATION, PROXY_AUTHORIZATION},
    uri::Scheme,
};
use hyper::body::Incoming;
use hyper_rustls::{FixedServerNameResolver, HttpsConnector, HttpsConnectorBuilder};
use hyper_util::{
    client::legacy::{Client as Http, connect::HttpConnector},
    rt::TokioExecutor,
};
use kube::{
    Client, Config,
    client::{Body, ConfigExt},
};
use rustls::pki_types::ServerName;
use tower::{BoxError, Layer, ServiceExt, service_fn};

use super::{
    again::{self, PATIENCE},
    certificates::Identity,
    connector::Connector,
    login::Login,
    proxy::{Kind, Proxy},
    trust::trust,
    warnings::Warnings,
};
use crate::cli::error::CliError;

/// All that a request needs beside itself.
pub struct Way {
    /// Where to, and whom to trust.
    pub config: Config,
    /// The server's name within TLS, where it is another than in its address.
    pub server_name: Option<ServerName<'static>>,
    pub proxy: Option<Proxy>,
    pub login: Login,
    /// Of the kubeconfig; that of a plugin comes with its login.
    pub identity: Option<Identity>,
    pub acts_as: Vec<(HeaderName, HeaderValue)>,
}

/// No login, so no request.
#[derive(Clone, Debug, thiserror::Error)]
#[error("could not log in")]
pub struct NoLogin(pub CliError);

impl Way {
    /// A client. What the API server warns of is added to `warnings`.
    pub fn open(self, warnings: Warnings) -> Result<Client, kube::Error> {
        let namespace = self.config.default_namespace.clone();
        let http = self.http(self.identity.as_ref())?;
        let sender = Arc::new(Sender {
            way: self,
            warnings,
            http: Mutex::new((None, http)),
        });
        Ok(Client::new(
            service_fn(move |request| sender.clone().send(request)),
            namespace,
        ))
    }

    /// A client with connections of its own.
    fn http(&self, identity: Option<&Identity>) -> Result<HttpClient, kube::Error> {
        let mut config = self.config.clone();
        if let Some(Identity { certificate, key }) = identity {
            config.auth_info.client_certificate_data = Some(STANDARD.encode(certificate));
            config.auth_info.client_key_data = Some(STANDARD.encode(key.reveal()).into());
        }
        let mut tcp = HttpConnector::new();
        tcp.enforce_http(false);
        tcp.set_nodelay(true);
        let connector = Connector {
            proxy: self.proxy.clone(),
            tls: self.within_tls(&config, tcp.clone())?,
            tcp,
        };
        let connector = self.within_tls(&config, connector)?;
        Ok(Http::builder(TokioExecutor::new()).build(connector))
    }

    fn within_tls<C>(&self, config: &Config, inner: C) -> Result<HttpsConnector<C>, kube::Error> {
        let mut tls = config.rustls_client_config()?;
        // In a pod kube reads the authority anew, since it changes there.
        let fixed = config.root_cert_file.is_none() && !config.accept_invalid_certs;
        if let Some(authorities) = config.root_cert.as_deref().filter(|_| fixed) {
            trust(&mut tls, authorities);
        }
        let builder = HttpsConnectorBuilder::new()
            .with_tls_config(tls)
            .https_or_http();
        let builder = match self.server_name.clone() {
            Some(name) => builder.with_server_name_resolver(FixedServerNameResolver::new(name)),
            None => builder,
        };
        Ok(builder.enable_http1().wrap_connector(inner))
    }

    /// A plain request goes to an HTTP proxy as it is, and so does what the proxy wants to know.
    fn asks_the_proxy(&self) -> Option<HeaderValue> {
        let proxy = self.proxy.as_ref()?;
        let plain = self.config.cluster_url.scheme() != Some(&Scheme::HTTPS);
        (plain && proxy.kind != Kind::Socks5).then(|| proxy.authorization())?
    }
}

type HttpClient = Http<HttpsConnector<Connector>, Body>;

struct Sender {
    way: Way,
    warnings: Warnings,
    /// The plugin's certificate that these connections show.
    http: Mutex<(Option<Identity>, HttpClient)>,
}

impl Sender {
    async fn send(
        self: Arc<Self>,
        mut request: Request<Body>,
    ) -> Result<Response<Incoming>, BoxError> {
        let mut patience = PATIENCE;
        loop {
            let (method, copy) = (request.method().clone(), again::copy(&request));
            let response = self.send_once(request).await?;
            self.warnings.note(response.headers());
            let wait = again::wait(&method, response.status(), response.headers(), patience);
            let Some((wait, copy)) = wait.zip(copy) else {
                return Ok(response);
            };
            tokio::time::sleep(wait).await;
            patience -= wait;
            request = copy;
        }
    }

    async fn send_once(&self, mut request: Request<Body>) -> Result<Response<Incoming>, BoxError> {
        let shown = self.way.login.show().await.map_err(NoLogin)?;
        let headers = request.headers_mut();
        if let Some(authorization) = shown.authorization {
            headers.insert(AUTHORIZATION, authorization);
        }
        if let Some(authorization) = self.way.asks_the_proxy() {
            headers.insert(PROXY_AUTHORIZATION, authorization);
        }
        headers.extend(self.way.acts_as.iter().cloned());
        let http = self.connections(shown.identity)?;
        let http = self.way.config.base_uri_layer().layer(http);
        let response = http.oneshot(request).await?;
        if response.status() == StatusCode::UNAUTHORIZED {
            self.way.login.refused().await;
        }
        Ok(response)
    }

    /// A connection keeps the certificate that it began with, so another one takes other connections.
    fn connections(&self, identity: Option<Identity>) -> Result<HttpClient, kube::Error> {
        let mut http = self.http.lock().unwrap_or_else(PoisonError::into_inner);
        if http.0 != identity {
            let shown = identity.as_ref().or(self.way.identity.as_ref());
            http.1 = self.way.http(shown)?;
            http.0 = identity;
        }
        Ok(http.1.clone())
    }
}
