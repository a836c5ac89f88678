//! The agent.
pub mod action;
pub mod bounding_box;
