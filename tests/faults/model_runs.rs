//! The n-th model run fails.

use std::collections::BTreeSet;

use nasoseg::fault::{Fault, Faults, MODEL_RUN_FAILURE};
use nasoseg::ffi::nasoseg_status::*;
use nasoseg::ffi::*;

use crate::common::abi::ok;
use crate::pipeline::Pipeline;
use crate::{common, contains, each};

#[test]
fn the_nth_model_run_fails() {
    let faults = Faults::own();
    let pipeline = Pipeline::new(None);
    pipeline.golden();
    for (call, agent) in
        [(Pipeline::detect as fn(&Pipeline) -> (u32, String), true), (Pipeline::segment, false)]
    {
        let mut graphs = BTreeSet::new();
        let runs = each(
            &faults,
            Fault::ModelRun,
            NASOSEG_ERROR_RUNTIME,
            || call(&pipeline),
            |text| {
                assert!(if agent {
                    pipeline.detection.get().is_null()
                } else {
                    pipeline.segmentation.get().is_null()
                });
                contains(text, &["tests/data/micro", "a model run failed", MODEL_RUN_FAILURE]);
                graphs.extend(
                    ["trunk.onnx", "q_head.onnx", "segmenter.onnx"]
                        .into_iter()
                        .filter(|g| text.contains(g)),
                );
                pipeline.golden();
            },
        );
        match agent {
            // The trunk once for whole slices, then trunk and Q head at most once for every step.
            true => assert!(
                runs > 15 && graphs == BTreeSet::from(["trunk.onnx", "q_head.onnx"]),
                "{runs} {graphs:?}"
            ),
            false => assert!(
                runs == 6 && graphs == BTreeSet::from(["segmenter.onnx"]),
                "{runs} {graphs:?}"
            ),
        }
    }
}

/// A detector that proposes boxes, and every patch of a volume, mirrored or not.
#[test]
fn the_nth_model_run_of_other_kinds_fails() {
    let faults = Faults::own();
    let pipeline = Pipeline::of(&common::micro().with_file_name("volume"), None);
    let set_small_boxes = || {
        for at in 0..common::SIZE[2] {
            let small = nasoseg_bounding_box { x0: 40.0, y0: 40.0, x1: 52.0, y1: 50.0 };
            ok!(nasoseg_detection_set_box(pipeline.detection.get(), at, &small));
        }
    };
    let fails = |call: fn(&Pipeline) -> (u32, String), graph: &str| {
        each(
            &faults,
            Fault::ModelRun,
            NASOSEG_ERROR_RUNTIME,
            || call(&pipeline),
            |text| contains(text, &[graph, MODEL_RUN_FAILURE]),
        )
    };
    assert_eq!(fails(Pipeline::detect, "volume/detector.onnx"), common::SIZE[2] as i64);
    set_small_boxes();
    assert_eq!((pipeline.segment(), pipeline.contour()), ((0, String::new()), (0, String::new())));
    let before = pipeline.lines();
    let runs = fails(Pipeline::segment, "volume/segmenter.onnx");
    assert!(runs >= 24 && runs % 8 == 0, "{runs}");
    assert_eq!(pipeline.contour(), (0, String::new()));
    assert!(before.contains("\nline ") && pipeline.lines() == before);
}
