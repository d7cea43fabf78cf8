//! When a gateway is ready, as the kubelet's probe asks: once the API server trusts it and it knows the API
//! server. The store does not matter here: a gateway without it still answers discovery, and must.

use tokio::sync::watch;

use super::front_proxy::Known;

/// What a gateway needs before it is any use.
#[derive(Clone, Debug)]
pub struct Readiness {
    pub registered: watch::Receiver<bool>,
    pub front_proxy: watch::Receiver<Known>,
}

impl Readiness {
    /// What is waited for, or nothing.
    pub fn missing(&self) -> Option<&'static str> {
        match &*self.front_proxy.borrow() {
            Known::NotYet => Some("how the API server identifies itself was not read yet"),
            Known::Unusable(_) => {
                Some("how the API server identifies itself can't be used; see the log")
            }
            Known::Good(_) if !*self.registered.borrow() => {
                Some("the APIService does not have this replica's certificate yet")
            }
            Known::Good(_) => None,
        }
    }
}
