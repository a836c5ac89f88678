// nasoseg in C++17: the C library with RAII, exceptions and views. Header-only; requires nasoseg.h
// and the library.
//
//     #include <nasoseg/nasoseg.hpp>
//
//     nasoseg::Engine engine("models/demo");
//     nasoseg::Study study;
//     study.load(nasoseg::Sequence::T1, "patient/T1");
//     study.load(nasoseg::Sequence::T1C, "patient/T1C");
//     study.load(nasoseg::Sequence::T2, "patient/T2");
//
//     nasoseg::Run run;
//     run.on_progress([](const nasoseg::Progress &p) {
//         return show(p.stage_name(), p.done, p.total);  // false cancels
//     });
//     auto detection = engine.detect(study, nasoseg::Options().slices(8, 20), run);
//     auto segmentation = engine.segment(study, detection, {}, run);
//     auto contours = segmentation.contour();
//     contours.write_rtstruct("rtstruct.dcm");
//
// OWNERSHIP. Every class owns one handle of nasoseg.h and is move-only; a moved-from object may
// only be destroyed or assigned to. Objects may be destroyed in any order: each keeps alive what it
// needs, except that a Run must outlive the calls that use it. A Span or string_view that a getter
// returns is borrowed from its object.
//
// ERRORS. A function that fails throws nasoseg::Error; one that is cancelled throws
// nasoseg::Cancelled, which is an Error. Callers without exceptions use nasoseg::attempt, which
// turns any of these calls into a Result:
//
//     auto found = nasoseg::attempt([&] { return engine.detect(study); });
//     if (!found) { log(found.error().what()); }
//
// THREADS. As in nasoseg.h: any number of threads may call const member functions at once; others
// require exclusive access. Progress callbacks run on the calling thread. An exception thrown in
// one cancels the call, which then throws it.
//
// UNITS. Millimetres in the patient's LPS axes, unless a view says RAS. Voxel indices are centres;
// boxes use edge coordinates of the model's grid (nasoseg.h, UNITS AND AXES). Slices are counted
// from 0, from inferior to superior.
//
// No name here is a macro of <X11/Xlib.h> or <windows.h>: this header may follow either.

#ifndef NASOSEG_NASOSEG_HPP
#define NASOSEG_NASOSEG_HPP

#include <nasoseg.h>
#include <nasoseg/engine.hpp>

#endif // NASOSEG_NASOSEG_HPP
