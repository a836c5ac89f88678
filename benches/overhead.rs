//! What the library costs beside the model: detect, segment and contour through the C ABI on a 512 x 512 x 32 study in memory.
//!
//! `cargo bench --bench overhead -- BUNDLE [REPEATS]` (`make bench`). Prints, for every stage, the median wall time, the time inside ONNX
//! Runtime and what is left, and the process's peak memory. Both times of a line come from one call.

use std::ffi::CString;
use std::ptr::{null, null_mut};
use std::time::Instant;

use seqseg::ffi::*;

const SIZE: [usize; 3] = [512, 512, 32];

/// A head-like blob with texture, as uint16.
fn voxels(sequence: usize) -> Vec<u16> {
    let [ni, nj, nk] = SIZE;
    let mut out = Vec::with_capacity(ni * nj * nk);
    for k in 0..nk {
        for j in 0..nj {
            for i in 0..ni {
                let (x, y) = ((i as f32 - 256.0) / 170.0, (j as f32 - 256.0) / 210.0);
                let inside = x * x + y * y < 1.0;
                let texture = ((i * 7 + j * 13 + k * 29 + sequence * 31) % 97) as f32;
                out.push(if inside { (300.0 + 4.0 * texture + 60.0 * (8.0 * x).sin()) as u16 } else { (texture / 8.0) as u16 });
            }
        }
    }
    out
}

fn check(code: u32, error: *mut seqseg_error) {
    if code != 0 {
        // SAFETY: the error belongs to us.
        let message = unsafe { std::ffi::CStr::from_ptr(seqseg_error_message(error)) };
        panic!("{code}: {}", message.to_string_lossy());
    }
}

/// Calls a function of the ABI with an error place, and panics with its message.
macro_rules! abi {
    ($function:ident($($argument:expr),* $(,)?)) => {{
        let mut error = null_mut();
        // SAFETY: live handles and valid pointers, as the header asks.
        let code = unsafe { $function($($argument,)* &mut error) };
        check(code, error);
    }};
}

fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

fn peak_mib() -> Option<f64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find(|l| l.starts_with("VmHWM:"))?;
    Some(line.split_whitespace().nth(1)?.parse::<f64>().ok()? / 1024.0)
}

fn main() {
    // cargo hands `--bench` to every bench.
    let arguments: Vec<String> = std::env::args().skip(1).filter(|a| !a.starts_with("--")).collect();
    let bundle = arguments.first().cloned().unwrap_or_else(|| "tests/data/micro".into());
    let repeats: usize = arguments.get(1).map_or(7, |n| n.parse().expect("REPEATS: a number was expected"));

    let mut engine = null_mut();
    let path = CString::new(bundle.clone()).unwrap();
    let mut options = null_mut();
    abi!(seqseg_options_new(&mut options));
    abi!(seqseg_options_set_device(options, c"cpu".as_ptr()));
    abi!(seqseg_engine_new(path.as_ptr(), options, &mut engine));
    let sequences: Vec<Vec<u16>> = (0..3).map(voxels).collect();
    let stages = ["copy in", "detect", "segment", "contour"];
    let mut wall = vec![Vec::new(); stages.len()];
    let mut inside = vec![Vec::new(); stages.len()];
    let mut trunk_rows = 0;
    for _ in 0..repeats {
        let mut study = null_mut();
        abi!(seqseg_study_new(&mut study));
        let mut times = Vec::new();
        let work = || {
            let mut work = seqseg_work { struct_size: size_of::<seqseg_work>(), trunk_rows: 0, segmenter_rows: 0, seconds: 0.0 };
            abi!(seqseg_engine_get_work(engine, &mut work));
            work
        };
        let start = Instant::now();
        for (sequence, data) in sequences.iter().enumerate() {
            let view = seqseg_volume_view {
                struct_size: size_of::<seqseg_volume_view>(),
                data: data.as_ptr().cast(),
                element: seqseg_element::SEQSEG_ELEMENT_UINT16 as u32,
                axes: seqseg_axes::SEQSEG_AXES_LPS as u32,
                size: SIZE,
                stride: [2, 2 * SIZE[0] as i64, 2 * (SIZE[0] * SIZE[1]) as i64],
                affine: [0.55, 0.0, 0.0, -140.0, 0.0, 0.55, 0.0, -140.0, 0.0, 0.0, 6.0, -90.0 + sequence as f64 * 0.2, 0.0, 0.0, 0.0, 1.0],
                origins: null(),
            };
            abi!(seqseg_study_set_volume(study, sequence as u32, &view, null(), null()));
        }
        times.push((start.elapsed().as_secs_f64(), 0.0));
        let (mut detection, mut segmentation, mut contours) = (null_mut(), null_mut(), null_mut());
        let mut before = work();
        let mut timed = |times: &mut Vec<(f64, f64)>, stage: &mut dyn FnMut()| {
            let start = Instant::now();
            stage();
            let seconds = start.elapsed().as_secs_f64();
            let now = work();
            times.push((seconds, now.seconds - before.seconds));
            let rows = now.trunk_rows - before.trunk_rows;
            before = now;
            rows
        };
        trunk_rows = timed(&mut times, &mut || abi!(seqseg_detect(engine, study, null(), null(), &mut detection)));
        timed(&mut times, &mut || abi!(seqseg_segment(engine, study, detection, null(), null(), &mut segmentation)));
        timed(&mut times, &mut || abi!(seqseg_contour(segmentation, null(), null(), &mut contours)));
        for (stage, (seconds, runs)) in times.into_iter().enumerate() {
            wall[stage].push(seconds);
            inside[stage].push(runs);
        }
        // SAFETY: our own handles.
        unsafe {
            seqseg_contours_free(contours);
            seqseg_segmentation_free(segmentation);
            seqseg_detection_free(detection);
            seqseg_study_free(study);
        }
    }
    println!(
        "{bundle}: {} x {} x {} uint16, median of {repeats}, milliseconds; the trunk ran {} rows",
        SIZE[0], SIZE[1], SIZE[2], trunk_rows
    );
    println!("stage       wall  model runs    rest");
    let (mut total, mut rest) = (0.0, 0.0);
    for (n, stage) in stages.iter().enumerate() {
        let mut left: Vec<f64> = wall[n].iter().zip(&inside[n]).map(|(w, i)| w - i).collect();
        let (w, i, l) = (median(&mut wall[n]) * 1e3, median(&mut inside[n]) * 1e3, median(&mut left) * 1e3);
        println!("{stage:<8}  {w:>6.0}  {i:>10.0}  {l:>6.0}");
        total += w;
        rest += l;
    }
    println!("in all    {total:>6.0}              {rest:>6.0}  ({:.1} % of the wall time)", 100.0 * rest / total);
    if let Some(mib) = peak_mib() {
        println!("peak memory of the process {mib:.0} MiB");
    }
    // SAFETY: our own handles.
    unsafe {
        seqseg_options_free(options);
        seqseg_engine_free(engine);
    }
}
