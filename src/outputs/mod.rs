//! What a person looks at afterwards: the preview and the run record.

mod labels;
pub mod prepared;
pub mod preview;
pub mod record;
