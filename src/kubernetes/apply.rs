//! Server-side apply. Its body is JSON that the API server reads as YAML, so it goes out as
//! [`crate::api::json::plain`] has it: else one character in a prompt is enough to have every write refused.

use kube::{
    Api, Resource,
    api::{Patch, PatchParams, Request},
};
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::api::json;

/// Applies the status of the object of this name.
pub async fn apply_status<K>(
    api: Api<K>,
    name: &str,
    params: &PatchParams,
    body: Value,
) -> kube::Result<K>
where
    K: Resource + Clone + DeserializeOwned,
{
    let request = Request::new(api.resource_url())
        .patch_subresource("status", name, params, &Patch::Apply(body))
        .map_err(kube::Error::BuildRequest)?;
    let request = request.map(json::plain_bytes);
    api.into_client().request(request).await
}
