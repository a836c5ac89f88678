//! Elements of a data set: reading and writing.

use dicom_core::value::{DataSetSequence, PrimitiveValue, Value};
use dicom_core::{DataElement, Length, Tag, VR};
use dicom_object::InMemDicomObject;

/// Contour Geometric Type (3006,0042): a closed contour.
pub(super) const CLOSED_PLANAR: &str = "CLOSED_PLANAR";
/// Contour Geometric Type: a closed contour that is combined with the others by exclusive-or.
pub(super) const CLOSED_PLANAR_XOR: &str = "CLOSEDPLANAR_XOR";

/// The text of an element without padding; empty if it is absent or not text.
pub(super) fn text(object: &InMemDicomObject, tag: Tag) -> String {
    let value = object.get(tag).and_then(|e| e.to_str().ok());
    value
        .map(|s| s.trim_matches(|c: char| c.is_whitespace() || c == '\0').to_owned())
        .unwrap_or_default()
}

/// The items of a sequence; none if it is absent.
pub(super) fn items(object: &InMemDicomObject, tag: Tag) -> &[InMemDicomObject] {
    object.get(tag).and_then(|e| e.items()).unwrap_or_default()
}

/// Writes a text element; an empty text gives an element without a value.
pub(super) fn put(object: &mut InMemDicomObject, tag: Tag, vr: VR, text: &str) {
    let value = if text.is_empty() { PrimitiveValue::Empty } else { PrimitiveValue::from(text) };
    object.put(DataElement::new(tag, vr, value));
}

/// Writes a sequence of undefined length.
pub(super) fn put_sequence(object: &mut InMemDicomObject, tag: Tag, items: Vec<InMemDicomObject>) {
    let sequence = DataSetSequence::new(items, Length::UNDEFINED);
    object.put(DataElement::new(tag, VR::SQ, Value::Sequence(sequence)));
}
