//! What the API server asks before anybody uses the API: answered whatever else is down.

use http::header::ACCEPT;
use serde_json::{Value, json};

use crate::{
    client::Answer,
    ground::{Ground, JOB, object},
};

const AGGREGATED: &str = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList";

async fn accepting(ground: &Ground, path: &str, accept: &str) -> Answer {
    let mut request = Ground::request(path);
    request
        .headers_mut()
        .insert(ACCEPT, accept.parse().unwrap());
    ground.send(request).await
}

#[tokio::test]
async fn discovery_answers_while_store_and_authorizer_are_down() {
    let mut ground = Ground::new().await;
    ground.store.kill().await;
    ground.words.no();
    for path in [
        "/apis",
        "/apis/herdctl.dev",
        "/apis/herdctl.dev/output-v1",
        "/openapi/v2",
        "/openapi/v3",
        "/openapi/v3/apis/herdctl.dev/output-v1",
        "/version",
    ] {
        assert_eq!(ground.get(path).await.status, 200, "{path}");
    }
    assert_eq!(ground.words.asked(), []);
}

#[tokio::test]
async fn there_is_one_group_with_one_version_and_one_resource() {
    let ground = Ground::new().await;
    let version = json!({"groupVersion": "herdctl.dev/output-v1", "version": "output-v1"});
    let group = ground.get("/apis/herdctl.dev").await.json();
    assert_eq!(group["kind"], "APIGroup");
    assert_eq!(group["versions"], json!([version]));
    let groups = ground.get("/apis").await.json();
    assert_eq!(groups["kind"], "APIGroupList");
    assert_eq!(groups["groups"], json!([group]));
    let list = ground.get("/apis/herdctl.dev/output-v1").await.json();
    assert_eq!(list["kind"], "APIResourceList");
    assert_eq!(list["groupVersion"], "herdctl.dev/output-v1");
    let resources: Vec<&Value> = list["resources"].as_array().unwrap().iter().collect();
    let names: Vec<&Value> = resources.iter().map(|resource| &resource["name"]).collect();
    assert_eq!(names, ["joboutputs", "joboutputs/log"]);
    for resource in resources {
        assert_eq!(resource["kind"], "JobOutput");
        assert_eq!(resource["namespaced"], true);
        assert_eq!(resource["verbs"], json!(["get"]));
    }
}

#[tokio::test]
async fn aggregated_discovery_is_answered_to_whoever_asks_for_it_in_his_version() {
    let ground = Ground::new().await;
    let beta = AGGREGATED.replace("v=v2", "v=v2beta1");
    for (accept, version) in [
        (AGGREGATED.to_owned(), "v2"),
        (format!("{AGGREGATED},{beta}"), "v2"),
        (format!("{beta}, application/json"), "v2beta1"),
        (
            "application/json; as=APIGroupDiscoveryList; v=v2; g=apidiscovery.k8s.io".to_owned(),
            "v2",
        ),
    ] {
        let answer = accepting(&ground, "/apis", &accept).await;
        assert!(
            answer.content_type.contains(&format!("v={version};")),
            "{answer:?}"
        );
        let list = answer.json();
        assert_eq!(list["apiVersion"], format!("apidiscovery.k8s.io/{version}"));
        let versions = &list["items"][0]["versions"];
        assert_eq!(list["items"][0]["metadata"]["name"], "herdctl.dev");
        assert_eq!(versions[0]["version"], "output-v1");
        assert_eq!(versions[0]["resources"][0]["resource"], "joboutputs");
        assert_eq!(
            versions[0]["resources"][0]["subresources"][0]["subresource"],
            "log"
        );
    }
    for accept in [
        "application/json",
        "*/*",
        "application/json;g=apidiscovery.k8s.io;v=v9;as=APIGroupDiscoveryList",
    ] {
        let list = accepting(&ground, "/apis", accept).await.json();
        assert_eq!(list["kind"], "APIGroupList", "{accept}");
    }
}

#[tokio::test]
async fn kubectl_explain_finds_the_object_and_its_description() {
    let ground = Ground::new().await;
    let root = ground.get("/openapi/v3").await.json();
    let url = &root["paths"]["apis/herdctl.dev/output-v1"]["serverRelativeURL"];
    let document = ground.get(url.as_str().unwrap()).await.json();
    let schemas = document["components"]["schemas"].as_object().unwrap();
    let schema = schemas.values().next().unwrap();
    let kind = json!([{"group": "herdctl.dev", "version": "output-v1", "kind": "JobOutput"}]);
    assert_eq!(schema["x-kubernetes-group-version-kind"], kind);
    assert!(schema["properties"]["sealed"]["description"].is_string());
}

#[tokio::test]
async fn a_joboutput_is_an_object_and_a_table_for_kubectl() {
    let ground = Ground::new().await;
    ground.store.records.append(JOB, b"{}\n");
    ground.store.records.seal(JOB);
    let plain = ground.get(&object(JOB)).await.json();
    assert_eq!(plain["kind"], "JobOutput");
    assert_eq!(plain["apiVersion"], "herdctl.dev/output-v1");
    assert_eq!(plain["metadata"]["name"], JOB);
    assert_eq!(plain["metadata"]["namespace"], "team-a");
    assert_eq!(plain["metadata"]["uid"], crate::ground::UID);
    assert_eq!(plain["bytes"], 3);
    assert_eq!(plain["sealed"], true);
    assert_eq!(plain["job"]["status"], "running");
    let wish = "application/json;as=Table;v=v1;g=meta.k8s.io,application/json";
    let table = accepting(&ground, &object(JOB), wish).await.json();
    assert_eq!(table["kind"], "Table");
    assert_eq!(
        table["rows"][0]["cells"],
        json!([JOB, "running", "", 3, true])
    );
    let columns = table["columnDefinitions"].as_array().unwrap().len();
    assert_eq!(columns, table["rows"][0]["cells"].as_array().unwrap().len());
}
