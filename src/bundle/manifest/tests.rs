use super::*;

fn example() -> serde_json::Value {
    serde_json::json!({
        "format_version": 1, "name": "n", "version": "1", "licence": "l",
        "intended_use": {"demo": true, "statement": "s"}, "negatives_trained": true,
        "input": {
            "channels": [
                {"sequence": "T1", "scaling": {"kind": "study_percentile", "percentile": 99.5}},
                {"sequence": "T1C", "scaling": {"kind": "study_percentile", "percentile": 99.5}},
                {"sequence": "T2", "scaling": {"kind": "dataset_max", "value": 100.0}}],
            "grid": 384, "fit": {"kind": "mm", "pixel_mm": 0.74}},
        "detector": {
            "kind": "agent", "features": "crop", "trunk": "t", "q_head": "q", "feature_size": 8,
            "initial_box": [100.0, 100.0, 200.0, 200.0],
            "actions": [
                {"name": "a", "box": [0.0, 0.0, 0.75, 0.75]}, {"name": "stop", "box": null}],
            "terminal": 1, "history": 10, "max_steps": 15, "min_side": 16.0},
        "segmenter": {
            "kind": "crop", "graph": "s", "context_factor": 1.5, "crop": 128, "threshold": 0.5},
        "files": {"t": "", "q": "", "s": ""}
    })
}

fn parse(value: &serde_json::Value) -> Result<Manifest> {
    Manifest::parse(value.to_string().as_bytes(), "bundle.json")
}

#[test]
fn the_example_is_parsed() {
    let manifest = parse(&example()).unwrap();
    assert_eq!(manifest.agent().unwrap().actions[0].transform, Some([0.0, 0.0, 0.75, 0.75]));
    assert_eq!(manifest.input.fit, FitKind::Mm { pixel_mm: 0.74 });
}

fn with(pointer: &str, value: serde_json::Value) -> serde_json::Value {
    let mut manifest = example();
    *manifest.pointer_mut(pointer).unwrap() = value;
    manifest
}

fn volume() -> serde_json::Value {
    serde_json::json!({
        "kind": "volume", "graph": "s", "patch": [8, 64, 48], "spacing_mm": [3.0, 1.0, 1.5],
        "overlap": 0.5, "mirror": false, "threshold": 0.5, "context_factor": 1.2
    })
}

fn proposals() -> serde_json::Value {
    serde_json::json!({"kind": "proposals", "graph": "t", "score_threshold": 0.5, "min_side": 4.0})
}

#[test]
fn other_kinds_survive_a_round_trip() {
    let fixed = serde_json::json!({"kind": "fixed", "box_mm": [-40.0, -30.5, 20.0, 31.0]});
    for (pointer, section) in
        [("/detector", fixed), ("/detector", proposals()), ("/segmenter", volume())]
    {
        let manifest = parse(&with(pointer, section.clone())).unwrap();
        let written = serde_json::to_value(&manifest).unwrap();
        assert_eq!(*written.pointer(pointer).unwrap(), section);
        parse(&written).unwrap();
    }
    let SegmenterKind::Volume(window) =
        parse(&with("/segmenter", volume())).unwrap().segmenter.kind
    else {
        panic!("a volume")
    };
    assert_eq!(
        window,
        Window { patch: [8, 64, 48], spacing_mm: [3.0, 1.0, 1.5], overlap: 0.5, mirror: false }
    );
}

#[test]
fn every_wrong_value_is_refused_by_name() {
    let changed = |mut section: serde_json::Value, key: &str, value: serde_json::Value| {
        section[key] = value;
        section
    };
    let fixed = |box_mm: [f64; 4]| serde_json::json!({"kind": "fixed", "box_mm": box_mm});
    let missing = |mut section: serde_json::Value, key: &str| {
        section.as_object_mut().unwrap().remove(key);
        section
    };
    let cases: Vec<(&str, serde_json::Value, &str)> = vec![
        ("/format_version", 2.into(), "format 2"),
        ("/input/grid", 0.into(), "input.grid is 0, expected 8 to 4096"),
        ("/detector/terminal", 0.into(), "terminal"),
        ("/detector/features", "map".into(), "reserved"),
        ("/detector/initial_box", serde_json::json!([0.0, 0.0, 500.0, 10.0]), "initial_box"),
        ("/detector", serde_json::json!({"kind": "whole"}), "expected 1 with a `whole`"),
        ("/detector", serde_json::json!({"kind": "other"}), "other"),
        ("/detector", fixed([10.0, -30.0, 10.5, 30.0]), "box_mm"),
        ("/detector", fixed([10.0, 30.0, -10.0, -30.0]), "box_mm"),
        ("/detector", fixed([-600.0, -30.0, 10.0, 30.0]), "box_mm"),
        ("/detector", serde_json::json!({"kind": "fixed", "box_mm": [1.0, 2.0, 3.0]}), "length 3"),
        (
            "/detector",
            serde_json::json!({"kind": "fixed", "box_mm": [0.0, 0.0, 9.0, 9.0], "graph": "t"}),
            "graph",
        ),
        ("/detector", changed(proposals(), "score_threshold", 0.0.into()), "score_threshold"),
        ("/detector", changed(proposals(), "score_threshold", 1.01.into()), "score_threshold"),
        ("/detector", changed(proposals(), "min_side", 0.0.into()), "min_side"),
        ("/detector", changed(proposals(), "min_side", 385.0.into()), "min_side"),
        ("/detector", changed(proposals(), "graph", "other".into()), "no SHA-256"),
        ("/detector", missing(proposals(), "min_side"), "min_side"),
        ("/segmenter/threshold", 1.5.into(), "threshold"),
        ("/segmenter/graph", "other".into(), "no SHA-256"),
        ("/segmenter/crop", 4.into(), "segmenter.crop"),
        ("/segmenter", changed(volume(), "patch", serde_json::json!([8, 0, 8])), "patch"),
        ("/segmenter", changed(volume(), "patch", serde_json::json!([1024, 1024, 1024])), "patch"),
        ("/segmenter", changed(volume(), "patch", serde_json::json!([u64::MAX, 2, 1])), "patch"),
        ("/segmenter", changed(volume(), "patch", serde_json::json!([8, 8])), "length 2"),
        (
            "/segmenter",
            changed(volume(), "spacing_mm", serde_json::json!([3.0, 0.0, 1.0])),
            "spacing_mm",
        ),
        (
            "/segmenter",
            changed(volume(), "spacing_mm", serde_json::json!([3.0, 1.0, 51.0])),
            "spacing_mm",
        ),
        ("/segmenter", changed(volume(), "overlap", 0.95.into()), "overlap"),
        ("/segmenter", changed(volume(), "overlap", (-0.1).into()), "overlap"),
        ("/segmenter", changed(volume(), "context_factor", 0.5.into()), "context_factor"),
        ("/segmenter", changed(volume(), "threshold", 0.0.into()), "threshold"),
        ("/segmenter", changed(volume(), "crop", 64.into()), "crop"),
        ("/segmenter", missing(volume(), "mirror"), "mirror"),
        ("/input/channels/0/sequence", "T2".into(), "T1, T1C, T2"),
        ("/intended_use", serde_json::json!({"demo": true, "statement": "", "extra": 1}), "extra"),
    ];
    for (pointer, value, expected) in cases {
        let error = parse(&with(pointer, value.clone())).unwrap_err();
        assert!(error.chain().contains(expected), "{pointer} {value}: {}", error.chain());
    }
}
