//! Builds a graph.

use prost::Message as _;

use super::proto::{
    AttributeProto, DimensionProto, DimensionValue, GraphProto, ModelProto, NodeProto,
    OperatorSetIdProto, TensorProto, TensorShapeProto, TensorTypeProto, TypeProto, ValueInfoProto,
    attribute_type, data_type,
};
use crate::models::tensor::Tensor;

/// The operator set: the oldest with all operators in use.
const OPSET: i64 = 17;
const IR_VERSION: i64 = 8;

/// A value in a graph, by name.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct ValueRef(String);

/// A dimension of a graph's input or output.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Axis {
    /// Always this size.
    Fixed(usize),
    /// Dynamic; equal names are equal sizes.
    Free(&'static str),
}

/// An attribute of an operator.
pub(super) enum Attribute<'a> {
    Int(i64),
    Ints(&'a [i64]),
    Text(&'a str),
}

/// A graph being written.
#[derive(Default)]
pub(crate) struct GraphBuilder {
    graph: GraphProto,
    int_constants: Vec<(Vec<i64>, ValueRef)>,
    next: usize,
}

impl GraphBuilder {
    /// An empty graph called `name`.
    pub(crate) fn new(name: &str) -> Self {
        Self {
            graph: GraphProto { name: name.to_owned(), ..GraphProto::default() },
            ..Self::default()
        }
    }

    /// A float input.
    pub(crate) fn input(&mut self, name: &str, axes: &[Axis]) -> ValueRef {
        self.graph.input.push(value_info(name, axes));
        ValueRef(name.to_owned())
    }

    /// Makes `value` an output called `name`.
    pub(crate) fn output(&mut self, value: &ValueRef, name: &str, axes: &[Axis]) {
        self.graph.output.push(value_info(name, axes));
        self.push("Identity", &[value], name.to_owned(), &[]);
    }

    /// A float constant.
    pub(crate) fn constant(&mut self, tensor: &Tensor) -> ValueRef {
        let bytes = tensor.values().iter().flat_map(|v| v.to_le_bytes()).collect();
        self.initializer(tensor.dims().iter().map(|&d| d as i64).collect(), data_type::FLOAT, bytes)
    }

    /// A float constant without dimensions.
    pub(crate) fn scalar(&mut self, value: f32) -> ValueRef {
        self.initializer(vec![], data_type::FLOAT, value.to_le_bytes().to_vec())
    }

    /// An integer vector: shapes, axes, positions. Equal vectors share one constant.
    pub(crate) fn ints(&mut self, values: &[i64]) -> ValueRef {
        if let Some((_, value)) = self.int_constants.iter().find(|(known, _)| known == values) {
            return value.clone();
        }
        let bytes = values.iter().flat_map(|v| v.to_le_bytes()).collect();
        let value = self.initializer(vec![values.len() as i64], data_type::INT64, bytes);
        self.int_constants.push((values.to_vec(), value.clone()));
        value
    }

    fn initializer(&mut self, dims: Vec<i64>, data_type: i32, raw_data: Vec<u8>) -> ValueRef {
        let name = self.fresh();
        self.graph.initializer.push(TensorProto { dims, data_type, name: name.clone(), raw_data });
        ValueRef(name)
    }

    /// An operator with one output.
    pub(super) fn op(
        &mut self,
        op_type: &str,
        inputs: &[&ValueRef],
        attributes: &[(&str, Attribute<'_>)],
    ) -> ValueRef {
        let name = self.fresh();
        self.push(op_type, inputs, name.clone(), attributes);
        ValueRef(name)
    }

    /// The value of an omitted optional input.
    pub(super) fn absent() -> ValueRef {
        ValueRef(String::new())
    }

    fn push(
        &mut self,
        op_type: &str,
        inputs: &[&ValueRef],
        output: String,
        attributes: &[(&str, Attribute<'_>)],
    ) {
        self.graph.node.push(NodeProto {
            input: inputs.iter().map(|e| e.0.clone()).collect(),
            name: format!("{op_type}_{output}"),
            output: vec![output],
            op_type: op_type.to_owned(),
            attribute: attributes.iter().map(|(name, value)| attribute(name, value)).collect(),
        });
    }

    fn fresh(&mut self) -> String {
        self.next += 1;
        format!("v{}", self.next)
    }

    /// The bytes of the ONNX file.
    pub(crate) fn into_bytes(self, doc: &str) -> Vec<u8> {
        let model = ModelProto {
            ir_version: IR_VERSION,
            producer_name: env!("CARGO_PKG_NAME").to_owned(),
            producer_version: env!("CARGO_PKG_VERSION").to_owned(),
            doc_string: doc.to_owned(),
            graph: Some(self.graph),
            opset_import: vec![OperatorSetIdProto { domain: String::new(), version: OPSET }],
        };
        model.encode_to_vec()
    }
}

fn attribute(name: &str, value: &Attribute<'_>) -> AttributeProto {
    let mut proto = AttributeProto { name: name.to_owned(), ..AttributeProto::default() };
    match value {
        Attribute::Int(i) => (proto.i, proto.kind) = (Some(*i), attribute_type::INT),
        Attribute::Ints(ints) => (proto.ints, proto.kind) = (ints.to_vec(), attribute_type::INTS),
        Attribute::Text(text) => {
            (proto.s, proto.kind) = (Some(text.as_bytes().to_vec()), attribute_type::STRING);
        }
    }
    proto
}

fn value_info(name: &str, axes: &[Axis]) -> ValueInfoProto {
    let dim = axes.iter().map(|axis| DimensionProto {
        value: Some(match axis {
            Axis::Fixed(n) => DimensionValue::Size(*n as i64),
            Axis::Free(name) => DimensionValue::Name((*name).to_owned()),
        }),
    });
    let tensor = TensorTypeProto {
        elem_type: data_type::FLOAT,
        shape: Some(TensorShapeProto { dim: dim.collect() }),
    };
    ValueInfoProto {
        name: name.to_owned(),
        value_type: Some(TypeProto { tensor_type: Some(tensor) }),
    }
}
