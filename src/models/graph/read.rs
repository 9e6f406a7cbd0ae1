//! Reads a graph's inputs and outputs without running it.

use prost::Message as _;

use super::proto::{DimensionValue, ModelProto, ValueInfoProto, data_type};
use crate::models::contract::{Signature, TensorInfo};

/// The inputs and outputs of an ONNX file, or what is wrong with it.
pub(crate) fn signature(bytes: &[u8]) -> Result<Signature, String> {
    let model = ModelProto::decode(bytes).map_err(|_| "it is not an ONNX file")?;
    let graph = model.graph.ok_or("it is not an ONNX file (it has no graph)")?;
    // Older files also list their weights as inputs.
    let weights: Vec<_> = graph.initializer.iter().map(|t| t.name.as_str()).collect();
    let inputs = graph.input.iter().filter(|value| !weights.contains(&value.name.as_str()));
    Ok(Signature {
        inputs: inputs.map(found).collect(),
        outputs: graph.output.iter().map(found).collect(),
    })
}

fn found(value: &ValueInfoProto) -> TensorInfo {
    let tensor = value.value_type.as_ref().and_then(|t| t.tensor_type.as_ref());
    let element = match tensor.map(|t| t.elem_type) {
        Some(data_type::FLOAT) => "float32".to_owned(),
        Some(other) => format!("element type {other}"),
        None => "not a tensor".to_owned(),
    };
    let dims = tensor.and_then(|t| t.shape.as_ref()).map(|shape| {
        let size = |value: &Option<DimensionValue>| match value {
            Some(DimensionValue::Size(n)) => usize::try_from(*n).ok(),
            Some(DimensionValue::Name(_)) | None => None,
        };
        shape.dim.iter().map(|dim| size(&dim.value)).collect()
    });
    TensorInfo { name: value.name.clone(), element, dims: dims.unwrap_or_default() }
}
