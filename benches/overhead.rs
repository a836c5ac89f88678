//! The cost of the library beside the model: detect, segment and contour through the C ABI on a
//! 512 x 512 x 32 study in memory.
//!
//! `cargo bench --bench overhead -- BUNDLE [REPEATS [THREADS]]` (`make bench`). Prints for every
//! stage the median wall time, the time inside ONNX Runtime, the rest, and the processor time (user
//! and system, all threads, model runs included); then the bars, each reached or not. All times of
//! a row come from the same calls. Other programs on the same cores increase wall times much more
//! than processor times, so the load is printed too.

// A C caller in Rust: each group of calls is one step of its story.
#![allow(clippy::multiple_unsafe_ops_per_block)]

use std::cell::RefCell;
use std::ffi::{CString, c_void};
use std::ptr::{null, null_mut};
use std::time::Instant;

use nasoseg::Bundle;
use nasoseg::ffi::*;

const SIZE: [usize; 3] = [512, 512, 32];

/// Largest time outside the model runs, milliseconds, whatever the model.
const MOST_REST_MS: f64 = 300.0;
/// With the paper's networks: largest share of the wall time outside the model runs.
const MOST_REST_SHARE: f64 = 0.03;
/// With the paper's networks: largest memory (MB), the caller's own three buffers included.
const MOST_MEMORY_MB: f64 = 700.0;
/// Length of the feature vectors of the paper's trunk, a ResNet-50.
const PAPER_FEATURES: usize = 2048;

/// The measured parts. `check` .. `detect` are one call, separated by the stages that it reports.
const PARTS: [&str; 7] = ["copy in", "check", "align", "prepare", "detect", "segment", "contour"];

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
                out.push(if inside {
                    (300.0 + 4.0 * texture + 60.0 * (8.0 * x).sin()) as u16
                } else {
                    (texture / 8.0) as u16
                });
            }
        }
    }
    out
}

fn check(code: u32, error: *mut nasoseg_error) {
    if code != 0 {
        // SAFETY: the live error of the call that failed.
        let message = unsafe { nasoseg_error_message(error) };
        // SAFETY: a string of that error.
        let message = unsafe { std::ffi::CStr::from_ptr(message) };
        panic!("{code}: {}", message.to_string_lossy());
    }
}

/// Calls a function of the ABI and panics with its message if it fails.
macro_rules! abi {
    ($function:ident($($argument:expr),* $(,)?)) => {{
        let mut error = null_mut();
        // SAFETY: this file passes handles that it has not freed yet, and pointers to variables and
        // arrays that outlive the call; `error` is a local.
        let code = unsafe { $function($($argument,)* &mut error) };
        check(code, error);
    }};
}

/// Frees handles with the functions of the ABI.
macro_rules! free {
    ($($function:ident($handle:expr)),+ $(,)?) => {
        // SAFETY: each handle came from the ABI, is passed once, and is not used afterwards.
        $(unsafe { $function($handle) };)+
    };
}

/// Wall and processor seconds.
#[derive(Clone, Copy, Default)]
struct Time {
    wall: f64,
    cpu: f64,
}

impl Time {
    /// Wall time since `start`, processor time since the process began.
    fn now(start: Instant) -> Self {
        // SAFETY: a plain struct, for which all-zero is valid.
        let mut usage: libc::rusage = unsafe { std::mem::zeroed() };
        // SAFETY: the call fills the struct.
        unsafe { libc::getrusage(libc::RUSAGE_SELF, &mut usage) };
        let seconds = |t: libc::timeval| t.tv_sec as f64 + t.tv_usec as f64 * 1e-6;
        Time {
            wall: start.elapsed().as_secs_f64(),
            cpu: seconds(usage.ru_utime) + seconds(usage.ru_stime),
        }
    }

    fn since(self, earlier: Time) -> Time {
        Time { wall: self.wall - earlier.wall, cpu: self.cpu - earlier.cpu }
    }
}

/// When a call first reported each of its stages.
struct Marks {
    start: Instant,
    first: RefCell<Vec<(u32, Time)>>,
}

unsafe extern "C" fn mark(progress: *const nasoseg_progress, user_data: *mut c_void) -> bool {
    // SAFETY: valid for this callback.
    let progress = unsafe { &*progress };
    // SAFETY: our own `Marks`, which outlive the call.
    let marks = unsafe { &*user_data.cast::<Marks>() };
    let mut first = marks.first.borrow_mut();
    if first.iter().all(|(stage, _)| *stage != progress.stage) {
        first.push((progress.stage, Time::now(marks.start)));
    }
    true
}

fn work(engine: *mut nasoseg_engine) -> nasoseg_work {
    let mut work = nasoseg_work {
        struct_size: size_of::<nasoseg_work>(),
        trunk_rows: 0,
        segmenter_rows: 0,
        seconds: 0.0,
    };
    abi!(nasoseg_engine_get_work(engine, &mut work));
    work
}

/// The measurement of one study.
struct Measured {
    /// The time of every part.
    parts: [Time; 7],
    /// The seconds of every part inside ONNX Runtime.
    inside: [f64; 7],
    trunk_rows: u64,
}

/// A study of the caller's buffers.
fn new_study(sequences: &[Vec<u16>]) -> *mut nasoseg_study {
    let mut study = null_mut();
    abi!(nasoseg_study_new(&mut study));
    for (sequence, data) in sequences.iter().enumerate() {
        let shift = sequence as f64 * 0.2;
        let view = nasoseg_volume_view {
            struct_size: size_of::<nasoseg_volume_view>(),
            data: data.as_ptr().cast(),
            element: nasoseg_element::NASOSEG_ELEMENT_UINT16 as u32,
            axes: nasoseg_axes::NASOSEG_AXES_LPS as u32,
            size: SIZE,
            stride: [2, 2 * SIZE[0] as i64, 2 * (SIZE[0] * SIZE[1]) as i64],
            #[rustfmt::skip]
            affine: [
                0.55, 0.0, 0.0, -140.0,
                0.0, 0.55, 0.0, -140.0,
                0.0, 0.0, 6.0, -90.0 + shift,
                0.0, 0.0, 0.0, 1.0,
            ],
            origins: null(),
        };
        abi!(nasoseg_study_set_volume(study, sequence as u32, &view, null(), null()));
    }
    study
}

/// Measures one study from the caller's buffers to contours.
fn measure(
    engine: *mut nasoseg_engine,
    options: *mut nasoseg_options,
    sequences: &[Vec<u16>],
) -> Measured {
    let start = Instant::now();
    let begun = Time::now(start);
    let study = new_study(sequences);
    let copied = Time::now(start);

    let (mut run, mut detection, mut segmentation, mut contours) =
        (null_mut(), null_mut(), null_mut(), null_mut());
    let marks = Marks { start, first: RefCell::default() };
    abi!(nasoseg_run_new(&mut run));
    abi!(nasoseg_run_set_progress(run, Some(mark), (&raw const marks).cast_mut().cast()));
    let work_before = work(engine);
    abi!(nasoseg_detect(engine, study, options, run, &mut detection));
    let detected = Time::now(start);
    let work_detected = work(engine);
    abi!(nasoseg_segment(engine, study, detection, null(), null(), &mut segmentation));
    let segmented = Time::now(start);
    let work_segmented = work(engine);
    abi!(nasoseg_contour(segmentation, options, null(), &mut contours));
    let contoured = Time::now(start);

    let first = marks.first.into_inner();
    let began = |stage: nasoseg_stage| {
        first.iter().find(|(s, _)| *s == stage as u32).expect("detect reports this stage").1
    };
    let align = began(nasoseg_stage::NASOSEG_STAGE_ALIGN);
    let prepare = began(nasoseg_stage::NASOSEG_STAGE_PREPARE);
    let detect = began(nasoseg_stage::NASOSEG_STAGE_DETECT);
    let ends = [copied, align, prepare, detect, detected, segmented, contoured];
    let mut inside = [0.0; 7];
    inside[4] = work_detected.seconds - work_before.seconds;
    inside[5] = work_segmented.seconds - work_detected.seconds;
    free!(
        nasoseg_run_free(run),
        nasoseg_contours_free(contours),
        nasoseg_segmentation_free(segmentation),
        nasoseg_detection_free(detection),
        nasoseg_study_free(study),
    );
    let trunk_rows = work_detected.trunk_rows - work_before.trunk_rows;
    Measured { parts: differences(begun, ends), inside, trunk_rows }
}

/// The time from each end to the next.
fn differences(begun: Time, ends: [Time; 7]) -> [Time; 7] {
    let mut last = begun;
    ends.map(|end| {
        let part = end.since(last);
        last = end;
        part
    })
}

fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

/// A number of kB in /proc/self/status, as MB.
fn memory_mb(name: &str) -> Option<f64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find(|l| l.starts_with(name))?;
    Some(line.split_whitespace().nth(1)?.parse::<f64>().ok()? * 1024e-6)
}

/// The mean number of runnable processes in the last minute.
fn load() -> Option<String> {
    Some(std::fs::read_to_string("/proc/loadavg").ok()?.split_whitespace().next()?.to_owned())
}

fn bar(name: &str, value: f64, unit: &str, most: f64) {
    let reached = if value <= most { "reached" } else { "NOT REACHED" };
    println!("{name:<24} {value:>7.1} {unit:<2}  bar {most} {unit}: {reached}");
}

/// Prints the times of all runs and the bars.
fn report(bundle: &str, runs: &[Measured], threads: usize) {
    let threads = if threads == 0 { "all cores".into() } else { format!("{threads} threads") };
    println!(
        "{bundle}: {} x {} x {} uint16, median of {}, milliseconds, {threads} (of {}, load {}); \
         the trunk ran {} rows",
        SIZE[0],
        SIZE[1],
        SIZE[2],
        runs.len(),
        std::thread::available_parallelism().map_or(0, |n| n.get()),
        load().unwrap_or_else(|| "unknown".into()),
        runs[0].trunk_rows
    );
    println!("part         wall  model runs    rest     CPU");
    let ms = |of: &dyn Fn(&Measured) -> f64| 1e3 * median(runs.iter().map(of));
    let row = |name: &str, parts: std::ops::Range<usize>| {
        let wall = ms(&|r| r.parts[parts.clone()].iter().map(|t| t.wall).sum());
        let inside = ms(&|r| r.inside[parts.clone()].iter().sum());
        let cpu = ms(&|r| r.parts[parts.clone()].iter().map(|t| t.cpu).sum());
        let rest = ms(&|r| parts.clone().map(|n| r.parts[n].wall - r.inside[n]).sum());
        println!("{name:<8}  {wall:>7.0}  {inside:>10.0}  {rest:>6.0}  {cpu:>6.0}");
        (wall, rest)
    };
    for (n, part) in PARTS.iter().enumerate() {
        row(part, n..n + 1);
    }
    let (wall, rest) = row("in all", 0..PARTS.len());
    let least = 1e3
        * runs
            .iter()
            .map(|r| (0..PARTS.len()).map(|n| r.parts[n].wall - r.inside[n]).sum())
            .fold(f64::INFINITY, f64::min);
    println!("outside the model runs at best {least:.0} ms");
    report_bars(bundle, wall, rest);
}

fn report_bars(bundle: &str, wall: f64, rest: f64) {
    bar("outside the model runs", rest, "ms", MOST_REST_MS);
    let share = 100.0 * rest / wall;
    let paper = Bundle::open(bundle.as_ref())
        .is_ok_and(|b| b.manifest().agent().is_some_and(|a| a.feature_size >= PAPER_FEATURES));
    let peak = memory_mb("VmHWM:");
    if paper {
        bar("share of the wall time", share, "%", 100.0 * MOST_REST_SHARE);
        peak.iter().for_each(|mb| bar("peak memory", *mb, "MB", MOST_MEMORY_MB));
    } else {
        println!(
            "{:<24} {share:>7.1} %   (the bar is for the paper's networks)",
            "share of the wall time"
        );
        peak.iter().for_each(|mb| {
            println!("{:<24} {mb:>7.1} MB  (the bar is for the paper's networks)", "peak memory")
        });
    }
}

fn main() {
    // cargo passes `--bench` to every bench.
    let arguments: Vec<String> =
        std::env::args().skip(1).filter(|a| !a.starts_with("--")).collect();
    let number = |at: usize, name: &str| -> Option<usize> {
        arguments
            .get(at)
            .map(|n| n.parse().unwrap_or_else(|_| panic!("{name}: found {n:?}, expected a number")))
    };
    let bundle = arguments.first().cloned().unwrap_or_else(|| "tests/data/micro".into());
    let repeats = number(1, "REPEATS").unwrap_or(15).max(1);
    let threads = number(2, "THREADS").unwrap_or(0);

    let (mut engine, mut options) = (null_mut(), null_mut());
    let path = CString::new(bundle.clone()).unwrap();
    abi!(nasoseg_options_new(&mut options));
    abi!(nasoseg_options_set_device(options, c"cpu".as_ptr()));
    abi!(nasoseg_options_set_slices(options, 0, SIZE[2]));
    abi!(nasoseg_options_set_threads(options, threads as u32));
    rayon::ThreadPoolBuilder::new()
        .num_threads(threads)
        .build_global()
        .expect("the pool is not built yet");
    let sequences: Vec<Vec<u16>> = (0..3).map(voxels).collect();
    abi!(nasoseg_engine_new(path.as_ptr(), options, null(), &mut engine));
    let opened_mb = memory_mb("VmRSS:");
    let opening_mb = memory_mb("VmHWM:");

    let runs: Vec<Measured> = (0..repeats).map(|_| measure(engine, options, &sequences)).collect();

    report(&bundle, &runs, threads);
    if let (Some(opened), Some(opening)) = (opened_mb, opening_mb) {
        println!(
            "  of it once the engine was open {opened:.0} MB, at most {opening:.0} MB while it was \
             opened"
        );
    }
    free!(nasoseg_options_free(options), nasoseg_engine_free(engine));
}
