//! The signature that a graph must have: its inputs and outputs by name, element type and shape.

use ort::session::Session;
use ort::value::{Outlet, TensorElementType, ValueType};

use crate::error::{Error, Result};

/// A size that must be dynamic in a graph.
pub(super) const ANY: i64 = -1;
/// A size above 0 that the graph may choose.
pub(super) const SOME: i64 = -2;

/// A named tensor of a graph's signature.
#[derive(Clone)]
pub(super) struct Port {
    name: &'static str,
    element: TensorElementType,
    shape: Vec<i64>,
}

impl Port {
    pub(super) fn float(name: &'static str, shape: &[i64]) -> Self {
        Port { name, element: TensorElementType::Float32, shape: shape.to_vec() }
    }

    pub(super) fn int64(name: &'static str, shape: &[i64]) -> Self {
        Port { name, element: TensorElementType::Int64, shape: shape.to_vec() }
    }

    /// Whether a graph's outlet fits; the graph may leave an expected size open.
    fn fits(&self, outlet: &Outlet) -> bool {
        let ValueType::Tensor { ty, shape, .. } = outlet.dtype() else { return false };
        outlet.name() == self.name
            && *ty == self.element
            && shape.len() == self.shape.len()
            && shape.iter().zip(&self.shape).all(|(found, expected)| match *expected {
                ANY => *found == -1,
                SOME => *found != 0,
                expected => *found == -1 || *found == expected,
            })
    }
}

impl std::fmt::Display for Port {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let sizes = self.shape.iter().map(|n| match *n {
            ANY => "any".into(),
            SOME => "some".into(),
            n => n.to_string(),
        });
        let sizes: Vec<String> = sizes.collect();
        write!(f, "{} {:?} [{}]", self.name, self.element, sizes.join(", "))
    }
}

/// Refuses a session whose signature differs; `name` stands for the graph in the message. Outputs
/// beyond the expected ones are ignored.
///
/// # Errors
/// [`Error::Bundle`].
pub(super) fn check(
    name: &str,
    session: &Session,
    inputs: &[Port],
    outputs: &[Port],
) -> Result<()> {
    let has = |outlets: &[Outlet], ports: &[Port]| {
        ports.iter().all(|port| outlets.iter().any(|outlet| port.fits(outlet)))
    };
    if session.inputs().len() == inputs.len()
        && has(session.inputs(), inputs)
        && has(session.outputs(), outputs)
    {
        return Ok(());
    }
    let expected = |ports: &[Port]| list(ports.iter().map(Port::to_string));
    let found = |outlets: &[Outlet]| {
        list(outlets.iter().map(|outlet| format!("{} {}", outlet.name(), outlet.dtype())))
    };
    Err(Error::bundle(format!(
        "{name}: the graph's signature is inputs {}; outputs {}, expected inputs {} and outputs {} \
         (docs/reference/bundle.md). Export the bundle again",
        found(session.inputs()),
        found(session.outputs()),
        expected(inputs),
        expected(outputs)
    )))
}

fn list(ports: impl Iterator<Item = String>) -> String {
    ports.collect::<Vec<_>>().join(", ")
}
