//! Three sequences from paths to a study.

use std::ops::Range;
use std::path::PathBuf;
use std::sync::Arc;

use nasoseg::formats::read::{ReadOptions, read};
use nasoseg::{Error, Result, Run, Sequence, Stage, Study, StudyOptions, Volume};

use crate::args::{Sequences, Slices};
use crate::commands::Clock;

/// Reads and aligns the three sequences; an error says which sequence it was.
pub fn study(sequences: &Sequences, clock: &mut Clock, run: &Run<'_>) -> Result<Study> {
    let paths: [&Vec<PathBuf>; 3] = [&sequences.t1, &sequences.t1c, &sequences.t2];
    let series = [&sequences.t1_series, &sequences.t1c_series, &sequences.t2_series];
    let picks = [&sequences.t1_pick, &sequences.t1c_pick, &sequences.t2_pick];
    let volumes: Vec<Arc<Volume>> = clock.time("read", || {
        let mut volumes = Vec::with_capacity(3);
        for (done, sequence) in Sequence::ALL.into_iter().enumerate() {
            run.tick(Stage::Read, done, 3)?;
            let options = read_options(series[done], picks[done], sequences.allow_gaps);
            volumes.push(Arc::new(read(paths[done], &options).map_err(|e| e.within(sequence))?));
        }
        run.tick(Stage::Read, 3, 3)?;
        Ok(volumes)
    })?;
    let volumes: [Arc<Volume>; 3] =
        volumes.try_into().map_err(|_| Error::Internal("three sequences were read".into()))?;
    let mut options = StudyOptions::default();
    options.force_geometry = sequences.force_geometry;
    options.reslice = sequences.reslice.unwrap_or_default();
    clock.time("align", || Study::new(volumes, &options, run))
}

/// How one sequence is read.
pub fn read_options(
    series: &Option<String>,
    pick: &Option<String>,
    allow_gaps: bool,
) -> ReadOptions {
    let mut options = ReadOptions::default().with_allow_gaps(allow_gaps);
    options.series_uid.clone_from(series);
    options.pick.clone_from(pick);
    options
}

/// The canonical slices that the arguments name; `None` where they name none.
pub fn range(slices: &Slices, study: &Study) -> Result<Option<Range<usize>>> {
    match (&slices.slices, &slices.slices_mm) {
        (Some(range), _) => study.check_slices(Some(range.clone())).map(Some),
        (None, Some(mm)) => study.slices_between_mm(mm.start, mm.end).map(Some),
        (None, None) => Ok(None),
    }
}
