//! JSON Patches, operation by operation. A patch that begins with tests is a write with a precondition.

use json_patch::{
    AddOperation, Patch as Operations, PatchOperation, RemoveOperation, ReplaceOperation,
    TestOperation, jsonptr::PointerBuf,
};
use kube::api::Patch;
use serde_json::{Value, json};

/// The patch of these operations, in their order.
pub fn json_patch(operations: impl Into<Vec<PatchOperation>>) -> Patch<Value> {
    Patch::Json(Operations(operations.into()))
}

pub fn test<const N: usize>(path: [&str; N], value: Value) -> PatchOperation {
    PatchOperation::Test(TestOperation {
        path: PointerBuf::from_tokens(path),
        value,
    })
}

/// Sets a field, there or not; with `-` as the last step it appends to a list.
pub fn add<const N: usize>(path: [&str; N], value: Value) -> PatchOperation {
    PatchOperation::Add(AddOperation {
        path: PointerBuf::from_tokens(path),
        value,
    })
}

/// Sets what is there already.
pub fn replace<const N: usize>(path: [&str; N], value: Value) -> PatchOperation {
    PatchOperation::Replace(ReplaceOperation {
        path: PointerBuf::from_tokens(path),
        value,
    })
}

pub fn remove<const N: usize>(path: [&str; N]) -> PatchOperation {
    PatchOperation::Remove(RemoveOperation {
        path: PointerBuf::from_tokens(path),
    })
}

/// Takes one finalizer off exactly this object, if it is there. Its place in the list is part of the test, so
/// that a list that has changed meanwhile is a conflict and not the loss of another's finalizer.
pub fn release(uid: Option<&str>, finalizers: &[String], ours: &str) -> Option<Patch<Value>> {
    let place = finalizers.iter().position(|name| name == ours)?.to_string();
    let path = ["metadata", "finalizers", place.as_str()];
    Some(json_patch([
        test(["metadata", "uid"], json!(uid)),
        test(path, json!(ours)),
        remove(path),
    ]))
}
