// The C++ headers after <X11/Xlib.h> and <windows.h>, whose macros have the names of ordinary
// words. NASOSEG_TEST_ITK and NASOSEG_TEST_VTK add the adapters.

// Whether ITK and VTK themselves come after these macros is not our matter.
#ifdef NASOSEG_TEST_ITK
#include <itkImage.h>
#include <itkImportImageContainer.h>
#endif
#ifdef NASOSEG_TEST_VTK
#include <vtkCellArray.h>
#include <vtkCellData.h>
#include <vtkDataArray.h>
#include <vtkDoubleArray.h>
#include <vtkImageData.h>
#include <vtkIntArray.h>
#include <vtkMatrix3x3.h>
#include <vtkPointData.h>
#include <vtkPoints.h>
#include <vtkPolyData.h>
#include <vtkSmartPointer.h>
#endif

#if __has_include(<X11/Xlib.h>)
#include <X11/Xlib.h>
#else
// Those of X11/X.h and X11/Xlib.h that could be names of ours.
#define Above 0
#define Always 2
#define Below 1
#define Bool int
#define Complex 0
#define Convex 2
#define CopyFromParent 0L
#define DestroyAll 0
#define Expose 12
#define False 0
#define FocusIn 9
#define FocusOut 10
#define FontChange 255
#define InputOnly 2
#define InputOutput 1
#define KeyPress 2
#define LSBFirst 0
#define MSBFirst 1
#define None 0L
#define NoSymbol 0L
#define Nonconvex 1
#define NotUseful 0
#define Opposite 4
#define ParentRelative 1L
#define Status int
#define Success 0
#define True 1
#define Unsorted 0
#define WhenMapped 1
#endif

// As in a program, whose standard headers come before <windows.h>.
#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <functional>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <variant>
#include <vector>

// Those of <windows.h> and the headers that it includes.
#define ABSOLUTE 1
#define CONST const
#define DELETE (0x00010000L)
#define DIFFERENCE 11
#define DOMAIN 1
#define ERROR 0
#define GetMessage GetMessageA
#define GetObject GetObjectA
#define IGNORE 0
#define IN
#define INFINITE 0xFFFFFFFF
#define NO_ERROR 0L
#define OPTIONAL
#define OUT
#define OVERFLOW 3
#define RELATIVE 2
#define STRICT 1
#define VOID void
#define far
#define interface struct
#define max(a, b) (((a) > (b)) ? (a) : (b))
#define min(a, b) (((a) < (b)) ? (a) : (b))
#define near
#define small char

#ifdef NASOSEG_TEST_ITK
#include <nasoseg/itk.hpp>
#endif
#ifdef NASOSEG_TEST_VTK
#include <nasoseg/vtk.hpp>
#endif
#include <nasoseg/nasoseg.hpp>

#if !defined(Status) || !defined(None) || !defined(min) || !defined(interface)
#error "a header has removed the macros that this test is about"
#endif

// A macro that renamed an enumerator or a function would show here, or not link.
static_assert(static_cast<std::uint32_t>(nasoseg::ErrorCode::Ok) == NASOSEG_OK, "");
static_assert(static_cast<std::uint32_t>(nasoseg::ErrorCode::Poisoned) == NASOSEG_ERROR_POISONED,
              "");

int main() {
    const auto failed = nasoseg::attempt([] { nasoseg::Options().device("no such device"); });
    const bool refused = !failed && failed.error().code() == nasoseg::ErrorCode::Argument;
    return refused && nasoseg::abi_version() >= NASOSEG_ABI_VERSION ? 0 : 1;
}
