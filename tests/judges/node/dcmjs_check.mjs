// Does the library that web viewers read structure sets with see every contour on its image?
//
// In: a folder of images and their structure set. Out: one line; exit code 1 and the reason where something is wrong.

import { readFileSync, readdirSync } from "node:fs";
import { join } from "node:path";
import dcmjs from "dcmjs";

const [images, rtstruct] = process.argv.slice(2);

function read(path) {
  const bytes = readFileSync(path);
  const file = dcmjs.data.DicomMessage.readFile(bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.length));
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
  planes.set(image.SOPInstanceUID, { normal, position: dot(image.ImagePositionPatient.map(Number), normal) });
}

const set = read(rtstruct);
check(set.Modality === "RTSTRUCT", `modality ${set.Modality}`);
const [roi] = list(set.StructureSetROISequence);
const [drawn] = list(set.ROIContourSequence);
check(roi.ROIName && roi.ROINumber === drawn.ReferencedROINumber, "the region and its contours do not belong together");
const contours = list(drawn.ContourSequence);
let points = 0;
for (const contour of contours) {
  const [image] = list(contour.ContourImageSequence);
  const plane = planes.get(image.ReferencedSOPInstanceUID);
  check(plane, `a contour names image ${image.ReferencedSOPInstanceUID}, which is not in ${images}`);
  const data = contour.ContourData.map(Number);
  check(data.length === 3 * Number(contour.NumberOfContourPoints), `${data.length} coordinates for ${contour.NumberOfContourPoints} points`);
  for (let n = 0; n < data.length; n += 3) {
    const off = Math.abs(dot(data.slice(n, n + 3), plane.normal) - plane.position);
    check(off < 0.002, `a point lies ${off} mm off its image`);
  }
  points += data.length / 3;
}
console.log(`dcmjs: ${roi.ROIName}, ${contours.length} contours, ${points} points, each on the image that it names`);
