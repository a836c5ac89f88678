//! The choice of one series, and of one stack of its images.
//!
//! In: the files of a folder and the caller's [`ReadOptions`]. Out: one series and the images of it
//! that the caller picked; or an error that lists the candidates in the form in which the options
//! accept them.

use std::collections::BTreeMap;

use dicom_core::Tag;
use dicom_dictionary_std::tags;

use super::file::DicomFile;
use super::header::NONE;
use super::order::{Image, clashes};
use crate::error::{Error, Result};
use crate::formats::read::ReadOptions;
use crate::geometry::grid::cross;
use crate::geometry::reslice::plane_across;

/// No listing names more series or stacks.
const MOST_LISTED: usize = 20;

/// What distinguishes images of one series: a name, the functional group and attribute of enhanced
/// images, the attribute of others. Earlier marks are tried first.
const MARKS: [(&str, Tag, Tag, Tag); 9] = [
    ("Stack ID", tags::FRAME_CONTENT_SEQUENCE, tags::STACK_ID, NONE),
    ("Echo Time", tags::MR_ECHO_SEQUENCE, tags::EFFECTIVE_ECHO_TIME, tags::ECHO_TIME),
    ("Echo Number", NONE, NONE, tags::ECHO_NUMBERS),
    (
        "Temporal Position",
        tags::FRAME_CONTENT_SEQUENCE,
        tags::TEMPORAL_POSITION_INDEX,
        tags::TEMPORAL_POSITION_IDENTIFIER,
    ),
    ("b-value", tags::MR_DIFFUSION_SEQUENCE, tags::DIFFUSION_B_VALUE, tags::DIFFUSION_B_VALUE),
    ("Image Type", tags::MR_IMAGE_FRAME_TYPE_SEQUENCE, tags::FRAME_TYPE, tags::IMAGE_TYPE),
    (
        "Trigger Time",
        tags::CARDIAC_SYNCHRONIZATION_SEQUENCE,
        tags::NOMINAL_CARDIAC_TRIGGER_DELAY_TIME,
        tags::TRIGGER_TIME,
    ),
    (
        "Acquisition Number",
        tags::FRAME_CONTENT_SEQUENCE,
        tags::FRAME_ACQUISITION_NUMBER,
        tags::ACQUISITION_NUMBER,
    ),
    ("Acquisition Time", NONE, NONE, tags::ACQUISITION_TIME),
];

/// Mark computed from the geometry: the plane that the image is nearest to.
const PLANE: &str = "Plane";
/// Mark computed from the geometry: columns x rows.
const SIZE: &str = "Size";

/// The value of a mark; empty if the image has none.
fn mark(image: &Image, name: &str) -> String {
    match name {
        SIZE => format!("{} x {}", image.matrix[0], image.matrix[1]),
        PLANE => plane_across(cross(image.frame.row, image.frame.column)).to_owned(),
        _ => MARKS
            .iter()
            .find(|m| m.0 == name)
            .and_then(|(_, group, inside, top)| {
                image.file.of_frame(image.frame.index, *group, *inside, *top)
            })
            .unwrap_or_default()
            .to_owned(),
    }
}

fn names() -> impl Iterator<Item = &'static str> {
    [PLANE, SIZE].into_iter().chain(MARKS.iter().map(|m| m.0))
}

/// The marks by which two images differ, with both values.
pub(super) fn differences(a: &Image, b: &Image) -> Vec<String> {
    let both = |name| (name, mark(a, name), mark(b, name));
    names()
        .map(both)
        .filter(|(_, x, y)| x != y)
        .map(|(name, x, y)| format!("{name} {x} / {y}"))
        .collect()
}

/// The only series, or the one that the options name.
pub(super) fn series(
    files: Vec<DicomFile>,
    name: &str,
    options: &ReadOptions,
) -> Result<Vec<DicomFile>> {
    let mut series: BTreeMap<String, Vec<DicomFile>> = BTreeMap::new();
    for file in files {
        series.entry(file.text(tags::SERIES_INSTANCE_UID).to_owned()).or_default().push(file);
    }
    let lines: Vec<String> = series.iter().map(|(uid, files)| describe(uid, files)).collect();
    match &options.series_uid {
        Some(uid) => series.remove(uid.trim()).ok_or_else(|| {
            Error::Argument(format!(
                "{name}: no series has the UID {}, expected one of: {}. Give one of these UIDs",
                uid.trim(),
                listed(&lines)
            ))
        }),
        None if series.len() > 1 => Err(Error::Image(format!(
            "{name}: {} series were found, one was expected: {}. Choose one by its series UID, or \
             give \
             the list of its files",
            series.len(),
            listed(&lines)
        ))),
        None => Ok(series.into_values().next().unwrap_or_default()),
    }
}

/// A series in one line: UID, description, modality and class, number of images, echo times and
/// b-values.
fn describe(uid: &str, files: &[DicomFile]) -> String {
    let images: u64 = files.iter().map(|f| u64::from(f.frame_count())).sum();
    let values = |(name, group, inside, top): (&str, Tag, Tag, Tag)| {
        let mut values: Vec<&str> = Vec::new();
        for file in files {
            for frame in 0..file.frame_count().min(file.header.frame_items().max(1) as u32) {
                let value = file.of_frame(frame, group, inside, top).unwrap_or_default();
                if !value.is_empty() && !values.contains(&value) && values.len() <= 8 {
                    values.push(value);
                }
            }
        }
        match values.as_slice() {
            [] => String::new(),
            many => format!(
                ", {name} {}{}",
                many[..many.len().min(8)].join(" / "),
                if many.len() > 8 { " / ..." } else { "" }
            ),
        }
    };
    format!(
        "{} \"{}\" ({}, {images} images{}{})",
        if uid.is_empty() { "no UID" } else { uid },
        files.first().map(|f| f.text(tags::SERIES_DESCRIPTION)).unwrap_or_default(),
        files.first().map(DicomFile::what).unwrap_or_default(),
        values(MARKS[1]),
        values(MARKS[4])
    )
}

fn listed(lines: &[String]) -> String {
    let more = lines.len().saturating_sub(MOST_LISTED);
    let shown = lines[..lines.len() - more].join("; ");
    if more > 0 { format!("{shown}; and {more} more") } else { shown }
}

/// The images that the caller picked by `NAME=VALUE`, several separated by semicolons; all of them
/// if nothing was picked.
pub(super) fn picked(images: Vec<Image>, name: &str, options: &ReadOptions) -> Result<Vec<usize>> {
    let Some(pick) = &options.pick else { return Ok((0..images.len()).collect()) };
    let known = || names().collect::<Vec<_>>().join(", ");
    let mut conditions = Vec::new();
    for part in pick.split(';').map(str::trim).filter(|p| !p.is_empty()) {
        let (left, value) = part.split_once('=').unwrap_or((part, ""));
        let found =
            names().find(|n| n.eq_ignore_ascii_case(left.trim())).filter(|_| part.contains('='));
        let found = found.ok_or_else(|| {
            Error::Argument(format!(
                "pick \"{part}\": expected NAME=VALUE with a name of {}",
                known()
            ))
        })?;
        conditions.push((found, value.trim()));
    }
    let same = |a: &str, b: &str| match (a.parse::<f64>(), b.parse::<f64>()) {
        (Ok(a), Ok(b)) => a == b,
        _ => a.eq_ignore_ascii_case(b),
    };
    let matching: Vec<usize> = (0..images.len())
        .filter(|n| conditions.iter().all(|(name, value)| same(&mark(&images[*n], name), value)))
        .collect();
    if matching.is_empty() {
        let names: Vec<&str> = conditions.iter().map(|c| c.0).collect();
        let all: Vec<&Image> = images.iter().collect();
        return Err(Error::Argument(format!(
            "{name}: no image has {pick}, expected one of: {}. Give one of these as pick",
            listed(&lines(&grouped(&all, &names), &names))
        )));
    }
    Ok(matching)
}

/// Images by the values of some marks.
type Groups<'a, 'b> = BTreeMap<Vec<String>, Vec<&'b Image<'a>>>;

fn grouped<'a, 'b>(images: &[&'b Image<'a>], names: &[&str]) -> Groups<'a, 'b> {
    let mut groups = Groups::new();
    for image in images {
        groups.entry(names.iter().map(|n| mark(image, n)).collect()).or_default().push(image);
    }
    groups
}

fn lines(groups: &Groups, names: &[&str]) -> Vec<String> {
    let key = |values: &Vec<String>| {
        names.iter().zip(values).map(|(n, v)| format!("{n}={v}")).collect::<Vec<_>>().join("; ")
    };
    groups
        .iter()
        .map(|(values, images)| format!("\"{}\" ({} images)", key(values), images.len()))
        .collect()
}

/// The stacks into which marks divide the images, as a sentence; empty if no marks divide them into
/// stacks.
pub(super) fn stacks(images: &[Image]) -> String {
    let mut names: Vec<&str> = Vec::new();
    let images: Vec<&Image> = images.iter().collect();
    for name in self::names() {
        // A mark helps if it distinguishes two images that cannot be of one stack.
        let helps = |group: &Vec<&Image>| {
            clashes(group).iter().any(|(a, b)| mark(group[*a], name) != mark(group[*b], name))
        };
        if grouped(&images, &names).values().any(helps) {
            names.push(name);
        }
    }
    let groups = grouped(&images, &names);
    if names.is_empty() || groups.values().any(|group| !clashes(group).is_empty()) {
        return String::new();
    }
    format!(" The series holds {}: pick one of these", listed(&lines(&groups, &names)))
}
