// Does the library that web viewers read structure sets with see every contour on its image?
//
// In: a folder of images and their structure set. Out: one line; exit code 1 and the reason if
// something is wrong.

import { readFileSync, readdirSync } from "node:fs";
import { join } from "node:path";
import dcmjs from "dcmjs";

const [images, rtstruct] = process.argv.slice(2);

function read(path) {
  const bytes = readFileSync(path);
  const end = bytes.byteOffset + bytes.length;
  const file = dcmjs.data.DicomMessage.readFile(bytes.buffer.slice(bytes.byteOffset, end));
  return dcmjs.data.DicomMetaDictionary.naturalizeDataset(file.dict);
}

function check(condition, what) {
  if (!condition) {
    console.error(`dcmjs: ${what}`);
    process.exit(1);
  }
}

const list = (value) => (Array.isArray(value) ? value : value === undefined ? [] : [value]);
const cross = ([a, b, c], [d, e, f]) => [b * f - c * e, c * d - a * f, a * e - b * d];
const dot = (a, b) => a[0] * b[0] + a[1] * b[1] + a[2] * b[2];

const planes = new Map();
for (const name of readdirSync(images)) {
  const image = read(join(images, name));
  const [a, b, c, d, e, f] = image.ImageOrientationPatient.map(Number);
  const normal = cross([a, b, c], [d, e, f]);
  const position = dot(image.ImagePositionPatient.map(Number), normal);
  planes.set(image.SOPInstanceUID, { normal, position });
}

const set = read(rtstruct);
check(set.Modality === "RTSTRUCT", `modality ${set.Modality}`);
const [roi] = list(set.StructureSetROISequence);
const [drawn] = list(set.ROIContourSequence);
const belong = roi.ROIName && roi.ROINumber === drawn.ReferencedROINumber;
check(belong, "the ROI and its contours do not belong together");
const contours = list(drawn.ContourSequence);
let points = 0;
for (const contour of contours) {
  const [image] = list(contour.ContourImageSequence);
  const plane = planes.get(image.ReferencedSOPInstanceUID);
  const uid = image.ReferencedSOPInstanceUID;
  check(plane, `a contour names image ${uid}, which is not in ${images}`);
  const data = contour.ContourData.map(Number);
  const count = Number(contour.NumberOfContourPoints);
  check(data.length === 3 * count, `${data.length} coordinates for ${count} points`);
  for (let n = 0; n < data.length; n += 3) {
    const off = Math.abs(dot(data.slice(n, n + 3), plane.normal) - plane.position);
    check(off < 0.002, `a point lies ${off} mm off its image`);
  }
  points += data.length / 3;
}
const found = `${contours.length} contours, ${points} points`;
console.log(`dcmjs: ${roi.ROIName}, ${found}, each on the image that it names`);
