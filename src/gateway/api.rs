//! The aggregated API: every request passes here, first who asks, then whether he may, then the store.

use std::sync::Arc;

use axum::{
    Extension, Json, Router,
    extract::{Path, Request, State},
    http::{HeaderMap, header},
    middleware::{self, Next},
    response::{IntoResponse, Response},
    routing::get,
};
use chrono::Utc;
use http::{Method, Uri};
use serde_json::Value;
use tokio::sync::watch;
use tracing::warn;

use super::{
    discovery,
    front_proxy::Known,
    identity::{self, User},
    joboutput::JobOutput,
    names::{LOG, PLURAL, Target, group_version},
    parameters::Wanted,
    rights::{Part, Question, Rights},
    status::{Refused, StatusReason},
    store::{Store, StoreError},
    stream::{Patience, Reader},
};
use crate::{
    api::{GROUP, protocol::RefusalReason},
    https::Peer,
};

/// JSON, one value a line.
const JSONL: &str = "application/jsonl";

/// What requests are answered with.
#[derive(Clone)]
pub struct Gateway {
    pub front_proxy: watch::Receiver<Known>,
    pub rights: Rights,
    pub store: Arc<Store>,
    pub patience: Patience,
}

/// Everything that is answered over HTTPS: nothing without identity, health neither. Whoever is answered
/// well keeps his connection, and anybody in the cluster could take them all.
pub fn router(gateway: Gateway) -> Router {
    let jobs = format!(
        "/apis/{}/namespaces/{{namespace}}/{PLURAL}",
        group_version()
    );
    Router::new()
        .merge(discovery::routes())
        .route(&jobs, get(list))
        .route(&format!("/apis/{}/{PLURAL}", group_version()), get(list))
        .route(&format!("{jobs}/{{job}}"), get(object))
        .route(&format!("{jobs}/{{job}}/{LOG}"), get(log))
        .method_not_allowed_fallback(only_read)
        .fallback(unknown)
        .layer(middleware::from_fn_with_state(gateway.clone(), identify))
        .with_state(gateway)
}

async fn identify(State(gateway): State<Gateway>, mut request: Request, next: Next) -> Response {
    let known = gateway.front_proxy.borrow().clone();
    let peer = request.extensions().get::<Peer>();
    match identity::user(peer, request.headers(), &known) {
        Ok(user) => {
            request.extensions_mut().insert(user);
            next.run(request).await
        }
        // The next connection may show a better certificate, or be asked for one; this one never will.
        Err(refused) => ([(header::CONNECTION, "close")], refused).into_response(),
    }
}

async fn object(
    State(gateway): State<Gateway>,
    Extension(user): Extension<User>,
    Path((namespace, job)): Path<(String, String)>,
    headers: HeaderMap,
) -> Result<Json<Value>, Refused> {
    let question = Question {
        user,
        target: Target::new(&namespace, &job)?,
        part: Part::Object,
    };
    gateway.rights.require(&question).await?;
    let target = &question.target;
    let info = gateway
        .store
        .info(target)
        .await
        .map_err(|error| from_store(error, target))?;
    Ok(Json(JobOutput::new(target, info).render(&headers)))
}

async fn log(
    State(gateway): State<Gateway>,
    Extension(user): Extension<User>,
    Path((namespace, job)): Path<(String, String)>,
    uri: Uri,
) -> Result<Response, Refused> {
    let target = Target::new(&namespace, &job)?;
    let wanted = Wanted::read(&uri, Utc::now()).map_err(|refused| refused.about(&target))?;
    let question = Question {
        user,
        target: target.clone(),
        part: Part::Log,
    };
    gateway.rights.require(&question).await?;
    let reader = Reader {
        question,
        wanted,
        rights: gateway.rights,
        store: gateway.store,
        patience: gateway.patience,
    };
    let answer = reader
        .begin()
        .await
        .map_err(|error| from_store(error, &target))?;
    Ok(([(header::CONTENT_TYPE, JSONL)], answer).into_response())
}

/// What the store's refusal means for whoever asked us.
fn from_store(error: StoreError, target: &Target) -> Refused {
    let again = "Jobs run on without it; try again, and see whether the store's pod runs";
    let refused = match error {
        StoreError::Away(why) => {
            StatusReason::ServiceUnavailable.because(format!("{why}. {again}"))
        }
        StoreError::Unwelcome(why) => {
            warn!(why, "the output store does not take this gateway's token");
            StatusReason::ServiceUnavailable.because(format!(
                "the output store does not take this gateway's token: {why}. Its --reader must name the \
                 gateway's service account"
            ))
        }
        StoreError::Refused(refusal) => match refusal.reason {
            RefusalReason::NotFound => StatusReason::NotFound.because(format!(
                "{PLURAL}.{GROUP} {:?} not found: {}",
                target.job, refusal.message
            )),
            RefusalReason::BadRequest | RefusalReason::Gap | RefusalReason::TooLarge => {
                StatusReason::BadRequest.because(refusal.message)
            }
            _ => StatusReason::InternalError.because(refusal.message),
        },
    };
    refused.about(target)
}

async fn list() -> Refused {
    StatusReason::MethodNotAllowed.because(format!(
        "{PLURAL} cannot be listed. Each has the name of its Job: list the Jobs with kubectl get hj, then use \
         kubectl get {PLURAL} NAME"
    ))
}

async fn only_read(method: Method) -> Refused {
    StatusReason::MethodNotAllowed.because(format!(
        "{method} is not possible here: {PLURAL} can only be read, with GET"
    ))
}

async fn unknown(uri: Uri) -> Refused {
    StatusReason::NotFound.because(format!(
        "there is nothing at {:?}; kubectl api-resources --api-group={GROUP} shows what there is",
        uri.path()
    ))
}
