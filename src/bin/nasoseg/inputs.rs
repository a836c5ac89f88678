//! Reading the series that the arguments name.

use std::path::PathBuf;
use std::sync::Arc;

use nasoseg::formats::{ReadOptions, read};
use nasoseg::{Error, Result, Run, Sequence, Stage, Study, StudyOptions, Volume};

use crate::arguments::{ReferenceChoice, Sequences};
use crate::clock::Clock;

/// Reads and aligns the three sequences; an error names the sequence.
pub fn study(sequences: &Sequences, clock: &mut Clock, run: &Run<'_>) -> Result<Study> {
    let paths: [&Vec<PathBuf>; 3] = [&sequences.t1, &sequences.t1c, &sequences.t2];
    let series = [&sequences.t1_series, &sequences.t1c_series, &sequences.t2_series];
    let picks = [&sequences.t1_pick, &sequences.t1c_pick, &sequences.t2_pick];
    let volumes: Vec<Arc<Volume>> = clock.time("read", || {
        let total = Sequence::ALL.len();
        let mut volumes = Vec::with_capacity(total);
        for (done, sequence) in Sequence::ALL.into_iter().enumerate() {
            run.tick(Stage::Read, done, total)?;
            let options = read_options(series[done], picks[done], sequences.allow_gaps);
            volumes.push(Arc::new(read(paths[done], &options).map_err(|e| e.within(sequence))?));
        }
        run.tick(Stage::Read, total, total)?;
        Ok(volumes)
    })?;
    let volumes: [Arc<Volume>; 3] =
        volumes.try_into().map_err(|_| Error::Internal("three sequences were read".into()))?;
    let options = StudyOptions::default()
        .with_force_geometry(sequences.force_geometry)
        .with_reslice(sequences.reslice.unwrap_or_default());
    clock.time("align", || Study::new(volumes, &options, run))
}

/// Reads the series that a mask or structure set lies on.
pub fn reference(paths: &[PathBuf], choice: &ReferenceChoice) -> Result<Volume> {
    let ReferenceChoice { reference_series, reference_pick, allow_gaps } = choice;
    let options = read_options(reference_series, reference_pick, *allow_gaps);
    read(paths, &options).map_err(|e| e.within("reference"))
}

fn read_options(series: &Option<String>, pick: &Option<String>, allow_gaps: bool) -> ReadOptions {
    let mut options = ReadOptions::default().with_allow_gaps(allow_gaps);
    if let Some(uid) = series {
        options = options.with_series_uid(uid);
    }
    if let Some(pick) = pick {
        options = options.with_pick(pick);
    }
    options
}
